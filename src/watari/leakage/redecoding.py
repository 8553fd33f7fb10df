"""A leak written again by the model that leaked: on from its beginning, with the tokens of wrong scripts forbidden.

What the model writes then goes its own way, while the rest of the response shall stay. So every point at which the new text
could give over to the old one is tried, the leak left out among them, and the likeliest whole is taken: the log-probability
of the new text (under the ban, as it was written) and of what follows of the old.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from watari.errors import UserError
from watari.generate.sampler import GREEDY
from watari.generate.writer import Encoded
from watari.generate.wrong_tokens import scripts_in, wrong_tokens
from watari.leakage.encoding import EncodedResponse, encode_response
from watari.text.leakage import Event, foreign_characters

if TYPE_CHECKING:
    import torch

    from watari.generate.local import LocalModel

_TOKENS = 24
"""Tokens of a mend at most."""
_POINTS = 16
"""Points of return that are tried at most."""
_FOLLOWING = 48
"""Characters of the old text that a mend is judged by."""


@dataclass(frozen=True)
class Mend:
    """What may stand in place of a leak.

    Args:
        start: Character of the response from which it replaces the text, at or before the leak's first (blanks).
        text: What comes there, up to the leak's end; may be empty.
        score: Log-probability of it and of what follows.
    """

    start: int
    text: str
    score: float = 0.0


class Redecoder:
    """Mends leaks with the model that wrote them.

    Args:
        model: A chat model.
        label: What provenance calls it; default: its folder's name.

    Raises:
        UserError: if it has no chat template.
    """

    def __init__(self, model: LocalModel, *, label: str = "") -> None:
        if not model.chats:
            raise UserError("the model has no chat template: it cannot mend answers", "take a chat model")
        self._model = model
        self._label = label or model.folder.name
        self._masks: dict[tuple[str, bool], npt.NDArray[np.int8]] = {}

    @property
    def label(self) -> str:
        """Who mends, for provenance."""
        return f"{self._label}, mended"

    async def mends(
        self, messages: Sequence[Mapping[str, str]], response: str, event: Event, language: str
    ) -> Sequence[Mend]:
        """Return `candidates`, as whoever mends is asked."""
        return self.candidates(messages, response, event, language)

    def candidates(
        self, messages: Sequence[Mapping[str, str]], response: str, event: Event, language: str
    ) -> list[Mend]:
        """Return mends of a leak, likeliest first; none if the response cannot be gone on from there.

        Args:
            messages: What was asked.
            response: The text that leaks.
            event: The leak.
            language: ISO 639 code of what is expected.
        """
        try:
            encoded = encode_response(self._model.tokenizer, messages, response)
        except UserError:
            return []
        # Blanks before the leak are written again with it: SentencePiece has them in the token of the word.
        start = len(response[: event.start].rstrip(" "))
        cut = encoded.position(start)
        # What the cut token holds of the text before the leak must come again.
        kept = response[encoded.places[cut - encoded.first] : start]
        if cut + _TOKENS >= self._model.context:
            return []
        banned = self._banned(event, language)
        prompt = Encoded(rendered="", ids=list(encoded.ids[:cut]), strip=False)
        bias = dict.fromkeys(banned.tolist(), -math.inf)
        sampler = GREEDY.with_settings(max_new_tokens=_TOKENS)
        (said,) = self._model.generate([prompt], sampler, logit_bias=bias)
        ended = said.finish_reason == "stop"
        written = said.text.rstrip("\ufffd")
        # The blank before a response is the template's.
        written = written.removeprefix(" ") if start == 0 else written
        written = written[len(kept) :] if written.startswith(kept) else ""
        rest = response[event.end :]
        found = []
        for text in _prefixes(written, rest, response[start : event.start], ended=ended):
            score = self._score(messages, response[:start], text, rest, cut, encoded, banned)
            if score is not None:
                found.append(Mend(start, text, score))
        return sorted(found, key=lambda mend: (-mend.score, len(mend.text), mend.text))

    def _banned(self, event: Event, language: str) -> npt.NDArray[np.int64]:
        """Return the tokens that may not stand in the mend: of foreign scripts, and of the leak's own where that is
        foreign here though the language has it (a lower-case word in Japanese, Chinese characters)."""
        latin = "latin" in scripts_in(event.text)
        key = (language, latin)
        if key not in self._masks:
            self._masks[key] = wrong_tokens(self._model.tokenizer, language, latin=latin).script
        banned = self._masks[key] >= 0
        if language in ("ja", "zh") and "han" in scripts_in(event.text):
            odd = set(event.text) & set(foreign_characters(language)) or set(event.text)
            own = [place for place, text in enumerate(self._texts) if odd & set(text)]
            banned = banned.copy()
            banned[own] = True
        return np.flatnonzero(banned)

    @cached_property
    def _texts(self) -> Sequence[str]:
        return wrong_tokens(self._model.tokenizer, "en").text

    def _score(
        self,
        messages: Sequence[Mapping[str, str]],
        before: str,
        text: str,
        rest: str,
        cut: int,
        old: EncodedResponse,
        banned: npt.NDArray[np.int64],
    ) -> float | None:
        """Return the log-probability of a mend and what follows it; None if it cannot be encoded behind the old text."""
        import torch

        following = rest[:_FOLLOWING]
        whole = before + text + following
        if not whole.strip():
            return None
        try:
            encoded = encode_response(self._model.tokenizer, messages, whole)
        except UserError:
            return None
        # The end of the turn counts where the response ends.
        ids = encoded.ids if following == rest else encoded.ids[:-1]
        shared = next(
            (place for place, (a, b) in enumerate(zip(ids, old.ids[:cut], strict=False)) if a != b),
            min(len(ids), cut),
        )
        if shared < encoded.first or shared >= len(ids) or len(ids) >= self._model.context:
            return None
        with torch.inference_mode():
            given = torch.tensor([list(ids)], device=self._model.device)
            logits = self._model.model(input_ids=given, logits_to_keep=len(ids) - shared + 1).logits[0, :-1]
            scores = logits[:, : len(self._model.tokenizer)].float()
            scores = self._restricted(scores, encoded, shared, len(before) + len(text), banned)
            logs = torch.log_softmax(scores, -1).gather(1, given[0, shared:, None])
        return float(logs.double().sum())

    def _restricted(
        self,
        scores: torch.Tensor,
        encoded: EncodedResponse,
        shared: int,
        end: int,
        banned: npt.NDArray[np.int64],
    ) -> torch.Tensor:
        """Return logits with the ban upon the tokens of the mend, as it was written."""
        import torch

        starts = encoded.places[shared - encoded.first :][: len(scores)]
        rows = torch.tensor([at < end for at in starts], device=scores.device)
        mask = torch.zeros(scores.shape[1], dtype=torch.bool, device=scores.device)
        mask[torch.from_numpy(banned).to(scores.device)] = True
        return scores.masked_fill(rows[:, None] & mask[None], float("-inf"))


def _prefixes(written: str, rest: str, blank: str, *, ended: bool) -> list[str]:
    """Return the texts that are tried: nothing, and what was written up to each border of a word.

    Args:
        written: By the model.
        rest: What follows the leak.
        blank: What stood between the cut and the leak.
        ended: Whether the model ended its answer.
    """
    found = {"" if rest[:1] in ("", " ", "\n") else blank: None}
    for place in range(1, len(written) + 1):
        before, after = written[place - 1], written[place : place + 1]
        if _joins(before, after) or before == " " or (not after and not ended):
            continue
        glued = _joins(before, rest[:1])
        found[written[:place] + (" " if glued else "")] = None
        if len(found) >= _POINTS:
            break
    return list(found)


def _joins(before: str, after: str) -> bool:
    """Return whether two characters side by side are inside one word of Latin letters."""
    return before.isascii() and before.isalnum() and after.isascii() and after.isalnum()
