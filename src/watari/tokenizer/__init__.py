"""Tokenizer surgery: extend a base tokenizer for a new language without moving a token of the old one."""
