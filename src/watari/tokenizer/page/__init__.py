"""The page of an extended tokenizer: what each size is worth, what the new pieces are, and how they cut a text."""

from watari.tokenizer.page.build import HIDDEN, build
from watari.tokenizer.page.command import report_command
from watari.tokenizer.page.nested import Nested

__all__ = ["HIDDEN", "Nested", "build", "report_command"]
