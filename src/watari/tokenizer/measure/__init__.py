"""How well a tokenizer fits a text: characters per token and all that follows, for any tokenizers on any files."""

from watari.tokenizer.measure.command import measure_command
from watari.tokenizer.measure.comparison import Comparison, compare_files
from watari.tokenizer.measure.figures import CONTEXT, PAGE, Figures, Interval
from watari.tokenizer.measure.measuring import Measurement, describe, measure
from watari.tokenizer.measure.reach import unreachable

__all__ = [
    "CONTEXT",
    "PAGE",
    "Comparison",
    "Figures",
    "Interval",
    "Measurement",
    "compare_files",
    "describe",
    "measure",
    "measure_command",
    "unreachable",
]
