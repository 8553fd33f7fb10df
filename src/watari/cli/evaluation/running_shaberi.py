"""`watari eval run` for specs of Shaberi's family."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.evaluation.asking import (
    Order,
    failed_ratings,
    judge_wanted,
    most_first,
    plain,
    tell_judged_work,
)
from watari.cli.evaluation.families import Looked, Scored

if TYPE_CHECKING:
    from watari.cli.evaluation.keeping import Kept
    from watari.evals.shaberi.plan import Plan


class Shaberi:
    """Benchmarks of one turn, each answer rated by a judge.

    Raises:
        UserError: for an option that cannot be used.
    """

    def __init__(self, order: Order, questions: str, runs: int | None) -> None:
        from watari.evals.params import BUNDLED
        from watari.evals.shaberi.params import KIND, Params
        from watari.evals.shaberi.stage import STAGE

        judge_wanted(order)
        own: dict[str, Any] = {"questions": None if questions == BUNDLED else questions, "runs": runs}
        self.stage = STAGE
        self.params, self.artifact = order.lay(Params, KIND, order.parties(), own, label="eval")

    @cached_property
    def _plan(self) -> Plan:
        from watari.evals.shaberi.plan import plan_of

        return plan_of(self.params)

    def look(self) -> Looked:
        """Return what would be asked, benchmark by benchmark, and the judge's prompt."""
        from watari.evals.shaberi.stage import look

        plan, params = self._plan, self.params
        sent = look(plan, params, self.artifact)
        counts: dict[str, int] = {}
        for one in plan.questions.questions:
            counts[one.dataset.short] = counts.get(one.dataset.short, 0) + 1
        asked = len(plan.questions.questions) * plan.runs
        first = plan.questions.questions[0]
        judged = plan.prompts.messages(first, "…")
        content = {
            "label": plan.label,
            "answers": asked,
            "judgments": {"least": asked, "most": asked * (2 if params.second_call else 1)},
            "questions": counts,
            "notes": list(plan.notes),
            "prompts": {one.name: one.as_json() for one in sent},
            "judge_prompt": judged,
        }
        second = " (a second time where a text holds no rating)" if params.second_call else ""
        lines = [
            f"scores will be marked {plan.label}",
            f"{asked:,} answers, {asked:,} judgments{second}",
            *(f"  {name}: {count:,} questions, {plan.runs:,} runs" for name, count in counts.items()),
        ]
        for prompt in sent:
            lines.append(f"--- the model is sent, for {prompt.item} ({prompt.found}):")
            lines.append(prompt.text if prompt.text is not None else plain(prompt.prompt))
        lines += [f"--- the judge is sent, for {first.id}:", plain(judged)]
        return Looked(content, lines, sent, params.on_bos == "stop")

    def check(self) -> None:
        """Tell what cannot be used before the folder is begun.

        Raises:
            UserError: for a prompt that loses or doubles BOS.
        """
        from watari.evals.shaberi.stage import check

        check(self._plan, self.params, self.artifact)

    def scored(self, kept: Kept, order: Order) -> Scored:
        """Return the scores; too many invalid ratings (more than 5 %, in all or on one benchmark) fail."""
        from watari.evals.shaberi.scoring import as_json, as_table, score_files

        plan = self._plan
        results = score_files(plan.spec, [order.out], seed=self.params.seed)
        content = {**as_json(results, plan.spec), "label": plan.label}
        return Scored(content, as_table(results, plan.spec), failed_ratings(kept, order.out))

    def tell(self, kept: Kept) -> None:
        """Print what was done and spent."""
        metrics = kept.result.metrics
        judgments = metrics["judgments"]
        tell_judged_work(kept)
        if judgments["second_calls"]:
            typer.echo(f"asked for the number alone: {judgments['second_calls']:,} times")
        for reason, count in most_first(judgments["reasons"]):
            typer.echo(f"no rating: {count:,}: {reason}")
        if metrics["cost"]:
            typer.echo(f"spent: {metrics['cost']:.4f}")
        for note in metrics["notes"]:
            typer.echo(f"note: {note}")
