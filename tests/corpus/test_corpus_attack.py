"""What a tester broke: faults of profiles are named, and a limit of `dedup` says nothing of near duplicates."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from watari.artifact.stage import Inputs, Silent
from watari.corpus import build, ingest
from watari.corpus.params import Params
from watari.corpus.report.explain import explain
from watari.corpus.rules.profile import load_profile
from watari.corpus.selection_params import SelectionParams
from watari.corpus.selection_target import target_counts
from watari.corpus.sources import SourceFile
from watari.errors import UserError


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{name: long, metric: characters, minn: 3}", "rule 'long': minn: Extra inputs"),
        ("{name: long, metric: characters, min: .nan}", "rule 'long': min: Input should be a finite number"),
        ("{name: long, metric: characters, min: 5, max: 3}", "rule 'long': no value has min 5 and max 3"),
        ("{name: long, metric: characters, above: 3, max: 3}", "rule 'long': no value has above 3 and max 3"),
        ("{metric: characters, min: 3}", "rules.0.name: Field required"),
    ],
)
def test_a_fault_names_the_rule_and_the_field(tmp_path: Path, rule: str, said: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"language: ja\nrules: [{rule}]\n", "utf-8")
    with pytest.raises(UserError) as refused:
        load_profile(path)
    assert said in refused.value.message
    assert "\n" not in refused.value.message


def test_one_value_may_be_both_limits(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("language: ja\nrules: [{name: long, metric: characters, min: 3, max: 3}]\n", "utf-8")
    assert load_profile(path).rules[0].limits == {"min": 3, "max": 3}


def test_a_change_to_a_rule_is_named_by_the_rule() -> None:
    with pytest.raises(UserError, match="rule 'hiragana': mn: Extra inputs"):
        load_profile("ja-swallow", {"hiragana": {"mn": 0.1}})


def test_a_profile_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(b"language: ja\n\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8 at byte 13"):
        load_profile(path)


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ({}, False),
        ({"dedup": {}}, False),
        ({"dedup": {"max_source_loss": 1}}, False),
        ({"dedup": {"exact": False}}, False),
        ({"dedup": {"near": True}}, True),
        ({"profile": "ja-swallow"}, True),
        ({"profile": "ja-swallow", "dedup": {"max_source_loss": 1}}, True),
        ({"profile": "ja-swallow", "dedup": {"near": False}}, False),
        ({"profile_file": "own.yaml", "dedup": {"max_source_loss": 1}}, True),
    ],
)
def test_near_duplicates_are_looked_for_where_there_is_a_profile(given: dict[str, Any], near: bool) -> None:
    params = Params.model_validate({"sources": [{"path": "a.jsonl"}], **given})
    assert params.duplicates.near is near
    again = Params.model_validate(json.loads(params.model_dump_json()))
    assert again.duplicates == params.duplicates


RECIPE = """
name: short
language: ja
datasets:
  english: {path: "demo://documents?language=en&level=easy&count=40"}
  japanese: {path: "demo://documents?language=ja&level=easy&count=40"}
stages:
  mixed: {uses: corpus.build, sources: [english, japanese], mix: {ja: 0.9, en: 0.1, tokens: 1M}}
"""


def test_what_a_build_says_in_a_recipe_does_not_end_the_run(tmp_path: Path) -> None:
    """There is too little for the mixture: the run's log tells it under the stage's name."""
    (tmp_path / "recipe.yaml").write_text(RECIPE, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "watari", "run", "recipe.yaml", "--out", "run"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for path in (tmp_path / "run").glob("*.jsonl") for line in path.open()]
    assert [line["stage"] for line in lines if str(line.get("message")).startswith("mix: ")][:1] == ["mixed"]


def test_a_target_in_passing_holds_a_language_that_the_corpus_does_not_keep(tmp_path: Path) -> None:
    """A title in kanji alone is taken for Chinese; that must not end a selection among Japanese documents."""
    path = tmp_path / "target.jsonl"
    rows = [
        {"text": "これは日本語の文章です。" * 100, "language": "ja"},
        {"text": "大正元年", "language": "zh"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    wanted = SelectionParams.model_validate({"target": [{"path": str(path)}], "keep": {"share": 0.5}})
    with pytest.raises(UserError, match="4 characters in 'zh'"):
        target_counts(wanted, seed=0)
    found = target_counts(wanted, seed=0, languages=["ja"])
    assert found.characters == {"ja": 1200}
    with pytest.raises(UserError, match="the target is empty"):
        target_counts(wanted, seed=0, languages=["en"])


def test_a_part_of_a_cut_document_is_explained_by_the_whole(tmp_path: Path) -> None:
    """`documents.id` of a part is what a person has in hand; the ledger has one row for all of them."""
    source = tmp_path / "long.jsonl"
    text = "\n".join(f"これは{number}番目の文です。" for number in range(60))
    source.write_text(json.dumps({"id": "long", "text": text}) + "\n", "utf-8")
    params = Params.model_validate({"sources": [{"path": str(source)}], "max_characters": 200})
    build.run(params, Inputs(), tmp_path / "out", Silent())
    ids = pq.read_table(tmp_path / "out/documents").column("id").to_pylist()
    assert len(ids) > 2
    for part in ids:
        assert explain(tmp_path / "out", part).as_json()["doc_id"] == "long"
    with pytest.raises(UserError, match="no row with the id"):
        explain(tmp_path / "out", "other#00001")


@pytest.mark.parametrize("damage", ["garbage behind", "cut short"])
def test_a_damaged_gzip_gives_all_that_could_be_unpacked(tmp_path: Path, damage: str) -> None:
    lines = [json.dumps({"text": f"{n} 番目の文です。" * 20}, ensure_ascii=False) for n in range(2500)]
    packed = gzip.compress("\n".join(lines).encode() + b"\n")
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(packed + b"garbage" * 50 if damage == "garbage behind" else packed[:-200])
    tables = [table for piece in ingest.plan([SourceFile(path=str(path))]) for table in ingest.read(piece)]
    reasons = [reason for table in tables for reason in table.column("reason").to_pylist()]
    unpacked = zlib.decompressobj(wbits=31).decompress(path.read_bytes()).count(b"\n")
    assert reasons.count(None) == unpacked
    assert reasons[-1] == "damaged file"
    assert reasons.count("damaged file") == 1
