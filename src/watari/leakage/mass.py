"""Leakage before it is sampled: the probability that a local model gives to wrong-script tokens, position by position.

A response that is clean may have come within a hair of leaking at every other word; at a temperature of 1 the mass is how
often it would have. It is measured on given responses, under the model's own distribution, before any sampler. Positions
inside a leak do not count: behind the first foreign token the next one is likely, and says nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from watari.generate.wrong_tokens import SCRIPTS, WrongTokens, wrong_tokens
from watari.leakage.encoding import EncodedResponse, encode_response
from watari.text.leakage import Event, find_events

if TYPE_CHECKING:
    from watari.generate.local import LocalModel

_BLOCK = 256
"""Positions computed at once: their logits are what takes the memory."""
NOTABLE = 0.01
"""Mass of a position from which a reader would come across a leak: one in a hundred answers."""


@dataclass(frozen=True)
class Response:
    """A response to be measured: id, what was asked, what was answered."""

    id: str
    messages: Sequence[Mapping[str, str]]
    text: str


@dataclass(frozen=True)
class TokenMass:
    """A token that leaks.

    Args:
        id: In the vocabulary.
        text: What it says; bytes that are no character as ⟨E3⟩.
        script: What it would leak.
        added: Whether a grown vocabulary has added it; None: not known.
        mass: Its probability, averaged over all positions.
        share: Of all wrong-script mass.
    """

    id: int
    text: str
    script: str
    added: bool | None
    mass: float
    share: float


@dataclass(frozen=True)
class Place:
    """A position where much was wrong: response, character, the text before it, its mass, and the likeliest wrong token."""

    id: str
    at: int
    before: str
    mass: float
    token: str
    probability: float


@dataclass(frozen=True)
class Mass:
    """Wrong-script probability of a model on some responses.

    Args:
        language: ISO 639 code of what was expected.
        responses, positions: How many were measured.
        skipped: Responses that could not be encoded.
        mass: Mean probability of a wrong-script token at a position.
        per_1000: Wrong-script tokens to be expected in 1,000 characters, were tokens drawn as they are.
        notable: Share of positions with a mass of `NOTABLE` or more.
        by_script: The mean mass by script, those without any left out.
        added: Share of the mass on added tokens; None: it is not known which were added.
        tokens: Those that leak most, most first.
        places: Where most was wrong.
    """

    language: str
    responses: int
    positions: int
    skipped: int
    mass: float
    per_1000: float
    notable: float
    by_script: Mapping[str, float]
    added: float | None
    tokens: tuple[TokenMass, ...]
    places: tuple[Place, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


def script_mass(
    model: LocalModel,
    responses: Iterable[Response],
    language: str,
    *,
    latin: bool = False,
    added_from: int | None = None,
    most: int = 50,
    logit_bias: Mapping[int, float] | None = None,
) -> Mass:
    """Return how much probability a model gives to tokens of wrong scripts.

    Args:
        model: The model.
        responses: All expected to be in `language`.
        language: ISO 639 code.
        latin: As in `wrong_tokens`.
        added_from: First id of a grown vocabulary.
        most: Tokens and places that are listed.
        logit_bias: Added to the logits by token id, as in `LocalModel.generate`: what is left of the mass under it.

    Raises:
        UserError: if the model has no chat template.
    """
    wrong = wrong_tokens(model.tokenizer, language, latin=latin)
    sums = np.zeros(len(wrong.script))
    by_script = np.zeros(len(SCRIPTS))
    positions = notable = characters = measured = skipped = 0
    places: list[Place] = []
    for response in responses:
        encoded = _encoded(model, response)
        if encoded is None:
            skipped += 1
            continue
        prompt = "\n".join(message["content"] for message in response.messages)
        counted = _counted(encoded, find_events(response.text, language, prompt=prompt))
        found = _probabilities(model, encoded, wrong, counted, logit_bias or {})
        sums += found.sums
        by_script += found.scripts.sum(0)
        total = found.scripts.sum(1)
        positions += len(total)
        measured += 1
        characters += len(response.text)
        notable += int((total >= NOTABLE).sum())
        places += _worst(response, encoded, wrong, counted, found, most)
    places.sort(key=lambda place: (-place.mass, place.id, place.at))
    whole = float(sums.sum())
    ordered = [int(token) for token in np.argsort(-sums, kind="stable")[:most] if sums[token] > 0]
    return Mass(
        language=language,
        responses=measured,
        positions=positions,
        skipped=skipped,
        mass=whole / max(positions, 1),
        per_1000=1000 * whole / max(characters, 1),
        notable=notable / max(positions, 1),
        by_script={
            name: float(value) / max(positions, 1)
            for name, value in zip(SCRIPTS, by_script, strict=True)
            if value > 0
        },
        added=None if added_from is None else float(sums[added_from:].sum()) / whole if whole else 0.0,
        tokens=tuple(
            TokenMass(
                id=token,
                text=wrong.text[token],
                script=SCRIPTS[wrong.script[token]],
                added=None if added_from is None else token >= added_from,
                mass=float(sums[token]) / max(positions, 1),
                share=float(sums[token]) / whole,
            )
            for token in ordered
        ),
        places=tuple(places[:most]),
    )


@dataclass(frozen=True)
class _Found:
    """Of one response: probability of each token summed, [tokens]; wrong mass, [positions, scripts]; the likeliest wrong
    token of each position and its probability."""

    sums: npt.NDArray[np.float64]
    scripts: npt.NDArray[np.float64]
    token: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]


def _encoded(model: LocalModel, response: Response) -> EncodedResponse | None:
    from watari.errors import UserError

    if not model.chats:
        raise UserError("the model has no chat template: its answers cannot be placed", "take a chat model")
    try:
        encoded = encode_response(model.tokenizer, response.messages, response.text)
    except UserError:
        return None
    return encoded if len(encoded.ids) <= model.context else None


def _counted(encoded: EncodedResponse, events: Sequence[Event]) -> npt.NDArray[np.int64]:
    """Return the numbers of the response's tokens that do not stand inside a leak."""
    starts = encoded.places[: len(encoded.ids) - encoded.first]
    inside = [
        any(event.start < at < event.end or (at == event.start and not whole) for event in events)
        for at, whole in zip(starts, encoded.whole, strict=False)
    ]
    return np.flatnonzero(~np.array(inside, np.bool_))


def _probabilities(
    model: LocalModel,
    encoded: EncodedResponse,
    wrong: WrongTokens,
    counted: npt.NDArray[np.int64],
    logit_bias: Mapping[int, float],
) -> _Found:
    import torch
    from transformers import DynamicCache

    size = len(wrong.script)
    scripts = torch.from_numpy(wrong.of_scripts()).float().to(model.device)
    mask = torch.from_numpy(wrong.mask).to(model.device)
    sums = torch.zeros(size, dtype=torch.float64, device=model.device)
    ids = torch.tensor([list(encoded.ids[:-1])], device=model.device)
    keep = torch.zeros(ids.shape[1], dtype=torch.bool)
    # The token at position p is predicted at p - 1.
    keep[encoded.first - 1 + torch.from_numpy(counted)] = True
    bias = torch.zeros(size, device=model.device)
    bias[list(logit_bias)] = torch.tensor(list(logit_bias.values()), device=model.device)
    cache = DynamicCache(config=model.model.config)
    tables, tokens, likely = [], [], []
    with torch.inference_mode():
        for start in range(0, ids.shape[1], _BLOCK):
            part = ids[:, start : start + _BLOCK]
            wanted = keep[start : start + _BLOCK]
            rows = wanted.nonzero()[:, 0].to(model.device)
            # At least one row is asked for: 0 would mean all of them.
            asked = rows if len(rows) else torch.zeros(1, dtype=torch.int64, device=model.device)
            out = model.model(input_ids=part, past_key_values=cache, use_cache=True, logits_to_keep=asked)
            if not len(rows):
                continue
            likelihood = torch.softmax(out.logits[0, :, :size].float() + bias, -1)
            sums += torch.where(mask, likelihood, 0.0).double().sum(0)
            tables.append((likelihood @ scripts).double().cpu())
            best = torch.where(mask, likelihood, -1.0).max(-1)
            tokens.append(best.indices.cpu())
            likely.append(best.values.double().cpu())
    return _Found(
        sums.cpu().numpy(),
        torch.cat(tables).numpy() if tables else np.zeros((0, len(SCRIPTS))),
        torch.cat(tokens).numpy() if tokens else np.zeros(0, np.int64),
        torch.cat(likely).numpy() if likely else np.zeros(0),
    )


def _worst(
    response: Response,
    encoded: EncodedResponse,
    wrong: WrongTokens,
    counted: npt.NDArray[np.int64],
    found: _Found,
    most: int,
) -> list[Place]:
    total = found.scripts.sum(1)
    places = []
    for row in np.argsort(-total, kind="stable")[:most]:
        if total[row] < NOTABLE:
            break
        at = encoded.places[int(counted[row])]
        places.append(
            Place(
                id=response.id,
                at=at,
                before=response.text[max(0, at - 24) : at],
                mass=float(total[row]),
                token=wrong.text[int(found.token[row])],
                probability=float(found.probability[row]),
            )
        )
    return places
