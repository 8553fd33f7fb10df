"""What the checks of words find by themselves on the stored pairs: the classes of fault that are theirs, and good rows."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from watari.synth.checks import (
    answers,
    leftovers,
    mojibake,
    register,
    repetition,
    roles,
    tongues,
    truncation,
    untranslated,
    wrapping,
)
from watari.synth.checks.finding import Meta, Severity
from watari.synth.checks.text import Turn

MODULES = (
    answers,
    leftovers,
    mojibake,
    register,
    repetition,
    roles,
    tongues,
    truncation,
    untranslated,
    wrapping,
)
OURS = [
    "empty",
    "refusal",
    "preamble",
    "answer_instead",
    "untranslated",
    "untranslated_partial",
    "source_echo",
    "wrong_language",
    "mixed_language",
    "leak_ko",
    "leak_ru",
    "leak_th",
    "leak_vi",
    "leak_zh",
    "natural_subword_leftover",
    "mojibake",
    "repetition",
    "role_error",
]


def rows(folder: Path, name: str, step: int) -> list[dict[str, Any]]:
    with gzip.open(folder / "en-ja-pairs" / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines][::step]


def codes(row: dict[str, Any], severity: Severity) -> set[str]:
    source, target = ([Turn(one["role"], one["content"]) for one in row[side]] for side in ("src", "tgt"))
    meta = Meta(kind=row["kind"], finish_reason=row.get("finish_reason") or "", free=bool(row.get("free")))
    return {
        found.code
        for module in MODULES
        for check in module.CHECKS
        for found in check.run(source, target, meta)
        if found.severity is severity
    }


@pytest.mark.data
def test_faults_of_words_are_found_and_good_rows_pass(test_data: Path) -> None:
    good = rows(test_data, "pairs-good.jsonl.gz", 3)
    flagged = [row["id"] for row in good if codes(row, Severity.HARD)]
    assert len(flagged) <= 0.02 * len(good)
    classes: dict[str, list[bool]] = defaultdict(list)
    for row in rows(test_data, "pairs-bad.jsonl.gz", 2):
        if row["fault"] in OURS:
            classes[row["fault"]].append(bool(codes(row, Severity.HARD)))
        elif row["fault"] == "register_mix":
            classes["register_mix"].append(
                "register-mix" in codes(row, Severity.WARN) | codes(row, Severity.HARD)
            )
    assert set(classes) == {*OURS, "register_mix"}
    shares = {name: sum(found) / len(found) for name, found in classes.items()}
    assert {name: share for name, share in shares.items() if share < 0.85} == {}
