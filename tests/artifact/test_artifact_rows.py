"""Rows, selections, the ledger, token shards."""

import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.artifact.kinds import Kind
from watari.artifact.manifest import Manifest
from watari.artifact.params import Selection
from watari.artifact.rows import (
    Ledger,
    RowWriter,
    count_rows,
    filter_rows,
    read_rows,
    row_files,
    select_rows,
    write_rows,
)
from watari.artifact.schema import SCHEMAS
from watari.artifact.stage import InputArtifact
from watari.artifact.tokens import TokenReader, TokensInfo, TokenWriter, dtype_for
from watari.errors import UserError


def document(n: int, **more) -> dict:
    return {"id": f"d{n}", "text": f"text {n}", "language": "ja" if n % 2 else "en", **more}


def test_rows_come_back_in_order_with_unknown_columns(tmp_path):
    rows = [document(n, quality=n / 10, tags=["a", "b"]) for n in range(5)]
    assert write_rows(tmp_path / "rows.parquet", Kind.DOCUMENTS, rows) == 5
    back = list(read_rows(tmp_path))
    assert [row["id"] for row in back] == [f"d{n}" for n in range(5)]
    assert back[3]["quality"] == 0.3
    assert back[3]["tags"] == ["a", "b"]
    assert back[3]["license"] is None
    assert pq.read_schema(tmp_path / "rows.parquet").names[:8] == SCHEMAS[Kind.DOCUMENTS].names


def test_a_column_that_comes_late_is_not_lost(tmp_path):
    rows = [document(n) for n in range(7)]
    rows[4]["late"] = "x"
    rows[6]["later"] = 7
    rows[0]["empty"] = None
    rows[5]["empty"] = "filled"
    with RowWriter(tmp_path / "rows.parquet", Kind.DOCUMENTS, batch=2) as writer:
        for row in rows:
            writer.write(row)
    back = list(read_rows(tmp_path))
    assert [row["id"] for row in back] == [row["id"] for row in rows]
    assert [row["late"] for row in back] == [None] * 4 + ["x", None, None]
    assert [row["later"] for row in back] == [None] * 6 + [7]
    assert [row["empty"] for row in back] == [None] * 5 + ["filled", None]
    assert row_files(tmp_path) == [tmp_path / "rows.parquet"]
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_column_of_mixed_types_is_told(tmp_path):
    with pytest.raises(UserError, match=r"rows\.parquet: column 'odd' mixes types"):
        write_rows(tmp_path / "rows.parquet", Kind.DOCUMENTS, [document(0, odd=1), document(1, odd="x")])


def test_no_rows_are_a_file_too(tmp_path):
    write_rows(tmp_path / "rows.parquet", Kind.PREFERENCES, [])
    assert count_rows(tmp_path) == 0
    assert list(read_rows(tmp_path)) == []
    assert pq.read_schema(tmp_path / "rows.parquet").names == SCHEMAS[Kind.PREFERENCES].names


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = [document(n, quality=n) for n in range(100)]
    for name in ("a", "b"):
        write_rows(tmp_path / name / "rows.parquet", Kind.DOCUMENTS, iter(rows))
    assert (tmp_path / "a/rows.parquet").read_bytes() == (tmp_path / "b/rows.parquet").read_bytes()


def test_several_files_are_read_in_order(tmp_path):
    for part in (1, 0):
        write_rows(tmp_path / f"rows-{part:05}.parquet", Kind.DOCUMENTS, [document(part)])
    assert [row["id"] for row in read_rows(tmp_path)] == ["d0", "d1"]
    assert count_rows(tmp_path) == 2


def test_every_kind_of_rows_has_its_schema(tmp_path):
    messages = [{"role": "user", "content": "はい"}, {"role": "assistant", "content": "\u3000"}]
    write_rows(
        tmp_path / "rows.parquet", Kind.CONVERSATIONS, [{"id": "1", "messages": messages, "parents": ["0"]}]
    )
    (row,) = read_rows(tmp_path)
    assert row["messages"] == messages
    assert row["parents"] == ["0"]


# Selections.

ROWS = [
    document(n, score=n, flag=n > 5, meta=json.dumps({"kind": "qa" if n < 3 else "chat"})) for n in range(10)
]


def select(**body) -> list[str]:
    selection = Selection.model_validate({"from": "x", **body})
    return [row["id"] for row in filter_rows(ROWS, selection, name="x", seed=1, stage="s")]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"where": {"language": "ja"}}, [1, 3, 5, 7, 9]),
        ({"where": {"language": ["ja", "ko"], "score": {"min": 4}}}, [5, 7, 9]),
        ({"where": {"score": {"min": 4, "max": 5}}}, [4, 5]),
        ({"where": {"score": 4}}, [4]),
        ({"where": {"flag": True}}, [6, 7, 8, 9]),
        ({"where": {"meta.kind": "qa"}}, [0, 1, 2]),
        ({"where": {"id": {"min": "d8"}}}, [8, 9]),
        ({"limit": 3}, [0, 1, 2]),
        ({"where": {"language": "ja"}, "limit": 2}, [1, 3]),
        ({"ratio": 2}, [n for n in range(10) for _ in (0, 1)]),
    ],
)
def test_selections(body, ids):
    assert select(**body) == [f"d{n}" for n in ids]


def test_a_ratio_keeps_its_share_whatever_the_order():
    rows = [document(n) for n in range(2000)]
    selection = Selection.model_validate({"from": "x", "ratio": 1.25})
    kept = [r["id"] for r in filter_rows(rows, selection, name="x", seed=1, stage="s")]
    other = [r["id"] for r in filter_rows(rows[::-1], selection, name="x", seed=1, stage="s")]
    assert sorted(kept) == sorted(other)
    # 2000 + 500, standard error 19.
    assert abs(len(kept) - 2500) < 100
    again = [r["id"] for r in filter_rows(rows, selection, name="x", seed=2, stage="s")]
    assert sorted(kept) != sorted(again)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"where": {"langauge": "ja"}}, r"x: where: no column 'langauge' \(its columns: id, text, language"),
        (
            {"where": {"language": "fr"}},
            r'x: the selection keeps none of its rows \(\{"where": \{"language": "fr"',
        ),
        ({"limit": 0}, "keeps none of its rows"),
        (
            {"where": {"language": {"min": 3}}},
            "where: column 'language' holds 'en', which min / max cannot be compared",
        ),
    ],
)
def test_selections_that_cannot_be_are_told(body, told):
    with pytest.raises(UserError, match=told):
        select(**body)


def test_broken_meta_is_told():
    with pytest.raises(UserError, match="row d0: its meta is not JSON"):
        list(
            filter_rows(
                [document(0, meta="{")],
                Selection.model_validate({"from": "x", "where": {"meta.kind": "a"}}),
                name="x",
                seed=0,
                stage="s",
            )
        )


def test_an_empty_artifact_is_not_the_selections_fault():
    assert (
        list(
            filter_rows([], Selection.model_validate({"from": "x", "limit": 5}), name="x", seed=0, stage="s")
        )
        == []
    )


def test_select_rows_reads_an_input(tmp_path):
    write_rows(tmp_path / "rows.parquet", Kind.DOCUMENTS, [document(n) for n in range(4)])
    manifest = Manifest(
        kind=Kind.DOCUMENTS, uses="x", stage_version=1, key="k", digest="d", parameters={}, files=[],
        started="", finished="", seconds=0.0,
    )  # fmt: skip
    artifact = InputArtifact("x", tmp_path, manifest, Selection.model_validate({"from": "x", "limit": 2}))
    assert [row["id"] for row in select_rows(artifact, seed=0, stage="s")] == ["d0", "d1"]


# The ledger.


@given(st.lists(st.sampled_from(["short", "twice", None]), max_size=40))
def test_the_ledger_balances(tmp_path_factory, outcomes):
    out = tmp_path_factory.mktemp("ledger")
    ledger = Ledger()
    kept = 0
    for number, reason in enumerate(outcomes):
        if reason is None:
            kept += 1
        else:
            ledger.drop(reason, id=str(number), source="s", place=f"f:{number}")
    figures = ledger.close(out, rows_in=len(outcomes), kept=kept)
    assert figures["kept"] + sum(figures["dropped_by_reason"].values()) == figures["rows_in"]
    assert pq.read_table(out / "dropped.parquet").num_rows == figures["dropped"] == ledger.dropped


def test_an_unaccounted_row_is_a_defect(tmp_path):
    ledger = Ledger()
    ledger.drop("short")
    with pytest.raises(AssertionError, match="3 in, 1 kept, 1 dropped"):
        ledger.close(tmp_path, rows_in=3, kept=1)


# Token shards.


def write_shard(folder, documents, vocabulary=32000):
    info = TokensInfo(vocabulary=vocabulary, tokenizer_digest="abc", bos=1, eos=2)
    with TokenWriter(folder, info) as writer:
        for number, ids in enumerate(documents):
            writer.add(f"d{number}", ids, language="ja", source="s", characters=len(ids) * 2)
    return TokenReader(folder)


@given(st.lists(st.lists(st.integers(0, 69_999), max_size=6), max_size=6), st.sampled_from([70_000, 1 << 17]))
def test_shards_come_back(tmp_path_factory, documents, vocabulary):
    reader = write_shard(tmp_path_factory.mktemp("shard"), documents, vocabulary)
    assert len(reader) == len(documents)
    assert [reader.document(i).tolist() for i in range(len(reader))] == documents
    assert reader.info.tokens == sum(map(len, documents)) == len(reader.tokens)
    assert reader.info.characters == 2 * reader.info.tokens
    rows = reader.documents()
    assert [row["start"] for row in rows] == [int(offset) for offset in reader.offsets[:-1]]


def test_the_bytes_are_megatrons(tmp_path):
    """The layout that Megatron-LM's `_IndexReader` reads, byte by byte."""
    write_shard(tmp_path, [[1, 5, 2], [], [1, 31999]])
    index = (tmp_path / "tokens.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    assert struct.unpack("<Q", index[9:17]) == (1,)
    # DType.uint16 in Megatron's enumeration.
    assert struct.unpack("<B", index[17:18]) == (8,)
    assert struct.unpack("<QQ", index[18:34]) == (3, 4)
    assert struct.unpack("<3i", index[34:46]) == (3, 0, 2)
    assert struct.unpack("<3q", index[46:70]) == (0, 6, 6)
    assert struct.unpack("<4q", index[70:]) == (0, 1, 2, 3)
    assert (tmp_path / "tokens.bin").read_bytes() == struct.pack("<5H", 1, 5, 2, 1, 31999)


def test_a_large_vocabulary_takes_four_bytes(tmp_path):
    assert dtype_for(65_536) == np.uint16
    assert dtype_for(65_537) == np.int32
    write_shard(tmp_path, [[65_536]], vocabulary=100_000)
    assert (tmp_path / "tokens.bin").read_bytes() == struct.pack("<i", 65_536)
    assert (tmp_path / "tokens.idx").read_bytes()[17] == 4


def test_ids_outside_the_vocabulary_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"document d0: token id outside 0…99"):
        write_shard(tmp_path, [[100]], vocabulary=100)
    assert not (tmp_path / "tokens.idx").exists()
    with pytest.raises(UserError, match="not a whole shard of tokens"):
        TokenReader(tmp_path)


@pytest.mark.parametrize("cut", [5, 20, 40, 60])
def test_a_cut_index_is_told(tmp_path, cut):
    write_shard(tmp_path, [[1, 2], [3]])
    path = tmp_path / "tokens.idx"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"tokens\.idx: "):
        TokenReader(tmp_path)


def test_files_that_do_not_agree_are_told(tmp_path):
    write_shard(tmp_path, [[1, 2], [3]])
    with (tmp_path / "tokens.bin").open("ab") as handle:
        handle.write(b"\0\0")
    with pytest.raises(UserError, match="8 bytes where the index says 6"):
        TokenReader(tmp_path)
    (tmp_path / "tokens.json").write_text("{}")
    with pytest.raises(UserError, match=r"tokens\.json: cannot be read"):
        TokenReader(tmp_path)


def test_the_sidecar_is_parquet(tmp_path):
    write_shard(tmp_path, [[1]])
    assert pq.read_schema(tmp_path / "documents.parquet").field("start").type == pa.int64()
