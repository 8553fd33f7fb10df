"""What `data.mix` holds of every row while it decides: a few numbers, never its text.

A row's number is its place in all inputs together, in the order of the recipe: the smaller number comes first where two
rows are the same. Rows are read batch by batch, twice: to be counted here, and to be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from watari.artifact.draws import draw_uint64
from watari.artifact.rows import matches, row_files
from watari.artifact.stage import InputArtifact, Progress, stop_if_asked
from watari.errors import UserError
from watari.kernels.minhash import signatures
from watari.kernels.texts import Texts

BATCH = 2048
"""Rows that are read at a time."""
SHINGLE = 5
"""Characters of a shingle; as in corpus.build."""
KEPT, NOT_SELECTED = 0, 1

Numbers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class Names:
    """Names as numbers, in the order in which they were first met."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """Return the name's number."""
        return self._numbers.setdefault(name, len(self._numbers))

    @property
    def names(self) -> list[str]:
        """All names, by number."""
        return list(self._numbers)


@dataclass
class Index:
    """All rows of all inputs; `n` is their number, those that are not selected included.

    Args:
        starts: int64[inputs + 1]: the first number of each input.
        ids: The rows' ids, string[n].
        source, language, category: int32[n]: numbers in `names`; -1: the row has none.
        draw: uint64[n]: the draw of a row's id.
        exact: uint64[n, 2]: hash of what is compared.
        characters: int64[n], in all turns.
        compared: int64[n]: characters of what is compared.
        state: uint8[n]: a place in `reasons`.
        twin: int64[n]: of a duplicate, the row that it is one of; -1.
        signed: uint32[n, words], on disk: MinHash signatures; None where near duplicates are not looked for.
    """

    starts: Numbers
    ids: pa.Array
    source: npt.NDArray[np.int32]
    language: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    names: dict[str, list[str]]
    draw: Words
    exact: Words
    characters: Numbers
    compared: Numbers
    state: npt.NDArray[np.uint8]
    twin: Numbers
    reasons: list[str]
    signed: npt.NDArray[np.uint32] | None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.state)

    @property
    def kept(self) -> Numbers:
        """Numbers of the rows that are still in, ascending."""
        return np.flatnonzero(self.state == KEPT)

    def drop(self, rows: Numbers, reason: str, twins: Numbers | None = None) -> None:
        """Drop rows for a reason; those that are out already stay where they are.

        Args:
            rows: Their numbers.
            reason: A fixed phrase.
            twins: Of duplicates, the row that each is one of.
        """
        if reason not in self.reasons:
            self.reasons.append(reason)
        still = self.state[rows] == KEPT
        self.state[rows[still]] = self.reasons.index(reason)
        if twins is not None:
            self.twin[rows[still]] = twins[still]

    def input_of(self, rows: Numbers) -> Numbers:
        """Return the place of each row's input in the recipe's list."""
        return np.searchsorted(self.starts, rows, side="right") - 1


def batches(artifact: InputArtifact) -> Iterator[pa.Table]:
    """Yield the rows of an artifact as tables, in order."""
    for path in row_files(artifact.path):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield pa.Table.from_batches([batch])


def selected(table: pa.Table, artifact: InputArtifact, taken: int) -> npt.NDArray[np.bool_]:
    """Return which rows of a table `where` and `limit` take; `ratio` is drawn later.

    Args:
        table: Some of the artifact's rows.
        artifact: With its selection.
        taken: Rows that were taken before these.
    """
    found = np.ones(table.num_rows, bool)
    if where := artifact.selection.where:
        needed = [name for name in table.column_names if name in where or (name == "meta")]
        columns = table.select(needed or table.column_names[:1]).to_pylist()
        found = np.array([matches(row, artifact.selection, artifact.name) for row in columns], bool)
    if (limit := artifact.selection.limit) is not None:
        found &= np.cumsum(found) <= limit - taken
    return found


def read_index(
    inputs: Sequence[InputArtifact],
    work: Path,
    progress: Progress,
    *,
    seed: int,
    stage: str,
    of: str = "conversation",
    words: int = 0,
    benchmarks: frozenset[str] = frozenset(),
    allowed: bool = False,
) -> tuple[Index, list[str]]:
    """Read all inputs once; return (the index, the benchmarks whose splits are among the rows, sorted).

    Args:
        inputs: In the order of the recipe.
        work: Where signatures are written.
        progress: Told how far it is.
        seed, stage: Of the draws.
        of: `prompt` compares the user's turns alone.
        words: Of a signature; 0: none.
        benchmarks: Names of inputs or sources that are splits of a benchmark.
        allowed: True if such rows may be taken.

    Raises:
        UserError: for a row without turns, for rows of a benchmark that are not allowed, for an input of which nothing
            is selected.
    """
    sizes = [_count(artifact) for artifact in inputs]
    total = sum(sizes)
    names = {kind: Names() for kind in ("source", "language", "category")}
    codes = {kind: np.full(total, -1, np.int32) for kind in names}
    draw, exact = np.zeros(total, np.uint64), np.zeros((total, 2), np.uint64)
    characters, compared = np.zeros(total, np.int64), np.zeros(total, np.int64)
    state = np.zeros(total, np.uint8)
    signed = _on_disk(work, total, words) if words and total else None
    ids: list[pa.Array] = []
    marked: set[str] = set()
    at = 0
    for artifact in inputs:
        taken = 0
        for table in batches(artifact):
            stop_if_asked(progress)
            wanted = selected(table, artifact, taken)
            taken += int(wanted.sum())
            turns = table.column("messages").to_pylist()
            columns = {name: table.column(name).to_pylist() for name in ("id", "source", "language", "meta")}
            texts = []
            for place in range(table.num_rows):
                row = at + place
                if not wanted[place]:
                    state[row] = NOT_SELECTED
                    texts.append("")
                    continue
                name = columns["id"][place]
                messages = turns[place]
                if not messages:
                    raise UserError(f"{artifact.name}: row {name}: no turns", "import it again")
                meta = _meta(columns["meta"][place])
                mark = _benchmark(artifact.name, columns["source"][place], meta, benchmarks)
                if mark and not allowed:
                    raise UserError(
                        f"{artifact.name}: row {name} is of a split of the benchmark '{mark}'",
                        "leave such rows out, or write `train_splits: allow`, and the card will say so",
                    )
                if mark:
                    marked.add(mark)
                for kind, value in (
                    ("source", columns["source"][place]),
                    ("language", columns["language"][place]),
                    ("category", meta.get("category")),
                ):
                    if isinstance(value, str) and value:
                        codes[kind][row] = names[kind].number(value)
                text, key = _compared(messages, of)
                texts.append(text)
                digest = xxhash.xxh3_128_digest(key)
                exact[row] = np.frombuffer(digest, np.uint64)
                draw[row] = draw_uint64(seed, stage, name)
                characters[row] = sum(len(turn["content"]) for turn in messages)
                compared[row] = len(text)
            if signed is not None:
                signed[at : at + len(texts)] = signatures(
                    Texts.of(texts), length=SHINGLE, count=signed.shape[1]
                )
            ids.append(table.column("id").combine_chunks().cast(pa.string()))
            at += table.num_rows
            progress.update(at, total, unit="rows", note="reading")
        if not taken:
            raise UserError(
                f"{artifact.name}: the selection keeps none of its rows", "check `where` and `limit`"
            )
    index = Index(
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        ids=pa.chunked_array(ids, pa.string()).combine_chunks(),
        **codes,
        names={kind: found.names for kind, found in names.items()},
        draw=draw,
        exact=exact,
        characters=characters,
        compared=compared,
        state=state,
        twin=np.full(total, -1, np.int64),
        reasons=["", "not selected"],
        signed=signed,
    )
    return index, sorted(marked)


def _count(artifact: InputArtifact) -> int:
    count = 0
    for path in row_files(artifact.path):
        count += pq.read_metadata(path).num_rows
    return count


def _on_disk(work: Path, rows: int, words: int) -> npt.NDArray[np.uint32]:
    work.mkdir(parents=True, exist_ok=True)
    mapped: npt.NDArray[np.uint32] = np.memmap(work / "signatures", np.uint32, "w+", shape=(rows, words))
    return np.asarray(mapped)


def _meta(value: str | None) -> dict[str, Any]:
    if not value:
        return {}
    try:
        found = orjson.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _benchmark(name: str, source: str | None, meta: dict[str, Any], benchmarks: frozenset[str]) -> str:
    mark = meta.get("benchmark")
    if mark:
        return mark if isinstance(mark, str) else source or name
    if source in benchmarks:
        return str(source)
    return name if name in benchmarks else ""


def _compared(messages: Sequence[dict[str, str]], of: str) -> tuple[str, bytes]:
    """Return (what near duplicates are looked for in, what exact ones are told by)."""
    turns = [turn for turn in messages if turn["role"] == "user"] if of == "prompt" else messages
    text = "\n".join(turn["content"] for turn in turns)
    key = "\x1e".join(f"{turn['role']}\x1f{''.join(turn['content'].split())}" for turn in turns)
    return text, key.encode()
