"""Rules that a document must pass, as named profiles: data, not code."""
