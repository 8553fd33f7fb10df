"""Which pieces a corpus is read in: the same whatever the order of its sources and the number of workers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from watari.artifact.files import RowFile, full_url, named, open_file, row_files_of
from watari.artifact.hashing import hash_json
from watari.artifact.outside import is_url
from watari.artifact.params import Selection
from watari.artifact.reading import check_encoding
from watari.artifact.rows import row_files
from watari.artifact.stage import InputArtifact
from watari.corpus.ingest.piece import Piece
from watari.corpus.sources import SourceFile
from watari.errors import UserError

PIECE_BYTES = 64 << 20
"""Size of a piece of a large file: some seconds of work, so that tasks are even and a lost one costs little."""
_BLOCK = 4 << 20


def plan(
    sources: Sequence[Selection | SourceFile],
    artifacts: Sequence[InputArtifact] = (),
    *,
    seed: int = 0,
    stage: str = "corpus.build",
    piece_bytes: int = PIECE_BYTES,
) -> list[Piece]:
    """Return the pieces of all sources, sorted by source, path and start.

    A plain local .jsonl file is cut at line ends and a parquet file at row groups, every `piece_bytes` or so; packed
    files, web archives and Arrow files are one piece each. Files with the same source and path (two folders with a
    `part-0.jsonl` each; one file read for two of its columns) are told apart by `~` and 8 digits of a hash over their
    content and columns; the same file given twice in the same way, by `~2` behind that.

    Args:
        sources: As the recipe gives them, in any order.
        artifacts: One for each `Selection` among them, in their order.
        seed: Of the demo world, and of a selection's `ratio`.
        stage: The stage's kind, for the same.
        piece_bytes: Size of a piece; it changes which task reads a row, never what the row is called.

    Raises:
        UserError: if a source is not there, or nothing says how to read one of its files.
    """
    if len(artifacts) != sum(isinstance(source, Selection) for source in sources):
        raise ValueError("an artifact is wanted for every selection")
    files: list[_File] = []
    given = iter(artifacts)
    for source in sources:
        if isinstance(source, SourceFile):
            files.extend(_outside(source, seed, stage))
        else:
            files.extend(_inside(next(given), seed, stage))
    pieces = [piece for file in _told_apart(files) for piece in _parts(file, piece_bytes)]
    return sorted(pieces, key=lambda piece: (piece.source, piece.path, piece.start))


@dataclass(frozen=True)
class _File:
    """A whole file before it is cut, and how it may be: at lines, at row groups, or not at all."""

    piece: Piece
    cut: Literal["lines", "groups", ""]


def _outside(source: SourceFile, seed: int, stage: str) -> Iterator[_File]:
    if source.path.startswith("demo://"):
        path = source.path.removeprefix("demo://")
        whole = Piece(
            source=source.source,
            path=path,
            file=source.path,
            format="auto",
            form=source,
            seed=seed,
            stage=stage,
        )
        yield _File(whole, "")
        return
    check_encoding(source.encoding)
    for found in row_files_of(source.path, source.format):
        local = not is_url(found.path)
        plain = local and found.format == "jsonl" and not found.path.endswith((".gz", ".zst"))
        whole = Piece(
            source=source.source,
            path=_below(found, source.path),
            file=found.path,
            format=found.format,
            form=source,
            size=Path(found.path).stat().st_size if local else 0,
            seed=seed,
            stage=stage,
        )
        yield _File(whole, "lines" if plain else "groups" if found.format == "parquet" else "")


def _below(found: RowFile, location: str) -> str:
    """Return a file's name below its location: the folder, or what stands before the first `*` of a glob."""
    path, root = named(found.path), named(location)
    if any(mark in root for mark in "*?["):
        root = root[: min(root.find(mark) for mark in "*?[" if mark in root)].rpartition("/")[0]
    if is_url(root):
        folder = named(full_url(root)).rstrip("/") + "/"
        return path.removeprefix(folder) if path.startswith(folder) else path.rpartition("/")[2]
    return os.path.relpath(path, root) if root and Path(root).is_dir() else Path(path).name


def _inside(artifact: InputArtifact, seed: int, stage: str) -> Iterator[_File]:
    """Yield an artifact's files; all of them as one where a `limit` counts rows from the first on."""
    form = SourceFile(path=artifact.name, source=artifact.name)
    narrowed = artifact.selection if artifact.selection.narrowed else None
    files = row_files(artifact.path)
    if not files:
        raise UserError(f"{artifact.name}: the artifact holds no rows", "run the stage that makes it again")
    for path in [artifact.path] if narrowed and narrowed.limit is not None else files:
        whole = Piece(
            source=artifact.name,
            path=path.relative_to(artifact.path).as_posix() if path != artifact.path else "",
            file=str(path),
            format="parquet",
            form=form,
            size=sum(file.stat().st_size for file in (files if path == artifact.path else [path])),
            artifact=artifact.name,
            selection=narrowed,
            seed=seed,
            stage=stage,
        )
        yield _File(whole, "groups" if path != artifact.path else "")


def _told_apart(files: list[_File]) -> list[_File]:
    """Return the files with paths that name one file each, whatever the order in which they were given."""
    alike: dict[tuple[str, str], list[_File]] = {}
    for file in files:
        alike.setdefault((file.piece.source, file.piece.path), []).append(file)
    apart = [group[0] for group in alike.values() if len(group) == 1]
    for group in (group for group in alike.values() if len(group) > 1):
        # Files that share this hash are the same bytes read in the same way: which of them is called `~2` is no matter.
        copies: dict[str, int] = {}
        for file in group:
            mark = _mark(file.piece)
            copies[mark] = copies.get(mark, 0) + 1
            again = f"~{copies[mark]}" if copies[mark] > 1 else ""
            path = f"{file.piece.path}~{mark}{again}"
            apart.append(_File(file.piece.model_copy(update={"path": path}), file.cut))
    return apart


def _mark(piece: Piece) -> str:
    how = piece.form.model_dump(mode="json", exclude={"path"})
    chosen = piece.selection.narrowing() if piece.selection else None
    return hash_json([_content(piece), how, piece.format, chosen])[:8]


def _content(piece: Piece) -> str:
    import xxhash

    if piece.file.startswith("demo://"):
        return piece.file
    path = Path(piece.file)
    digest = xxhash.xxh3_128()
    for file in row_files(path) if not is_url(piece.file) and path.is_dir() else [piece.file]:
        with closing(open_file(str(file))) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return str(digest.hexdigest())


def _parts(file: _File, size: int) -> Iterator[Piece]:
    if file.cut == "lines" and file.piece.size > size + size // 2:
        yield from _line_parts(file.piece, size)
    elif file.cut == "groups":
        yield from _group_parts(file.piece, size)
    else:
        yield file.piece


def _line_parts(piece: Piece, size: int) -> Iterator[Piece]:
    """Yield parts that end at the first line end at or after every multiple of `size`, in one pass over the file."""
    start = at = lines = 0
    first = 1
    with closing(open_file(piece.file)) as stream:
        while block := stream.read(_BLOCK):
            done = 0
            while (goal := start + size) <= at + len(block):
                end = block.find(b"\n", max(goal - at - 1, done))
                if end < 0:
                    break
                lines += block.count(b"\n", done, end + 1)
                done = end + 1
                yield _part(piece, start, at + done, first)
                start, first = at + done, lines + 1
            lines += block.count(b"\n", done)
            at += len(block)
    if start < at:
        yield _part(piece, start, at, first)


def _group_parts(piece: Piece, size: int) -> Iterator[Piece]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with closing(open_file(piece.file, any_order=True)) as raw:
            footer = pq.read_metadata(raw)
    except (pa.ArrowException, OSError):
        # Not parquet, or cut short: reading it says so in a row.
        yield piece
        return
    start = held = 0
    row = first = 1
    for group in range(footer.num_row_groups):
        about = footer.row_group(group)
        held += about.total_byte_size
        row += about.num_rows
        if held >= size or group + 1 == footer.num_row_groups:
            yield piece.model_copy(update={"start": start, "stop": group + 1, "line": first, "size": held})
            start, held, first = group + 1, 0, row
    if not footer.num_row_groups:
        yield piece


def _part(piece: Piece, start: int, stop: int, line: int) -> Piece:
    return piece.model_copy(update={"start": start, "stop": stop, "line": line, "size": stop - start})
