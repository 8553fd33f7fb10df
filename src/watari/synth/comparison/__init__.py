"""Translators side by side: the same drawn rows through each, once and without repair, so that what differs is the model.

    found = compare(params, rows, 200, Path("cmp"), progress)     # params.teachers: two or more
    print("\\n".join(found.lines()))

Writes `comparison.json`, `compare.html`, and the blind sheet for people (`sheet.jsonl`, `sheet.html`, `sheet.key.json`).
"""

from watari.synth.comparison.comparing import compare
from watari.synth.comparison.figures import Comparison, Pairing, TranslatorFigures

__all__ = ["Comparison", "Pairing", "TranslatorFigures", "compare"]
