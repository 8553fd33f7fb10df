"""toy.ask: names endpoints, and writes down what the run gave it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

from watari.artifact.kinds import Kind
from watari.artifact.params import OneOrMore
from watari.artifact.rows import ROWS, write_rows
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.endpoint.params import AskingParams, EndpointRef


class Params(AskingParams):
    """Parameters of the toy that asks."""

    teachers: Annotated[list[EndpointRef], OneOrMore]
    judge: EndpointRef | None = None


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    assert params.ledger is not None
    with closing(sqlite3.connect(params.ledger)) as ledger, ledger:
        ledger.execute("PRAGMA journal_mode=WAL")
        ledger.execute("CREATE TABLE IF NOT EXISTS asked (label TEXT)")
        ledger.execute("INSERT INTO asked VALUES (?)", (params.label,))
    rows = [{"id": teacher.name, "text": teacher.model} for teacher in params.teachers]
    return StageResult(metrics={"rows": write_rows(out / ROWS, Kind.DOCUMENTS, rows)})


STAGE = Stage(kind="toy.ask", version=1, output=Kind.DOCUMENTS, params=Params, run=run)
