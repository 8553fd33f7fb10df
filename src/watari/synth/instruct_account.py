"""What `synth.instruct` writes and counts, row by row in the order of the requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from watari.artifact.dataset_facts import ModelFact, RowCounts
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.rows import ROWS, Ledger, RowWriter
from watari.synth.checks.finding import Finding, Severity
from watari.synth.dataset_facts import write_stage_facts
from watari.synth.instruct_params import KIND, Params
from watari.synth.instruct_rows import Answered, Instruction, Written, notes_of
from watari.synth.ladder import Rung
from watari.synth.samples import Sample, Samples, State

NOT_NEEDED = "beyond the rows wanted"
FORM = "instruction"
"""Rows dropped before they were answered: their reasons are told as `instruction: code`."""


class Account:
    """Writes rows, dropped rows and samples; counts everything.

    Args:
        params: Of the stage.
        out: Where it writes.
        rungs: Of answers.
        versions: Of prompts and checks.
    """

    def __init__(self, params: Params, out: Path, rungs: Sequence[Rung], versions: Mapping[str, str]) -> None:
        self._params = params
        self._out = out
        self._rungs = rungs
        self._versions = versions
        self._stack = ExitStack()
        self._dropped = Ledger()
        self._samples = Samples(params.seed, KIND)
        self._facts = RowCounts()
        self._categories: dict[str, Counter[str]] = {}
        self._asked: Counter[int] = Counter()
        self._accepted: Counter[int] = Counter()
        self._faults: dict[int, Counter[str]] = {number: Counter() for number in range(len(rungs))}
        self._hard: Counter[str] = Counter()
        self._warn: Counter[str] = Counter()
        self._states: Counter[str] = Counter()
        self._models: Counter[tuple[str, str]] = Counter()
        self._tokens = [0, 0]
        self.cost = 0.0
        self.requests = 0
        self.written = 0
        self.admitted = 0
        self.answered = 0
        self.accepted = 0
        self.kept = 0

    def __enter__(self) -> Self:
        self._writer = self._stack.enter_context(RowWriter(self._out / ROWS, Kind.CONVERSATIONS, batch=1000))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def request(self, written: Written) -> None:
        """Count one request for instructions."""
        self.requests += 1
        self.written += len(written.instructions)
        self._spend(written.prompt_tokens, written.completion_tokens, written.cost)
        for instruction in written.instructions:
            self._of(instruction)["written"] += 1

    def refuse(
        self, instruction: Instruction, reason: str, detail: str, findings: Sequence[Finding] = ()
    ) -> None:
        """Drop an instruction that is not answered."""
        self._hard.update({finding.code for finding in findings})
        self._drop(instruction, reason, detail)
        if reason != NOT_NEEDED:
            self._sample(instruction, (), reason, findings, ())

    def add(self, done: Answered) -> None:
        """Take one instruction that was answered, or could not be, as the next of the output."""
        self.answered += 1
        self._spend(*done.followed)
        for note in notes_of(done):
            self._asked[note.rung] += 1
            self._faults[note.rung].update(note.codes)
            self._hard.update(note.codes)
            self._warn.update(note.warn)
            self._spend(note.prompt_tokens, note.completion_tokens, note.cost)
        if done.reason:
            self._drop(done.instruction, done.reason, done.detail)
        else:
            self.accepted += 1
            if self.kept >= self._params.rows:
                self._drop(done.instruction, NOT_NEEDED, "")
                return
            self._keep(done)
        state = _state(done)
        self._states[state] += 1
        attempts = [note.as_json() for note in notes_of(done)]
        self._sample(done.instruction, done.messages, done.reason, done.findings, attempts, state)

    def close(self) -> dict[str, Any]:
        """Finish the files; return the stage's metrics."""
        self._stack.close()
        metrics = self._dropped.close(self._out, rows_in=self.written, kept=self.kept)
        metrics |= {
            "wanted": self._params.rows,
            "short_by": self._params.rows - self.kept,
            "requests": self.requests,
            "admitted": self.admitted,
            "answered": self.answered,
            "accepted": self.accepted,
            "accept_rate": round(self.accepted / self.written, 6) if self.written else 0.0,
            "categories": {
                name: dict(sorted(counts.items())) for name, counts in sorted(self._categories.items())
            },
            "rungs": [self._rung(number) for number in range(len(self._rungs))],
            "repaired": self._states[State.REPAIRED],
            "escalated": self._states[State.ESCALATED],
            "findings": {
                code: {"hard": self._hard[code], "warn": self._warn[code]}
                for code in sorted(self._hard.keys() | self._warn.keys())
            },
            "tokens": {"prompt": self._tokens[0], "completion": self._tokens[1]},
            "cost": round(self.cost, 9),
        }
        self._samples.write(self._out)
        write_stage_facts(
            self._out,
            KIND,
            self._facts,
            metrics,
            models=[
                ModelFact(model=model, role=role, rows=rows)
                for (role, model), rows in sorted(self._models.items())
            ],
            prompts={"instruct": self._versions["prompts"]},
            checks=self._versions["checks"],
            more={name: metrics[name] for name in ("wanted", "short_by", "requests", "accept_rate")},
        )
        return metrics

    def _keep(self, done: Answered) -> None:
        instruction, params = done.instruction, self._params
        notes = notes_of(done)
        rung = max(outcome.rung for outcome in done.outcomes)
        meta = {
            "category": instruction.category.name,
            "topic": instruction.topic,
            "subject": instruction.subject,
            "request": instruction.request,
            "teacher": instruction.model,
            "model": notes[-1].model,
            "rung": rung,
            "attempts": len(notes),
            "warn": sorted({code for note in notes if not note.codes for code in note.warn}),
            "seeds": list(instruction.seeds),
            **self._versions,
        }
        row = {
            "id": hash_json([KIND, params.language, done.messages]),
            "messages": done.messages,
            "language": params.language,
            "source": params.source,
            "license": params.license,
            "parents": [],
            "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True),
        }
        self._writer.write(row)
        self._facts.add(row)
        self.kept += 1
        self._of(instruction)["kept"] += 1
        for outcome in done.outcomes:
            self._accepted[outcome.rung] += 1
        self._models["responder", notes[-1].model] += 1
        self._models["teacher", instruction.model] += 1

    def _of(self, instruction: Instruction) -> Counter[str]:
        return self._categories.setdefault(instruction.category.name, Counter(written=0, kept=0))

    def _drop(self, instruction: Instruction, reason: str, detail: str) -> None:
        self._dropped.drop(
            reason,
            id=instruction.id,
            source=self._params.source,
            place=f"request {instruction.request}, instruction {instruction.item.number}",
            detail=detail,
        )

    def _spend(self, prompt: int, completion: int, cost: float) -> None:
        self._tokens[0] += prompt
        self._tokens[1] += completion
        self.cost += cost

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

    def _sample(
        self,
        instruction: Instruction,
        target: Sequence[Mapping[str, str]],
        reason: str,
        findings: Sequence[Finding],
        attempts: Sequence[Mapping[str, Any]],
        state: State = State.DROPPED,
    ) -> None:
        self._samples.offer(
            Sample(
                id=instruction.id,
                state=state,
                source=instruction.item.messages,
                target=target,
                findings=findings,
                attempts=attempts,
                reason=reason,
                meta={"category": instruction.category.name, "subject": instruction.subject},
            )
        )


def _state(done: Answered) -> State:
    """Return what became of a conversation: the gravest of its turns."""
    if done.reason:
        return State.DROPPED
    states = [State(outcome.state) for outcome in done.outcomes]
    return next(state for state in State if state in states)


def first_hard(findings: Sequence[Finding]) -> Finding:
    """Return the first hard finding."""
    return next(finding for finding in findings if finding.severity is Severity.HARD)
