"""Shards of packed base ids for an extended tokenizer, and back, without the text (`watari tokenizer convert`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from watari.artifact import atomic
from watari.artifact.manifest import MANIFEST, digest_of, list_files, read_manifest
from watari.artifact.stage import Progress, Silent, stop_if_asked
from watari.artifact.tokens import TokenReader, TokensInfo, TokenWriter
from watari.errors import UserError
from watari.pretrained.graft import read_graft
from watari.tokenizer.converter import Converter, open_converter

__all__ = ["Conversion", "Converter", "convert_tokens", "open_converter"]

_BATCH = 1 << 20
"""Ids converted at a time."""


@dataclass(frozen=True)
class Conversion:
    """What came of a shard.

    Args:
        documents: Documents converted.
        tokens_before: Ids in the shard.
        tokens: Ids in the new one.
        vocabulary: Size of the new ones' table.
    """

    documents: int
    tokens_before: int
    tokens: int
    vocabulary: int


def convert_tokens(
    shard: Path, tokenizer: Path, out: Path, *, back: bool = False, progress: Progress | None = None
) -> Conversion:
    """Convert a shard of packed tokens (`tokens.pack`) for an extended tokenizer, document by document.

    Args:
        shard: The folder of the shard.
        tokenizer: The folder of the extended tokenizer, with graft.json.
        out: The folder to write; it must not exist, and appears when it is whole. Same form, documents in the same
            order, the same sidecar.
        back: Convert from the extended tokenizer's ids to its base's.
        progress: Told the documents done.

    Raises:
        UserError: if the shard was packed with another tokenizer, or `out` exists.
    """
    progress = progress or Silent()
    if out.exists():
        raise UserError(f"{out}: exists already", "give the name of a new folder")
    reader = TokenReader(shard)
    converter = open_converter(tokenizer)
    wanted, made = converter.base, converter.vocabulary
    if back:
        wanted, made = made, wanted
    if reader.info.vocabulary != wanted:
        other = " (it has the other one's: convert the other way)" if reader.info.vocabulary == made else ""
        raise UserError(
            f"{shard}: packed with a tokenizer of {reader.info.vocabulary:,} ids, not {wanted:,}{other}",
            f"the tokenizer that {tokenizer.name} {'is' if back else 'extends'} is wanted",
        )
    info = TokensInfo(
        vocabulary=made,
        tokenizer_digest=_digest(tokenizer, converter, back=back),
        bos=reader.info.bos,
        eos=reader.info.eos,
    )
    rows = reader.documents()
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    atomic.remove_tree(temporary)
    try:
        tokens = _write(reader, rows, converter, info, temporary, back, progress)
        atomic.publish_folder(temporary, out)
    except BaseException:
        atomic.remove_tree(temporary)
        raise
    return Conversion(len(rows), int(reader.offsets[-1]), tokens, made)


def _write(
    reader: TokenReader,
    rows: list[dict[str, object]],
    converter: Converter,
    info: TokensInfo,
    out: Path,
    back: bool,
    progress: Progress,
) -> int:
    tokens = first = 0
    with TokenWriter(out, info) as writer:
        while first < len(rows):
            # As many documents as make a batch, one at least.
            last = int(np.searchsorted(reader.offsets, reader.offsets[first] + _BATCH, side="right")) - 1
            last = min(max(last, first + 1), len(rows))
            documents = [reader.document(place) for place in range(first, last)]
            converted = converter.to_base(documents) if back else converter.to_extended(documents)
            for row, ids in zip(rows[first:last], converted, strict=True):
                writer.add(
                    str(row["doc_id"]),
                    ids,
                    language=str(row["language"]),
                    source=str(row["source"]),
                    characters=int(str(row["characters"])),
                )
                tokens += len(ids)
            first = last
            stop_if_asked(progress)
            progress.update(first, len(rows), unit="documents")
    return tokens


def _digest(tokenizer: Path, converter: Converter, *, back: bool) -> str:
    """Return what `tokens.json` says of the tokenizer: its artifact's digest, or that of the files of a folder.

    Of the base only the hash of its pieces is known.
    """
    if back:
        return read_graft(tokenizer).base_digest
    if (tokenizer / MANIFEST).is_file():
        return read_manifest(tokenizer).digest
    return digest_of(list_files(tokenizer))
