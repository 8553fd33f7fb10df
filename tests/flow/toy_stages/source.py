"""toy.source: rows of documents from the lines of an outside file."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from watari.artifact.hashing import hash_text
from watari.artifact.kinds import Kind
from watari.artifact.params import RUNTIME, Count, OutsidePath, StageParams
from watari.artifact.rows import ROWS, write_rows
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import UserError


class Params(StageParams):
    """Parameters of the toy source."""

    path: OutsidePath
    language: str
    upper: bool = False
    limit: Count = Field(default=1000, gt=0)
    weight: float = 1.0
    workers: Annotated[int, RUNTIME] = 1
    touch: bool = False


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    lines = Path(params.path).read_text("utf-8").splitlines()[: params.limit]
    for number, line in enumerate(lines, 1):
        if line == "BROKEN":
            raise UserError(f"{params.path}: line {number}: broken", "mend the row")
    rows = [
        {"id": hash_text(line), "text": line.upper() if params.upper else line, "language": params.language}
        for line in lines
    ]
    count = write_rows(out / ROWS, Kind.DOCUMENTS, rows)
    if params.touch:
        with Path(params.path).open("a", encoding="utf-8") as handle:
            handle.write("one more\n")
    progress.update(count, count, unit="rows")
    return StageResult(metrics={"rows": count}, performance={"rows_per_second": 1.0})


STAGE = Stage(kind="toy.source", version=1, output=Kind.DOCUMENTS, params=Params, run=run)
