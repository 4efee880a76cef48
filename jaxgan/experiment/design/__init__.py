"""Arms, and which images each classifier trains on."""
