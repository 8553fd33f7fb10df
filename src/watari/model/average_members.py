"""The models of an average, and the proof that they differ in nothing but the values of their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.model.stream import TensorFiles
from watari.model.stream_tables import skeleton, stored_as

SNAPSHOTS = "snapshots"
"""The folder below a trained model in which its snapshots lie, as `step-N`."""
_NO_MATTER = (
    "_name_or_path",
    "transformers_version",
    "dtype",
    "torch_dtype",
    "use_cache",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
"""Settings that may differ: the first model's are kept. What ids mean is the tokenizer's matter."""


@dataclass(frozen=True)
class Member:
    """One model of an average.

    Args:
        name: How messages and figures call it.
        folder: Its folder.
    """

    name: str
    folder: Path


def last_snapshots(name: str, folder: Path, count: int) -> list[Member]:
    """Return the last `count` snapshots of a trained model, oldest first.

    Raises:
        UserError: if it has fewer.
    """
    steps = sorted(
        int(path.name.removeprefix("step-"))
        for path in (folder / SNAPSHOTS).glob("step-*")
        if path.name.removeprefix("step-").isdigit()
    )
    if len(steps) < count:
        raise UserError(
            f"snapshots: {name} has {len(steps)}, {count} are asked for",
            "a training stage writes them with `snapshot_steps: N`",
        )
    return [Member(f"{name} step {step}", folder / SNAPSHOTS / f"step-{step}") for step in steps[-count:]]


def check_same(members: Sequence[Member]) -> list[TensorFiles]:
    """Return the members' tensors, after making sure that they can be averaged one by one.

    Raises:
        UserError: naming the first setting, token or tensor in which one differs from the first.
    """
    from watari.pretrained import check_model_folder

    for member in members:
        check_model_folder(member.folder)
    first = members[0]
    settings, vocabulary = _settings(first.folder), _vocabulary(first.folder)
    files = [TensorFiles(member.folder) for member in members]
    names = names_of(first, files[0])
    for member, found in zip(members[1:], files[1:], strict=True):
        _check_settings(first, settings, member)
        _check_vocabulary(first, vocabulary, member)
        _check_tensors(first, files[0], names, member, found)
    return files


def names_of(member: Member, files: TensorFiles) -> list[str]:
    """Return the names of a model's tensors, in their order, without a second copy of a matrix that is tied."""
    untyped: Any = skeleton(member.folder)
    embedding, head = untyped.get_input_embeddings(), untyped.get_output_embeddings()
    if head is None or head.weight is not embedding.weight:
        return list(files.entries)
    places = {id(module): place for place, module in untyped.named_modules()}
    source = stored_as(f"{places[id(embedding)]}.weight", files.entries)
    copied = stored_as(f"{places[id(head)]}.weight", files.entries)
    return [name for name in files.entries if source is None or name != copied]


def _settings(folder: Path) -> dict[str, Any]:
    """Return a model's settings as transformers reads them: files of other versions leave other defaults out."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    found: dict[str, Any] = {}
    _flatten(config.to_dict(), "", found)
    return {name: value for name, value in found.items() if name.rpartition(".")[2] not in _NO_MATTER}


def _flatten(value: dict[str, Any], prefix: str, into: dict[str, Any]) -> None:
    for name, item in value.items():
        if isinstance(item, dict):
            _flatten(item, f"{prefix}{name}.", into)
        else:
            into[f"{prefix}{name}"] = item


def _check_settings(first: Member, settings: dict[str, Any], member: Member) -> None:
    others = _settings(member.folder)
    for name in sorted(settings.keys() | others.keys()):
        if settings.get(name) != others.get(name):
            raise UserError(
                f"models: {name} is {settings.get(name)} in {first.name} and {others.get(name)} in {member.name}",
                "only models of one architecture can be averaged",
            )


def _vocabulary(folder: Path) -> dict[int, str]:
    from watari.pretrained import load_tokenizer

    return {index: token for token, index in load_tokenizer(folder).get_vocab().items()}


def _check_vocabulary(first: Member, vocabulary: dict[int, str], member: Member) -> None:
    others = _vocabulary(member.folder)
    for index in sorted(vocabulary.keys() | others.keys()):
        if vocabulary.get(index) != others.get(index):
            one, two = (_shown(found.get(index)) for found in (vocabulary, others))
            raise UserError(
                f"models: token {index:,} is {one} in {first.name} and {two} in {member.name}",
                "only models with one tokenizer can be averaged",
            )


def _shown(token: str | None) -> str:
    return "none" if token is None else repr(token)


def _check_tensors(
    first: Member, one: TensorFiles, names: Sequence[str], member: Member, two: TensorFiles
) -> None:
    others = names_of(member, two)
    for name in sorted(set(names) ^ set(others)):
        there, lacks = (first, member) if name in names else (member, first)
        raise UserError(f"models: {name} is in {there.name} and not in {lacks.name}")
    for name in names:
        left, right = one.entries[name], two.entries[name]
        if left.shape != right.shape:
            raise UserError(
                f"models: {name} is {left.shape} in {first.name} and {right.shape} in {member.name}",
                "only models of one shape can be averaged",
            )
