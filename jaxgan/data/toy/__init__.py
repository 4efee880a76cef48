"""The built-in images: drawn cats and dogs."""
