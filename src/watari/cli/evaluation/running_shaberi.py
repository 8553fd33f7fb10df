"""`watari eval run` for specs of Shaberi's family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.evaluation.keeping import LEDGER, check_prices, model_artifact, party, run_kept
from watari.errors import CheckFailed, DryRun, UserError

if TYPE_CHECKING:
    from watari.artifact.stage import InputArtifact
    from watari.evals.shaberi.params import Params


def run_shaberi(
    spec: str,
    *,
    model: str,
    judge: str | None,
    questions: str,
    runs: int | None,
    limit: int | None,
    settings: Sequence[str],
    out: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Answer, judge and score into `out`, or go on with it; print the table.

    Raises:
        UserError: for an option that cannot be used, a prompt that loses or doubles BOS, a folder of another evaluation.
        CheckFailed: if more than 5 % of the ratings are invalid, in all or on one benchmark; all is written.
        StageFailed, Interrupted: as the stage does.
    """
    if judge is None:
        raise UserError("--judge: who rates the answers?", "give --judge name=URL, up to /v1")
    params, artifact = _params(model, judge, questions, runs, limit, settings, out)
    if dry_run:
        _dry_run(params, artifact, as_json=as_json)
        return
    check_prices(params)
    _run(params, artifact, out, as_json=as_json)


def _params(
    model: str,
    judge: str,
    questions: str,
    runs: int | None,
    limit: int | None,
    settings: Sequence[str],
    out: Path,
) -> tuple[Params, InputArtifact | None]:
    from watari.cli.training_params import lay
    from watari.evals.shaberi.params import KIND, Params
    from watari.evals.shaberi.questions import BUNDLED

    examined, rater = party("model", model), party("judge", judge)
    if isinstance(rater, Path):
        raise UserError(f"--judge {judge}: a judge is a server", "give --judge name=URL, up to /v1")
    given: dict[str, Any] = {
        "model": {"from": "model"} if isinstance(examined, Path) else examined,
        "judge": rater,
        "runs": runs,
        "limit": limit,
        "questions": None if questions == BUNDLED else questions,
        "ledger": str(out / LEDGER),
        "label": "eval",
    }
    values = {name: value for name, value in given.items() if value is not None}
    inputs = ("ledger", "label", *(("model",) if isinstance(examined, Path) else ()))
    params = lay(Params, values, settings, KIND, inputs=inputs)
    return params, model_artifact(examined) if isinstance(examined, Path) else None


def _dry_run(params: Params, artifact: InputArtifact | None, *, as_json: bool) -> None:
    from watari.cli.options import print_json
    from watari.evals.preflight import refuse
    from watari.evals.shaberi.plan import plan_of
    from watari.evals.shaberi.stage import look

    plan = plan_of(params)
    sent = look(plan, params, artifact)
    counts: dict[str, int] = {}
    for one in plan.questions.questions:
        counts[one.dataset.short] = counts.get(one.dataset.short, 0) + 1
    asked = len(plan.questions.questions) * plan.runs
    first = plan.questions.questions[0]
    judged = plan.prompts.messages(first, "…")
    if as_json:
        print_json(
            {
                "label": plan.label,
                "answers": asked,
                "judgments": {"least": asked, "most": asked * (2 if params.second_call else 1)},
                "questions": counts,
                "notes": list(plan.notes),
                "prompts": {one.name: one.as_json() for one in sent},
                "judge_prompt": judged,
            }
        )
    else:
        typer.echo(f"scores will be marked {plan.label}")
        second = " (a second time where a text holds no rating)" if params.second_call else ""
        typer.echo(f"{asked:,} answers, {asked:,} judgments{second}")
        for name, count in counts.items():
            typer.echo(f"  {name}: {count:,} questions, {plan.runs:,} runs")
        for prompt in sent:
            typer.echo(f"--- the model is sent, for {prompt.item} ({prompt.found}):")
            typer.echo(prompt.text if prompt.text is not None else _plain(prompt.prompt))
        typer.echo(f"--- the judge is sent, for {first.id}:")
        typer.echo(_plain(judged))
    if params.on_bos == "stop":
        refuse(sent, artifact.name if artifact is not None else "")
    if not as_json:
        raise DryRun("dry run: nothing was sent, nothing was written")


def _plain(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"[{message['role']}] {message['content']}" for message in prompt)


def _run(params: Params, artifact: InputArtifact | None, out: Path, *, as_json: bool) -> None:
    from watari.cli.options import print_json
    from watari.evals.preflight import refuse
    from watari.evals.shaberi.plan import plan_of
    from watari.evals.shaberi.scoring import as_json as scores_json
    from watari.evals.shaberi.scoring import as_table, score_files
    from watari.evals.shaberi.stage import STAGE, look
    from watari.flow.display import duration

    plan = plan_of(params)  # what cannot be used is told before the folder is begun
    if params.on_bos == "stop":
        refuse(look(plan, params, artifact), artifact.name if artifact is not None else "")
    kept = run_kept(STAGE, params, artifact, out, quiet=as_json)
    results = score_files(plan.spec, [out], seed=params.seed)
    metrics, performance = kept.result.metrics, kept.result.performance
    if as_json:
        print_json(
            {
                **scores_json(results, plan.spec),
                "label": plan.label,
                "metrics": metrics,
                "performance": performance,
                "evaluation_digest": kept.digest,
                "out": str(out),
            }
        )
    else:
        from rich.console import Console

        _tell(metrics, performance, duration(kept.seconds))
        Console(width=80, highlight=False).print(as_table(results, plan.spec))
        typer.echo(f"written: {out}")
    if refused := metrics.get("refused"):
        raise CheckFailed(
            f"{metrics['model']}: {refused}", f"see what the judge said in {out / 'judgments.parquet'}"
        )


def _tell(metrics: dict[str, Any], performance: dict[str, Any], took: str) -> None:
    answers, judgments = metrics["answers"], metrics["judgments"]
    typer.echo(
        f"{answers['asked']:,} answers, {judgments['rated'] + judgments['unreadable']:,} judgments in {took}"
        f" ({performance['requests_sent']:,} requests sent, {performance['recorded']:,} on record)"
    )
    if answers["cut_off"] or answers["missing"]:
        typer.echo(f"cut off: {answers['cut_off']:,} answers; missing: {answers['missing']:,}")
    if judgments["second_calls"]:
        typer.echo(f"asked for the number alone: {judgments['second_calls']:,} times")
    for reason, count in sorted(judgments["reasons"].items(), key=lambda item: (-item[1], item[0])):
        typer.echo(f"no rating: {count:,}: {reason}")
    if metrics["cost"]:
        typer.echo(f"spent: {metrics['cost']:.4f}")
    for note in metrics["notes"]:
        typer.echo(f"note: {note}")
