"""Glossary files that cannot be read are told in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from watari.errors import UserError
from watari.synth.glossary import read_glossary


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("deep.json", "[" * 100_000),
        ("deep.yaml", "[" * 100_000),
        ("broken.yaml", "a: [1"),
        ("long.csv", "term," + "x" * 200_000),
        ("one.tsv", "term"),
        ("list.yaml", "- x"),
        ("bare.yaml", "no: いいえ"),
        ("empty.csv", "term,"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=name):
        read_glossary(str(path))
