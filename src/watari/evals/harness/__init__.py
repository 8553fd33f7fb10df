"""lm-evaluation-harness: our models and sets through its own command line, its results among ours."""
