"""corpus.build: every row accounted for, each text once, the same bytes whatever the order."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from made_artifacts import documents
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.params import edges, key_parameters, outside_paths
from watari.artifact.rows import read_rows
from watari.artifact.stage import Inputs, Silent
from watari.corpus.build import STAGE, Params, run
from watari.errors import Interrupted, UserError

WORDS = ["山", "川", "海", "空", "花", "鳥", "風", "月", "本", "水", "火", "木"]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def build(
    out: Path, inputs: Inputs | None = None, **params: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    out.mkdir(exist_ok=True)
    metrics = run(Params(**params), inputs or Inputs(), out, Silent()).metrics
    return metrics, list(read_rows(out))


def ledger(out: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(out / "ledger").to_pylist())


def dropped(out: Path) -> dict[str, tuple[str, str | None]]:
    return {
        row["doc_id"]: (row["reason"], row["survivor"])
        for row in ledger(out)
        if row["disposition"] == "dropped"
    }


def digest(out: Path) -> str:
    return digest_of(list_files(out))


def test_documents_are_normal_distinct_and_accounted_for(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl",
        [
            {"id": "c", "text": "同じ文。\r\n", "author": "誰か"},
            {"id": "b", "text": "同じ文。"},
            {"id": "a", "text": "短"},
            {"id": "d", "text": " \n "},
            {"id": "e", "text": "An English text."},
            {"text": "か\u3099ある"},
        ],
    )
    metrics, rows = build(
        tmp_path / "o",
        sources={"path": str(path), "license": "CC0"},
        min_characters=3,
        language="ja",
    )
    assert [row["text"] for row in rows] == ["同じ文。", "がある"]
    assert len(rows[1]["id"]) == 32
    stays, goes = ("b", "c") if rows[0]["id"] == "b" else ("c", "b")
    assert rows[0]["id"] == stays
    assert (rows[0]["source"], rows[0]["license"], rows[0]["language"]) == ("a", "CC0", "ja")
    assert (rows[0]["cluster_size"], rows[1]["cluster_size"]) == (2, 1)
    assert dropped(tmp_path / "o") == {
        "a": ("too short", None),
        goes: ("exact duplicate", stays),
        "d": ("empty", None),
        "e": ("other language", None),
    }
    assert {row["doc_id"] for row in ledger(tmp_path / "o") if row["disposition"] == "kept"} == {
        row["id"] for row in rows
    }
    assert metrics["rows_in"] == 6
    assert metrics["languages"] == {"ja": {"documents": 2, "characters": 7, "bytes": 21}}
    assert metrics["sources"] == {"a": {"documents": 2, "characters": 7, "bytes": 21}}


def test_unknown_columns_go_into_meta(tmp_path: Path) -> None:
    rows = [{"id": 7, "ja": ["一文目。", "二文目。"], "en": ["One."], "author": "X", "meta": {"k": 1}}]
    path = jsonl(tmp_path / "a.jsonl", rows)
    _, (row,) = build(tmp_path / "o", sources={"path": str(path), "text": "ja"})
    assert (row["id"], row["text"]) == ("7", "一文目。\n二文目。")
    assert json.loads(row["meta"]) == {"author": "X", "k": 1}
    _, (row,) = build(tmp_path / "p", sources={"path": str(path), "text": "ja", "keep": ["en"]})
    assert json.loads(row["meta"]) == {"en": ["One."], "k": 1}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_licences_are_read_in_both_spellings_and_broken_rows_keep_their_id(tmp_path: Path, form: str) -> None:
    rows = [
        {"id": "a", "text": "一つ目の文です。", "licence": "CC0-1.0", "license": None},
        {"id": "b", "text": None, "licence": "CC0-1.0", "license": None},
    ]
    if form == "jsonl":
        for row in rows:
            del row["license"]
        path = jsonl(tmp_path / "a.jsonl", rows)
    else:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.Table.from_pylist(rows).drop_columns(["license"]), path)
    _, (kept,) = build(tmp_path / "o", sources={"path": str(path)})
    assert (kept["license"], kept["meta"]) == ("CC0-1.0", None)
    assert dropped(tmp_path / "o") == {"b": ("no text", None)}


def test_an_id_given_twice_is_renamed_not_lost(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"id": "x", "ja": "日本語", "en": "English"}])
    sources = [{"path": str(path), "text": text, "source": "kyoto"} for text in ("ja", "en")]
    metrics, rows = build(tmp_path / "o", sources=sources)
    other, again = build(tmp_path / "p", sources=sources[::-1])
    assert metrics["renamed_ids"] == other["renamed_ids"] == 1
    assert rows == again
    assert sorted(row["id"][:2] for row in rows) == ["x", "x~"]
    assert {row["doc_id"] for row in ledger(tmp_path / "o")} == {row["id"] for row in rows}
    assert {row["text"] for row in rows} == {"日本語", "English"}


def test_train_and_test_are_disjoint_and_complete(tmp_path: Path) -> None:
    draws = random.Random(1)
    rows = [{"id": f"d{i:04d}", "text": " ".join(draws.choices(WORDS, k=2))} for i in range(800)]
    path = jsonl(tmp_path / "a.jsonl", rows)
    parts = {}
    for part in ("train", "test"):
        split = {"part": part, "test_share": 0.25}
        _, parts[part] = build(tmp_path / part, sources={"path": str(path)}, split=split, seed=3)
    _, whole = build(tmp_path / "whole", sources={"path": str(path)}, seed=3)
    texts = {part: {row["text"] for row in found} for part, found in parts.items()}
    assert not texts["train"] & texts["test"]
    assert sorted(parts["train"] + parts["test"], key=lambda row: row["id"]) == sorted(
        whole, key=lambda row: row["id"]
    )
    assert 0.1 < len(texts["test"]) / len(whole) < 0.4


def test_the_two_sides_of_a_translation_fall_into_one_part(tmp_path: Path) -> None:
    rows = [{"id": f"d{i}", "ja": f"文{i}です", "en": f"text {i}"} for i in range(200)]
    path = jsonl(tmp_path / "a.jsonl", rows)
    sources = [{"path": str(path), "text": text, "language": text} for text in ("ja", "en")]
    _, found = build(tmp_path / "o", sources=sources, split={"part": "test", "test_share": 0.2})
    numbers = {
        language: {r["text"].strip("文ですtex ") for r in found if r["language"] == language}
        for language in ("ja", "en")
    }
    assert numbers["ja"] == numbers["en"] != set()


def test_long_documents_are_cut_and_know_their_parent(tmp_path: Path) -> None:
    text = "\n\n".join(f"第{i}段落。" + "文。" * 40 for i in range(20))
    path = jsonl(tmp_path / "a.jsonl", [{"id": "book", "text": text}, {"id": "note", "text": "短い。"}])
    metrics, rows = build(tmp_path / "o", sources={"path": str(path)}, max_characters=200)
    parts = [row for row in rows if row["id"].startswith("book#")]
    assert "\n\n".join(row["text"] for row in parts) == text
    assert all(len(row["text"]) <= 200 for row in parts)
    assert json.loads(parts[1]["meta"]) == {"parent": "book", "part": 2, "parts": len(parts)}
    assert (metrics["kept"], metrics["written"]) == (2, len(rows))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(["", "一", "二", "three", "四\n"])),
        min_size=1,
        max_size=25,
    ),
    st.integers(1, 3),
)
def test_the_order_of_the_sources_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], files: int
) -> None:
    if not any(text.strip() for _, text in pairs):
        return
    folder = tmp_path_factory.mktemp("order")
    rows = [{"id": id_, "text": text} for id_, text in pairs]
    for index in range(files):
        jsonl(folder / f"{index}.jsonl", rows[index::files])
    sources = [{"path": str(folder / f"{index}.jsonl")} for index in range(files) if rows[index::files]]
    first, found = build(folder / "o", sources=sources)
    second, _ = build(folder / "p", sources=sources[::-1])
    assert first == second
    assert digest(folder / "o") == digest(folder / "p")
    assert first["rows_in"] == len(pairs)
    assert first["kept"] + first["dropped"] == len(pairs)
    assert {row["text"] for row in found} == {text.strip() for _, text in pairs} - {""}
    assert len({row["id"] for row in found}) == len(found)
    assert len({row["doc_id"] for row in ledger(folder / "o")}) == len(pairs)


def test_stages_and_files_mix(tmp_path: Path) -> None:
    web = documents("web", tmp_path / "web", [("ja", "ウェブの文書"), ("en", "A web page")])
    path = jsonl(tmp_path / "a.jsonl", [{"text": "ファイルの文書"}])
    params = Params(sources=["web", {"path": str(path)}])
    assert [edge.selection.source for edge in edges(params)] == ["web"]
    assert outside_paths(params) == [str(path)]
    out = tmp_path / "o"
    out.mkdir()
    metrics = run(params, Inputs({"sources": [web]}), out, Silent()).metrics
    assert metrics["kept"] == 3
    assert set(metrics["sources"]) == {"web", "a"}


def test_the_key_holds_content_and_names_but_no_place(tmp_path: Path) -> None:
    one = Params(sources=[{"path": "/x/docs.jsonl"}])
    two = Params(sources=[{"path": "/y/docs.jsonl"}])
    three = Params(sources=[{"path": "/y/other.jsonl"}])
    keys = [key_parameters(p, {outside_paths(p)[0]: "hash"}) for p in (one, two, three)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (5, "name of a stage"),
        ({"file": "a"}, "name of a stage"),
        ({"path": "a", "formt": "jsonl"}, "formt"),
        ({"path": "a", "format": "csv"}, "format"),
        ({"from": "a", "were": {}}, "were"),
    ],
)
def test_a_wrong_source_is_explained(source: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Params(sources=[source])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no rows"),
        (b"\n \n\n", "holds no rows"),
        (b'{"text": "x"}\n{"body": "y"}\n', r"a\.jsonl: line 2: no text"),
        (b'{"text": "x"}\n{"text": 3}\n', r"line 2: not a text"),
        (b'{"text": "x"}\n{"text"', r"line 2: not JSON"),
        (b'{"text": " "}\n', r"no document is left of 1 \(1 empty\)"),
        ('{"text": "日本"}\n'.encode("shift_jis"), r"line 1: not UTF-8"),
    ],
)
def test_bad_files_stop_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as error:
        build(tmp_path / "o", sources={"path": str(path)}, on_error="stop")
    assert "\n" not in str(error.value)


def test_every_broken_row_is_in_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "x"}\n{"body": "y"}\nnope\n[1]\n{"text": "z"}\n')
    metrics, rows = build(tmp_path / "o", sources={"path": str(path)})
    assert [row["text"] for row in rows] == ["x", "z"]
    assert metrics["dropped_by_reason"] == {"no text": 1, "not JSON": 1, "not an object": 1}
    places = {row["place"]: row["reason"] for row in ledger(tmp_path / "o") if row["reason"]}
    assert places == {"line 2": "no text", "line 3": "not JSON", "line 4": "not an object"}
    assert metrics["rows_in"] == 5


def test_stopping_is_heard(tmp_path: Path) -> None:
    class Asked(Silent):
        def stop_requested(self) -> bool:
            return True

    path = jsonl(tmp_path / "a.jsonl", [{"text": str(i)} for i in range(600)])
    with pytest.raises(Interrupted):
        run(Params(sources={"path": str(path)}), Inputs(), tmp_path, Asked())


def test_the_stage_is_what_the_table_says() -> None:
    assert (STAGE.kind, STAGE.output) == ("corpus.build", "documents")


def test_real_corpora(tmp_path: Path, test_data: Path) -> None:
    metrics, rows = build(
        tmp_path / "o",
        sources=[
            {"path": str(test_data / "ja-text")},
            {"path": str(test_data / "aozora"), "source": "aozora"},
        ],
        max_characters=5000,
        split={"part": "test", "test_share": 0.05},
    )
    assert metrics["rows_in"] == 6282 + 902
    assert metrics["rows_in"] == metrics["kept"] + metrics["dropped"]
    assert {"aozora", "jsquad-valid", "ku-wikipedia"} <= set(metrics["sources"])
    assert all(len(row["text"]) <= 5000 for row in rows)
    assert metrics["languages"]["ja"]["documents"] > 0.99 * len(rows)


def test_small_files_share_a_task_and_large_ones_do_not(tmp_path: Path) -> None:
    from watari.corpus.ingest import plan
    from watari.corpus.plan import Plan
    from watari.corpus.sources import SourceFile

    for number in range(40):
        jsonl(tmp_path / "in" / f"{number:02d}.jsonl", [{"text": f"文書{number}です。"}])
    pieces = plan([SourceFile(path=str(tmp_path / "in"))])
    params = Params(sources=[{"path": str(tmp_path / "in")}])
    assert [len(group) for group in Plan(params, pieces, None).groups] == [40]
    large = [piece.model_copy(update={"size": params.shard // 3}) for piece in pieces]
    assert [len(group) for group in Plan(params, large, None).groups] == [3] * 13 + [1]
    unknown = [piece.model_copy(update={"size": 0}) for piece in pieces]
    assert len(Plan(params, unknown, None).groups) == 40
    alone = params.model_copy(update={"shard": 0})
    assert len(Plan(alone, pieces, None).groups) == 40
    metrics, rows = build(tmp_path / "o", sources={"path": str(tmp_path / "in")})
    assert (metrics["rows_in"], len(rows)) == (40, 40)
    assert len(list((tmp_path / "o" / "ledger").iterdir())) == 1
