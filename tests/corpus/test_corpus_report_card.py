"""The dataset card: what the Hub reads, and that every figure is the build's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard

from made_corpus import MadeRow, small_rows, write_corpus
from watari.corpus.report.card import card, license_id, markdown, size_category, write


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), small_rows())


def test_the_hub_reads_its_head(made: Path, tmp_path: Path) -> None:
    paths = write(made, tmp_path, name='A "corpus": 試験 #1')
    assert [path.name for path in paths] == ["README.md", "README.ja.md"]
    for path in paths:
        data = DatasetCard.load(path).data.to_dict()
        assert data["pretty_name"] == 'A "corpus": 試験 #1'
        assert data["language"] == ["ja"]
        assert data["license"] == ["cc-by-sa-4.0", "other"]
        assert data["license_name"] == "public domain"
        assert data["size_categories"] == ["n<1K"]
        assert data["configs"][0]["data_files"] == [{"split": "train", "path": "documents/*.parquet"}]
    assert write(made, tmp_path / "again") != paths
    assert (tmp_path / "again" / "README.md").read_text("utf-8") == card(made).texts["en"]


def test_every_figure_is_the_builds(made: Path) -> None:
    texts = card(made).texts
    rows = small_rows()
    kept = [row for row in rows if row.reason is None]
    for language, said in (("en", ("Read", "Kept")), ("ja", ("入力", "採用"))):
        text = texts[language]
        for name, part in zip(said, (rows, kept), strict=True):
            size = sum(len(row.text.encode()) for row in part)
            assert f"| {name} | {len(part)} | {size:,} |" in text
        for reason in {row.reason for row in rows} - {None, "empty"}:
            count = sum(row.reason == reason for row in rows)
            assert re.search(rf"\| {count} \| {100 * count / len(rows):.1f}% \|", text)
        assert "| hiragana | ≥ 0.2 |" in text
        assert "| sentence length | ≥ 20, ≤ 90 |" in text
        assert "| niilc | 200 | 1 | – | – |" in text
        assert "70.0%" in text
        assert "| CC BY-SA 4.0 | 26 |" in text
        assert "30-4" in text or "第30条の4" in text
    assert "| メールアドレス | 5 | 5 |" in texts["ja"]
    assert "no legal advice" in texts["en"]
    assert "法的助言ではありません" in texts["ja"]


def test_parameters_of_what_was_asked(tmp_path: Path) -> None:
    record = {"parameters": {"select": {"share": 0.5}, "mix": None, "dedup": {"bands": 14}, "lists": {}}}
    for text in card(write_corpus(tmp_path, small_rows(), record=record)).texts.values():
        assert '`{"share": 0.5}`' in text
        assert '`{"bands": 14}`' in text
        assert "`mix`" not in text


def test_contact_and_id(made: Path) -> None:
    text = card(made, contact="data@example.org", hub_id="org/data").texts["en"]
    assert "Ask data@example.org and name the URL" in text
    assert 'load_dataset("org/data", split="train")' in text


def test_nothing_from_outside_acts_in_it(made: Path) -> None:
    for text in card(made).texts.values():
        assert "&lt;i&gt;source&lt;/i&gt;" in text
        assert "<i>" not in text
    assert markdown("a|b\n# [x](y) `c` <d> **e** \u202e") == (
        "a\\|b↵\\# \\[x\\](y) \\`c\\` &lt;d&gt; \\*\\*e\\*\\* ⟨U+202E⟩"
    )


def test_a_source_cannot_end_the_head(tmp_path: Path) -> None:
    row = MadeRow("本文", license="---\nlicense: mit\n---", language="ja\nlicense: mit")
    text = card(write_corpus(tmp_path, [row]), name="---\nx").texts["en"]
    head = text.split("---\n")[1]
    data = yaml.safe_load(head)
    assert data["license"] == "other"
    assert data["pretty_name"] == "---↵x"


@pytest.mark.parametrize("rows", [[], [MadeRow("", "empty", "read", language=None, license=None)]])
def test_a_build_with_nothing_kept(tmp_path: Path, rows: list[MadeRow]) -> None:
    record = {"profile": None, "bytes_per_token": None, "contamination": {}}
    texts = card(write_corpus(tmp_path, rows, record=record)).texts
    data = yaml.safe_load(texts["en"].split("---\n")[1])
    assert (data["license"], "language" in data) == ("unknown", False)
    for said in ("No profile of rules was used.", "No evaluation set was looked for", "Nothing was masked."):
        assert said in texts["en"]
    assert "Tokens" not in texts["en"]


@pytest.mark.parametrize(
    ("said", "identifier"),
    [
        ("CC BY-SA 4.0", "cc-by-sa-4.0"),
        ("https://creativecommons.org/licenses/by/4.0/deed.ja", "cc-by-4.0"),
        ("https://creativecommons.org/licenses/by/4.0/", "cc-by-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("CC0", "cc0-1.0"),
        ("Apache-2.0", "apache-2.0"),
        ("MIT License", "mit"),
        ("ODC-By", "odc-by"),
        ("all rights reserved", None),
        ("", None),
    ],
)
def test_licences(said: str, identifier: str | None) -> None:
    assert license_id(said) == identifier


def test_size_categories() -> None:
    assert [size_category(n) for n in (0, 999, 1000, 5_000_000, 10**12)] == [
        "n<1K",
        "n<1K",
        "1K<n<10K",
        "1M<n<10M",
        "n>1T",
    ]
