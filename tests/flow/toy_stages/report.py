"""toy.report: takes every stage; names and metrics of them all, as the real report does."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from watari.artifact import atomic
from watari.artifact.kinds import Kind
from watari.artifact.params import AnyArtifact, OneOrMore, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult

PAGE = '<html><script type="application/json" id="watari-run">null</script>{}</html>'


class Params(StageParams):
    """Parameters of the toy report."""

    stages: Annotated[list[AnyArtifact], OneOrMore] = Field(default_factory=list)
    broken: bool = False


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    names = " ".join(artifact.name for artifact in inputs.many("stages"))
    atomic.write_text(out / "report.html", names if params.broken else PAGE.format(names))
    return StageResult(metrics={"stages": len(inputs.many("stages"))})


STAGE = Stage(kind="report.run", version=1, output=Kind.CARD, params=Params, run=run, gathers=True)
