"""Final hidden states of a model over a small sample of documents, half of them in the new language."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watari.artifact.draws import draw_uint64
from watari.artifact.stage import InputArtifact, Progress, stop_if_asked
from watari.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WINDOW = 256
"""Tokens taken from one document."""
_CUT = 8 * _WINDOW
"""Characters looked at; no common tokenizer has tokens longer than 8 characters on average."""
_SHORTEST = 16
"""Tokens that a document is assumed to have at least, when it is decided how many documents to hold."""


@dataclass(frozen=True)
class States:
    """Hidden states as the output head sees them.

    Args:
        hidden: (n, width), float32.
        new: How many of them come from documents of the new language.
        other: How many from all others.
    """

    hidden: Tensor
    new: int
    other: int


def sample_states(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    documents: list[InputArtifact],
    *,
    language: str,
    count: int,
    seed: int,
    stage: str,
    progress: Progress,
) -> States:
    """Return about `count` final hidden states, half of them from documents of `language`.

    Documents are taken in an order drawn by their ids, the first `_WINDOW` tokens of each. Where one side has too
    little text the other fills up.

    Raises:
        UserError: if there is no text at all.
    """
    import torch

    sides: dict[bool, list[list[int]]] = {}
    for new in (True, False):
        texts = _first_drawn(
            documents, language, new=new, most=-(-count // _SHORTEST), seed=seed, stage=stage
        )
        sides[new] = [ids for text in texts if len(ids := _tokens(tokenizer, text)) > 1]
    other = _up_to(sides[False], count // 2)
    chosen = _up_to(sides[True], count - sum(map(len, other)))
    other = _up_to(sides[False], count - sum(map(len, chosen)))
    if not chosen and not other:
        raise UserError(
            "text: its documents are empty: count-bias has nothing to fit to", "or write `init: mean`"
        )
    decoder = model.get_decoder()  # type: ignore[no-untyped-call]
    found: list[Tensor] = []
    done = 0
    for ids in [*chosen, *other]:
        stop_if_asked(progress)
        progress.update(done, count, unit="states", note="fitting the bias")
        with torch.no_grad():
            found.append(decoder(input_ids=torch.tensor([ids])).last_hidden_state[0].float())
        done += len(ids)
    return States(torch.cat(found), sum(map(len, chosen)), sum(map(len, other)))


def _tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, truncation=True, max_length=_WINDOW)["input_ids"]
    return ids


def _up_to(stretches: list[list[int]], most: int) -> list[list[int]]:
    """Return the first stretches that together have `most` tokens; the last of them is cut."""
    taken: list[list[int]] = []
    left = most
    for ids in stretches:
        if left < 2:
            break
        taken.append(ids[:left])
        left -= len(taken[-1])
    return taken


def _first_drawn(
    documents: list[InputArtifact], language: str, *, new: bool, most: int, seed: int, stage: str
) -> list[str]:
    """Return the beginnings of the `most` documents with the lowest draws on one side."""
    from watari.artifact.rows import select_rows

    def drawn() -> Iterator[tuple[int, str, str]]:
        for artifact in documents:
            for row in select_rows(artifact, seed=seed, stage=stage):
                if (row.get("language") == language) == new and row["text"]:
                    yield draw_uint64(seed, stage, str(row["id"])), str(row["id"]), row["text"][:_CUT]

    return [text for _, _, text in heapq.nsmallest(most, drawn())]
