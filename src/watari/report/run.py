"""`report.run`: the whole run on one page, and every figure of it with its origin.

Writes `report.html` (one file: no network, no other file) and `report.json`. The page is the same for the same
artifacts; the run folder's copy gets times and speeds through `watari.report.page.with_run_times`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from watari.artifact import atomic
from watari.artifact.kinds import Kind
from watari.artifact.params import AnyArtifact, OneOrMore, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked

PAGE = "report.html"
FIGURES = "report.json"


class Params(StageParams):
    """What the report shows."""

    stages: Annotated[list[AnyArtifact], OneOrMore] = Field(
        default_factory=list,
        description="the stages to report on; every other stage of the recipe unless given",
    )
    title: str = Field(default="", description="the page's title; 'Run report' unless given")
    samples: int = Field(
        default=6,
        ge=0,
        le=100,
        description="questions with their answers shown for each language (default: fits a screen)",
    )
    examples: int = Field(
        default=1,
        ge=0,
        le=20,
        description="rows of data shown for each stage and language (default: a taste of each)",
    )


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write the report of the artifacts in `inputs.many("stages")` into `out`.

    Returns:
        Metrics {stages, figures}.

    Raises:
        UserError: if a log or a sample file of an artifact cannot be read.
    """
    from watari.report.page import build

    artifacts = inputs.many("stages")
    stop_if_asked(progress)
    progress.update(0, len(artifacts), unit="stages")
    page = build(
        artifacts, title=params.title, seed=params.seed, samples=params.samples, examples=params.examples
    )
    atomic.write_text(out / PAGE, page.html)
    atomic.write_text(out / FIGURES, page.json)
    progress.update(len(artifacts), len(artifacts), unit="stages")
    return StageResult(metrics={"stages": len(artifacts), "figures": page.count})


STAGE = Stage(kind="report.run", version=3, output=Kind.CARD, params=Params, run=run, gathers=True)
