"""`watari eval run` for specs of llm-jp-eval's family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.evaluation.keeping import LEDGER, check_prices, model_artifact, party, run_kept
from watari.errors import CheckFailed, DryRun, UserError

if TYPE_CHECKING:
    from watari.artifact.stage import InputArtifact
    from watari.evals.jaster.params import Params
    from watari.evals.jaster.plan import Plan
    from watari.evals.preflight import Sent

_FIRST_TOKENS = 12


def run_jaster(
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
    """Ask, compare and score into `out`, or go on with it; print the table.

    Raises:
        UserError: for an option that cannot be used, a prompt that loses or doubles BOS, a folder of another evaluation.
        CheckFailed: if more than 5 % of the answers are missing; all is written.
        StageFailed, Interrupted: as the stage does.
    """
    if judge is not None:
        raise UserError(f"--judge: nobody judges in {spec}: answers are compared with golds", "leave it out")
    params, artifact = _params(spec, model, questions, runs, limit, settings, out)
    if dry_run:
        _dry_run(params, artifact, as_json=as_json)
        return
    check_prices(params)
    _run(params, artifact, out, as_json=as_json)


def _params(
    spec: str,
    model: str,
    questions: str,
    runs: int | None,
    limit: int | None,
    settings: Sequence[str],
    out: Path,
) -> tuple[Params, InputArtifact | None]:
    from watari.cli.training_params import lay
    from watari.evals.jaster.params import KIND, Params

    examined = party("model", model)
    named = {text.partition("=")[0].strip(): text.partition("=")[2].strip() for text in settings}
    if isinstance(examined, dict) and named.get("style") == "completion":
        examined["api"] = "completions"
    given: dict[str, Any] = {
        "spec": spec,
        "model": {"from": "model"} if isinstance(examined, Path) else examined,
        "questions": [place.strip() for place in questions.split(",") if place.strip()],
        "runs": runs,
        "limit": limit,
        "ledger": str(out / LEDGER),
        "label": "eval",
    }
    values = {name: value for name, value in given.items() if value is not None}
    inputs = ("spec", "questions", "ledger", "label", *(("model",) if isinstance(examined, Path) else ()))
    params = lay(Params, values, settings, KIND, inputs=inputs)
    return params, model_artifact(examined) if isinstance(examined, Path) else None


def _dry_run(params: Params, artifact: InputArtifact | None, *, as_json: bool) -> None:
    from watari.cli.options import print_json
    from watari.evals.jaster.plan import plan_of
    from watari.evals.jaster.stage import look

    plan = plan_of(params)
    sent = look(plan, params, artifact)
    if as_json:
        print_json(
            {
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
        )
    else:
        for line in _told(plan, params, sent):
            typer.echo(line)
    from watari.evals.preflight import refuse

    if params.on_bos == "stop":
        refuse(sent, artifact.name if artifact is not None else "")
    if not as_json:
        raise DryRun("dry run: nothing was sent, nothing was written")


def _told(plan: Plan, params: Params, sent: Sequence[Sent]) -> list[str]:
    """Return a dry run's lines: what would be asked, the first prompt whole, BOS of each dataset's."""
    lines = [
        f"{len(plan.items) * params.runs:,} requests in {'chat' if plan.chats else 'completion'} style; scores"
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
    lines.append(first.text if first.text is not None else _plain(first.prompt))
    if first.tokens:
        shown = [f"{token.id}:{token.token!r}" for token in first.tokens[:_FIRST_TOKENS]]
        lines.append(f"--- its first tokens: {' '.join(shown)} … of {len(first.tokens):,}")
    return lines


def _plain(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"[{message['role']}] {message['content']}" for message in prompt)


def _run(params: Params, artifact: InputArtifact | None, out: Path, *, as_json: bool) -> None:
    from watari.cli.options import print_json
    from watari.evals.jaster.plan import plan_of
    from watari.evals.jaster.scoring import as_json as scores_json
    from watari.evals.jaster.scoring import as_table, refused, score_files
    from watari.evals.jaster.stage import STAGE, check
    from watari.flow.display import duration

    plan = plan_of(params)
    check(plan, params, artifact)  # what cannot be used is told before the folder is begun
    kept = run_kept(STAGE, params, artifact, out, quiet=as_json)
    (result,) = score_files(plan.spec, [out], seed=params.seed)
    metrics, performance = kept.result.metrics, kept.result.performance
    if as_json:
        print_json(
            {
                **scores_json([result], plan.spec),
                "label": plan.label,
                "metrics": metrics,
                "performance": performance,
                "evaluation_digest": kept.digest,
                "out": str(out),
            }
        )
    else:
        from rich.console import Console

        answers = metrics["answers"]
        typer.echo(
            f"{answers['asked']:,} answers in {duration(kept.seconds)}"
            + (
                f" ({performance['requests_sent']:,} requests sent, {performance['recorded']:,} on record)"
                if artifact is None
                else ""
            )
        )
        if answers["missing"]:
            typer.echo(f"missing: {answers['missing']:,} answers; they count as wrong")
        if metrics["cost"]:
            typer.echo(f"spent: {metrics['cost']:.4f}")
        told = replace(result, notes=tuple(metrics["notes"]))
        Console(width=80, highlight=False).print(as_table([told], plan.spec))
        typer.echo(f"written: {out}")
    if said := refused(result):
        raise CheckFailed(f"{result.model}: {said}", f"see `problem` in {out / 'generations.parquet'}")
