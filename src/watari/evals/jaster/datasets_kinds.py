"""What a file is: which dataset by its fields, which part of it by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from watari.evals.jaster.datasets_files import Found, Table, Tree, Value
from watari.evals.jaster.items import Split

_SPLITS: tuple[tuple[str, Split], ...] = (
    ("train", "train"),
    ("valid", "test"),
    ("dev", "dev"),
    ("test", "test"),
)


def kind_of(found: Found) -> str | None:
    """Return which dataset (or form) something is, by its fields; None if nothing is known of it."""
    if isinstance(found, Tree):
        return {"jsem-dataset": "jsem", "questions": "niilc"}.get(found.root.tag)
    if isinstance(found, Table):
        names = set(found.header)
        if {"sentence_A_Ja", "sentence_B_Ja", "entailment_label_Ja"} <= names:
            return "jsick" if "pair_ID" in names else "janli" if "split" in names else None
        return "jamp" if re.search(r"jamp|train_all|test_[12]\b", found.name) else None
    if isinstance(found, Value):
        content = found.content
        if not isinstance(content, dict):
            return None
        if isinstance(content.get("samples"), list) and "instruction" in content:
            return "common"
        return (
            "jsquad"
            if (isinstance(content.get("data"), list) and "version" in content) or _squad(content)
            else None
        )
    first = found.rows[0][0] if found.rows else None
    if not isinstance(first, dict):
        return None
    names = set(first)
    if {"dataset", "input", "gold"} <= names:
        return None if "pred" in names else "rows"
    if {"question", "choice0", "choice4", "label"} <= names:
        return "jcommonsenseqa"
    if {"sentence1", "sentence2", "label"} <= names:
        return "jnli" if isinstance(first["label"], str) else "jsts"
    return "jemhopqa" if {"qid", "question", "answer"} <= names else None


def _squad(content: dict[str, Any]) -> bool:
    data = content.get("data")
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "paragraphs" in data[0]


def plain_name(path: Path) -> str:
    """Return a file's name without its endings: `jnli` of `jnli.json.gz`."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def split_of(name: str) -> Split | None:
    """Return the split that a file's name says, the folder's where its own says nothing."""
    for part in reversed(Path(name).parts[-2:]):
        for word, split in _SPLITS:
            if re.search(rf"(?<![a-z]){word}(?![a-z])", part.lower()):
                return split
    return None


def part_of(path: Path, kind: str) -> str:
    """Return which part of its dataset a file is; JGLUE's own test set, which llm-jp-eval does not ask, is apart."""
    split = split_of(str(path))
    jglue = kind in ("jnli", "jsquad", "jcommonsenseqa", "jsts")
    if jglue and split == "test":
        return "valid" if "valid" in path.name.lower() else "held-out"
    return split or "test"
