"""Grafting as a library function: a model folder, the extended form of its tokenizer, and the rows between them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact import atomic
from watari.artifact.stage import Progress, Silent, stop_if_asked
from watari.errors import UserError
from watari.model.graft_rows import Growing
from watari.model.rows import ALIASES, INITS, METHODS, Init
from watari.model.states import Document

if TYPE_CHECKING:
    from watari.model.stream_tables import Tables
    from watari.pretrained.graft import Graft


def graft_model(
    model: Path,
    tokenizer: Path,
    out: Path,
    *,
    init: str | None = None,
    text: Iterable[Document] | None = None,
    states: int = 10_000,
    characters: int = 4_000_000,
    align: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
    names: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Write `model` with the rows that `tokenizer` adds. The base's rows, and every other weight, keep their bits.

    Rows of the base beyond its tokenizer (padding) give way to new pieces. The same inputs give the same bytes.

    Args:
        model: The base's folder; safetensors.
        tokenizer: A folder with `graft.json`: an extension of the base's tokenizer.
        out: The folder to write. config.json is written last: without it the folder is not a model.
        init: One of `INITS`, or "mean"; None: count-bias-focus with text, else subword-mean.
        text: Documents in both languages, for the inits that need them; it may be read twice.
        states: Hidden states that the bias direction is fitted to.
        characters: Of the text, for co-occurrence statistics.
        align: Rows are made a multiple of this.
        seed: Of every draw.
        progress: Told of what is done.
        names: How messages call model and tokenizer; default: their paths.

    Returns:
        Figures for a manifest: JSON data.

    Raises:
        UserError: if the tokenizer does not extend this base's, or the init does not fit the model or lacks its text.
    """
    from watari.model.stream import TensorFiles, write_grown
    from watari.model.stream_tables import find_tables, skeleton
    from watari.pretrained import check_model_folder, copy_tokenizer
    from watari.pretrained.graft import read_graft

    progress = progress or Silent()
    called, tokenizer_called = names or (str(model), str(tokenizer))
    graft = read_graft(tokenizer)
    check_model_folder(model)
    _check_same_base(graft, model, called, tokenizer_called)
    files = TensorFiles(model)
    tables = find_tables(skeleton(model), files, called)
    if tables.rows < graft.base_vocabulary:
        raise UserError(
            f"base: {called} has {tables.rows:,} embedding rows for a tokenizer of {graft.base_vocabulary:,}",
            "its config and its tokenizer do not belong together: `watari doctor` says more",
        )
    chosen = _choose_init(init, tables, text is not None)
    work = Growing(
        model, tokenizer, graft, files, tables, chosen, text, states, characters, align, seed, progress
    )
    growth = work.growth()
    stop_if_asked(progress)
    progress.update(len(graft.pieces), len(graft.pieces), unit="rows", note=chosen)
    out.mkdir(parents=True, exist_ok=True)
    write_grown(files, out, growth)
    copy_tokenizer(tokenizer, out)
    if (model / "generation_config.json").is_file():
        shutil.copyfile(model / "generation_config.json", out / "generation_config.json")
    rows = graft.vocabulary + work.padding
    _write_config(model, out, rows)
    before = sum(math.prod(entry.shape) for name, entry in files.entries.items() if name not in tables.copies)
    per_row = tables.width * (1 if tables.output is None else 2) + (tables.bias is not None)
    return work.metrics | {
        "init": chosen,
        "rows_added": len(graft.pieces),
        "padding_rows_replaced": min(tables.rows, rows) - graft.base_vocabulary,
        "tied": tables.output is None,
        "vocabulary_before": graft.base_vocabulary,
        "vocabulary": graft.vocabulary,
        "rows": rows,
        "parameters_before": before,
        "parameters": before + (rows - tables.rows) * per_row,
    }


def _choose_init(given: str | None, tables: Tables, text: bool) -> Init:
    tied = tables.output is None
    if given is None:
        return "count-bias-focus" if text else "subword-mean"
    name = ALIASES.get(given, given)
    if name not in METHODS:
        raise UserError(f"init: there is no {given!r}", f"one of {', '.join(INITS)}")
    init: Init = name
    if tied and METHODS[init].tied is None:
        raise UserError(
            f"init: {init} gives a token two different rows, and this model ties its head to its embedding",
            "use `init: count-bias-focus` or `init: subword-mean`",
        )
    without = METHODS[init].vectors or (METHODS[init].states and tables.bias is None)
    if without and not text:
        raise UserError(
            f"init: {init} needs text in both languages (`text:`, `--text`)",
            "give some, or use `init: subword-mean`, which needs none",
        )
    return init


def _check_same_base(graft: Graft, folder: Path, name: str, tokenizer: str) -> None:
    """Make sure that the base's token ids mean what they meant when its tokenizer was extended."""
    from watari.pretrained import load_tokenizer
    from watari.pretrained.bytelevel import read_tokenizer_json
    from watari.pretrained.sentencepiece import read_spm, vocabulary_digest

    if graft.family == "sentencepiece" and (folder / "tokenizer.model").is_file():
        digest, size = (model := read_spm(folder / "tokenizer.model")).digest(), len(model)
    elif graft.family == "byte-level" and (folder / "tokenizer.json").is_file():
        digest, size = (
            (entries := read_tokenizer_json(folder / "tokenizer.json", name)).digest(),
            len(entries),
        )
    else:
        vocabulary = load_tokenizer(folder).get_vocab()
        texts = {index: text for text, index in vocabulary.items()}
        size = max(texts) + 1
        digest = vocabulary_digest([texts.get(index, "") for index in range(size)])
    if digest != graft.base_digest:
        raise UserError(
            f"tokenizer: {tokenizer} extends a tokenizer of {graft.base_vocabulary:,} pieces that is not the one of "
            f"{name} ({size:,} pieces)",
            f"let tokenizer.extend have `base: {name}`",
        )


def _write_config(model: Path, out: Path, rows: int) -> None:
    """Write config.json as it was, but for the number of rows."""
    config = json.loads((model / "config.json").read_text("utf-8"))
    inner = config.get("text_config")
    place = inner if isinstance(inner, dict) and "vocab_size" not in config else config
    place["vocab_size"] = rows
    if isinstance(inner, dict) and "vocab_size" in inner:
        inner["vocab_size"] = rows
    atomic.write_json(out / "config.json", config)
