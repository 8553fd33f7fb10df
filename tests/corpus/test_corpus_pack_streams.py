"""tokens.pack on more than a handful of rows: copies, selections, threads, the format itself, and text read back."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from made_artifacts import as_input, documents
from tiny_llama import make_tokenizer
from watari.artifact import draws
from watari.artifact.hashing import hash_file
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.artifact.tokens import TokenReader
from watari.artifact.tokens_dataset import as_dataset
from watari.corpus import pack_index, pack_reading
from watari.corpus.pack import KIND, Params, run
from watari.errors import UserError

FILES = ("tokens.bin", "tokens.idx", "documents.parquet", "tokens.json")
WORDS = ["The", "little", "girl", "has", "a", "red", "ball", "赤い", "ボール", "を", "持つ", "女の子", "🎈"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(folder)
    return as_input("tok", folder, Kind.TOKENIZER)


def texts_of(count: int, seed: int = 0) -> list[tuple[str, str]]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 60, count)
    return [(("en", "ja")[n % 2], " ".join(generator.choice(WORDS, n))) for n in lengths.tolist()]


def pack(out: Path, tokenizer: InputArtifact, found: list[InputArtifact], **params: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    checked = Params(documents=[item.name for item in found], tokenizer="tok", **params)
    return run(checked, Inputs({"documents": found, "tokenizer": [tokenizer]}), out, Silent()).metrics


def with_columns(artifact: InputArtifact, **columns: Any) -> InputArtifact:
    path = artifact.path / "rows.parquet"
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.append_column(name, values)
    pq.write_table(table, path)
    return artifact


def chosen(artifact: InputArtifact, **selection: Any) -> InputArtifact:
    edge = Selection.model_validate({"from": artifact.name, **selection})
    return InputArtifact(artifact.name, artifact.path, artifact.manifest, edge)


def digests(out: Path, names: tuple[str, ...] = FILES) -> list[str]:
    return [hash_file(out / name) for name in names]


def test_the_order_is_the_keyed_shuffle(tmp_path: Path, tokenizer: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", texts_of(300))
    pack(tmp_path / "o", tokenizer, [docs], seed=3)
    ids = [f"docs-{place}" for place in range(300)]
    order = [ids[place] for place in draws.shuffled(ids, 3, KIND)]
    assert [row["doc_id"] for row in TokenReader(tmp_path / "o").documents()] == order


def test_ties_go_by_id(tmp_path: Path, tokenizer: InputArtifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_index, "draw_uint64", lambda seed, stage, name: len(name) % 2)
    docs = documents("docs", tmp_path / "docs", texts_of(120))
    pack(tmp_path / "o", tokenizer, [docs])
    found = [row["doc_id"] for row in TokenReader(tmp_path / "o").documents()]
    assert found == sorted((f"docs-{place}" for place in range(120)), key=lambda name: (len(name) % 2, name))


def test_threads_batches_and_chunks_do_not_matter(
    tmp_path: Path, tokenizer: InputArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = documents("docs", tmp_path / "docs", texts_of(400))
    metrics = pack(tmp_path / "one", tokenizer, [docs], workers=1)
    assert pack(tmp_path / "two", tokenizer, [docs], workers=3, batch=7) == metrics
    monkeypatch.setattr(pack_index, "_AT_ONCE", 50)
    monkeypatch.setattr(pack_reading, "_MOST", 200)
    assert pack(tmp_path / "three", tokenizer, [docs], workers=2) == metrics
    for name in ("tokens.bin", "tokens.idx", "tokens.json"):
        assert len({hash_file(tmp_path / out / name) for out in ("one", "two", "three")}) == 1
    rows = [pq.read_table(tmp_path / out / "documents.parquet") for out in ("one", "two", "three")]
    assert rows[0] == rows[1] == rows[2]
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_copies_are_packed_as_often_as_they_say(tmp_path: Path, tokenizer: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", texts_of(60))
    copies = [place % 4 for place in range(60)]
    with_columns(docs, copies=pa.array([None if number == 1 else number for number in copies], pa.int32()))
    metrics = pack(tmp_path / "o", tokenizer, [docs])
    reader = TokenReader(tmp_path / "o")
    rows = reader.documents()
    names = [row["doc_id"] for row in rows]
    assert {name: names.count(name) for name in set(names)} == {
        f"docs-{place}": number for place, number in enumerate(copies) if number
    }
    assert metrics["documents"] == len(rows) == sum(copies)
    assert metrics["repeated"] == sum(number - 1 for number in copies if number)
    assert metrics["tokens"] == len(reader.tokens)
    assert metrics["characters"] == sum(row["characters"] for row in rows)
    assert metrics["round_trip"] == {"checked": 45, "equal": 45}
    # Copies are the same ids, and do not stand side by side.
    by_name = {
        name: {tuple(reader.document(n)) for n, other in enumerate(names) if other == name} for name in names
    }
    assert all(len(found) == 1 for found in by_name.values())
    assert sum(a == b for a, b in pairwise(names)) < 15
    twice = pack(tmp_path / "twice", tokenizer, [chosen(docs, ratio=2)])
    assert twice["documents"] == 2 * metrics["documents"]
    once = documents("docs", tmp_path / "once", texts_of(60))
    pack(tmp_path / "plain", tokenizer, [once])
    plain = [row["doc_id"] for row in TokenReader(tmp_path / "plain").documents()]
    with_columns(once, copies=pa.array([2] * 60, pa.int32()))
    pack(tmp_path / "all", tokenizer, [once])
    doubled = [row["doc_id"] for row in TokenReader(tmp_path / "all").documents()]
    assert doubled != [name for name in plain for _ in range(2)]


def test_a_selection_takes_what_it_takes_elsewhere(tmp_path: Path, tokenizer: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", texts_of(100))
    pack(tmp_path / "ja", tokenizer, [chosen(docs, where={"language": "ja"}, limit=7)], batch=3)
    rows = TokenReader(tmp_path / "ja").documents()
    expected = [f"docs-{place}" for place, (language, _) in enumerate(texts_of(100)) if language == "ja"][:7]
    assert sorted(row["doc_id"] for row in rows) == sorted(expected)
    pack(tmp_path / "thin", tokenizer, [chosen(docs, ratio=0.5)])
    thin = {row["doc_id"] for row in TokenReader(tmp_path / "thin").documents()}
    assert thin == {f"docs-{n}" for n in range(100) if draws.draw_uniform(0, KIND, f"docs-{n}") < 0.5}
    with pytest.raises(UserError, match="keeps none"):
        pack(tmp_path / "none", tokenizer, [chosen(docs, where={"language": "ko"})])
    with pytest.raises(UserError, match="no column 'size'"):
        pack(tmp_path / "wrong", tokenizer, [chosen(docs, where={"size": 1})])


def test_documents_in_parts_are_read(tmp_path: Path, tokenizer: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", texts_of(50))
    pack(tmp_path / "one", tokenizer, [docs])
    table = pq.read_table(docs.path / "rows.parquet")
    (docs.path / "rows.parquet").unlink()
    for place, start in enumerate((0, 20, 20, 45)):
        path = docs.path / f"documents/part-{place:05d}.parquet"
        path.parent.mkdir(exist_ok=True)
        stop = (20, 20, 45, 50)[place]
        pq.write_table(table.slice(start, stop - start), path)
    pack(tmp_path / "two", tokenizer, [docs])
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_the_index_is_megatrons(tmp_path: Path, tokenizer: InputArtifact) -> None:
    """Read as Megatron-LM's `_IndexReader` does, field by field."""
    docs = documents("docs", tmp_path / "docs", texts_of(40))
    pack(tmp_path / "o", tokenizer, [docs])
    reader = TokenReader(tmp_path / "o")
    with (tmp_path / "o/tokens.idx").open("rb") as stream:
        assert stream.read(9) == b"MMIDIDX\x00\x00"
        assert struct.unpack("<Q", stream.read(8)) == (1,)
        (code,) = struct.unpack("<B", stream.read(1))
        (sequences,) = struct.unpack("<Q", stream.read(8))
        (documents_,) = struct.unpack("<Q", stream.read(8))
        offset = stream.tell()
    dtype = {4: np.int32, 8: np.uint16}[code]
    buffer = (tmp_path / "o/tokens.idx").read_bytes()
    lengths = np.frombuffer(buffer, np.int32, sequences, offset)
    pointers = np.frombuffer(buffer, np.int64, sequences, offset + lengths.nbytes)
    indices = np.frombuffer(buffer, np.int64, documents_, offset + lengths.nbytes + pointers.nbytes)
    data = (tmp_path / "o/tokens.bin").read_bytes()
    assert offset + lengths.nbytes + pointers.nbytes + indices.nbytes == len(buffer)
    assert indices.tolist() == list(range(41))
    for place in range(sequences):
        read = np.frombuffer(data, dtype, lengths[place], pointers[place])
        assert read.tolist() == reader.document(place).tolist()


def test_every_document_can_be_checked_and_a_lossy_tokenizer_is_told(
    tmp_path: Path, tokenizer: InputArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = documents("docs", tmp_path / "docs", [*texts_of(30), ("en", "a ▁ is read as a blank")])
    assert pack(tmp_path / "all", tokenizer, [docs], check="all")["round_trip"] == {
        "checked": 31,
        "equal": 30,
    }
    assert pack(tmp_path / "many", tokenizer, [docs], check=31)["round_trip"] == {"checked": 31, "equal": 30}
    assert pack(tmp_path / "few", tokenizer, [docs], check=5)["round_trip"]["checked"] == 5
    assert pack(tmp_path / "no", tokenizer, [docs], check=0)["round_trip"] == {"checked": 0, "equal": 0}
    # The sample is read from the shard itself: ids that went astray on the way are seen.
    whole = pack_index.Spool.write

    def astray(self: Any, pieces: Any, writer: Any) -> Any:
        swapped = pieces.document.copy()
        swapped[:2] = swapped[1::-1]
        yield from whole(self, pack_index.Pieces(swapped, *list(vars(pieces).values())[1:]), writer)

    docs = documents("twins", tmp_path / "twins", [("en", "a red ball"), ("en", "a red girl")])
    monkeypatch.setattr(pack_index.Spool, "write", astray)
    assert pack(tmp_path / "astray", tokenizer, [docs])["round_trip"] == {"checked": 2, "equal": 0}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": [None]}, "docs: row 2 has no id"),
        ({"copies": [-1]}, "docs-1: a number of copies below 0"),
    ],
)
def test_rows_that_cannot_be_packed_are_named(
    tmp_path: Path, tokenizer: InputArtifact, columns: dict[str, list[Any]], message: str
) -> None:
    docs = documents("docs", tmp_path / "docs", texts_of(3))
    path = docs.path / "rows.parquet"
    table = pq.read_table(path)
    for name, (value,) in columns.items():
        values = table.column(name).to_pylist() if name in table.column_names else [1, 1, 1]
        values[1] = value
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)
    with pytest.raises(UserError, match=message):
        pack(tmp_path / "o", tokenizer, [docs])
    assert not (tmp_path / "o/tokens.idx").exists()
    assert not list((tmp_path / "o/work").iterdir())


@pytest.mark.parametrize(
    "wrong",
    [{"packing": "best-fit"}, {"sequence": 64}, {"workers": 0}, {"check": -1}, {"packing": "first-fit"}],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Params(documents=["d"], tokenizer="t", **wrong)


def test_a_shard_is_a_dataset_on_its_own_memory(tmp_path: Path, tokenizer: InputArtifact) -> None:
    docs = documents("docs", tmp_path / "docs", texts_of(40))
    pack(tmp_path / "o", tokenizer, [docs])
    reader = TokenReader(tmp_path / "o")
    rows = as_dataset(tmp_path / "o", "documents")
    assert rows["doc_id"][:] == [row["doc_id"] for row in reader.documents()]
    assert all(rows[place]["input_ids"] == reader.document(place).tolist() for place in range(40))
    windows = as_dataset(tmp_path / "o", sequence=32)
    assert [len(row["input_ids"]) for row in windows][:-1] == [32] * (len(windows) - 1)
    turned = [row["input_ids"] for row in windows.select([1, 0])]
    assert turned == [reader.tokens[32:64].tolist(), reader.tokens[:32].tolist()]
    values = windows.data.column("input_ids").chunk(0).values
    assert values.type == pa.uint16()
    # Not a copy: what changes in the file changes in the dataset.
    with (tmp_path / "o/tokens.bin").open("r+b") as handle:
        handle.write(struct.pack("<H", 7))
    assert windows[0]["input_ids"][0] == 7
    with pytest.raises(UserError, match="give the `sequence`"):
        as_dataset(tmp_path / "o")
