"""What `synth.pairs` writes and counts, prompt by prompt in the order of the input."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from watari.artifact.dataset_facts import ModelFact, RowCounts, meta_fields
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.rows import ROWS, Ledger, Row, RowWriter
from watari.generate.answerer import Answerer
from watari.judge.wording import judge_versions
from watari.synth.dataset_facts import write_stage_facts
from watari.synth.lengths import Lengths
from watari.synth.paired import Paired, Side
from watari.synth.pairs_params import KIND, Params
from watari.synth.samples import Sample, Samples, State


class Account:
    """Writes pairs, dropped prompts and samples; counts everything.

    Args:
        params: Of the stage.
        out: Where it writes.
        everyone: Who answered.
        checks: Version of the checks.
    """

    def __init__(self, params: Params, out: Path, everyone: Sequence[Answerer], checks: str) -> None:
        self._params = params
        self._out = out
        self._everyone = everyone
        self._checks = checks
        self._stack = ExitStack()
        self._dropped = Ledger()
        self._samples = Samples(params.seed, KIND)
        self._facts = RowCounts()
        self._lengths = Lengths()
        self._similar = array("d")
        self._asked: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._faults: dict[str, Counter[str]] = {}
        self._hard: Counter[str] = Counter()
        self._warn: Counter[str] = Counter()
        self._chosen_by: Counter[str] = Counter()
        self._rejected_by: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._tokens = [0, 0]
        self._cost = 0.0
        self._rows_in = self._kept = 0
        self._prompts: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._writer = self._stack.enter_context(RowWriter(self._out / ROWS, Kind.PREFERENCES, batch=1000))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, paired: Paired) -> None:
        """Take one prompt, as the next of the output."""
        self._rows_in += 1
        for by, trial in paired.trials:
            note = trial.note
            self._asked[by] += 1
            self._accepted[by] += not note.codes
            self._faults.setdefault(by, Counter()).update(note.codes)
            self._hard.update(note.codes)
            self._warn.update(note.warn)
            self._spend(note.prompt_tokens, note.completion_tokens, note.cost)
        if paired.comparisons:
            self._prompts |= judge_versions([paired.language])
        for _, comparison in paired.comparisons:
            self._outcomes[comparison.outcome] += 1
            for reading in comparison.readings:
                self._unread[reading.problem] += bool(reading.problem)
                self._spend(reading.prompt_tokens, reading.completion_tokens, reading.cost)
        row = paired.row
        if paired.failed:
            self._dropped.drop(
                paired.failed, id=str(row.get("id")), source=row.get("source") or "", detail=paired.detail
            )
        else:
            assert paired.chosen is not None
            assert paired.rejected is not None
            kept = self._row(paired, paired.chosen, paired.rejected)
            self._writer.write(kept)
            self._facts.add(kept)
            self._lengths.add(len(kept["chosen"]), len(kept["rejected"]))
            self._similar.append(paired.similarity)
            self._chosen_by[kept["chosen_by"]] += 1
            self._rejected_by[kept["rejected_by"]] += 1
            self._kept += 1
        self._sample(paired)

    def close(self) -> dict[str, Any]:
        """Finish the files; return the stage's metrics."""
        self._stack.close()
        params = self._params
        metrics = self._dropped.close(self._out, rows_in=self._rows_in, kept=self._kept)
        lengths = self._lengths.report()
        metrics |= {
            "rungs": [
                {
                    "name": one.label,
                    "model": one.model,
                    "purpose": "answer",
                    "asked": self._asked[one.model],
                    "accepted": self._accepted[one.model],
                    "faults": dict(sorted(self._faults.get(one.model, Counter()).items())),
                }
                for one in self._everyone
            ],
            "repaired": 0,
            "escalated": 0,
            "findings": {
                code: {"hard": self._hard[code], "warn": self._warn[code]}
                for code in sorted(self._hard.keys() | self._warn.keys())
            },
            "routed": {},
            "lengths": lengths.as_json() if lengths is not None else {},
            "similarity": self._similarity(),
            "chosen_by": dict(sorted(self._chosen_by.items())),
            "rejected_by": dict(sorted(self._rejected_by.items())),
            "tokens": {"prompt": self._tokens[0], "completion": self._tokens[1]},
            "cost": round(self._cost, 9),
        }
        if params.judge is not None:
            metrics["judge"] = {
                "comparisons": sum(self._outcomes.values()),
                **{name: self._outcomes[name] for name in ("a", "b", "tie", "inconsistent", "unreadable")},
                "unreadable_verdicts": {name: n for name, n in sorted(self._unread.items()) if name},
            }
        self._samples.write(self._out)
        write_stage_facts(
            self._out,
            KIND,
            self._facts,
            metrics,
            models=self._models(),
            prompts=self._prompts,
            checks=self._checks,
            more={
                "way": params.way or "named sides",
                "lengths": metrics["lengths"],
                "similarity": metrics["similarity"],
                **({"judge": metrics["judge"]} if params.judge is not None else {}),
            },
        )
        return metrics

    def _models(self) -> list[ModelFact]:
        models = [
            ModelFact(model=model, role=role, rows=rows)
            for role, by in (("chosen", self._chosen_by), ("rejected", self._rejected_by))
            for model, rows in sorted(by.items())
        ]
        if self._params.judge is not None:
            models.append(ModelFact(model=self._params.judge.model, role="judge"))
        return models

    def _spend(self, prompt: int, completion: int, cost: float) -> None:
        self._tokens[0] += prompt
        self._tokens[1] += completion
        self._cost += cost

    def _similarity(self) -> dict[str, float]:
        if not self._similar:
            return {}
        values = np.array(self._similar)
        return {"mean": round(float(values.mean()), 4), "p90": round(float(np.percentile(values, 90)), 4)}

    def _row(self, paired: Paired, chosen: Side, rejected: Side) -> Row:
        row = paired.row
        pairs: dict[str, Any] = {
            "chosen": _origin(chosen),
            "rejected": _origin(rejected),
            "similarity": round(paired.similarity, 4),
            "checks": self._checks,
        }
        if paired.points:
            pairs["points"] = sorted(paired.points, reverse=True)
        elif paired.comparisons:
            pairs["judge"] = paired.comparisons[0][1].as_json()
        language = paired.language if paired.language != "any" else row.get("language")
        return {
            "id": hash_json([KIND, paired.prompt, chosen.text, rejected.text, [row["id"]]]),
            "prompt": paired.prompt,
            "chosen": chosen.text,
            "rejected": rejected.text,
            "chosen_by": chosen.by,
            "rejected_by": rejected.by,
            "language": language,
            "source": row.get("source"),
            "license": row.get("license"),
            "parents": [str(row["id"])],
            "meta": json.dumps({**meta_fields(row), "pairs": pairs}, ensure_ascii=False, sort_keys=True),
        }

    def _sample(self, paired: Paired) -> None:
        state = State.DROPPED if paired.failed else State.ACCEPTED
        target = []
        for name, side in (("chosen", paired.chosen), ("rejected", paired.rejected)):
            if side is not None:
                target.append({"role": name, "content": side.text})
        findings = [
            f for side in (paired.chosen, paired.rejected) if side is not None for f in side.trial.findings
        ]
        self._samples.offer(
            Sample(
                id=str(paired.row.get("id")),
                state=state,
                source=paired.prompt,
                target=target,
                findings=findings,
                attempts=[trial.note.as_json() for _, trial in paired.trials],
                reason=paired.failed,
                meta={"judge": [comparison.as_json() for _, comparison in paired.comparisons]}
                if paired.comparisons
                else {},
            )
        )


def _origin(side: Side) -> dict[str, Any]:
    return {
        "model": side.by,
        "attempts": side.attempts,
        "hard": list(side.trial.hard),
        "warn": list(side.trial.warn),
    }
