"""Which files of saved answers are meant by some paths, and what a model is called whose file does not say it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from watari.errors import UserError
from watari.evals import folder

_OUTPUTS = "output_eval.json"


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Return the files and evaluation folders that are meant, each once."""
    files: dict[Path, Path] = {}
    for path in paths:
        for file in [path] if not path.is_dir() or folder.is_evaluation(path) else _inside(path):
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _inside(path: Path) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(path):  # passes over what it may not read
        folders.sort()
        found += [Path(place) / name for name in (_OUTPUTS, _OUTPUTS + ".gz") if name in names]
        found += [Path(place)] if folder.ABOUT in names else []
    if not found:
        raise UserError(
            f"{path}: neither an evaluation folder nor one with {_OUTPUTS} in it", "name the files themselves"
        )
    return found


def names_of(files: Sequence[Path]) -> dict[Path, str]:
    """Return what each file's model is called if the file does not say: by as few folders as tell them apart."""
    parts = {path: _called(path) for path in files}
    names = {path: called[-1] for path, called in parts.items()}
    depth = 1
    while clashing := {name for name, count in Counter(names.values()).items() if count > 1}:
        depth += 1
        longer = {
            path: "/".join(parts[path][-depth:]) if name in clashing else name for path, name in names.items()
        }
        if longer == names:
            break  # two files in one folder
        names = longer
    return names


def _called(path: Path) -> tuple[str, ...]:
    whole = path.resolve()
    stem = whole.name.removesuffix(".gz").removesuffix(".json").removesuffix(".jsonl")
    folders = tuple(part for part in whole.parent.parts if part != whole.anchor)
    return folders if stem == "output_eval" and folders else (*folders, stem)
