"""What an experiment runs: GANs, samples, classifiers."""
