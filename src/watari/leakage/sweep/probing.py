"""What the canary asks: each setting that a grid uses, at an extreme where its effect is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from watari.generate.sampler import Sampler
from watari.leakage.sweep.extras import COMPANIONS, KNOWN, is_on
from watari.leakage.sweep.grid import Cell
from watari.pages.noted import Note

TOKENS = 24
"""Tokens of an answer: enough for a sampled one to part from the greedy one, too few for a server's rounding to."""
HOT = 2.0
"""The highest temperature that OpenAI's interface takes."""
NEXT_TO_NONE = 1e-6
TRUNCATIONS: Final[Mapping[str, float]] = {"min_p": 1.0, "top_k": 1, "top_p": NEXT_TO_NONE}
STRONG: Final[Mapping[str, float]] = {
    "repetition_penalty": 2.0,
    "frequency_penalty": 2.0,
    "presence_penalty": 2.0,
}
OTHER_SEED = "hot, other seed"
_COLD = Sampler(temperature=0.0, max_new_tokens=TOKENS)
_HOT = Sampler(temperature=HOT, max_new_tokens=TOKENS)


@dataclass(frozen=True)
class Probe:
    """A setting that is asked.

    Args:
        name: Unique.
        sampler: The setting.
        about: What it shows, for people: `min_p`.
        extra: Fields as the server names them.
        time: Which time it is asked.
        draw: Which seed.
    """

    name: str
    sampler: Sampler
    about: str
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    time: int = 0
    draw: int = 0


@dataclass(frozen=True)
class Extras:
    """The fields beyond Watari's own settings that some cells use.

    Args:
        common: Those that all cells send alike; every probe sends them too.
        switches: Known ones that are on somewhere.
        others: Unknown ones that not all cells send alike, each with the whole `extra_body` that shows it.
        untold: What cannot be shown, and why.
    """

    common: Mapping[str, Any]
    switches: tuple[str, ...]
    others: Mapping[str, Mapping[str, Any]]
    untold: Mapping[str, Note]


def extras_of(cells: Sequence[Cell]) -> Extras:
    """Return what a grid's cells send beyond Watari's own settings, and what of it can be shown."""
    names = sorted({name for cell in cells for name in cell.extra})
    common, others = {}, {}
    untold: dict[str, Note] = {}
    switches = tuple(
        name
        for name in names
        if name in KNOWN and any(is_on(name, cell.extra.get(name, KNOWN[name].off)) for cell in cells)
    )
    for name in names:
        having = [cell for cell in cells if name in cell.extra]
        values = [cell.extra[name] for cell in having]
        alike = all(value == values[0] for value in values)
        if name in COMPANIONS:
            if not alike:
                untold[name] = Note(
                    "only says how another one works: not looked at by itself",
                    "ほかの設定の働き方を決めるだけなので、単独では確かめません",
                )
        elif name not in KNOWN and alike and len(having) == len(cells):
            common[name] = values[0]
            untold[name] = Note(
                "is sent in every cell: there is nothing to compare with",
                "すべての設定で送るため、比べる相手がありません",
            )
        elif name not in KNOWN:
            others[name] = max(having, key=lambda cell: _strength(cell.extra[name])).extra
    return Extras(common, switches, others, untold)


def probes_of(cells: Sequence[Cell]) -> list[Probe]:
    """Return what is asked about the settings that some cells use; each is put to every prompt of the canary."""
    samplers, extras = [cell.sampler for cell in cells], extras_of(cells)
    warm = any(not sampler.greedy for sampler in samplers)
    common = extras.common

    def probe(
        name: str, sampler: Sampler, about: str, own: Mapping[str, Any] | None = None, **more: int
    ) -> None:
        found.append(Probe(name, sampler, about, {**common, **(own or {})}, **more))

    found: list[Probe] = []
    probe("cold", _COLD, "temperature 0")
    probe("cold again", _COLD, "temperature 0", time=1)
    if warm:
        probe("hot", _HOT, f"temperature {HOT:g}")
        probe("hot again", _HOT, f"temperature {HOT:g}", time=1)
        if any(KNOWN[name].proof == "seedless" for name in extras.switches):
            probe(OTHER_SEED, _HOT, f"temperature {HOT:g}", draw=1)
    for name, extreme in TRUNCATIONS.items():
        if used(samplers, name):
            probe(name, _HOT.with_settings(**{name: extreme}), name)
    for name, strong in STRONG.items():
        if used(samplers, name):
            probe(name, _COLD.with_settings(**{name: strong}), name)
            if warm:
                probe(f"hot {name}", _HOT.with_settings(**{name: strong}), name)
    for name in extras.switches:
        known = KNOWN[name]
        if known.proof == "changed":
            probe(name, _COLD, name, known.extreme)
            if warm:
                probe(f"hot {name}", _HOT, name, known.extreme)
        else:
            probe(name, _HOT, name, known.extreme)
            if known.proof == "seedless":
                probe(f"{name}, other seed", _HOT, name, known.extreme, draw=1)
    for name, own in extras.others.items():
        probe(name, _COLD, name, own)
        if warm:
            probe(f"hot {name}", _HOT, name, own)
    return found


def used(samplers: Sequence[Sampler], name: str) -> bool:
    """Return whether any of some settings has `name` on."""
    return any(getattr(sampler, name) != Sampler.model_fields[name].default for sampler in samplers)


def _strength(value: Any) -> float:
    return abs(value) if isinstance(value, int | float) else 0.0
