"""Images and classifiers judged: folders beside folders, GAN-train and GAN-test."""
