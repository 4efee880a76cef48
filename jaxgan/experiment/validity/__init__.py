"""What would make a verdict worthless, each as a check that can fail."""
