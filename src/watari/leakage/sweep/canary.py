"""Proof that an engine does what a setting says, before a sweep believes it.

Servers have dropped settings without a word (vLLM V1 once ignored `min_p`, facts/preference-serving.md §4). Each setting
that the grid uses is put to the first prompts of the sweep at an extreme where its effect is known:

- temperature 0 twice gives the same; temperature 2 does not give what temperature 0 gives;
- temperature 2 with `min_p` 1, `top_k` 1 or next to no `top_p` leaves the likeliest token alone: what temperature 0 gives;
- a strong penalty gives something else than none, at temperature 0 or with the same seed at temperature 2. A sure model gives
  the same short answer all the same: that is `unclear`, unless seeds hold and nothing changed with them, or answers are long;
- the same seed at temperature 2 twice gives the same (told only: without it repeats are fresh draws, not the same ones).

Where temperature 2 says what temperature 0 says, either temperature is ignored or the model is too sure of itself: checks of
the third kind then prove nothing and are `unclear`. That is told; where the grid varies temperature, it stops the sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from watari.artifact.hashing import hash_json
from watari.endpoint.request import AskFailed
from watari.errors import StageFailed, UserError
from watari.generate.answerer import Answerer, Question, Said
from watari.generate.sampler import Sampler
from watari.leakage.sweep.asking import KIND, seed_for
from watari.leakage.sweep.engine import Engine
from watari.leakage.sweep.prompts import Prompt
from watari.leakage.sweep.quality import units

if TYPE_CHECKING:
    from watari.artifact.stage import Progress
    from watari.endpoint.asking import Asking
    from watari.generate.local_answerer import Rounds

PROMPTS = 4
"""Prompts of the sweep that are asked."""
TOKENS = 24
"""Tokens of an answer: enough for a sampled one to part from the greedy one, too few for a server's rounding to."""
HOT = 2.0
"""The highest temperature that OpenAI's interface takes."""
NEXT_TO_NONE = 1e-6
STRONG = {"repetition_penalty": 2.0, "frequency_penalty": 2.0, "presence_penalty": 2.0}

_LONG = 12
"""Words or characters of an answer that a penalty of 2 does not leave as it is."""

Verdict = Literal["applied", "ignored", "unclear"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Args:
        setting: What it is about: `min_p`, `temperature`, `seed`.
        claim: What must hold, in words.
        verdict: What came out.
        agree: Prompts for which the two answers were the same.
        prompts: How many there were.
        example: The first two answers that say so.
        stops: False: only told, whatever comes out.
    """

    setting: str
    claim: str
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
        return f"{self.setting}: {self.verdict}: {self.claim}: the same in {self.agree} of {self.prompts} prompts"


@dataclass(frozen=True)
class _Probe:
    """A setting that is asked, and which time it is."""

    name: str
    sampler: Sampler
    time: int = 0


async def canary(
    answerer: Answerer,
    engine: Engine,
    asking: Asking,
    samplers: Sequence[Sampler],
    prompts: Sequence[Prompt],
    progress: Progress,
    *,
    rounds: Rounds | None,
    seed: int,
) -> list[Check]:
    """Return what holds of the settings that `samplers` use; answers go through the ledger as all others.

    Raises:
        UserError: if the engine refuses a setting that it is asked with.
        StageFailed: if it cannot be asked.
    """
    from watari.generate.answerer import work_rows

    chosen = list(prompts[:PROMPTS])
    probes = _probes(samplers)
    jobs = [(probe, prompt) for probe in probes for prompt in chosen]
    said: dict[str, list[str]] = {probe.name: [] for probe in probes}

    async def work(job: tuple[_Probe, Prompt]) -> tuple[str, str]:
        probe, prompt = job
        question = _question(engine, probe, prompt, seed)
        (found,) = await answerer.answers([question])
        return probe.name, _text(found, probe, answerer)

    async for name, text in work_rows(
        jobs, work, asking, progress, rounds=rounds, chunk=len(jobs), total=len(jobs)
    ):
        said[name].append(text)
    varies = len({sampler.temperature for sampler in samplers if not sampler.greedy}) > 1
    return _checks(said, [probe.name for probe in probes], varies=varies)


def requests_of(samplers: Sequence[Sampler], prompts: Sequence[Prompt]) -> int:
    """Return how many requests the checks of some settings are."""
    return len(_probes(samplers)) * len(prompts[:PROMPTS])


def refuse(checks: Sequence[Check], label: str) -> None:
    """Stop where a setting is not applied.

    Raises:
        StageFailed: naming the engine and the first setting, with the two answers.
    """
    failed = [check for check in checks if check.stops and check.verdict == "ignored"]
    if not failed:
        return
    first = failed[0]
    names = ", ".join(dict.fromkeys(check.setting for check in failed))
    raise StageFailed(
        f"{label} does not apply {names}: {first.claim}, but the answers were the same for {first.agree} of {first.prompts}"
        f" prompts ({_short(first.example[0])} and {_short(first.example[1])})",
        "every cell with it would be mislabelled: take it out of the grid, ask another server,"
        " or go on all the same with `canary: tell`",
    )


def _probes(samplers: Sequence[Sampler]) -> list[_Probe]:
    cold = Sampler(temperature=0.0, max_new_tokens=TOKENS)
    hot = Sampler(temperature=HOT, max_new_tokens=TOKENS)
    found = [_Probe("cold", cold), _Probe("cold again", cold, 1)]
    if any(not sampler.greedy for sampler in samplers):
        found += [_Probe("hot", hot), _Probe("hot again", hot, 1)]
    extremes: dict[str, float] = {"min_p": 1.0, "top_k": 1, "top_p": NEXT_TO_NONE}
    for name, extreme in extremes.items():
        if _used(samplers, name):
            found.append(_Probe(name, hot.with_settings(**{name: extreme})))
    for name, strong in STRONG.items():
        if _used(samplers, name):
            found.append(_Probe(name, cold.with_settings(**{name: strong})))
            if any(probe.name == "hot" for probe in found):
                found.append(_Probe(f"hot {name}", hot.with_settings(**{name: strong})))
    return found


def _used(samplers: Sequence[Sampler], name: str) -> bool:
    return any(getattr(sampler, name) != Sampler.model_fields[name].default for sampler in samplers)


def _question(engine: Engine, probe: _Probe, prompt: Prompt, seed: int) -> Question:
    messages = prompt.asked()
    return Question(
        messages=messages,
        unit=hash_json([KIND, "canary", seed, prompt.id, probe.time, messages]),
        row=f"{prompt.id} ({probe.name})",
        purpose="canary",
        seed=seed_for(seed, prompt.id, 0),
        settings=engine.settings(probe.sampler),
        shared_draws=True,
    )


def _text(found: Said | AskFailed, probe: _Probe, answerer: Answerer) -> str:
    if not isinstance(found, AskFailed):
        return found.text
    if found.code == "refused by the server":
        raise UserError(
            f"{answerer.label} refuses {_asked(probe)}: {found.detail}",
            "take the setting out of the grid; if it only refuses the canary's extreme, go on with `canary: skip`",
        )
    raise StageFailed(f"{answerer.label} could not be asked for the canary: {found}")


def _asked(probe: _Probe) -> str:
    """Return what a probe asks with, in words: `min_p` at its extreme, or a temperature."""
    if probe.name in Sampler.model_fields:
        return probe.name
    return f"temperature {probe.sampler.temperature:g}"


def _checks(said: dict[str, list[str]], names: Sequence[str], *, varies: bool) -> list[Check]:
    cold = said["cold"]
    found = [_same("temperature", "temperature 0 twice gives the same", cold, said["cold again"])]
    sure = False
    if "hot" in said:
        hot = said["hot"]
        sure = hot == cold
        found.append(
            Check(
                "temperature",
                f"temperature {HOT:g} does not give what temperature 0 gives",
                ("ignored" if varies else "unclear") if sure else "applied",
                _agree(hot, cold),
                len(cold),
                _example(hot, cold, same=True),
            )
        )
        again = said["hot again"]
        found.append(_same("seed", "the same seed twice gives the same", hot, again, stops=False))
    for name in names:
        if name in ("min_p", "top_k", "top_p"):
            value = {"min_p": "1", "top_k": "1", "top_p": "next to 0"}[name]
            check = _same(name, f"{name} {value} gives what temperature 0 gives", said[name], cold)
            found.append(_as_unclear(check) if sure and check.verdict == "applied" else check)
        elif name in STRONG:
            found.append(_penalty(name, said))
    return found


def _same(setting: str, claim: str, one: list[str], other: list[str], *, stops: bool = True) -> Check:
    agree = _agree(one, other)
    verdict: Verdict = "applied" if agree == len(one) else "ignored"
    return Check(setting, claim, verdict, agree, len(one), _example(one, other, same=False), stops)


def _penalty(name: str, said: dict[str, list[str]]) -> Check:
    cold, strong = said["cold"], said[name]
    hot, again = said.get("hot", cold), said.get("hot again", cold)
    seeded = hot == again != cold
    verdict: Verdict
    if strong != cold or (seeded and said[f"hot {name}"] != hot):
        verdict = "applied"
    elif seeded or any(len(units(text)) >= _LONG for text in cold):
        verdict = "ignored"
    else:
        verdict = "unclear"
    claim = f"{name} {STRONG[name]:g} gives something else than none"
    return Check(name, claim, verdict, _agree(strong, cold), len(cold), _example(strong, cold, same=True))


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


def _short(text: str) -> str:
    shown = " ".join(text.split())
    return f"「{shown[:40]}…」" if len(shown) > 40 else f"「{shown}」"
