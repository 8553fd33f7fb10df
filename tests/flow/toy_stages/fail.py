"""toy.fail: ends in every way in which a stage can end."""

import errno
import os
import signal
import time
from pathlib import Path

from watari.artifact.kinds import Kind
from watari.artifact.params import Documents, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import UserError


class Params(StageParams):
    """Parameters of the toy failure."""

    documents: Documents
    how: str = "user"
    megabytes: int = 4
    after: float = 0.0


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    time.sleep(params.after)
    match params.how:
        case "user":
            raise UserError("rows.jsonl: line 7: not JSON", "mend the row")
        case "defect":
            raise ZeroDivisionError("by nought")
        case "exit":
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "space":
            raise OSError(errno.ENOSPC, "No space left on device")
        case "chained":
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:
                raise RuntimeError("could not save the checkpoint") from error
        case "denied":
            raise PermissionError(errno.EACCES, "Permission denied", "/some/where")
        case "memory":
            raise MemoryError
        case "nan":
            return StageResult(metrics={"loss": float("nan")})
    with (out / "big.bin").open("wb") as handle:
        for _ in range(params.megabytes):
            handle.write(b"\0" * (1 << 20))
    return StageResult()


STAGE = Stage(kind="toy.fail", version=1, output=Kind.DOCUMENTS, params=Params, run=run)
