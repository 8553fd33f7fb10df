"""Scripts and languages of a span of text."""
