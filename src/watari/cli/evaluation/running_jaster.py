"""`watari eval run` for specs of llm-jp-eval's family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.evaluation.asking import Order, plain, tell_work
from watari.cli.evaluation.families import Looked, Scored
from watari.errors import CheckFailed, UserError

if TYPE_CHECKING:
    from watari.cli.evaluation.keeping import Kept
    from watari.evals.jaster.plan import Plan
    from watari.generate.preflight import Sent

_FIRST_TOKENS = 12


class Jaster:
    """Datasets with gold answers: nobody judges.

    Raises:
        UserError: for an option that cannot be used.
    """

    def __init__(self, spec: str, order: Order, questions: str, runs: int | None) -> None:
        from watari.evals.jaster.params import KIND, Params
        from watari.evals.jaster.stage import STAGE

        if order.judge is not None:
            raise UserError(
                f"--judge: nobody judges in {spec}: answers are compared with golds", "leave it out"
            )
        parties = order.parties()
        named = {text.partition("=")[0].strip(): text.partition("=")[2].strip() for text in order.settings}
        if isinstance(parties.examined, dict) and named.get("style") == "completion":
            parties.examined["api"] = "completions"
        own: dict[str, Any] = {
            "spec": spec,
            "questions": [place.strip() for place in questions.split(",") if place.strip()],
            "runs": runs,
        }
        self.stage = STAGE
        self.params, self.artifact = order.lay(
            Params, KIND, parties, own, label="eval", inputs=("spec", "questions")
        )

    @cached_property
    def _plan(self) -> Plan:
        from watari.evals.jaster.plan import plan_of

        return plan_of(self.params)

    def look(self) -> Looked:
        """Return what would be asked."""
        from watari.evals.jaster.stage import look

        plan, params = self._plan, self.params
        sent = look(plan, params, self.artifact)
        content = {
            "label": plan.label,
            "requests": len(plan.items) * params.runs,
            "datasets": {
                one.name: {
                    "items": len(one.test),
                    "shots": plan.templates[one.name].shots,
                    "words": plan.templates[one.name].words,
                    "max_tokens": plan.limits[one.name],
                }
                for one in plan.datasets
            },
            "notes": [*plan.notes, *plan.empty],
            "prompts": {one.name: one.as_json() for one in sent},
        }
        return Looked(content, self._lines(sent), sent, params.on_bos == "stop")

    def _lines(self, sent: Sequence[Sent]) -> list[str]:
        """Return a dry run's lines: what would be asked, the first prompt whole, BOS of each dataset's."""
        plan = self._plan
        lines = [
            f"{len(plan.items) * self.params.runs:,} requests in {'chat' if plan.chats else 'completion'} style; scores"
            f" will be marked {plan.label}",
            f"{'dataset':<18} {'items':>6} {'shots':>5} {'tokens':>6}  words    BOS",
        ]
        for one, prompt in zip(plan.datasets, sent, strict=True):
            template = plan.templates[one.name]
            lines.append(
                f"{one.name:<18} {len(one.test):>6,} {template.shots:>5} {plan.limits[one.name]:>6}  {template.words:<8}"
                f" {prompt.verdict}"
            )
        lines += [f"note: {note}" for note in (*plan.notes, *plan.empty)]
        first = sent[0]
        lines.append(f"--- {first.name}, item {first.item}, as it is sent ({first.found}):")
        lines.append(first.text if first.text is not None else plain(first.prompt))
        if first.tokens:
            shown = [f"{token.id}:{token.token!r}" for token in first.tokens[:_FIRST_TOKENS]]
            lines.append(f"--- its first tokens: {' '.join(shown)} … of {len(first.tokens):,}")
        return lines

    def check(self) -> None:
        """Tell what cannot be used before the folder is begun.

        Raises:
            UserError: for a prompt that loses or doubles BOS, or prompts that do not fit.
        """
        from watari.evals.jaster.stage import check

        check(self._plan, self.params, self.artifact)

    def scored(self, kept: Kept, order: Order) -> Scored:
        """Return the scores; too many missing answers (more than 5 %) fail."""
        from watari.evals.jaster.scoring import as_json, as_table, refused, score_files

        plan = self._plan
        (result,) = score_files(plan.spec, [order.out], seed=self.params.seed)
        said = refused(result)
        failed = (
            CheckFailed(f"{result.model}: {said}", f"see `problem` in {order.out / 'generations.parquet'}")
            if said
            else None
        )
        told = replace(result, notes=tuple(kept.result.metrics["notes"]))
        content = {**as_json([result], plan.spec), "label": plan.label}
        return Scored(content, as_table([told], plan.spec), failed)

    def tell(self, kept: Kept) -> None:
        """Print what was done and spent."""
        metrics = kept.result.metrics
        tell_work(kept, requests=self.artifact is None)
        if missing := metrics["answers"]["missing"]:
            typer.echo(f"missing: {missing:,} answers; they count as wrong")
        if metrics["cost"]:
            typer.echo(f"spent: {metrics['cost']:.4f}")
