"""toy.join: the rows of several stages, one after the other; can wait for a sibling to prove that both run at once."""

import time
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from watari.artifact.kinds import Kind
from watari.artifact.params import OUTSIDE, Documents, OneOrMore, StageParams
from watari.artifact.rows import ROWS, select_rows, write_rows
from watari.artifact.stage import Inputs, Progress, Stage, StageResult

GIB = 1 << 30


class Extra(BaseModel):
    path: Annotated[str, OUTSIDE] = ""
    label: str = "x"


class Params(StageParams):
    """Parameters of the toy join."""

    documents: Annotated[list[Documents], OneOrMore]
    best: Documents | None = None
    suffix: str = ""
    extra: list[Extra] = Field(default_factory=list)
    meet: str = ""
    wait_for: str = ""
    needs: int = 0


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    if params.meet:
        Path(params.meet).write_text("here")
        deadline = time.monotonic() + 10
        while not Path(params.wait_for).exists():
            if time.monotonic() > deadline:
                raise RuntimeError("the other one never came")
            time.sleep(0.01)
    rows = [
        {**row, "text": row["text"] + params.suffix}
        for artifact in inputs.many("documents")
        for row in select_rows(artifact, seed=params.seed, stage="toy.join")
    ]
    print("joined", len(rows))
    return StageResult(metrics={"rows": write_rows(out / ROWS, Kind.DOCUMENTS, rows)})


def memory(params: Params, inputs: Inputs) -> int:
    return params.needs


STAGE = Stage(kind="toy.join", version=1, output=Kind.DOCUMENTS, params=Params, run=run, memory=memory)
