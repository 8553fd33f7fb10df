"""A prompt that loses BOS stops an evaluation, or is told."""

from __future__ import annotations

from typing import Any

import pytest

from watari.artifact.stage import Silent
from watari.errors import UserError
from watari.evals.preflight import heed
from watari.generate.preflight import Sent, Verdict


class _Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append(message)


@pytest.mark.parametrize(
    ("why", "line"), [(False, "turn 2: no BOS"), (True, "turn 2: no BOS: it matters")], ids=["short", "long"]
)
def test_a_lost_bos_stops_the_evaluation_or_is_told(why: bool, line: str) -> None:
    def sent(name: str, verdict: Verdict) -> Sent:
        return Sent(name, "1", "hi", "hi", (), "<s>", 0, verdict, "no BOS", "it matters", "mend it")

    found = [sent("turn 1", "ok"), sent("turn 2", "fail"), sent("turn 3", "not checkable")]
    told = _Told()
    heed(found, "tell", None, told, why=why)
    assert told.lines == [line]
    heed(found, "tell", None)
    with pytest.raises(UserError, match="the prompt of turn 2: no BOS") as stopped:
        heed(found, "stop", None, told, why=why)
    assert "on_bos" in str(stopped.value.mend)
    heed([found[0], found[2]], "stop", None, told)
    assert told.lines == [line]
