"""The page of a sweep: `sweep.html` in its folder."""
