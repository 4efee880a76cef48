"""results.json as a page and as tables."""
