"""A config, some images and a folder become a trained network."""
