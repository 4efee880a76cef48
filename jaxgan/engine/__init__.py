"""Runs any recipe on any devices; knows no GAN."""
