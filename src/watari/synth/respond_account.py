"""What `synth.respond` writes and counts, row by row in the order of the input."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from watari.artifact.dataset_facts import ModelFact, RowCounts, meta_fields
from watari.artifact.kinds import Kind
from watari.artifact.rows import ROWS, Ledger, Row, RowWriter
from watari.generate.answerer import Answerer
from watari.judge.wording import judge_versions
from watari.synth.dataset_facts import write_stage_facts
from watari.synth.respond_params import KIND, Params
from watari.synth.respondent import Answered, kept_row
from watari.synth.samples import Sample, Samples, State


class Account:
    """Writes rows, dropped rows and samples; counts everything.

    Args:
        params: Of the stage.
        out: Where it writes.
        answerer: Who answered.
        checks: Version of the checks.
        prompts: Name → version of what was sent beside the rows.
    """

    def __init__(
        self, params: Params, out: Path, answerer: Answerer, checks: str, prompts: dict[str, str]
    ) -> None:
        self._params = params
        self._out = out
        self._answerer = answerer
        self._checks = checks
        self._prompts = dict(prompts)
        self._stack = ExitStack()
        self._dropped = Ledger()
        self._samples = Samples(params.seed, KIND)
        self._facts = RowCounts()
        self._asked: Counter[int] = Counter()
        self._accepted: Counter[int] = Counter()
        self._faults: dict[int, Counter[str]] = {}
        self._hard: Counter[str] = Counter()
        self._warn: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._judged = [0, 0, 0]
        self._tokens = [0, 0]
        self._cost = 0.0
        self._rows_in = self._kept = self._originals = self._repaired = 0

    def __enter__(self) -> Self:
        self._writer = self._stack.enter_context(RowWriter(self._out / ROWS, Kind.CONVERSATIONS, batch=1000))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, answered: Answered) -> None:
        """Take one row, as the next of the output."""
        self._rows_in += 1
        if answered.judged[0]:
            self._prompts |= judge_versions([answered.language])
        for trial in answered.trials:
            note = trial.note
            self._asked[note.rung] += 1
            self._accepted[note.rung] += not note.codes
            self._faults.setdefault(note.rung, Counter()).update(note.codes)
            self._hard.update(note.codes)
            self._warn.update(note.warn)
            self._tokens[0] += note.prompt_tokens
            self._tokens[1] += note.completion_tokens
            self._cost += note.cost
        self._tokens = [a + b for a, b in zip(self._tokens, answered.judge_tokens, strict=True)]
        self._cost += answered.judge_cost
        self._judged = [a + b for a, b in zip(self._judged, answered.judged, strict=True)]
        row = answered.row
        if not answered.failed:
            kept = kept_row(answered, self._answerer, self._checks, language=self._params.language)
            self._models[answered.model or self._answerer.model] += 1
            self._repaired += answered.attempts > 1
            self._keep(kept)
        elif self._params.on_failure == "keep" and answered.trials:
            self._originals += 1
            self._keep(_original(row, answered))
        else:
            where = f"answer {answered.turn}: " if answered.turn else ""
            self._dropped.drop(
                answered.failed,
                id=str(row.get("id")),
                source=row.get("source") or "",
                detail=f"{where}{answered.detail}",
            )
        self._sample(answered)

    def close(self) -> dict[str, Any]:
        """Finish the files; return the stage's metrics."""
        self._stack.close()
        metrics = self._dropped.close(self._out, rows_in=self._rows_in, kept=self._kept)
        metrics |= {
            "originals": self._originals,
            "repaired": self._repaired,
            "escalated": 0,
            "answers": sum(self._asked.values()),
            "rungs": [
                {
                    "name": self._answerer.label if number == 0 else f"{self._answerer.label} again {number}",
                    "model": self._answerer.model,
                    "purpose": "respond",
                    "asked": self._asked[number],
                    "accepted": self._accepted[number],
                    "faults": dict(sorted(self._faults.get(number, Counter()).items())),
                }
                for number in range(max(self._asked, default=-1) + 1)
            ],
            "findings": {
                code: {"hard": self._hard[code], "warn": self._warn[code]}
                for code in sorted(self._hard.keys() | self._warn.keys())
            },
            "routed": {},
            "tokens": {"prompt": self._tokens[0], "completion": self._tokens[1]},
            "cost": round(self._cost, 9),
        }
        if self._params.judge is not None:
            names = ("comparisons", "unreadable", "inconsistent")
            metrics["judge"] = dict(zip(names, self._judged, strict=True))
        self._samples.write(self._out)
        models = [
            ModelFact(model=model, role="respondent", rows=rows)
            for model, rows in sorted(self._models.items())
        ]
        if self._params.judge is not None:
            models.append(ModelFact(model=self._params.judge.model, role="judge"))
        write_stage_facts(
            self._out,
            KIND,
            self._facts,
            metrics,
            models=models,
            prompts=self._prompts,
            checks=self._checks,
            more={
                "turns": self._params.turns,
                "originals": self._originals,
                "best_of": self._params.best_of,
                "select": self._params.select,
            },
        )
        return metrics

    def _keep(self, row: Row) -> None:
        self._writer.write(row)
        self._facts.add(row)
        self._kept += 1

    def _sample(self, answered: Answered) -> None:
        if answered.failed:
            state = State.DROPPED
        else:
            state = State.REPAIRED if answered.attempts > 1 else State.ACCEPTED
        last = answered.trials[-1] if answered.trials else None
        target = list(answered.messages)
        if answered.failed and last is not None and last.text:
            target.append({"role": "assistant", "content": last.text})
        findings = [f for trial in answered.trials if not trial.hard for f in trial.findings]
        self._samples.offer(
            Sample(
                id=str(answered.row.get("id")),
                state=state,
                source=answered.source,
                target=target,
                findings=last.findings if answered.failed and last is not None else findings,
                attempts=[trial.note.as_json() for trial in answered.trials],
                reason=answered.failed,
            )
        )


def _original(row: Row, answered: Answered) -> Row:
    """Return a row that stays as it was, with a note of why."""
    meta = {**meta_fields(row), "respond": {"kept": "original", "failed": answered.failed}}
    return {
        "id": str(row["id"]),
        "messages": answered.source,
        "language": row.get("language"),
        "source": row.get("source"),
        "license": row.get("license"),
        "parents": list(row.get("parents") or ()),
        "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True),
    }
