"""Final hidden states of a model over a small sample of documents, half of them in the new language."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from watari.artifact.draws import draw_uint64
from watari.artifact.stage import Progress
from watari.errors import UserError
from watari.model.stream_forward import hidden_states

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from watari.pretrained.graft import Graft

_WINDOW = 256
"""Tokens of a window; short documents share one, as they do in packed training."""
_CUT = 8 * _WINDOW
"""Characters of a stretch; no common tokenizer has tokens longer than 8 characters on average."""
_SHORTEST = 16
"""Tokens that a stretch is assumed to have at least, when it is decided how many to hold."""
_UNKNOWN = "und"
_LOOK = 512
"""Characters by which a stretch of unknown language is told."""


class Document(Protocol):
    """What a text must have: an id for draws, its language (a code, or "und" where nobody said)."""

    @property
    def id(self) -> str:
        """Its own."""

    @property
    def text(self) -> str:
        """The document."""

    @property
    def language(self) -> str:
        """Code of its language."""


@dataclass(frozen=True)
class States:
    """Hidden states as the output head sees them.

    Args:
        hidden: (n, width), float32.
        new: Which of them come from documents of the new language (n,), bool.
        window: The window that each comes from (n,), int64: states of one are not independent.
        target: The token that followed in the text (n,), int64; -1 where the window ends.
    """

    hidden: Tensor
    new: Tensor
    window: Tensor
    target: Tensor


def sample_states(
    folder: Path,
    base: PreTrainedTokenizerBase,
    extended: PreTrainedTokenizerBase,
    documents: Iterable[Document],
    graft: Graft,
    *,
    count: int,
    seed: int,
    stage: str,
    progress: Progress,
) -> States:
    """Return about `count` final hidden states, half of them from documents in the language of `graft`.

    Documents are cut into stretches of `_CUT` characters, which are taken in an order drawn by document and place. A stretch of unknown language is in the new one if at least a tenth of its tokens
    are new pieces. Where one side has too little text
    the other fills up.

    Args:
        folder: The base model.
        base: Its tokenizer: contexts are what the base has been trained on.
        extended: The new one.
        documents: May be read more than once.
        graft: The new pieces.
        count: States wanted.
        seed: Of the stage.
        stage: Its kind.
        progress: Told of every layer.

    Raises:
        UserError: if there is no text at all.
    """
    most = -(-count // _SHORTEST)
    sides = _first_drawn(documents, Side(graft, extended), most=most, seed=seed, stage=stage)
    windows = {new: _windows(_tokens(base, sides[new])) for new in (True, False)}
    other = _up_to(windows[False], count // 2)
    chosen = _up_to(windows[True], count - sum(map(len, other)))
    other = _up_to(windows[False], count - sum(map(len, chosen)))
    if not chosen and not other:
        raise UserError(
            "text: its documents are empty: there are no hidden states to fit to",
            "or write `init: subword-mean`",
        )
    return states_of(folder, chosen, other, progress=progress)


def states_of(
    folder: Path, new: Sequence[list[int]], other: Sequence[list[int]], *, progress: Progress
) -> States:
    """Return the states of two lists of windows of token ids."""
    import torch

    windows = [*new, *other]
    lengths = torch.tensor([len(ids) for ids in windows])
    return States(
        hidden=hidden_states(folder, windows, progress=progress),
        new=torch.repeat_interleave(torch.arange(len(windows)) < len(new), lengths),
        window=torch.repeat_interleave(torch.arange(len(windows)), lengths),
        target=torch.tensor([token for ids in windows for token in (*ids[1:], -1)]),
    )


def states_of_parents(
    folder: Path, base: PreTrainedTokenizerBase, graft: Graft, *, count: int, progress: Progress
) -> States:
    """Return about `count` states over the spellings of the new pieces: contexts that need no text.

    Good enough to know what a padding row must avoid; not to fit count-bias, whose contexts must be real ones.
    """
    from watari.pretrained.encoding import adds_bos

    bos = [base.bos_token_id] if adds_bos(base) else []
    flat = [token for ids in graft.parents for token in ids][:count]
    step = _WINDOW - len(bos)
    windows = [bos + flat[start : start + step] for start in range(0, len(flat), step)]
    return states_of(folder, windows, [], progress=progress)


def sample_ids(
    tokenizer: PreTrainedTokenizerBase,
    documents: Iterable[Document],
    characters: int,
    *,
    seed: int,
    stage: str,
) -> list[list[int]]:
    """Return the ids of documents with the lowest draws, which together have about so many characters.

    Raises:
        UserError: if there is no text at all.
    """
    from watari.pretrained.encoding import encode_documents

    heap: list[tuple[int, str, str]] = []
    total = 0
    for document in documents:
        if not document.text:
            continue
        heapq.heappush(
            heap, (-draw_uint64(seed, stage, document.id), document.id, document.text[:characters])
        )
        total += min(len(document.text), characters)
        while total - len(heap[0][2]) >= characters:
            total -= len(heapq.heappop(heap)[2])
    if not heap:
        raise UserError("text: its documents are empty", "give text, or write `init: subword-mean`")
    return encode_documents(tokenizer, [text for *_, text in sorted(heap, key=lambda i: (-i[0], i[1]))])


class Side:
    """Tells text in the new language from all other.

    Args:
        graft: Its language and its pieces.
        extended: The tokenizer with the new pieces, for documents of unknown language.
    """

    def __init__(self, graft: Graft, extended: PreTrainedTokenizerBase) -> None:
        self.graft, self.extended = graft, extended

    def is_new(self, language: str, text: str) -> bool:
        """True for a stretch of a document that is in the new language."""
        if language != _UNKNOWN:
            return language == self.graft.language
        from watari.pretrained.encoding import encode_documents

        (ids,) = encode_documents(self.extended, [text[:_LOOK]])
        return 10 * sum(index >= self.graft.base_vocabulary for index in ids) >= max(1, len(ids))


def _tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return the texts in parts of a window, each behind BOS where the tokenizer puts one.

    First parts come first: the rest of a text is used only where there is too little of others.
    """
    from watari.pretrained.encoding import adds_bos, encode_documents

    bos = [tokenizer.bos_token_id] if adds_bos(tokenizer) else []
    step = _WINDOW - len(bos)
    encoded = encode_documents(tokenizer, texts)
    longest = max(map(len, encoded), default=0)
    return [
        bos + part
        for start in range(0, longest, step)
        for ids in encoded
        if (part := ids[start : start + step])
    ]


def _windows(documents: Sequence[list[int]]) -> list[list[int]]:
    """Return the documents one after the other in windows of at most `_WINDOW` tokens; none is cut."""
    found: list[list[int]] = []
    for ids in documents:
        if found and len(found[-1]) + len(ids) <= _WINDOW:
            found[-1] = found[-1] + ids
        else:
            found.append(ids)
    return found


def _up_to(windows: Sequence[list[int]], most: int) -> list[list[int]]:
    """Return the first windows that together have `most` tokens; the last of them is cut."""
    taken: list[list[int]] = []
    left = most
    for ids in windows:
        if left < 2:
            break
        taken.append(ids[:left])
        left -= len(taken[-1])
    return taken


def _first_drawn(
    documents: Iterable[Document], side: Side, *, most: int, seed: int, stage: str
) -> dict[bool, list[str]]:
    """Return the `most` stretches of documents with the lowest draws on each side."""

    # A heap of its own for each side, in one pass: reading the documents may be what takes long.
    heaps: dict[bool, list[tuple[int, str, str]]] = {True: [], False: []}
    for document in documents:
        for start in range(0, len(document.text), _CUT):
            identity = f"{document.id}:{start}"
            item = (-draw_uint64(seed, stage, identity), identity, document.text[start : start + _CUT])
            # Telling the side may need the tokenizer: not for a stretch that has no place on either.
            if all(len(heap) >= most and item <= heap[0] for heap in heaps.values()):
                continue
            heap = heaps[side.is_new(document.language, item[2])]
            if len(heap) < most:
                heapq.heappush(heap, item)
            elif item > heap[0]:
                heapq.heapreplace(heap, item)
    return {
        new: [text for *_, text in sorted(heap, key=lambda i: (-i[0], i[1]))] for new, heap in heaps.items()
    }
