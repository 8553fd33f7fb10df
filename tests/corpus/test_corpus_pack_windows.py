"""Best-fit packing: nothing lost, few documents cut, windows full; the same with numba and without."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_artifacts import as_input, documents
from tiny_llama import make_tokenizer
from watari.artifact.hashing import hash_file
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.artifact.tokens import TokenReader
from watari.artifact.tokens_dataset import as_dataset
from watari.corpus.pack import Params, run
from watari.corpus.pack_index import Pieces
from watari.corpus.pack_windows import best_fit
from watari.errors import UserError
from watari.train.batches import pack as pack_rows


def pieces_of(sizes: list[int]) -> Pieces:
    number = np.arange(len(sizes), dtype=np.int64)
    none = np.zeros(len(sizes), np.int32)
    return Pieces(number, none, none.astype(np.int64), np.array(sizes, np.int64), none, none + 1)


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
@given(sizes=st.lists(st.integers(0, 400), max_size=60), capacity=st.sampled_from([8, 63, 64, 65, 130]))
def test_every_token_is_in_one_window(kernels: str, sizes: list[int], capacity: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", kernels)
        found = best_fit(pieces_of(sizes), capacity)
    pieces, bounds = found.pieces, found.bounds
    assert bounds[0] == 0
    assert bounds[-1] == len(pieces)
    filled = [int(pieces.size[a:b].sum()) for a, b in pairwise(bounds)]
    assert all(b > a for a, b in pairwise(bounds))
    assert max(filled, default=0) <= capacity
    for document, size in enumerate(sizes):
        own = np.flatnonzero(pieces.document == document)
        own = own[np.argsort(pieces.part[own])]
        assert pieces.part[own].tolist() == list(range(max(1, -(-size // capacity))))
        assert set(pieces.parts[own]) == {len(own)}
        assert pieces.start[own].tolist() == [place * capacity for place in range(len(own))]
        assert (pieces.size[own][:-1] == capacity).all()
        assert pieces.size[own].sum() == size
    assert found.cut == sum(size > capacity for size in sizes)
    # Within a window in the order given, windows in the order of their longest pieces.
    longest = []
    for a, b in pairwise(bounds):
        members = pieces.document[a:b] * 1000 + pieces.part[a:b]
        assert (np.diff(members) > 0).all()
        longest.append(min(members[pieces.size[a:b] == pieces.size[a:b].max()]))
    assert longest == sorted(longest)


@pytest.mark.parametrize("kernels", ["numba", "numpy"])
@given(sizes=st.lists(st.integers(1, 64), max_size=80))
def test_windows_are_those_of_best_fit_decreasing(kernels: str, sizes: list[int]) -> None:
    """Beside the packing of training rows, an implementation of the same rule on lists."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", kernels)
        found = best_fit(pieces_of(sizes), 64)
    ours = [sorted(found.pieces.document[a:b].tolist()) for a, b in pairwise(found.bounds)]
    assert sorted(ours) == sorted(map(sorted, pack_rows(sizes, 64, range(len(sizes)))))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(folder)
    return as_input("tok", folder, Kind.TOKENIZER)


def packed(out: Path, tokenizer: InputArtifact, docs: InputArtifact, **params: Any) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    checked = Params(documents=[docs.name], tokenizer="tok", **params)
    return run(checked, Inputs({"documents": [docs], "tokenizer": [tokenizer]}), out, Silent()).metrics


def made(folder: Path) -> InputArtifact:
    lengths = np.random.default_rng(2).integers(1, 40, 200).tolist()
    return documents("docs", folder, [("en", "a red ball " * int(length)) for length in lengths])


def test_a_shard_of_windows(
    tmp_path: Path, tokenizer: InputArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = made(tmp_path / "docs")
    metrics = packed(tmp_path / "o", tokenizer, docs, packing="best-fit", sequence=64)
    plain = packed(tmp_path / "plain", tokenizer, docs)
    assert {name: metrics[name] for name in plain} == plain
    assert metrics["round_trip"] == {"checked": 200, "equal": 200}
    reader = TokenReader(tmp_path / "o")
    bounds = reader.windows()
    assert bounds is not None
    windows = metrics["windows"]
    sizes = np.diff(reader.offsets[bounds])
    assert windows["windows"] == len(bounds) - 1 == len(sizes)
    assert windows["padding"] == windows["windows"] * 64 - plain["tokens"]
    assert windows["padding_share"] == round(windows["padding"] / windows["windows"] / 64, 6) < 0.05
    rows = reader.documents()
    whole = np.diff(TokenReader(tmp_path / "plain").offsets)
    assert (
        windows["cut_documents"] == (whole > 64).sum() == len({r["doc_id"] for r in rows if r["parts"] > 1})
    )
    assert reader.uncut().tolist() == [row["parts"] == 1 for row in rows]
    assert reader.info.documents == 200
    assert reader.info.characters == plain["characters"]
    # A document's parts, put together again, are the document.
    parts: dict[Any, dict[Any, list[int]]] = {}
    for place, row in enumerate(rows):
        parts.setdefault(row["doc_id"], {})[row["part"]] = reader.document(place).tolist()
    other = TokenReader(tmp_path / "plain")
    for place, row in enumerate(other.documents()):
        found = parts[row["doc_id"]]
        assert [token for part in sorted(found) for token in found[part]] == other.document(place).tolist()
    monkeypatch.setenv("WATARI_KERNELS", "numpy")
    packed(tmp_path / "numpy", tokenizer, docs, packing="best-fit", sequence=64, workers=1, batch=9)
    for name in ("tokens.bin", "tokens.idx", "documents.parquet", "tokens.json", "windows.npy"):
        assert hash_file(tmp_path / "o" / name) == hash_file(tmp_path / "numpy" / name)


def test_windows_as_a_dataset(tmp_path: Path, tokenizer: InputArtifact) -> None:
    packed(tmp_path / "o", tokenizer, made(tmp_path / "docs"), packing="best-fit", sequence=64)
    reader = TokenReader(tmp_path / "o")
    windows = as_dataset(tmp_path / "o")
    bounds = reader.windows()
    assert bounds is not None
    for place in (0, 1, len(windows) - 1):
        members = [reader.document(n).tolist() for n in range(bounds[place], bounds[place + 1])]
        assert windows[place]["input_ids"] == [token for member in members for token in member]
        assert windows[place]["seq_lengths"] == [len(member) for member in members]
    with pytest.raises(UserError, match="windows are of 64 tokens, not 32"):
        as_dataset(tmp_path / "o", sequence=32)


def test_windows_that_are_not_those_of_the_shard_are_refused(
    tmp_path: Path, tokenizer: InputArtifact
) -> None:
    packed(tmp_path / "o", tokenizer, made(tmp_path / "docs"), packing="best-fit", sequence=64)
    bounds = np.load(tmp_path / "o/windows.npy")
    np.save(tmp_path / "o/windows.npy", bounds[:-1])
    with pytest.raises(UserError, match="not those of the index"):
        TokenReader(tmp_path / "o").windows()
    (tmp_path / "o/windows.npy").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        TokenReader(tmp_path / "o").windows()
