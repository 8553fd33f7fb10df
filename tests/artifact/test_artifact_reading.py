"""Rows from outside: every form is read, and everything broken is named by file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.artifact.files import dataset_location
from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault, Policy, Record, meta_of, source_name, text_of
from watari.artifact.rows import Ledger, read_rows
from watari.errors import UserError

ROWS = [{"text": f"文書{i}", "n": i} for i in range(50)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def rows_of(location: object, **options: object) -> list[object]:
    """Return rows, and faults as their one line without the folder."""
    found = []
    for item in read_records(str(location), ReadOptions(**options)):  # type: ignore[arg-type]
        if isinstance(item, Record):
            found.append(item.row)
        else:
            found.append(f"{Path(item.place.file).name}: {item.place.where}: {item.reason}")
    return found


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + LINES)
    (tmp_path / "crlf.ndjson").write_bytes(LINES.replace(b"\n", b"\r\n\r\n"))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINES[:100]) + gzip.compress(LINES[100:]))
    (tmp_path / "a.jsonl.zst").write_bytes(zstd(LINES))
    (tmp_path / "a.json").write_text(json.dumps(ROWS, indent=1), "utf-8")
    (tmp_path / "lines.json").write_bytes(LINES)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet", row_group_size=7)
    for path in sorted(tmp_path.iterdir()):
        assert rows_of(path) == ROWS, path.name


def test_text_by_file_paragraph_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("一行目\r\n二行目\r\n\r\n \n三行目".encode("shift_jis"))
    assert rows_of(path, encoding="shift_jis") == [{"text": "一行目\r\n二行目\r\n\r\n \n三行目"}]
    assert rows_of(path, encoding="shift_jis", unit="paragraph") == [
        {"text": "一行目\r\n二行目"},
        {"text": "三行目"},
    ]
    assert rows_of(path, encoding="shift_jis", unit="line") == [
        {"text": text} for text in ("一行目", "二行目", "三行目")
    ]


def test_shift_jis_read_as_utf8_is_told_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"plain\n" + "日本語\n".encode("shift_jis") + b"plain again\n")
    assert rows_of(path) == ["a.txt: line 2: not UTF-8"]
    assert rows_of(path, unit="line") == [
        {"text": "plain"},
        "a.txt: line 2: not UTF-8",
        {"text": "plain again"},
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "x"', "not JSON"),
        (b'["text"]', "not an object"),
        (b"null", "not an object"),
        (b'{"text": NaN}', "not JSON"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "\\ud83d"}', "not UTF-8"),
        (b'{"text": ' + b"[" * 100_000 + b"}", "not JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_a_broken_row_is_named_and_the_rest_is_read(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "one"}\n\n' + line + b'\n{"text": "two"}\n')
    assert rows_of(path) == [{"text": "one"}, f"a.jsonl: line 3: {reason}", {"text": "two"}]


def test_a_broken_array_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"text": "one"},\n 5,\n{"text": "two"}]')
    assert rows_of(path) == [{"text": "one"}, "a.json: item 2: not an object", {"text": "two"}]
    path.write_bytes(b'[{"text": "one"},\n {"text"')
    assert rows_of(path) == ["a.json: line 2: not JSON"]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_truncated_file_gives_its_rows_and_then_a_fault(tmp_path: Path, suffix: str) -> None:
    import random

    draws = random.Random(0)
    rows = [{"text": "".join(draws.choices("abcdefghij", k=80))} for _ in range(20_000)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    packed = gzip.compress(data) if suffix == "gz" else zstd(data)
    path = tmp_path / f"a.jsonl.{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    found = rows_of(path)
    assert found[:-1] == rows[: len(found) - 1]
    assert len(found) > 100
    assert found[-1] == f"a.jsonl.{suffix}: line {len(found)}: damaged file"


def test_a_file_that_only_calls_itself_packed(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "a.jsonl.zst", "a.json.gz"):
        (tmp_path / name).write_bytes(LINES)
        (fault,) = rows_of(tmp_path / name)
        assert "damaged file" in str(fault)


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert rows_of(path) == ["a.parquet: : damaged file"]


def test_every_row_of_a_broken_page_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.Table.from_pylist(ROWS), path, row_group_size=10, compression="zstd", use_dictionary=False
    )
    group = pq.ParquetFile(path).metadata.row_group(2).column(0)
    data = bytearray(path.read_bytes())
    middle = group.data_page_offset + group.total_compressed_size // 2
    data[middle : middle + 12] = b"\xff" * 12
    path.write_bytes(bytes(data))
    found = rows_of(path)
    assert [item for item in found if isinstance(item, dict)] == ROWS[:20] + ROWS[30:]
    assert [item for item in found if isinstance(item, str)] == [
        f"a.parquet: row group 2, row {row}: damaged file" for row in range(1, 11)
    ]


def test_a_folder_is_read_in_order_without_its_readme(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.jsonl").write_text('{"text": "second"}\n')
    (tmp_path / "a.jsonl").write_text('{"text": "first"}\nbroken\n')
    (tmp_path / "README.md").write_text("# about")
    (tmp_path / ".gitattributes").write_text("x")
    items = list(read_records(str(tmp_path), ReadOptions()))
    assert [item.place.inside for item in items] == [
        "a.jsonl: line 1",
        "a.jsonl: line 2",
        "b/1.jsonl: line 1",
    ]
    assert str(items[1]).startswith(f"{tmp_path}/a.jsonl: line 2: not JSON")
    assert [i.place.inside for i in read_records(f"{tmp_path}/*.jsonl", ReadOptions())] == [
        "line 1",
        "line 2",
    ]


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n")
    (tmp_path / "empty").mkdir()
    for location, words in [
        (tmp_path / "missing.jsonl", "no such file"),
        (tmp_path / "*.parquet", "no such file"),
        (tmp_path / "empty", "no such file"),
        (tmp_path / "a.csv", "suffix does not say"),
        (tmp_path, "a.csv: its suffix"),
        ("memory://nowhere/a.jsonl", "no such file"),
        ("nonsense://a/b.jsonl", "cannot be read"),
    ]:
        with pytest.raises(UserError, match=words) as error:
            rows_of(location)
        assert str(location).split("/")[-1] in error.value.message
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16", "no-such-encoding"])
def test_an_encoding_that_has_no_lines_is_refused(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match="encoding"):
        rows_of(tmp_path / "a.txt", encoding=encoding)


def test_remote_files_are_read_through_fsspec() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/watari-reading/x/a.jsonl", LINES[:200].rsplit(b"\n", 1)[0])
    memory.pipe("/watari-reading/x/b.jsonl.gz", gzip.compress(LINES))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    memory.pipe("/watari-reading/c.parquet", sink.getvalue().to_pybytes())
    whole = rows_of("memory://watari-reading/x")
    assert whole[-50:] == ROWS
    assert whole[: len(whole) - 50] == ROWS[: len(whole) - 50]
    assert rows_of("memory://watari-reading/x/b*.gz") == ROWS
    assert rows_of("memory://watari-reading/c.parquet") == ROWS


def test_policy_stops_or_writes_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\nbroken\n")
    (fault,) = [item for item in read_records(str(path), ReadOptions()) if isinstance(item, Fault)]
    with pytest.raises(UserError, match=r"a\.jsonl: line 2: not JSON.*on_error: drop"):
        Policy("stop", Ledger()).settle(fault)
    ledger = Ledger()
    Policy("drop", ledger).settle(fault, source="web")
    assert ledger.close(tmp_path, rows_in=1, kept=0)["dropped_by_reason"] == {"not JSON": 1}
    dropped = pq.read_table(tmp_path / "dropped.parquet").to_pylist()
    assert dropped[0]["place"] == "line 2"
    assert str(tmp_path) not in json.dumps(dropped)
    assert list(read_rows(tmp_path)) == []


def test_text_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "x", "b": ["x", "y"], "c": 3, "d": null, "e": ["x", 1]}\n')
    (record,) = [item for item in read_records(str(path), ReadOptions()) if isinstance(item, Record)]
    assert text_of(record, "a") == "x"
    assert text_of(record, "b") == "x\ny"
    for field in "cdef":
        assert isinstance(text_of(record, field), Fault)
    assert text_of(record, "f", optional=True) == ""


def test_meta_keeps_what_the_schema_does_not_know() -> None:
    row = {"text": "x", "author": "a", "year": 3, "none": None, "meta": '{"z": 1}'}
    assert meta_of(row, ("text",), part=2) == '{"author": "a", "part": 2, "year": 3, "z": 1}'
    assert meta_of({"text": "x"}, ("text",)) is None
    assert meta_of({"meta": "not json"}, ()) == '{"meta": "not json"}'


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("/x/y/docs.jsonl.gz", "docs"),
        ("/x/folder/", "folder"),
        ("demo://documents?count=3", "demo"),
        ("hf://datasets/org/name/data/a.parquet", "org/name"),
        ("s3://bucket/a.b.jsonl", "a"),
    ],
)
def test_source_names(location: str, name: str) -> None:
    assert source_name(location) == name


@pytest.mark.parametrize(
    ("location", "read"),
    [
        ("jondurbin/airoboros-3.1", "hf://datasets/jondurbin/airoboros-3.1"),
        ("hf://jondurbin/airoboros-3.1", "hf://datasets/jondurbin/airoboros-3.1"),
        ("hf://datasets/org/name/a.parquet", "hf://datasets/org/name/a.parquet"),
        ("s3://bucket/a.jsonl", "s3://bucket/a.jsonl"),
        ("data/a.jsonl", "data/a.jsonl"),
    ],
)
def test_hub_datasets_by_any_name(location: str, read: str) -> None:
    assert dataset_location(location) == read


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    for name in ("a.jsonl", "a.json", "a.txt", "a.parquet", "a.jsonl.gz", "a.jsonl.zst"):
        (folder / name).write_bytes(data)
        for item in read_records(str(folder / name), ReadOptions()):
            assert isinstance(item, Record | Fault)
