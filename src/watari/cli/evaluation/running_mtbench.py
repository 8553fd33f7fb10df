"""`watari eval run` for specs of MT-Bench's family."""

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
    from watari.evals.mtbench.plan import Plan


class MTBench:
    """Questions of two turns, each answer rated by a judge.

    Raises:
        UserError: for an option that cannot be used.
    """

    def __init__(self, spec: str, order: Order, questions: str, runs: int | None) -> None:
        from watari.evals.mtbench.params import KIND, Params
        from watari.evals.mtbench.stage import STAGE
        from watari.evals.params import BUNDLED

        judge_wanted(order)
        own: dict[str, Any] = {
            "spec": spec,
            "questions": None if questions == BUNDLED else questions,
            "runs": runs,
        }
        self.stage = STAGE
        self.params, self.artifact = order.lay(
            Params, KIND, order.parties(), own, label="eval", inputs=("spec",)
        )

    @cached_property
    def _plan(self) -> Plan:
        from watari.evals.mtbench.plan import plan_of

        return plan_of(self.params)

    def look(self) -> Looked:
        """Return what would be asked, what it would cost, and the judge's prompt."""
        from watari.endpoint.settings import Endpoint
        from watari.evals.mtbench.estimate import estimate
        from watari.evals.mtbench.stage import look

        plan, model = self._plan, self.params.model
        name = model.label if isinstance(model, Endpoint) else (self.artifact.name if self.artifact else "")
        found = estimate(plan, self.params, name)
        question = plan.questions.questions[0]
        sent = look(plan, self.params, self.artifact)
        judged = plan.prompt(question, 1).messages(question, ["…"] * plan.turns)
        prompts = {one.name: one.as_json() for one in sent}
        content = {"label": plan.label, **found.as_json(), "prompts": prompts, "judge_prompt": judged}
        lines = [f"scores will be marked {plan.label}", *found.lines()]
        for one in sent:
            lines.append(f"--- {one.name} of question {one.item}, as it is sent ({one.found}):")
            lines.append(one.text if one.text is not None else plain(one.prompt))
            if one.tokens:
                lines.append(f"--- its tokens: {' '.join(f'{t.id}:{t.token}' for t in one.tokens)}")
        lines += ["--- the judge is sent:", plain(judged)]
        return Looked(content, lines, sent, self.params.on_bos == "stop")

    def check(self) -> None:
        """Tell what cannot be used before the folder is begun.

        Raises:
            UserError: for a prompt that loses or doubles BOS.
        """
        from watari.evals.mtbench.stage import check

        check(self._plan, self.params, self.artifact)

    def scored(self, kept: Kept, order: Order) -> Scored:
        """Return the scores; too many invalid ratings (more than 5 %) fail."""
        from watari.evals.mtbench.scoring import as_json, as_table, score_files

        spec = self._plan.spec
        results = score_files(spec, [order.out], seed=self.params.seed)
        content = as_json(results, spec, max_invalid=0.05)
        return Scored(content, as_table(results, spec), failed_ratings(kept, order.out))

    def tell(self, kept: Kept) -> None:
        """Print what was done and spent."""
        metrics = kept.result.metrics
        tell_judged_work(kept)
        for reason, count in most_first(metrics["judgments"]["reasons"]):
            typer.echo(f"unreadable: {count:,} {reason}")
        if metrics["cost"]:
            tokens = metrics["tokens"]
            typer.echo(
                f"spent: {metrics['cost']:.4f} for {tokens['prompt']:,} prompt and {tokens['completion']:,} completion"
                " tokens"
            )
