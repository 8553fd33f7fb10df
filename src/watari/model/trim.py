"""`model.trim`: a model for a trimmed tokenizer: of its tables of tokens the rows that are kept, all else as it was.

The model is never loaded. The kept rows are read one by one and the weight files are written shard by shard, so that
memory holds the trimmed tables at most.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from watari.artifact import atomic
from watari.artifact.kinds import Kind
from watari.artifact.params import Model, StageParams, Tokenizer
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.pretrained.trimmed import Trim

_KIND = "model.trim"
_ONE_OR_MORE = "_token_id"
"""Ends the names of settings that hold an id, or a list of ids; null and -1 mean none."""
_LISTS = ("suppress_tokens", "begin_suppress_tokens")
_SEQUENCES = ("bad_words_ids", "force_words_ids")
"""Settings of generation that hold ids never or only to be written; what names a dropped one says nothing any more."""


class Params(StageParams):
    """Which model is trimmed by which tokenizer."""

    base: Model = Field(description="the model to trim")
    tokenizer: Tokenizer = Field(description="that model's tokenizer, trimmed (`tokenizer.trim`)")


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write the trimmed model with its tokenizer. Kept rows, and every other weight, keep their bits.

    Metrics: vocabulary_before, vocabulary, padding_rows_dropped, tied, parameters_before, parameters.

    Raises:
        UserError: if the tokenizer is not trimmed from this model's, or a setting of the model names an id that it
            leaves out.
    """
    base, tokenizer = inputs.one("base"), inputs.one("tokenizer")
    stop_if_asked(progress)
    return StageResult(metrics=trim_model(base.path, tokenizer.path, out, names=(base.name, tokenizer.name)))


def trim_model(
    model: Path, tokenizer: Path, out: Path, *, names: tuple[str, str] | None = None
) -> dict[str, Any]:
    """Write the model in `model`, trimmed for the tokenizer in `tokenizer`, to `out`.

    Args:
        model: A model folder.
        tokenizer: A trimmed tokenizer's, with trim.json.
        out: Made if missing.
        names: How messages call model and tokenizer; default: their paths.

    Returns:
        Figures for a manifest; see `run`.

    Raises:
        UserError: see `run`.
    """
    from watari.model.stream import Growth, TensorFiles, write_grown
    from watari.model.stream_tables import find_tables, skeleton
    from watari.pretrained import check_model_folder, copy_tokenizer
    from watari.pretrained.trimmed import read_trim

    called, tokenizer_called = names or (str(model), str(tokenizer))
    trim = read_trim(tokenizer)
    check_model_folder(model)
    _check_same_base(trim, model, called, tokenizer_called)
    files = TensorFiles(model)
    tables = find_tables(skeleton(model), files, called)
    if tables.rows < trim.base_vocabulary:
        raise UserError(
            f"base: {called} has {tables.rows:,} embedding rows for a tokenizer of {trim.base_vocabulary:,}",
            "its config and its tokenizer do not belong together: `watari doctor` says more",
        )
    ids = _new_ids(trim)
    settings = {
        name: _moved(json.loads((model / name).read_text("utf-8")), ids, f"{called}: {name}")
        for name in ("config.json", "generation_config.json")
        if (model / name).is_file()
    }
    _set_vocabulary(settings["config.json"], trim.vocabulary)

    picked: dict[str, Growth] = {}
    for name in (tables.input, tables.output, tables.bias, *tables.copies):
        if name is not None:
            shape = files.entries[name].shape
            rows = files.rows(name, trim.kept).reshape(trim.vocabulary, *shape[1:])
            picked[name] = Growth(0, rows)
    out.mkdir(parents=True, exist_ok=True)
    write_grown(files, out, picked)
    copy_tokenizer(tokenizer, out)
    for name, content in settings.items():
        atomic.write_json(out / name, content)

    before = sum(math.prod(entry.shape) for name, entry in files.entries.items() if name not in tables.copies)
    a_row = tables.width * (1 if tables.output is None else 2) + (tables.bias is not None)
    return {
        "vocabulary_before": trim.base_vocabulary,
        "vocabulary": trim.vocabulary,
        "padding_rows_dropped": tables.rows - trim.base_vocabulary,
        "tied": tables.output is None,
        "parameters_before": before,
        "parameters": before - (tables.rows - trim.vocabulary) * a_row,
    }


def _check_same_base(trim: Trim, folder: Path, name: str, tokenizer: str) -> None:
    """Make sure that the model's token ids mean what they meant when its tokenizer was trimmed."""
    from watari.pretrained.trimmed import folder_digest

    digest, size = folder_digest(folder)
    if digest != trim.base_digest:
        raise UserError(
            f"tokenizer: {tokenizer} was trimmed from a tokenizer of {trim.base_vocabulary:,} ids that is not the one "
            f"of {name} ({size:,} ids)",
            f"let tokenizer.trim have `base: {name}`",
        )


def _new_ids(trim: Trim) -> dict[int, int]:
    return {old: new for new, old in enumerate(trim.kept)}


def _set_vocabulary(config: dict[str, Any], size: int) -> None:
    inner = config.get("text_config")
    if isinstance(inner, dict) and ("vocab_size" in inner or "vocab_size" not in config):
        inner["vocab_size"] = size
    if not isinstance(inner, dict) or "vocab_size" in config:
        config["vocab_size"] = size


def _moved(settings: dict[str, Any], ids: Mapping[int, int], place: str) -> dict[str, Any]:
    """Return a config or generation config in which every token id is the new one.

    Raises:
        UserError: if one that must mean something is left out.
    """
    found = dict(settings)
    for key, value in settings.items():
        if isinstance(value, dict) and key == "text_config":
            found[key] = _moved(value, ids, f"{place}: {key}")
        elif value is None:
            continue
        elif key.endswith(_ONE_OR_MORE):
            given = value if isinstance(value, list) else [value]
            new = [_moved_id(index, ids, f"{place}: {key}") for index in given]
            found[key] = new if isinstance(value, list) else new[0]
        elif key in _LISTS:
            found[key] = [ids[index] for index in value if index in ids]
        elif key in _SEQUENCES:
            found[key] = _moved_sequences(value, ids)
    return found


def _moved_id(index: int, ids: Mapping[int, int], place: str) -> int:
    if index < 0:
        return index
    if index not in ids:
        raise UserError(
            f"{place} is {index}, which the trimmed tokenizer leaves out",
            "special tokens are always kept: this id is a padding row, or belongs to another tokenizer; mend the file",
        )
    return ids[index]


def _moved_sequences(value: list[Any], ids: Mapping[int, int]) -> list[Any]:
    """Return nested lists of ids; an innermost list with a dropped id is left out, since it can no longer occur."""
    found: list[Any] = []
    for item in value:
        if item and isinstance(item[0], list):
            found.append(_moved_sequences(item, ids))
        elif all(index in ids for index in item):
            found.append([ids[index] for index in item])
    return found


STAGE = Stage(kind=_KIND, version=1, output=Kind.MODEL, params=Params, run=run)
