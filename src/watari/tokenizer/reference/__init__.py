"""Slow encoders of our own, written from the definition of each form: what the libraries' ids are checked against."""

from watari.tokenizer.reference.fast import JsonReference
from watari.tokenizer.reference.sentencepiece import SpmReference

__all__ = ["JsonReference", "SpmReference"]
