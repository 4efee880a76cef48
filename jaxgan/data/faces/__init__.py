"""Faces, aligned by their landmarks."""
