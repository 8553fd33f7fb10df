"""Ingest: every row of every format comes out, with its text as it stands or with a reason."""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.server
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from made_artifacts import as_input, documents
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.rows import filter_rows, read_rows, write_rows
from watari.artifact.stage import InputArtifact
from watari.corpus.ingest import UNREADABLE, Piece, plan, read
from watari.corpus.sources import SourceFile
from watari.corpus.table import WORKING
from watari.errors import UserError


def rows_of(pieces: list[Piece]) -> list[dict[str, Any]]:
    """All rows, each table checked for its schema and its size; pieces go through JSON on the way."""
    rows = []
    for piece in pieces:
        for table in read(Piece.model_validate_json(piece.model_dump_json())):
            assert table.schema == WORKING
            assert 0 < table.num_rows <= 4096
            rows += table.to_pylist()
    keys = [row["key"] for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        data = (row["text"] or "").encode()
        assert row["bytes"] == len(data)
        assert row["characters"] == len(row["text"] or "")
        assert row["raw_hash"] == (0 if row["text"] is None else xxhash.xxh3_64_intdigest(data))
        head = f"{row['path']}\x1f{row['place']}"
        sources = {piece.source for piece in pieces}
        assert row["key"] in {xxhash.xxh3_128_hexdigest(f"{source}\x1f{head}".encode()) for source in sources}
    return rows


def of(path: Path | str, **form: Any) -> list[dict[str, Any]]:
    return rows_of(plan([SourceFile(path=str(path), **form)]))


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str | None, str | None]]:
    return [(row["place"], row["text"], row["reason"]) for row in rows]


def test_json_lines_give_every_row_with_its_reason(tmp_path: Path) -> None:
    lines = [
        b'\xef\xbb\xbf{"id": 7, "text": "\xe4\xb8\x80", "url": "http://a/", "date": 2020, "author": "X"}\r\n',
        b"\r\n",
        b'{"text": "\\u0000a\\ud83d\\ude00"}\n',
        b'{"text": "\\ud800"}\n',
        b'{"text": "\xff"}\n',
        b"{broken\n",
        b"[1]\n",
        b'{"body": "x"}\n',
        b'{"text": null}\n',
        b'{"text": 3}\n',
        b'{"text": ["one.", "two."]}\n',
        b'{"text": " \\u3000"}\n',
        b'{"text": "x", "id": true}\n',
        b'{"text": "x", "url": {"a": 1}}\n',
        b'{"text": NaN}\n',
        b'{"text": "last", "id": ""}',
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines))
    rows = of(path, license="CC0", language="ja")
    assert told(rows) == [
        ("line 1", "一", None),
        ("line 3", "\x00a😀", None),
        ("line 4", None, "not UTF-8"),
        ("line 5", None, "not UTF-8"),
        ("line 6", None, "not JSON"),
        ("line 7", None, "not an object"),
        ("line 8", None, "no text"),
        ("line 9", None, "no text"),
        ("line 10", None, "not a text"),
        ("line 11", "one.\ntwo.", None),
        ("line 12", " \u3000", "empty"),
        ("line 13", "x", "not an id"),
        ("line 14", "x", "not a text"),
        ("line 15", None, "not JSON"),
        ("line 16", "last", None),
    ]
    first = rows[0]
    assert (first["id"], first["url"], first["date"], first["meta"]) == (
        "7",
        "http://a/",
        "2020",
        '{"author": "X"}',
    )
    assert (first["source"], first["license"], first["language"], first["path"]) == (
        "a",
        "CC0",
        "ja",
        "a.jsonl",
    )
    assert rows[-1]["id"] is None
    assert rows[6]["detail"] == "no field 'text'; it has body"
    assert {row["reason"] for row in rows if row["reason"]} - UNREADABLE == {"empty"}


def test_columns_can_be_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {
        "n": 5,
        "ja": "日本",
        "en": ["x"],
        "a": 1,
        "b": None,
        "meta": '{"k": 2}',
        "source": "wiki",
        "license": "GPL",
    }
    path.write_text(json.dumps(row), "utf-8")
    (found,) = of(path, text="ja", id="n", license="CC0")
    assert (found["id"], found["text"], found["source"], found["license"]) == ("5", "日本", "wiki", "GPL")
    assert json.loads(found["meta"]) == {"a": 1, "k": 2}
    (found,) = of(path, text="ja", keep=["en"])
    assert json.loads(found["meta"]) == {"en": ["x"], "k": 2}
    table = pa.Table.from_pylist([row])
    pq.write_table(table, tmp_path / "a.parquet")
    (other,) = of(tmp_path / "a.parquet", text="ja", id="n", license="CC0")
    assert {name: other[name] for name in ("id", "text", "source", "license")} == {
        "id": "5",
        "text": "日本",
        "source": "wiki",
        "license": "GPL",
    }
    assert json.loads(other["meta"]) == {"a": 1, "k": 2}
    (other,) = of(tmp_path / "a.parquet", text="ja", keep=["en"])
    assert json.loads(other["meta"]) == {"en": ["x"], "k": 2}


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_packed_files_and_those_that_break_off(tmp_path: Path, suffix: str) -> None:
    rng = random.Random(0)
    rows = [{"text": "".join(chr(rng.randrange(0x3041, 0x9FFF)) for _ in range(400))} for _ in range(2000)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    packed = (
        gzip.compress(data[:100_000]) + gzip.compress(data[100_000:])
        if suffix == "gz"
        else pa.compress(data, "zstd", asbytes=True)
    )
    whole, torn = tmp_path / f"a.jsonl.{suffix}", tmp_path / f"b.jsonl.{suffix}"
    whole.write_bytes(packed)
    torn.write_bytes(packed[: len(packed) // 2])
    assert [row["text"] for row in of(whole)] == [row["text"] for row in rows]
    found = of(torn)
    assert found[-1]["reason"] == "damaged file"
    assert found[-1]["place"] == f"line {len(found)}"
    assert [row["text"] for row in found[:-1]] == [row["text"] for row in rows[: len(found) - 1]]
    torn.write_bytes(b"no such form")
    assert [row["reason"] for row in of(torn)] == ["damaged file"]


def test_a_large_file_is_cut_at_line_ends_and_keeps_its_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rng = random.Random(1)
    lines = [
        json.dumps({"text": f"{i}" + "あ" * rng.randrange(300)}, ensure_ascii=False) for i in range(3000)
    ]
    lines[::97] = ["" for _ in lines[::97]]
    for end in ("\n", ""):
        path.write_text("\n".join(lines) + end, "utf-8")
        whole = rows_of(plan([SourceFile(path=str(path))]))
        for size in (2_000, 50_000, 400_000):
            pieces = plan([SourceFile(path=str(path))], piece_bytes=size)
            assert len(pieces) > 1
            assert rows_of(pieces) == whole
            assert sum(piece.size for piece in pieces) == path.stat().st_size
        assert len(whole) == sum(map(bool, lines))


@settings(max_examples=40)
@given(
    lines=st.lists(
        st.sampled_from([b"", b" ", b'{"text": "a"}', b'{"text": "' + b"x" * 40 + b'"}', b"bad", b"\xff"])
    ),
    size=st.integers(1, 60),
    end=st.sampled_from([b"", b"\n"]),
)
def test_cutting_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int, end: bytes
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.jsonl"
    path.write_bytes(b"\n".join(lines) + end)
    assert rows_of(plan([SourceFile(path=str(path))], piece_bytes=size)) == rows_of(
        plan([SourceFile(path=str(path))])
    )


def test_parquet_goes_by_row_groups_and_tells_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    binary = pa.array([b"good", b"\xff\xfe", None, b"", "日本".encode()] * 20, pa.binary())
    pq.write_table(pa.table({"text": binary, "id": list(range(100))}), path, row_group_size=7)
    pieces = plan([SourceFile(path=str(path))], piece_bytes=100)
    assert len(pieces) > 3
    rows = rows_of(pieces)
    assert told(rows)[:7] == [
        ("row group 0, row 1", "good", None),
        ("row group 0, row 2", None, "not UTF-8"),
        ("row group 0, row 3", None, "no text"),
        ("row group 0, row 4", "", "empty"),
        ("row group 0, row 5", "日本", None),
        ("row group 0, row 6", "good", None),
        ("row group 0, row 7", None, "not UTF-8"),
    ]
    assert rows[7]["place"] == "row group 1, row 1"
    assert rows == rows_of(plan([SourceFile(path=str(path))]))
    assert [row["id"] for row in rows] == [str(i) for i in range(100)]


def test_parquet_of_every_type_of_column(tmp_path: Path) -> None:
    import datetime

    path = tmp_path / "a.parquet"
    when = datetime.datetime(2020, 1, 2, 3, 4, 5)
    table = pa.table(
        {
            "text": pa.array(["a", "b", "a"]).dictionary_encode(),
            "id": pa.array([1.0, None, 2.5]),
            "date": pa.array([when, None, when]),
            "url": pa.array(["", None, "u"], pa.large_string()),
            "language": pa.array(["ja", "ja", "en"]).dictionary_encode(),
            "source": pa.nulls(3),
            "score": [0.5, None, 1.0],
            "tags": [["x"], [], None],
        }
    )
    pq.write_table(table, path)
    rows = of(path)
    assert [row["text"] for row in rows] == ["a", "b", "a"]
    assert [(row["id"], row["reason"]) for row in rows] == [("1", None), (None, None), (None, "not an id")]
    assert rows[0]["date"] == "2020-01-02T03:04:05"
    assert [row["url"] for row in rows] == [None, None, "u"]
    assert [row["language"] for row in rows] == ["ja", "ja", "en"]
    assert [row["meta"] for row in rows] == ['{"score": 0.5}', None, '{"score": 1.0}']
    pq.write_table(pa.table({"text": [["a", "b"], ["c", None], None]}), path)
    assert told(of(path)) == [
        ("row group 0, row 1", "a\nb", None),
        ("row group 0, row 2", None, "not a text"),
        ("row group 0, row 3", None, "no text"),
    ]
    pq.write_table(pa.table({"text": [1, 2]}), path)
    assert {row["reason"] for row in of(path)} == {"not a text"}
    pq.write_table(pa.table({"body": ["a"]}), path)
    assert [row["detail"] for row in of(path)] == ["no field 'text'; it has body"]


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rng = random.Random(2)
    texts = ["".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(300)) for _ in range(300)]
    pq.write_table(
        pa.table({"text": texts}), path, row_group_size=100, compression="zstd", use_dictionary=False
    )
    data = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    data[start + 100 : start + 4000] = bytes(3900)
    path.write_bytes(data)
    rows = of(path)
    assert len(rows) == 300
    assert {row["reason"] for row in rows[:100] + rows[200:]} == {None}
    assert rows[199]["reason"] == "damaged file"
    path.write_bytes(data[:-200])
    assert [(row["place"], row["reason"]) for row in of(path)] == [("", "damaged file")]
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert of(path) == []


def test_tables_stay_small(tmp_path: Path) -> None:
    big = "あ" * 2_000_000
    rows = [{"text": big} for _ in range(5)] + [{"text": "x"} for _ in range(5000)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        (piece,) = plan([SourceFile(path=str(tmp_path / name))])
        sizes = [(table.num_rows, sum(table.column("bytes").to_pylist())) for table in read(piece)]
        assert sum(count for count, _ in sizes) == 5005
        assert max(count for count, _ in sizes) <= 4096
        assert max(size for _, size in sizes) <= 16 << 20
        assert len(sizes) > 3


def test_arrow_streams_files_and_saved_datasets(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    rows = [{"id": f"r{i}", "text": f"文{i}", "n": i} for i in range(25)]
    whole = Dataset.from_list(rows)
    whole.save_to_disk(tmp_path / "one", num_shards=3)
    found = of(tmp_path / "one")
    assert [row["text"] for row in found] == [row["text"] for row in rows]
    assert {row["path"] for row in found} == {f"data-0000{i}-of-00003.arrow" for i in range(3)}
    assert json.loads(found[3]["meta"]) == {"n": 3}
    shuffled = whole.shuffle(seed=1)
    DatasetDict({"train": shuffled, "test": whole.select(range(3))}).save_to_disk(tmp_path / "two")
    found = of(tmp_path / "two")
    assert [row["text"] for row in found if row["path"].startswith("train/")] == shuffled["text"][:]
    assert len(found) == 28
    (tmp_path / "one" / "cache-1.arrow").write_bytes(b"left by a map")
    assert len(of(tmp_path / "one")) == 25
    (tmp_path / "one" / "data-00001-of-00003.arrow").unlink()
    with pytest.raises(UserError, match="is missing"):
        of(tmp_path / "one")
    table = pa.table({"text": ["a", "", None]})
    with pa.OSFile(str(tmp_path / "f.feather"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert [row["reason"] for row in of(tmp_path / "f.feather")] == [None, "empty", "no text"]
    stream = tmp_path / "s.arrow"
    with pa.OSFile(str(stream), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        for _ in range(3):
            writer.write_table(table)
    stream.write_bytes(stream.read_bytes()[:-150])
    found = of(stream)
    assert found[-1]["reason"] == "damaged file"
    assert found[-1]["place"] == "row 7"
    stream.write_bytes(b"")
    assert [row["reason"] for row in of(stream)] == ["damaged file"]


def test_text_files_json_arrays_and_the_demo(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_bytes("一つ。\r\n二つ。\r\n\r\n\r\n三つ。\r\n".encode("shift_jis"))
    form = {"encoding": "shift_jis"}
    assert told(of(text, **form)) == [("line 1", "一つ。\r\n二つ。\r\n\r\n\r\n三つ。", None)]
    assert [row["place"] for row in of(text, unit="paragraph", **form)] == ["line 1", "line 5"]
    assert [row["text"] for row in of(text, unit="line", **form)] == ["一つ。", "二つ。", "三つ。"]
    assert [row["reason"] for row in of(text, unit="line")] == ["not UTF-8"] * 3
    text.write_bytes(b"\x81\n")
    assert [row["reason"] for row in of(text, unit="line", **form)] == ["wrong encoding"]
    array = tmp_path / "b.json"
    array.write_text('[{"text": "a"}, 3]', "utf-8")
    assert told(of(array)) == [("item 1", "a", None), ("item 2", None, "not an object")]
    (tmp_path / "c.txt").write_bytes(b"")
    assert of(tmp_path / "c.txt") == []
    pieces = plan([SourceFile(path="demo://documents?language=ja&count=5")], seed=3)
    assert [piece.path for piece in pieces] == ["documents?language=ja&count=5"]
    rows = rows_of(pieces)
    assert rows
    assert rows == rows_of(plan([SourceFile(path="demo://documents?language=ja&count=5")], seed=3))


def test_paths_are_names_below_the_location(tmp_path: Path) -> None:
    for folder in ("x/data", "y/other"):
        for name in ("a.jsonl", "sub/b.jsonl", "README.md"):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"text": "t"}\n', "utf-8")
    one = plan([SourceFile(path=str(tmp_path / "x/data"), source="s")])
    assert [piece.path for piece in one] == ["a.jsonl", "sub/b.jsonl"]
    other = plan([SourceFile(path=str(tmp_path / "y/other"), source="s")])
    assert [row["key"] for row in rows_of(one)] == [row["key"] for row in rows_of(other)]
    globbed = plan([SourceFile(path=str(tmp_path / "x" / "*" / "a.jsonl"), source="s")])
    assert [piece.path for piece in globbed] == ["data/a.jsonl"]
    (single,) = plan([SourceFile(path=str(tmp_path / "x/data/sub/b.jsonl"), source="s")])
    assert single.path == "b.jsonl"
    # A folder with one file in it keeps the name that the file has among others.
    (tmp_path / "x/data/a.jsonl").unlink()
    assert [piece.path for piece in plan([SourceFile(path=str(tmp_path / "x/data"))])] == ["sub/b.jsonl"]


def test_namesakes_are_told_apart_whatever_the_order(tmp_path: Path) -> None:
    for name, text in (("a", "one"), ("b", "two"), ("c", "one")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.jsonl").write_text(json.dumps({"text": text, "ja": "日"}) + "\n", "utf-8")
    sources = [SourceFile(path=str(tmp_path / name / "part.jsonl"), source="s") for name in "abc"]
    sources.append(SourceFile(path=str(tmp_path / "a" / "part.jsonl"), source="s", text="ja"))
    sources.append(SourceFile(path=str(tmp_path / "b" / "part.jsonl"), source="t"))
    wanted = sorted((row["key"], row["text"]) for row in rows_of(plan(sources)))
    assert len(wanted) == 5
    paths = [piece.path for piece in plan(sources)]
    assert paths == [*sorted(paths[:4]), "part.jsonl"]
    assert sum("~2" in path[-2:] for path in paths) == 1
    for seed in range(6):
        shuffled = random.Random(seed).sample(sources, len(sources))
        assert sorted((row["key"], row["text"]) for row in rows_of(plan(shuffled))) == wanted


def test_rows_of_a_stage_by_selection(tmp_path: Path) -> None:
    artifact = documents("web", tmp_path, [("ja" if i % 3 else "en", f"文{i}") for i in range(60)])
    whole = Selection.model_validate({"from": "web"})
    rows = rows_of(plan([whole], [artifact]))
    assert [row["text"] for row in rows] == [f"文{i}" for i in range(60)]
    assert {row["source"] for row in rows} == {"web"}
    assert rows[4]["place"] == "row 5"
    for form in (
        {"where": {"language": "en"}},
        {"where": {"language": ["ja"]}, "limit": 7},
        {"ratio": 0.3},
        {"where": {"language": "ja"}, "limit": 20, "ratio": 2.5},
    ):
        selection = Selection.model_validate({"from": "web", **form})
        chosen = InputArtifact("web", artifact.path, artifact.manifest, selection)
        wanted = [
            row["id"]
            for row in filter_rows(read_rows(tmp_path), selection, name="web", seed=4, stage="corpus.build")
        ]
        assert [row["id"] for row in rows_of(plan([selection], [chosen], seed=4))] == wanted
    wrong = Selection.model_validate({"from": "web", "where": {"speaker": "x"}})
    with pytest.raises(UserError, match="no column 'speaker'"):
        rows_of(plan([wrong], [InputArtifact("web", artifact.path, artifact.manifest, wrong)]))


def test_a_field_of_meta_can_be_selected_and_meta_is_carried_on(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": "t", "meta": json.dumps({"k": i % 2}), "note": "x"} for i in range(6)]
    write_rows(tmp_path / "rows.parquet", Kind.DOCUMENTS, rows)
    artifact = as_input("web", tmp_path, Kind.DOCUMENTS)
    selection = Selection.model_validate({"from": "web", "where": {"meta.k": 1}})
    chosen = InputArtifact("web", tmp_path, artifact.manifest, selection)
    found = rows_of(plan([selection], [chosen]))
    assert [row["id"] for row in found] == ["1", "3", "5"]
    assert json.loads(found[0]["meta"]) == {"k": 1, "note": "x"}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def copyfile(self, source: Any, outputfile: Any) -> None:
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_files_over_http(tmp_path: Path, served: str) -> None:
    # Links in the rows must not make a folder of the file, and the server knows no ranges.
    rows = [{"text": f'<a href="{served}/b.jsonl">文{i}</a>' + "あ" * 500} for i in range(6000)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "a.jsonl").write_text(lines, "utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 1))
    pq.write_table(pa.Table.from_pylist(rows[:50]), tmp_path / "a.parquet")
    texts = [row["text"] for row in rows]
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl?key=secret"):
        pieces = plan([SourceFile(path=f"{served}/{name}", source="s")])
        assert [piece.path for piece in pieces] == [name.partition("?")[0]]
        assert [row["text"] for row in rows_of(pieces)] == texts
    assert [row["text"] for row in of(f"{served}/a.parquet")] == texts[:50]
    with pytest.raises(UserError, match="no such file"):
        of(f"{served}/none.jsonl")
    with pytest.raises(UserError, match="cannot be read"):
        of("http://127.0.0.1:9/a.jsonl")


def test_files_in_memory_and_folders_there(tmp_path: Path) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    for name in ("in/a.jsonl", "in/sub/b.jsonl.gz"):
        data = b'{"text": "x"}\n{"text": ""}\n'
        system.makedirs("/" + name.rpartition("/")[0], exist_ok=True)
        system.pipe("/" + name, gzip.compress(data) if name.endswith("gz") else data)
    pieces = plan([SourceFile(path="memory://in", source="m")])
    assert [piece.path for piece in pieces] == ["a.jsonl", "sub/b.jsonl.gz"]
    assert [row["reason"] for row in rows_of(pieces)] == [None, "empty"] * 2
    system.rm("/in", recursive=True)


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("x", "utf-8")
    with pytest.raises(UserError, match="suffix"):
        of(tmp_path / "a.xyz")
    with pytest.raises(UserError, match="no such file"):
        of(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="encoding"):
        of(tmp_path / "a.xyz", encoding="martian")
