"""`watari eval run` for specs of MT-Bench's family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.evaluation.keeping import LEDGER, check_prices, model_artifact, party, run_kept
from watari.errors import CheckFailed, DryRun, UserError

if TYPE_CHECKING:
    from watari.artifact.stage import InputArtifact
    from watari.evals.mtbench.params import Params


def run_mtbench(
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
        UserError: for an option that cannot be used, or a folder of another evaluation.
        CheckFailed: if more than 5 % of the ratings are invalid; all is written.
        StageFailed, Interrupted: as the stage does.
    """
    if judge is None:
        raise UserError("--judge: who rates the answers?", "give --judge name=URL, up to /v1")
    params, artifact = _params(spec, model, judge, questions, runs, limit, settings, out)
    if dry_run:
        _dry_run(params, artifact, as_json=as_json)
        return
    check_prices(params)
    _run(params, artifact, out, as_json=as_json)


def _params(
    spec: str,
    model: str,
    judge: str,
    questions: str,
    runs: int | None,
    limit: int | None,
    settings: Sequence[str],
    out: Path,
) -> tuple[Params, InputArtifact | None]:
    from watari.cli.training_params import lay
    from watari.evals.mtbench.params import KIND, Params
    from watari.evals.mtbench.questions import BUNDLED

    examined, rater = party("model", model), party("judge", judge)
    if isinstance(rater, Path):
        raise UserError(f"--judge {judge}: a judge is a server", "give --judge name=URL, up to /v1")
    given: dict[str, Any] = {
        "spec": spec,
        "model": {"from": "model"} if isinstance(examined, Path) else examined,
        "judge": rater,
        "runs": runs,
        "limit": limit,
        "questions": None if questions == BUNDLED else questions,
        "ledger": str(out / LEDGER),
        "label": "eval",
    }
    values = {name: value for name, value in given.items() if value is not None}
    inputs = ("spec", "ledger", "label", *(("model",) if isinstance(examined, Path) else ()))
    params = lay(Params, values, settings, KIND, inputs=inputs)
    return params, model_artifact(examined) if isinstance(examined, Path) else None


def _dry_run(params: Params, artifact: InputArtifact | None, *, as_json: bool) -> None:
    from watari.cli.options import print_json
    from watari.endpoint.settings import Endpoint
    from watari.evals.mtbench.estimate import estimate
    from watari.evals.mtbench.plan import plan_of
    from watari.evals.mtbench.stage import look
    from watari.evals.preflight import refuse

    plan = plan_of(params)
    name = params.model.label if isinstance(params.model, Endpoint) else (artifact.name if artifact else "")
    found = estimate(plan, params, name)
    question = plan.questions.questions[0]
    sent = look(plan, params, artifact)
    judged = plan.prompt(question, 1).messages(question, ["…"] * plan.turns)
    if as_json:
        prompts = {one.name: one.as_json() for one in sent}
        print_json({"label": plan.label, **found.as_json(), "prompts": prompts, "judge_prompt": judged})
    else:
        typer.echo(f"scores will be marked {plan.label}")
        for line in found.lines():
            typer.echo(line)
        for one in sent:
            typer.echo(f"--- {one.name} of question {one.item}, as it is sent ({one.found}):")
            typer.echo(one.text if one.text is not None else _plain(one.prompt))
            if one.tokens:
                typer.echo(f"--- its tokens: {' '.join(f'{t.id}:{t.token}' for t in one.tokens)}")
        typer.echo("--- the judge is sent:")
        typer.echo(_plain(judged))
    if params.on_bos == "stop":
        refuse(sent, name)
    if not as_json:
        raise DryRun("dry run: nothing was sent, nothing was written")


def _plain(messages: Any) -> str:
    return "\n".join(f"[{message['role']}] {message['content']}" for message in messages)


def _run(params: Params, artifact: InputArtifact | None, out: Path, *, as_json: bool) -> None:
    from watari.cli.options import print_json
    from watari.evals.mtbench.plan import plan_of
    from watari.evals.mtbench.scoring import as_json as scores_json
    from watari.evals.mtbench.scoring import as_table, score_files
    from watari.evals.mtbench.stage import STAGE, check
    from watari.flow.display import duration

    plan = plan_of(params)
    check(plan, params, artifact)  # what cannot be used is told before the folder is begun
    spec = plan.spec
    kept = run_kept(STAGE, params, artifact, out, quiet=as_json)
    results = score_files(spec, [out], seed=params.seed)
    metrics, performance = kept.result.metrics, kept.result.performance
    refused = metrics.get("refused")
    if as_json:
        print_json(
            {
                **scores_json(results, spec, max_invalid=0.05),
                "metrics": metrics,
                "performance": performance,
                "evaluation_digest": kept.digest,
                "out": str(out),
            }
        )
    else:
        from rich.console import Console

        _tell(metrics, performance, duration(kept.seconds))
        Console(width=80, highlight=False).print(as_table(results, spec))
        typer.echo(f"written: {out}")
    if refused:
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
    for reason, count in sorted(judgments["reasons"].items(), key=lambda item: (-item[1], item[0])):
        typer.echo(f"unreadable: {count:,} {reason}")
    if metrics["cost"]:
        tokens = metrics["tokens"]
        typer.echo(
            f"spent: {metrics['cost']:.4f} for {tokens['prompt']:,} prompt and {tokens['completion']:,} completion tokens"
        )
