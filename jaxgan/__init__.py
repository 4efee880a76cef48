"""Would generated pictures help my classifier? GANs, classifiers and the experiment."""

__version__ = "0.1.0"
