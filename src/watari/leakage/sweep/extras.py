"""Settings beyond Watari's own that a server may have: `dry_multiplier`, `xtc_probability`, `typical_p`, ...

A grid gives them as `extra_body`, named as the server names them. Of the switches in `KNOWN` it is known what "off" is, so
cells without them say so to the server, and at which extreme they show themselves, so the canary can prove them. Any other
field is sent in the cells that name it alone, and the canary can only show that it changes what is said.

Sources: llama.cpp's server README (typical_p, top_n_sigma, xtc, dry, mirostat, repeat_penalty), transformers' GenerationConfig
(typical_p, no_repeat_ngram_size).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from watari.artifact.hashing import hash_json
from watari.generate.sampler import Sampler

FIELD = "extra_body"
Proof = Literal["cold", "seedless", "changed"]


@dataclass(frozen=True)
class Switch:
    """A field that turns something on.

    Args:
        off: Its value without effect.
        extreme: Fields that show its effect.
        proof: At temperature 2 with them: `cold`: what temperature 0 gives; `seedless`: the same whatever the seed; `changed`:
            something else than without, with the same seed or at temperature 0.
        sure: Whether no change at all means that it is ignored.
        companions: Fields that only say how it works.
    """

    off: float
    extreme: Mapping[str, float]
    proof: Proof
    sure: bool = False
    companions: tuple[str, ...] = ()


KNOWN: Final[Mapping[str, Switch]] = {
    "typical_p": Switch(1.0, {"typical_p": 1e-6}, "seedless"),
    "top_n_sigma": Switch(-1.0, {"top_n_sigma": 1e-6}, "cold"),
    "xtc_probability": Switch(
        0.0, {"xtc_probability": 1.0, "xtc_threshold": 0.0}, "changed", True, ("xtc_threshold",)
    ),
    "dry_multiplier": Switch(
        0.0,
        {"dry_multiplier": 100.0, "dry_base": 4.0, "dry_allowed_length": 1},
        "changed",
        False,
        ("dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"),
    ),
    "mirostat": Switch(
        0, {"mirostat": 2, "mirostat_tau": 0.1}, "changed", True, ("mirostat_tau", "mirostat_eta")
    ),
    "repeat_penalty": Switch(1.0, {"repeat_penalty": 2.0}, "changed", True, ("repeat_last_n",)),
    "no_repeat_ngram_size": Switch(0, {"no_repeat_ngram_size": 1}, "changed"),
}
COMPANIONS: Final = frozenset(name for switch in KNOWN.values() for name in switch.companions)
_NOT_SETTINGS = {
    "model": "the model is --model",
    "messages": "what is asked is --prompts",
    "prompt": "what is asked is --prompts",
    "seed": "seeds are the sweep's own, the same in every cell",
    "n": "a prompt is asked --repeats times",
    "stream": "answers are read whole",
    "max_tokens": "write max_new_tokens, outside of extra_body",
    "max_completion_tokens": "write max_new_tokens, outside of extra_body",
}
_LONGEST = 24


def refusal(name: Any, value: Any) -> tuple[str, str] | None:
    """Return what is wrong with a field and the mend; None: nothing."""
    if not isinstance(name, str) or not name:
        return f"{FIELD}: {name!r:.40} is no field of a request", "name it as the server does"
    if name in Sampler.model_fields:
        return f"{FIELD}: {name} is a setting of its own", f"write it outside of {FIELD}"
    if name in _NOT_SETTINGS:
        return f"{FIELD}: {name} is no setting of a cell", _NOT_SETTINGS[name]
    if not _plain(value):
        return f"{FIELD}: {name}: {value!r:.40} cannot be sent as JSON", "a number, a text, a list or a map"
    return None


def is_on(name: str, value: Any) -> bool:
    """Return whether a field has an effect, as far as is known."""
    switch = KNOWN.get(name)
    return switch is None or value != switch.off


def effective(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without those that say "off", by name; those that only say how another one works come last."""
    order = sorted(extra, key=lambda name: (name in COMPANIONS, name))
    return {name: extra[name] for name in order if is_on(name, extra[name])}


def told(name: str, value: Any) -> str:
    """Return a field as a cell's name has it: `dry_multiplier 0.8`; a long value is cut and told by its hash."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{name} {short if float(short := f'{value:g}') == value else repr(value)}"
    shown = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(shown) > _LONGEST:
        shown = f"{shown[: _LONGEST - 6]}…{hash_json(value)[:4]}"
    return f"{name} {shown}"


def switched_off(extras: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the "off" of every known switch that any of some cells has on: all the others send it."""
    used = {name for extra in extras for name in extra}
    return {name: KNOWN[name].off for name in sorted(used) if name in KNOWN}


def without_known_off(extras: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the fields that some cells send and others do not, since nobody knows here what "off" is."""
    every = list(extras)
    used = sorted({name for extra in every for name in extra})
    return [
        name
        for name in used
        if name not in KNOWN and name not in COMPANIONS and not all(name in extra for extra in every)
    ]


def _plain(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) < 2**63
    if isinstance(value, str):  # YAML 1.2 as it is read here has no such numbers: they come as texts
        return value.lower().lstrip("+-") not in (".nan", ".inf")
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(_plain(one) for one in value)
    return isinstance(value, dict) and all(isinstance(key, str) and _plain(one) for key, one in value.items())
