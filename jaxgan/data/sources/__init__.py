"""Where images lie: folders, archives and the sets of other libraries, found by one rule."""
