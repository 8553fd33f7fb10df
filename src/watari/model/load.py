"""`model.load`: a model from a local folder or the Hugging Face hub, taken into the store. Safetensors only."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from watari.artifact.hub import HubPlace, model_place, remember, resolved
from watari.artifact.kinds import Kind
from watari.artifact.outside import is_hub_id
from watari.artifact.params import ModelPath, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError
from watari.pretrained.folder import TOKENIZER_FILES, check_model_folder

_KIND = "model.load"
_INDEX = "model.safetensors.index.json"
_CONFIGS = ("config.json", "generation_config.json", _INDEX)
WANTED = [*_CONFIGS, *TOKENIZER_FILES, "*.safetensors"]
"""What is fetched from the hub: never pickles (*.bin, *.pt), never code (*.py)."""


class Params(StageParams):
    """Where the model is."""

    path: ModelPath = Field(
        description="a model folder, a hub id `org/name`, or `hf://org/name`; weights must be safetensors"
    )
    revision: str | None = Field(None, description="branch, tag or commit on the hub; default: main")


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write config, weights, tokenizer and generation config into `out`.

    Weights of a local folder or of the hub's cache are hard-linked where the file system allows it, else copied.
    Everything else in the folder (code, pickles, READMEs, training state) is left behind. A folder that has only
    SentencePiece's `tokenizer.model` gets a tokenizer.json that encodes the same ids.

    Raises:
        UserError: if it cannot be reached, has only pickle weights, lacks shards or a tokenizer.
    """
    location = params.path
    remote = location.startswith("hf://") or is_hub_id(location)
    metrics: dict[str, object] = {}
    if remote:
        name = location.removeprefix("hf://")
        progress.update(0, None, unit="files", note=f"fetching {name}")
        place = model_place(name, params.revision)
        metrics["commit"] = commit = resolved(place).commit
        source = _fetch(place, commit)
    else:
        source = Path(location)
        if params.revision is not None:
            raise UserError(f"revision: {location} is a local folder", "leave `revision` out")
        if not source.is_dir():
            raise UserError(f"path: {location}: no such folder", "give a model folder or a hub id `org/name`")
    check_model_folder(source)
    shards = _shards(source, location)
    parameters, dtypes = _count_parameters(shards)

    for done, shard in enumerate(shards):
        stop_if_asked(progress)
        progress.update(done, len(shards), unit="files", note=shard.name)
        _link_or_copy(shard, out / shard.name)
    for name in _CONFIGS:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    vocabulary = _take_tokenizer(source, out, location)
    config = json.loads((out / "config.json").read_text("utf-8"))
    metrics |= {
        "parameters": parameters,
        "vocabulary": vocabulary,
        "dtypes": dtypes,
        "model_type": config.get("model_type"),
        "shards": len(shards),
    }
    return StageResult(metrics=metrics)


def _fetch(place: HubPlace, commit: str) -> Path:
    """Return the folder in the hub's cache that holds the wanted files of a repository."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    try:
        folder = Path(snapshot_download(place.name, revision=commit, allow_patterns=WANTED))
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"path: {place.name}: cannot be fetched from the hub: {reason}",
            "run again to go on where it broke off; or give a local folder",
        ) from None
    remember(place, commit)
    return folder


def _shards(source: Path, location: str) -> list[Path]:
    """Return the weight files: those that the index names, or the only one.

    Raises:
        UserError: if one that the index names is not there, or several lie there without an index.
    """
    index = source / _INDEX
    found = sorted(source.glob("*.safetensors"))
    if not index.is_file():
        single = source / "model.safetensors"
        if single.is_file() or len(found) == 1:
            return [single if single.is_file() else found[0]]
        raise UserError(
            f"path: {location}: {len(found)} weight files and no {_INDEX} that says what they hold"
        )
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (json.JSONDecodeError, KeyError, AttributeError, UnicodeDecodeError):
        raise UserError(f"path: {location}: {_INDEX} is not a readable index") from None
    missing = [name for name in names if Path(name).name != name or not (source / name).is_file()]
    if missing:
        raise UserError(
            f"path: {location}: {len(missing)} of {len(names)} weight files are missing ({missing[0]})",
            "fetch the rest of the model",
        )
    return [source / name for name in names]


def _count_parameters(shards: list[Path]) -> tuple[int, list[str]]:
    """Return the number of parameters and the types of the weights, from the files' headers alone."""
    total = 0
    dtypes: set[str] = set()
    for shard in shards:
        for dtype, shape in _tensors(shard):
            total += math.prod(shape)
            dtypes.add(dtype)
    return total, sorted(dtypes)


def _tensors(shard: Path) -> Iterator[tuple[str, list[int]]]:
    """Yield (type, shape) of every tensor, after making sure that the file is whole.

    Raises:
        UserError: if it is cut off or no safetensors file.
    """
    mend = "fetch it again"
    try:
        with shard.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            size = shard.stat().st_size
            if length > size - 8:
                raise UserError(f"{shard.name}: not a whole safetensors file", mend)
            header = json.loads(handle.read(length))
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max((entry["data_offsets"][1] for entry in entries), default=0)
        if 8 + length + end != size:
            raise UserError(f"{shard.name}: {size:,} bytes where its header says {8 + length + end:,}", mend)
        for entry in entries:
            yield entry["dtype"], entry["shape"]
    except (struct.error, json.JSONDecodeError, UnicodeDecodeError, KeyError, AttributeError, TypeError):
        raise UserError(f"{shard.name}: not a safetensors file", mend) from None


def _link_or_copy(source: Path, target: Path) -> None:
    # The hub's cache holds links to blobs: a hard link must be to the blob itself.
    real = source.resolve()
    try:
        os.link(real, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(real, target)


def _take_tokenizer(source: Path, out: Path, location: str) -> int:
    """Copy the tokenizer's files, convert where there is only SentencePiece's, and return its size."""
    from watari.pretrained import copy_tokenizer, load_tokenizer
    from watari.pretrained.fast import check_supported, write_fast_tokenizer
    from watari.pretrained.sentencepiece import read_spm

    has = {name for name in TOKENIZER_FILES if (source / name).is_file()}
    if not has & {"tokenizer.json", "tokenizer.model"}:
        raise UserError(
            f"path: {location}: no tokenizer (tokenizer.json or tokenizer.model)",
            "put the tokenizer that the model was trained with into its folder",
        )
    copy_tokenizer(source, out)
    if "tokenizer.json" not in has and "tokenizer.model" in has:
        model = read_spm(out / "tokenizer.model")
        check_supported(model, location)
        config = out / "tokenizer_config.json"
        settings = json.loads(config.read_text("utf-8")) if config.is_file() else {}
        write_fast_tokenizer(model, out, settings=settings)
    try:
        return len(load_tokenizer(out))
    except UserError:
        raise
    except Exception as error:  # the libraries raise anything for a damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"path: {location}: its tokenizer cannot be read: {reason}") from None


STAGE = Stage(kind=_KIND, version=1, output=Kind.MODEL, params=Params, run=run)
