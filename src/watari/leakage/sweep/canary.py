"""Proof that an engine does what a setting says, before a sweep believes it.

Servers have dropped settings without a word (vLLM V1 once ignored `min_p`, facts/preference-serving.md §4). Each setting
that the grid uses is put to the first prompts of the sweep at an extreme where its effect is known:

- temperature 0 twice gives the same; temperature 2 does not give what temperature 0 gives;
- temperature 2 with `min_p` 1, `top_k` 1 or next to no `top_p` leaves the likeliest token alone: what temperature 0 gives;
- a strong penalty gives something else than none, at temperature 0 or with the same seed at temperature 2. A sure model gives
  the same short answer all the same: that is `unclear`, unless seeds hold and nothing changed with them, or answers are long;
- the same seed at temperature 2 twice gives the same (told only: without it repeats are fresh draws, not the same ones);
- a field of `extra_body` that is known (`extras.KNOWN`) at its own extreme; of any other only that it changes what is said.
  Where it does not, that is `unclear`: nobody knows here what it should do.

Where temperature 2 says what temperature 0 says, either temperature is ignored or the model is too sure of itself: checks of
the third kind then prove nothing and are `unclear`. That is told; where the grid varies temperature, it stops the sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from watari.artifact.hashing import hash_json
from watari.endpoint.request import AskFailed
from watari.errors import StageFailed, UserError
from watari.generate.answerer import Answerer, Question, Said
from watari.judge.single import GAVE_UP
from watari.leakage.sweep.asking import KIND, seed_for
from watari.leakage.sweep.engine import Engine
from watari.leakage.sweep.grid import Cell
from watari.leakage.sweep.probing import Probe, extras_of, probes_of
from watari.leakage.sweep.prompts import Prompt
from watari.leakage.sweep.verdicts import Check, checks_of, extra_checks

if TYPE_CHECKING:
    from watari.artifact.stage import Progress
    from watari.endpoint.asking import Asking
    from watari.generate.local_answerer import Rounds

PROMPTS = 4
"""Prompts of the sweep that are asked."""


async def canary(
    answerer: Answerer,
    engine: Engine,
    asking: Asking,
    cells: Sequence[Cell],
    prompts: Sequence[Prompt],
    progress: Progress,
    *,
    rounds: Rounds | None,
    seed: int,
) -> list[Check]:
    """Return what holds of the settings that `cells` use; answers go through the ledger as all others.

    Raises:
        UserError: if the engine refuses a setting that it is asked with.
        StageFailed: if it cannot be asked.
    """
    from watari.generate.answerer import work_rows

    chosen = list(prompts[:PROMPTS])
    probes = probes_of(cells)
    jobs = [(probe, prompt) for probe in probes for prompt in chosen]
    answers: dict[str, dict[str, str]] = {prompt.id: {} for prompt in chosen}
    lost = ""

    async def work(job: tuple[Probe, Prompt]) -> tuple[Probe, Prompt, str | AskFailed]:
        probe, prompt = job
        question = _question(engine, probe, prompt, seed)
        (found,) = await answerer.answers([question])
        return probe, prompt, _text(found, probe, answerer)

    async for probe, prompt, text in work_rows(
        jobs, work, asking, progress, rounds=rounds, chunk=len(jobs), total=len(jobs)
    ):
        if isinstance(text, AskFailed):
            lost = lost or str(text)
        else:
            answers[prompt.id][probe.name] = text
    # A prompt that one setting got no answer to says nothing of any: answers are compared prompt by prompt.
    whole = [own for own in answers.values() if len(own) == len(probes)]
    if not whole:
        raise StageFailed(f"{answerer.label} could not be asked for the canary: {lost}")
    said = {probe.name: [own[probe.name] for own in whole] for probe in probes}
    varies = len({cell.sampler.temperature for cell in cells if not cell.greedy}) > 1
    own = checks_of(said, [probe.name for probe in probes], varies=varies)
    return [*own, *extra_checks(said, extras_of(cells))]


def requests_of(cells: Sequence[Cell], prompts: Sequence[Prompt]) -> int:
    """Return how many requests the checks of some settings are."""
    return len(probes_of(cells)) * len(prompts[:PROMPTS])


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


def _question(engine: Engine, probe: Probe, prompt: Prompt, seed: int) -> Question:
    messages = prompt.asked()
    return Question(
        messages=messages,
        unit=hash_json([KIND, "canary", seed, prompt.id, probe.time, messages]),
        row=f"{prompt.id} ({probe.name})",
        purpose="canary",
        seed=seed_for(seed, prompt.id, probe.draw),
        settings=engine.settings(probe.sampler, probe.extra),
        shared_draws=True,
    )


def _text(found: Said | AskFailed, probe: Probe, answerer: Answerer) -> str | AskFailed:
    if not isinstance(found, AskFailed):
        return found.text
    if found.code == "refused by the server":
        raise UserError(
            f"{answerer.label} refuses {probe.about}: {found.detail}",
            "take the setting out of the grid; if it only refuses the canary's extreme, go on with `canary: skip`",
        )
    if found.code == GAVE_UP:
        raise StageFailed(f"{answerer.label} could not be asked for the canary: {found}")
    return found


def _short(text: str) -> str:
    shown = " ".join(text.split())
    return f"「{shown[:40]}…」" if len(shown) > 40 else f"「{shown}」"
