"""What an extended tokenizer promises, asked of its files and of text: `watari tokenizer verify BASE EXTENDED`."""

from watari.tokenizer.verify.proof import verify, verify_command
from watari.tokenizer.verify.render import render
from watari.tokenizer.verify.sheet import CounterExample, Result, Sheet

__all__ = ["CounterExample", "Result", "Sheet", "render", "verify", "verify_command"]
