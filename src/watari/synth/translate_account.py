"""What a translation writes and counts, row by row in the order of the input."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from watari.artifact.dataset_facts import ModelFact, RowCounts, meta_fields
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.rows import ROWS, Ledger, Row, RowWriter
from watari.synth.checks.finding import Finding, Severity
from watari.synth.dataset_facts import write_stage_facts
from watari.synth.human import FILE as HUMAN
from watari.synth.human import HumanWriter
from watari.synth.ladder import AttemptNote, Messages, Outcome, Rung
from watari.synth.samples import Sample, Samples, State
from watari.synth.translate_params import KIND, Params

NATIVE = "native"
PERSON = "human"


@dataclass(slots=True)
class Done:
    """What became of one row.

    Args:
        row: As it came in.
        source: Its messages, as far as they are translated.
        outcome: Of the climb; None if nothing was asked.
        drop: Why it was dropped before anything was asked; "" if it was not.
        detail: Beside that.
        category: Of the router, where it must not be translated.
        reviewer: Who translated it, if a person did; "?" if nobody signed.
        forced: True if that person took it whatever the checks said.
        masked: Characters of the source that were not sent.
        refused: A line on a person's translation that cannot be used; "" if there is none.
    """

    row: Row
    source: Messages = field(default_factory=list)
    outcome: Outcome | None = None
    drop: str = ""
    detail: str = ""
    category: str = ""
    reviewer: str = ""
    forced: bool = False
    masked: int = 0
    refused: str = ""


class Account:
    """Writes rows, dropped rows, samples and what people shall do; counts everything.

    Args:
        params: Of the stage.
        out: Where it writes.
        rungs: The ladder.
        prompts, checks: Versions, for the card and the rows' meta.
    """

    def __init__(self, params: Params, out: Path, rungs: Sequence[Rung], prompts: str, checks: str) -> None:
        self._params = params
        self._out = out
        self._rungs = rungs
        self._prompts = prompts
        self._checks = checks
        self._stack = ExitStack()
        self._dropped = Ledger()
        self._samples = Samples(params.seed, KIND)
        self._facts = RowCounts()
        self._asked: Counter[int] = Counter()
        self._accepted: Counter[int] = Counter()
        self._faults: dict[int, Counter[str]] = {number: Counter() for number in range(len(rungs))}
        self._hard: Counter[str] = Counter()
        self._warn: Counter[str] = Counter()
        self._routed: Counter[str] = Counter()
        self._states: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._people: Counter[str] = Counter()
        self._tokens = [0, 0]
        self.cost = 0.0
        self._characters = [0, 0]
        self.rows_in = 0
        self.kept = 0

    def __enter__(self) -> Self:
        self._writer = self._stack.enter_context(RowWriter(self._out / ROWS, Kind.CONVERSATIONS, batch=1000))
        self._human = self._stack.enter_context(HumanWriter(self._out / HUMAN))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, done: Done) -> None:
        """Take one row, as the next of the output."""
        self.rows_in += 1
        if done.category:
            self._routed[done.category] += 1
        size = sum(len(message["content"]) for message in done.source)
        self._characters[0] += size
        self._characters[1] += min(done.masked, size)
        if done.outcome is None:
            self._drop(done, done.drop, done.detail)
            return
        outcome = done.outcome
        for note in outcome.attempts:
            self._count(note)
        if outcome.accepted:
            self._keep(done, outcome)
        else:
            self._people["refused"] += bool(done.reviewer)
            self._drop(done, outcome.reason, outcome.detail)
            self._human.write(str(done.row["id"]), done.source, outcome.messages, outcome.findings)
        state = PERSON if done.reviewer and outcome.accepted else outcome.state
        self._states[state] += 1
        self._sample(done, outcome)

    def close(self) -> dict[str, Any]:
        """Finish the files; return the stage's metrics."""
        self._stack.close()
        metrics = self._dropped.close(self._out, rows_in=self.rows_in, kept=self.kept)
        metrics |= {
            "rungs": [self._rung(number) for number in range(len(self._rungs))],
            "repaired": self._states["repaired"],
            "escalated": self._states["escalated"],
            "human": {
                **{name: self._people[name] for name in ("accepted", "forced", "refused")},
                "to_do": self._human.count,
            },
            "findings": {
                code: {"hard": self._hard[code], "warn": self._warn[code]}
                for code in sorted(self._hard.keys() | self._warn.keys())
            },
            "routed": dict(sorted(self._routed.items())),
            "tokens": {"prompt": self._tokens[0], "completion": self._tokens[1]},
            "cost": round(self.cost, 9),
            "characters": {"source": self._characters[0], "masked": self._characters[1]},
        }
        self._samples.write(self._out)
        params = self._params
        write_stage_facts(
            self._out,
            KIND,
            self._facts,
            metrics,
            models=[
                ModelFact(model=model, role="translator", rows=rows)
                for model, rows in sorted(self._models.items())
            ],
            prompts={"translate": self._prompts},
            checks=self._checks,
            more={
                "source_language": params.source_language,
                "register": params.register,
                "states": dict(sorted(self._states.items())),
                "human": metrics["human"],
            },
        )
        return metrics

    def _keep(self, done: Done, outcome: Outcome) -> None:
        row = done.row
        assert outcome.messages is not None
        identity = hash_json([KIND, self._params.language, outcome.messages, [row["id"]]])
        kept = {
            "id": identity,
            "messages": outcome.messages,
            "language": self._params.language,
            "source": row.get("source"),
            "license": row.get("license"),
            "parents": [str(row["id"])],
            "meta": json.dumps(
                {**meta_fields(row), **self._meta(done, outcome)}, ensure_ascii=False, sort_keys=True
            ),
        }
        self._writer.write(kept)
        self._facts.add(kept)
        self.kept += 1
        if done.reviewer:
            self._people["forced" if done.forced else "accepted"] += 1
        else:
            self._accepted[outcome.rung] += 1
            self._models[outcome.attempts[-1].model] += 1

    def _meta(self, done: Done, outcome: Outcome) -> dict[str, Any]:
        warn = sorted({finding.code for finding in outcome.findings if finding.severity is Severity.WARN})
        meta: dict[str, Any] = {"checks": self._checks, "warn": warn, "attempts": len(outcome.attempts)}
        if done.reviewer:
            hard = sorted({finding.code for finding in outcome.findings if finding.severity is Severity.HARD})
            forced = {"forced": hard} if done.forced else {}
            return {**meta, "rung": PERSON, "model": PERSON, "reviewer": done.reviewer, **forced}
        last = outcome.attempts[-1]
        meta |= {"rung": outcome.rung, "model": last.model, "prompt": self._prompts}
        if done.category:
            meta |= {"category": done.category}
            if self._params.routed == NATIVE:
                meta |= {"native": True}
        return meta

    def _drop(self, done: Done, reason: str, detail: str) -> None:
        self._dropped.drop(
            reason, id=str(done.row.get("id")), source=done.row.get("source") or "", detail=detail
        )

    def _count(self, note: AttemptNote) -> None:
        self._asked[note.rung] += 1
        self._faults[note.rung].update(note.codes)
        self._hard.update(note.codes)
        self._warn.update(note.warn)
        self._tokens[0] += note.prompt_tokens
        self._tokens[1] += note.completion_tokens
        self.cost += note.cost

    def _rung(self, number: int) -> dict[str, Any]:
        rung = self._rungs[number]
        return {
            "name": rung.name,
            "model": rung.endpoint.model,
            "purpose": rung.purpose,
            "asked": self._asked[number],
            "accepted": self._accepted[number],
            "faults": dict(sorted(self._faults[number].items())),
        }

    def _sample(self, done: Done, outcome: Outcome) -> None:
        meta: dict[str, Any] = {"category": done.category} if done.category else {}
        if done.reviewer:
            meta["reviewer"] = done.reviewer
        self._samples.offer(
            Sample(
                id=str(done.row["id"]),
                state=State(outcome.state),
                source=done.source,
                target=outcome.messages or (),
                findings=outcome.findings,
                attempts=[note.as_json() for note in outcome.attempts],
                reason=outcome.reason,
                meta=meta,
            )
        )


def by_person(messages: Messages, findings: list[Finding], *, forced: bool) -> Outcome:
    """Return the outcome of a row that a person translated: it stands if nothing hard was found, or if they insist."""
    hard = [finding.code for finding in findings if finding.severity is Severity.HARD]
    accepted = forced or not hard
    return Outcome(accepted, messages, 0, [], findings, "" if accepted else hard[0])
