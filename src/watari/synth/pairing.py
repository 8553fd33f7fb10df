"""One prompt and its pair: both sides asked and checked, or the best and the worst of several; compared, judged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from watari.artifact.dataset_facts import meta_fields
from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json
from watari.artifact.rows import Row
from watari.artifact.stage import InputArtifact, Inputs
from watari.endpoint.settings import Endpoint
from watari.generate.answerer import Answerer, Question, Said, answerer_of, seed_of
from watari.judge.pairwise import PairwiseJudge, round_robin
from watari.synth.ladder import Messages
from watari.synth.paired import OWN, Paired, Side
from watari.synth.pairs_params import KIND, Params
from watari.synth.trials import Trial, best_by_rule, on_record, similarity, tried
from watari.text.scripts import guess_language

if TYPE_CHECKING:
    from watari.endpoint.asking import Asking
    from watari.synth.translator import Checks


@dataclass(frozen=True)
class Cast:
    """Who answers: `chosen` (None: the row itself) and `rejected`, or `models`."""

    chosen: Answerer | None
    rejected: Answerer | None
    models: tuple[Answerer, ...]

    @property
    def everyone(self) -> list[Answerer]:
        """All of them, each once, in the order of the parameters."""
        named = [one for one in (self.chosen, self.rejected) if one is not None]
        return list({id(one): one for one in (*named, *self.models)}.values())

    @staticmethod
    def of(params: Params, asking: Asking, inputs: Inputs, rounds: Any) -> Cast:
        """Return everybody who answers; one model that is named twice is loaded once."""
        made: dict[Any, Answerer] = {}
        places = {name: count() for name in ("chosen", "rejected", "models")}

        def one(model: Any, parameter: str) -> Answerer | None:
            if model is None:
                return None
            artifact: InputArtifact | None = None
            named: Any = model.model_dump_json() if isinstance(model, Endpoint) else None
            if named is None:
                artifact = inputs.many(parameter)[next(places[parameter])]
                named = artifact.path
            sampler = params.rejected_sampler if parameter == "rejected" else None
            key = named, None if sampler is None else sampler.model_dump_json()
            if key not in made:
                made[key] = answerer_of(model, asking, params, artifact, rounds, sampler)
            return made[key]

        models = tuple(found for model in params.models if (found := one(model, "models")) is not None)
        return Cast(one(params.chosen, "chosen"), one(params.rejected, "rejected"), models)


class Pairing:
    """What is done with a prompt."""

    def __init__(self, params: Params, asking: Asking, checks: Checks, cast: Cast) -> None:
        self._params = params
        self._asking = asking
        self._checks = checks
        self._cast = cast

    async def row(self, row: Row) -> Paired:
        """Return the pair of one prompt, or why there is none."""
        params = self._params
        turns = [{"role": one["role"], "content": one["content"]} for one in row["messages"] or ()]
        prompt, own = _prompt(turns)
        done = Paired(row, prompt)
        if not prompt:
            return done.fail("no user turn")
        if params.system is not None:
            done.prompt = prompt = _with_system(prompt, params.system)
        done.language = params.language or row.get("language") or guess_language(prompt[-1]["content"])
        if params.models:
            await self._candidates(done)
        else:
            await self._sides(done, own)
        if not done.failed:
            self._compare_texts(done)
        return done

    async def _sides(self, done: Paired, own: str) -> None:
        """Fill in both sides as the parameters name them, and have the judge confirm them."""
        params, cast = self._params, self._cast
        assert cast.rejected is not None
        if cast.chosen is None:
            if not own.strip():
                done.fail("no answer of its own", "name who gives the chosen answers in `chosen`")
                return
            chosen = await self._own(done, own)
        elif params.local:
            # Answers of models in this process are asked for one after the other: see `Rounds`.
            chosen = await self._side(done, cast.chosen, "chosen", must_pass=True)
        if cast.chosen is None or params.local:
            if chosen.trial.hard:
                done.fail(f"chosen: {chosen.trial.hard[0]}", chosen.trial.detail)
                return
            rejected = await self._side(done, cast.rejected, "rejected", must_pass=params.rejected_must_pass)
        else:
            chosen, rejected = await asyncio.gather(
                self._side(done, cast.chosen, "chosen", must_pass=True),
                self._side(done, cast.rejected, "rejected", must_pass=params.rejected_must_pass),
            )
        done.chosen, done.rejected = chosen, rejected
        if chosen.trial.hard:
            done.fail(f"chosen: {chosen.trial.hard[0]}", chosen.trial.detail)
        elif not rejected.text.strip():
            done.fail("rejected: " + (rejected.trial.hard or ("empty",))[0], rejected.trial.detail)
        elif rejected.trial.hard and params.rejected_must_pass:
            done.fail(f"rejected: {rejected.trial.hard[0]}", rejected.trial.detail)
        elif params.judge is not None and similarity(chosen.text, rejected.text) < params.max_similarity:
            comparison = await self._judge(done.language).compare(
                done.prompt, chosen.text, rejected.text, row=str(done.row["id"])
            )
            done.comparisons.append(((0, 1), comparison))
            if comparison.outcome != "a":
                said = {"b": "the rejected answer is better", "tie": "neither is better"}
                done.fail(f"judge: {said.get(comparison.outcome, comparison.outcome)}")

    async def _own(self, done: Paired, own: str) -> Side:
        """Return the row's own last answer as a side, checked."""
        meta = meta_fields(done.row)
        model = meta.get("model") or (meta.get("respond") or {}).get("model") or done.row.get("model") or OWN
        trial = await tried(
            Said(own, "", str(model)),
            done.prompt,
            self._checks,
            done.language,
            rung=0,
            endpoint=OWN,
            purpose="chosen",
        )
        return Side(own, str(model), trial, 0)

    async def _side(self, done: Paired, answerer: Answerer, purpose: str, *, must_pass: bool) -> Side:
        """Return an answer that passed; if none did, or none needs to, the last one that says anything."""
        side: Side | None = None
        for attempt in range(self._params.attempts):
            (trial,) = await self._trials(done, answerer, purpose, 1, attempt)
            if side is None or trial.text.strip() or not side.text.strip():
                side = Side(trial.text, _named(trial, answerer), trial, attempt + 1)
            if not trial.hard or (not must_pass and trial.text.strip()):
                break
        assert side is not None
        return side

    async def _trials(
        self, done: Paired, answerer: Answerer, purpose: str, number: int, attempt: int
    ) -> list[Trial]:
        name = str(done.row["id"])
        # The same model may give both sides: what it is asked for then differs by purpose and seed.
        unit = hash_json([KIND, purpose, answerer.model, done.prompt])
        questions = [
            Question(
                done.prompt,
                unit,
                name,
                purpose,
                seed_of(
                    draw_uint64(
                        self._params.seed, KIND, f"{name} {purpose} {answerer.model} {attempt} {place}"
                    )
                ),
                attempt,
            )
            for place in range(number)
        ]
        trials = [
            await tried(
                said,
                done.prompt,
                self._checks,
                done.language,
                rung=attempt,
                endpoint=answerer.label,
                purpose=purpose,
            )
            for said in await answerer.answers(questions)
        ]
        on_record(self._asking, trials, self._checks.version)
        done.trials += [(answerer.model, trial) for trial in trials]
        return trials

    async def _candidates(self, done: Paired) -> None:
        """Fill in the best and the worst of the candidates."""
        params = self._params
        found: list[Side] = []
        for answerer in self._cast.models:
            trials = await self._trials(done, answerer, "candidate", params.candidates, 0)
            found += [
                Side(trial.text, _named(trial, answerer), trial) for trial in trials if trial.text.strip()
            ]
        distinct = list({side.text: side for side in reversed(found)}.values())[::-1]
        if len(distinct) < 2:
            done.fail("fewer than two different answers", f"{len(found)} answers")
            return
        if params.way == "rules":
            self._by_rules(done, distinct)
        else:
            await self._by_judge(done, distinct)

    def _by_rules(self, done: Paired, sides: Sequence[Side]) -> None:
        best = best_by_rule([side.trial for side in sides])
        done.chosen = next(side for side in sides if side.trial is best)
        done.rejected = max(sides, key=lambda side: side.trial.severity)
        if best.hard:
            done.fail(f"chosen: {best.hard[0]}", best.detail)
        elif done.rejected.trial.severity <= best.severity:
            done.fail("rules see no difference", "no answer has more findings than another")

    async def _by_judge(self, done: Paired, sides: Sequence[Side]) -> None:
        params = self._params
        able = [side for side in sides if not side.trial.hard] if params.rejected_must_pass else list(sides)
        if len(able) < 2:
            done.fail("fewer than two answers pass the checks", ", ".join(sides[0].trial.hard))
            return
        standing = await round_robin(
            self._judge(done.language),
            done.prompt,
            [side.text for side in able],
            row=str(done.row["id"]),
            halve=params.ties == "half",
        )
        done.comparisons += standing.comparisons
        done.points = standing.points
        passing = [place for place, side in enumerate(able) if not side.trial.hard]
        if not passing:
            done.fail(f"chosen: {able[0].trial.hard[0]}", able[0].trial.detail)
            return
        best = max(passing, key=lambda place: (standing.points[place], -place))
        worst = min(range(len(able)), key=lambda place: (standing.points[place], place))
        done.chosen, done.rejected = able[best], able[worst]
        ahead = standing.points[best] - standing.points[worst]
        if best == worst or ahead < params.min_points:
            done.fail("judge sees no difference", f"{ahead:g} points")

    def _judge(self, language: str) -> PairwiseJudge:
        assert self._params.judge is not None
        return PairwiseJudge(self._asking, self._params.judge, language, form=self._params.judge_form)

    def _compare_texts(self, done: Paired) -> None:
        """Reject pairs whose sides say the same, are in two languages, or differ too much in length."""
        params = self._params
        assert done.chosen is not None
        assert done.rejected is not None
        chosen, rejected = done.chosen.text, done.rejected.text
        done.similarity = similarity(chosen, rejected)
        if done.similarity >= params.max_similarity:
            done.fail("nearly identical", f"{done.similarity:.2f}")
            return
        if params.same_language:
            one, other = guess_language(chosen), guess_language(rejected)
            if "und" not in (one, other) and one != other:
                done.fail("different languages", f"{one} and {other}")
                return
        longer, shorter = max(len(chosen), len(rejected)), max(1, min(len(chosen), len(rejected)))
        most = params.length_balance.max_ratio
        if most is not None and longer / shorter > most:
            done.fail("lengths differ too much", f"{longer / shorter:.2f}")


def _named(trial: Trial, answerer: Answerer) -> str:
    """Return who gave an answer: the model as its server names it."""
    return (trial.said.model if trial.said is not None else "") or answerer.model


def _prompt(turns: Messages) -> tuple[Messages, str]:
    """Return (the conversation up to the last turn of the user, the answer that follows it or "")."""
    last = max((place for place, one in enumerate(turns) if one["role"] == "user"), default=-1)
    own = turns[last + 1]["content"] if 0 <= last < len(turns) - 1 else ""
    prompt = turns[: last + 1]
    return (prompt if prompt and prompt[-1]["content"].strip() else []), own


def _with_system(prompt: Messages, system: str) -> Messages:
    rest = prompt[1:] if prompt[0]["role"] == "system" else prompt
    return [{"role": "system", "content": system}, *rest] if system.strip() else list(rest)
