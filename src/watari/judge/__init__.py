"""Judges: a model that says how good an answer is, or which of two is better; its words are kept, read strictly."""
