"""Real text: an English base of 8M parameters reads Japanese, with and without new vocabulary (docs/benchmarks.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e_command import Command

pytestmark = pytest.mark.slow(minutes=19)


def bits(run: Path, stage: str, language: str) -> float:
    found = json.loads((run / "stages" / stage / "manifest.json").read_text())["metrics"]
    value: float = found[language]["bits_per_character"]["value"]
    return value


def test_expansion_beats_none_at_equal_tokens_and_keeps_english(test_data: Path, tmp_path: Path) -> None:
    watari = Command(tmp_path)
    watari(
        "run", "real-small", "--data", str(test_data), "--out", "runs/real-small", "--jobs", "2", timeout=2400
    )
    run = tmp_path / "runs" / "real-small"
    base = bits(run, "bits_base", "ja")
    expanded = bits(run, "bits_adapted@vocabulary=expanded", "ja")
    unchanged = bits(run, "bits_adapted@vocabulary=unchanged", "ja")
    assert expanded < unchanged < base
    assert bits(run, "bits_grafted@vocabulary=expanded", "en") == pytest.approx(
        bits(run, "bits_base", "en"), rel=0.01
    )
    tokenizer = json.loads((run / "stages" / "tokenizer@vocabulary=expanded" / "manifest.json").read_text())
    held_out = tokenizer["metrics"]["characters_per_token"]["held_out"]["by_language"]["ja"]
    assert held_out["after"] > 1.6 * held_out["before"]
    assert "0 faults" in watari("verify", "runs/real-small")
    print(
        f"\nbits per character, Japanese: base {base:.2f}, unchanged {unchanged:.2f}, expanded {expanded:.2f}"
    )
