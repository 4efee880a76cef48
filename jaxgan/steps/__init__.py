"""One training step each: pure functions, no config, no files."""
