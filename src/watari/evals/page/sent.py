"""The prompts that were really sent, as preflight kept them in evaluation folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Prompt:
    """One prompt: of which model and item, what was found, and its text in pieces."""

    model: str
    name: str
    verdict: str
    bos: int | None
    text: str
    pieces: tuple[str, ...]


def sent_prompts(folders: Sequence[Path]) -> list[Prompt]:
    """Return the prompts of evaluation folders, in order.

    Raises:
        UserError: if a folder cannot be read.
    """
    from watari.evals.folder import read_evaluation

    return [
        Prompt(
            model=kept.about.model,
            name=sent.name,
            verdict=f"{sent.verdict}: {sent.found}" if sent.found else sent.verdict,
            bos=sent.bos_count,
            text=sent.text if sent.text is not None else _as_text(sent.prompt),
            pieces=tuple(token.token for token in sent.tokens),
        )
        for kept in map(read_evaluation, folders)
        for sent in kept.prompts
    ]


def _as_text(prompt: object) -> str:
    return prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False, indent=1)
