"""Pages and figures: HTML and SVG that need nothing else."""
