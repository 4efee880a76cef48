"""What several nets are built from."""
