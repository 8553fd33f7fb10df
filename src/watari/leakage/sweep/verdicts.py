"""What the canary's answers say of each setting: `applied`, `ignored`, or `unclear`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from watari.leakage.sweep.extras import KNOWN, told
from watari.leakage.sweep.probing import HOT, OTHER_SEED, STRONG, TRUNCATIONS, Extras
from watari.leakage.sweep.quality import units
from watari.pages.noted import Note

_LONG = 12
"""Words or characters of an answer that a penalty of 2 does not leave as it is."""

Verdict = Literal["applied", "ignored", "unclear"]
_TWICE = Note("temperature 0 twice gives the same", "温度 0 で 2 回尋ねると、同じ回答になる")
_SEED = Note("the same seed twice gives the same", "同じシードで 2 回尋ねると、同じ回答になる")


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Args:
        setting: What it is about: `min_p`, `temperature`, `seed`.
        claim: What must hold, in words of both languages.
        verdict: What came out.
        agree: Prompts for which the two answers were the same.
        prompts: How many there were.
        example: The first two answers that say so.
        stops: False: only told, whatever comes out.
    """

    setting: str
    claim: Note
    verdict: Verdict
    agree: int
    prompts: int
    example: tuple[str, str]
    stops: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "example": list(self.example)}

    def line(self) -> str:
        """Return it in words."""
        return f"{self.setting} {self.verdict}: {told_claim(self.as_json())}"


def told_claim(check: Mapping[str, Any]) -> str:
    """Return what must hold and how often the answers agreed, in words, from a check's plain data."""
    if not check["prompts"]:
        return str(check["claim"])
    return f"{check['claim']}: the same in {check['agree']} of {check['prompts']} prompts"


def checks_of(said: Mapping[str, list[str]], names: Sequence[str], *, varies: bool) -> list[Check]:
    """Return what holds of Watari's own settings.

    Args:
        said: Each probe's answers, prompt by prompt.
        names: The probes.
        varies: Whether the grid has more than one temperature: then it must be shown.
    """
    cold = said["cold"]
    found = [_same("temperature", _TWICE, cold, said["cold again"])]
    sure = False
    if "hot" in said:
        hot = said["hot"]
        sure = hot == cold
        found.append(
            Check(
                "temperature",
                Note(
                    f"temperature {HOT:g} does not give what temperature 0 gives",
                    f"温度 {HOT:g} では、温度 0 と違う回答になる",
                ),
                ("ignored" if varies else "unclear") if sure else "applied",
                _agree(hot, cold),
                len(cold),
                _example(hot, cold, same=True),
            )
        )
        again = said["hot again"]
        found.append(_same("seed", _SEED, hot, again, stops=False))
    for name in names:
        if name in TRUNCATIONS:
            claim = _near_0_is_cold(name) if name == "top_p" else _is_cold(f"{name} 1")
            check = _same(name, claim, said[name], cold)
            found.append(_as_unclear(check) if sure and check.verdict == "applied" else check)
        elif name in STRONG:
            found.append(_penalty(name, said))
    return found


def _same(setting: str, claim: Note, one: list[str], other: list[str], *, stops: bool = True) -> Check:
    agree = _agree(one, other)
    verdict: Verdict = "applied" if agree == len(one) else "ignored"
    return Check(setting, claim, verdict, agree, len(one), _example(one, other, same=False), stops)


def _penalty(name: str, said: Mapping[str, list[str]]) -> Check:
    cold, strong = said["cold"], said[name]
    verdict: Verdict
    if _changed(said, name):
        verdict = "applied"
    elif _seeded(said) or any(len(units(text)) >= _LONG for text in cold):
        verdict = "ignored"
    else:
        verdict = "unclear"
    claim = _changes(f"{name} {STRONG[name]:g}")
    return Check(name, claim, verdict, _agree(strong, cold), len(cold), _example(strong, cold, same=True))


def _seeded(said: Mapping[str, list[str]]) -> bool:
    """Return whether the same seed draws the same, and something else than temperature 0 gives."""
    return "hot" in said and said["hot"] == said["hot again"] != said["cold"]


def _changed(said: Mapping[str, list[str]], name: str) -> bool:
    """Return whether a setting changed what is said where nothing else can have."""
    steady = said["cold"] == said["cold again"]
    return (steady and said[name] != said["cold"]) or (_seeded(said) and said[f"hot {name}"] != said["hot"])


def extra_checks(said: Mapping[str, list[str]], extras: Extras) -> list[Check]:
    """Return what holds of the fields of `extra_body`."""
    found = []
    cold, sure = said["cold"], said.get("hot") == said["cold"]
    for name in extras.switches:
        known = KNOWN[name]
        if known.proof == "changed":
            claim = _changes(f"{name} {known.extreme[name]:g}")
            lost: Verdict = "ignored" if known.sure and _seeded(said) else "unclear"
            verdict: Verdict = "applied" if _changed(said, name) else lost
            found.append(_compared(name, claim, verdict, said[name], cold, same=True))
            continue
        if known.proof == "cold":
            check = _same(name, _near_0_is_cold(name), said[name], cold)
        else:
            other = said[f"{name}, other seed"]
            claim = Note(
                f"{name} next to 0 gives the same whatever the seed",
                f"{name} がほぼ 0 なら、シードによらず同じ回答になる",
            )
            check = _same(name, claim, said[name], other)
            sure = sure or said.get(OTHER_SEED) == said.get("hot")
        found.append(_as_unclear(check) if sure and check.verdict == "applied" else check)
    for name, own in extras.others.items():
        verdict = "applied" if _changed(said, name) else "unclear"
        shown = told(name, own[name])
        claim = Note(
            f"{shown} gives something else than without it", f"{shown} があると、ない場合と違う回答になる"
        )
        found.append(_compared(name, claim, verdict, said[name], cold, same=True))
    for name, why in extras.untold.items():
        found.append(Check(name, why, "unclear", 0, 0, ("", "")))
    return found


def _is_cold(what: str) -> Note:
    return Note(f"{what} gives what temperature 0 gives", f"{what} では、温度 0 と同じ回答になる")


def _near_0_is_cold(name: str) -> Note:
    return Note(
        f"{name} next to 0 gives what temperature 0 gives", f"{name} がほぼ 0 なら、温度 0 と同じ回答になる"
    )


def _changes(what: str) -> Note:
    return Note(f"{what} gives something else than none", f"{what} では、指定しない場合と違う回答になる")


def _compared(
    name: str, claim: Note, verdict: Verdict, one: list[str], other: list[str], *, same: bool
) -> Check:
    return Check(name, claim, verdict, _agree(one, other), len(other), _example(one, other, same=same))


def _as_unclear(check: Check) -> Check:
    return Check(
        check.setting, check.claim, "unclear", check.agree, check.prompts, check.example, check.stops
    )


def _agree(one: list[str], other: list[str]) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))


def _example(one: list[str], other: list[str], *, same: bool) -> tuple[str, str]:
    """Return two answers that show the fault that is looked for, or the first two."""
    for a, b in zip(one, other, strict=True):
        if (a == b) == same:
            return a, b
    return (one[0], other[0]) if one else ("", "")
