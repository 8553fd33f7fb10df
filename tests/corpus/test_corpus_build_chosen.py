"""corpus.build with a selection, a mixture, an evaluation set and masking: every row still accounted for."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import Inputs, Silent
from watari.corpus.build import Params, run
from watari.errors import StageFailed, UserError


def rows_of(folder: Path, size: int) -> list[dict[str, Any]]:
    with gzip.open(folder / "kyoto-wiki" / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for _, line in zip(range(size), lines, strict=False)]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


def build(out: Path, **params: Any) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    out.mkdir(exist_ok=True)
    metrics = run(Params(**params), Inputs(), out, Silent()).metrics
    return (
        metrics,
        pq.read_table(out / "documents").to_pylist(),
        pq.read_table(out / "ledger").to_pylist(),
    )


def test_selected_mixed_and_accounted_for(tmp_path: Path, test_data: Path) -> None:
    docs = rows_of(test_data, 700)
    ja = jsonl(tmp_path / "ja.jsonl", [{"id": d["id"], "text": "\n".join(d["ja"])} for d in docs])
    en = jsonl(tmp_path / "en.jsonl", [{"id": d["id"], "text": "\n".join(d["en"])} for d in docs])
    target = jsonl(tmp_path / "target.jsonl", [{"text": "\n".join(d["ja"])} for d in docs[:100]])
    given = {
        "sources": [{"path": ja, "language": "ja"}, {"path": en, "language": "en"}],
        "select": {"target": [{"path": target, "language": "ja"}], "keep": {"share": 0.5}},
        "mix": {"ja": 0.75, "en": 0.25, "tokens": "100k", "repeats": 2},
        "seed": 5,
    }
    metrics, documents, ledger = build(tmp_path / "o", **given)
    reasons = Counter(row["reason"] for row in ledger if row["disposition"] == "dropped")
    assert metrics["dropped_by_reason"] == dict(reasons)
    assert set(reasons) >= {"not selected", "over quota"}
    assert len(ledger) == 1400 == metrics["rows_in"]
    assert sum(reasons.values()) + len(documents) == 1400
    assert all(row["value"] <= row["threshold"] for row in ledger if row["reason"] == "not selected")
    assert {row["id"] for row in documents} == {
        row["doc_id"] for row in ledger if row["disposition"] == "kept"
    }
    rates = {"ja": 1.08, "en": 0.26}
    tokens = Counter[str]()
    for row in documents:
        tokens[row["language"]] += row["copies"] * len(row["text"]) * rates[row["language"]]
    for language, quota in (("ja", 75_000), ("en", 25_000)):
        longest = max(row["characters"] for row in ledger if row["language"] == language)
        assert quota - longest * rates[language] < tokens[language] <= quota
    again = build(tmp_path / "p", **{**given, "sources": given["sources"][::-1]})  # type: ignore[index]
    assert again[1:] == (documents, ledger)
    assert digest_of(list_files(tmp_path / "o")) == digest_of(list_files(tmp_path / "p"))
    other = build(tmp_path / "q", **{**given, "seed": 6})
    assert other[1] != documents


def test_planted_items_and_personal_data_do_not_pass(tmp_path: Path, test_data: Path) -> None:
    docs = rows_of(test_data, 60)
    with gzip.open(test_data / "jglue" / "jsquad_valid-v1.3.json.gz", "rt", encoding="utf-8") as file:
        paragraph = json.load(file)["data"][3]["paragraphs"][0]["context"].partition("[SEP]")[2].strip()
    rows = [{"id": d["id"], "text": "\n".join(d["ja"])} for d in docs]
    rows[7]["text"] += "\n" + paragraph
    rows[9]["text"] += "\n連絡はtaro@hanako.jpまで、電話は０３－３５８１－２３４５。"
    metrics, documents, ledger = build(
        tmp_path / "o",
        sources={"path": jsonl(tmp_path / "a.jsonl", rows), "language": "ja"},
        decontaminate=[{"path": str(test_data / "jglue" / "jsquad_valid-v1.3.json.gz")}],
        personal={"replacement": "placeholder"},
    )
    (row,) = [row for row in ledger if row["doc_id"] == rows[7]["id"]]
    assert (row["reason"], row["step"]) == ("contaminated", "contamination")
    assert row["detail"].startswith("jsquad_valid")
    assert metrics["contaminated"]
    (kept,) = [row for row in documents if row["id"] == rows[9]["id"]]
    assert kept["text"].endswith("連絡は<email>まで、電話は<phone>。")
    assert json.loads(kept["masked"]) == {"email": 1, "phone": 1}
    assert metrics["masked"] == {"email": 1, "phone": 1}


def test_a_source_that_collapses_stops_the_build(tmp_path: Path, test_data: Path) -> None:
    docs = ["\n".join(d["ja"]) for d in rows_of(test_data, 30)]
    good = jsonl(tmp_path / "good.jsonl", [{"text": text} for text in docs])
    bad = jsonl(tmp_path / "bad.jsonl", [{"text": docs[0] + f"\n{i}"} for i in range(300)])
    given: dict[str, Any] = {"sources": [{"path": good}, {"path": bad}], "dedup": {"near": True}}
    with pytest.raises(StageFailed, match="'bad' loses"):
        build(tmp_path / "o", **given)
    given["dedup"] = {"near": True, "max_source_loss": 1, "max_cluster_share": 1}
    metrics, documents, _ = build(tmp_path / "p", **given)
    assert max(row["cluster_size"] for row in documents) > 250
    assert metrics["duplicates"]["near"] > 250


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"profile": "ja-swalow"}, "ja-swallow"),
        ({"profile": "ja-swallow", "rules": {"hiragama": None}}, "no rule 'hiragama'"),
        ({"select": {"target": [{"path": "EMPTY"}], "keep": {"share": 0.1}}}, "target"),
        ({"decontaminate": [{"path": "EMPTY"}]}, "no text"),
        ({"decontaminate": [{"path": "/nowhere.jsonl"}]}, "nowhere"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_read(
    tmp_path: Path, params: dict[str, Any], words: str
) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": "これは文章です。"}])
    empty = jsonl(tmp_path / "empty.jsonl", [])
    text = json.dumps(params).replace("EMPTY", empty)
    with pytest.raises(UserError, match=words) as error:
        build(tmp_path / "o", sources={"path": path}, **json.loads(text))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "o" / "work" / "clean").exists()


def test_an_interrupted_build_goes_on_and_a_changed_input_starts_anew(
    tmp_path: Path, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watari.corpus import between

    docs = ["\n".join(d["ja"]) for d in rows_of(test_data, 30)]
    path = jsonl(tmp_path / "a.jsonl", [{"text": text} for text in docs])
    whole = build(tmp_path / "whole", sources={"path": path})

    def broken(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(between, "resolve", broken)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "o", sources={"path": path})
    mark = tmp_path / "o" / "work" / "clean" / "00000.json"
    before = mark.stat().st_mtime_ns
    assert build(tmp_path / "o", sources={"path": path}) == whole
    assert mark.stat().st_mtime_ns == before
    assert digest_of(list_files(tmp_path / "o")) == digest_of(list_files(tmp_path / "whole"))

    with monkeypatch.context() as patch:
        patch.setattr(between, "resolve", broken)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "p", sources={"path": path})
    jsonl(tmp_path / "a.jsonl", [{"text": text} for text in docs[:20]])
    metrics, _, _ = build(tmp_path / "p", sources={"path": path})
    assert metrics["rows_in"] == 20


def test_tokens_are_counted_with_a_tokenizer(tmp_path: Path, test_data: Path) -> None:
    from made_artifacts import as_input
    from watari.artifact.kinds import Kind
    from watari.artifact.outside import packaged_file
    from watari.pretrained.fast import write_fast_tokenizer
    from watari.pretrained.sentencepiece import read_spm

    write_fast_tokenizer(read_spm(packaged_file("package://mistral-v1")), tmp_path / "mistral")
    docs = rows_of(test_data, 120)
    path = jsonl(tmp_path / "a.jsonl", [{"text": "\n".join(d["ja"]), "language": "ja"} for d in docs])
    params = Params(sources={"path": path}, tokenizer="mistral")
    (tmp_path / "o").mkdir()
    inputs = Inputs({"tokenizer": [as_input("mistral", tmp_path / "mistral", Kind.TOKENIZER)]})
    run(params, inputs, tmp_path / "o", Silent())
    record = json.loads((tmp_path / "o" / "corpus.json").read_text("utf-8"))
    assert record["tokenizer"] == "mistral"
    assert 0.9 < record["tokens_per_character"]["ja"] < 1.4
    assert 'data-set-measure="tokens"' in (tmp_path / "o" / "report.html").read_text("utf-8")
