"""What commands have in common that ask a model, and perhaps a judge: what was ordered, who is asked, what is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from watari.cli.evaluation.keeping import LEDGER, model_artifact, party
from watari.errors import CheckFailed, DryRun, UserError

if TYPE_CHECKING:
    from watari.artifact.stage import InputArtifact
    from watari.cli.evaluation.keeping import Kept
    from watari.endpoint.params import AskingParams

    Laid = TypeVar("Laid", bound=AskingParams)


@dataclass(frozen=True)
class Order:
    """What a person wrote after such a command.

    Args:
        model: A folder, or name=URL.
        judge: name=URL.
        limit: At most so many questions (of each dataset); None: all.
        settings: What followed `--set`.
        out: Where all of it goes.
        dry_run: Nothing is asked.
        as_json: Told to a program.
    """

    model: str
    judge: str | None
    limit: int | None
    settings: Sequence[str]
    out: Path
    dry_run: bool
    as_json: bool

    def parties(self) -> Parties:
        """Return who is asked.

        Raises:
            UserError: for a folder that is not there, an address without a name, a judge that is a folder.
        """
        examined = party("model", self.model)
        judge = party("judge", self.judge) if self.judge is not None else None
        if isinstance(judge, Path):
            raise UserError(f"--judge {self.judge}: a judge is a server", "give --judge name=URL, up to /v1")
        return Parties(examined, judge)

    def lay(
        self,
        model: type[Laid],
        kind: str,
        parties: Parties,
        own: Mapping[str, Any],
        *,
        label: str,
        inputs: Sequence[str] = (),
        ledger: Path | None = None,
    ) -> tuple[Laid, InputArtifact | None]:
        """Return the parameters of the stage, and the model where it runs in this process.

        Args:
            model: The stage's parameters.
            kind: The stage, for messages.
            parties: Who is asked.
            own: Values that only this stage has, by field; None: not given.
            label: Under what name the ledger counts it.
            inputs: Those of `own` that are not to be set.
            ledger: Default: in `out`.

        Raises:
            UserError: naming the first setting that is wrong, or if the folder of the model is none.
        """
        from watari.cli.training_params import lay

        examined = parties.examined
        folder = examined if isinstance(examined, Path) else None
        given: dict[str, Any] = {
            **own,
            "model": {"from": "model"} if folder is not None else examined,
            "judge": parties.judge,
            "limit": self.limit,
            "ledger": str(ledger or self.out / LEDGER),
            "label": label,
        }
        values = {name: value for name, value in given.items() if value is not None}
        closed = (*inputs, "ledger", "label", *(("model",) if folder is not None else ()))
        params = lay(model, values, self.settings, kind, inputs=closed)
        return params, model_artifact(folder) if folder is not None else None


@dataclass(frozen=True)
class Parties:
    """Who is asked.

    Args:
        examined: The model: settings of an endpoint, or a folder.
        judge: Settings of an endpoint; None: nobody judges.
    """

    examined: dict[str, Any] | Path
    judge: dict[str, Any] | None


def judge_wanted(order: Order) -> None:
    """Make sure that somebody judges.

    Raises:
        UserError: if nobody is named.
    """
    if order.judge is None:
        raise UserError("--judge: who rates the answers?", "give --judge name=URL, up to /v1")


def end_dry_run(*, as_json: bool) -> None:
    """End a dry run, so that a person and a script see that nothing was done.

    Raises:
        DryRun: unless a program reads it: it has the JSON.
    """
    if not as_json:
        raise DryRun("dry run: nothing was sent, nothing was written")


def plain(prompt: Any) -> str:
    """Return a prompt, a text or messages, as a person reads it."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"[{message['role']}] {message['content']}" for message in prompt)


def tell_work(kept: Kept, *, judgments: int | None = None, requests: bool = True) -> None:
    """Print how many answers and judgments there are and how long that took.

    Args:
        kept: With metrics of answers {asked}.
        judgments: How many; None: nobody judges, or that is told elsewhere.
        requests: Whether requests were sent at all; not where all of it runs in this process.
    """
    from watari.flow.display import duration

    performance = kept.result.performance
    told = f"{kept.result.metrics['answers']['asked']:,} answers"
    if judgments is not None:
        told += f", {judgments:,} judgments"
    told += f" in {duration(kept.seconds)}"
    if requests:
        told += f" ({performance['requests_sent']:,} requests sent, {performance['recorded']:,} on record)"
    typer.echo(told)


def tell_judged_work(kept: Kept) -> None:
    """Print the same of a stage with a judge: metrics of judgments {rated, unreadable}, answers {cut_off, missing}."""
    answers, judgments = kept.result.metrics["answers"], kept.result.metrics["judgments"]
    tell_work(kept, judgments=judgments["rated"] + judgments["unreadable"])
    if answers["cut_off"] or answers["missing"]:
        typer.echo(f"cut off: {answers['cut_off']:,} answers; missing: {answers['missing']:,}")


def failed_ratings(kept: Kept, out: Path) -> CheckFailed | None:
    """Return what to raise where too many ratings are invalid, by the stage's own metrics {model, refused}."""
    metrics = kept.result.metrics
    if not metrics.get("refused"):
        return None
    return CheckFailed(
        f"{metrics['model']}: {metrics['refused']}",
        f"see what the judge said in {out / 'judgments.parquet'}",
    )


def most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return counts with their names, the largest first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
