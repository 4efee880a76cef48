"""From any images to a prepared set: find, scan, diagnose, decide, write."""
