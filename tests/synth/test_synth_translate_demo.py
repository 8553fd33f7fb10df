"""The little world translated by its own teacher: planted faults are caught, and repaired or escalated; runs repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from watari.artifact.rows import read_rows
from watari.artifact.stage import Silent
from watari.demo import conversations
from watari.demo.teacher import translated
from watari.endpoint.settings import Endpoint
from watari.synth.translate import Params, translate_rows

ROWS = 120
URL = "replay://demo-teacher?seed=5&faults=0.4&latency=5&sd=1&process=0"


def rows() -> list[dict[str, Any]]:
    talk = conversations(seed=2, count=3 * ROWS, language="en", level="easy")
    # Greetings are few and alike; stories are what is drawn from.
    return [row for row in talk if '"copy"' in row["meta"]][:ROWS]


def run(out: Path, extra: str = "") -> Any:
    teachers = [
        Endpoint(name=name, base_url=URL + extra, model=f"demo-teacher{end}")
        for name, end in (("fast", ""), ("strong", "-strong"))
    ]
    out.mkdir()
    params = Params(
        data=["rows"], language="ja", teachers=teachers, ledger=str(out.parent / f"{out.name}.sqlite")
    )
    return translate_rows(params, iter(rows()), out, Silent(), total=ROWS)


def test_planted_faults_are_caught_repaired_and_escalated(tmp_path: Path) -> None:
    metrics = run(tmp_path / "a").metrics
    first, repair, *_ = metrics["rungs"]
    assert first["asked"] == ROWS
    assert 0.25 < 1 - first["accepted"] / ROWS < 0.5
    assert {"preamble", "number-changed", "untranslated", "segments"} <= set(first["faults"])
    assert repair["accepted"] > 0.4 * repair["asked"]
    assert metrics["repaired"] > metrics["escalated"] > 0
    assert metrics["dropped"] <= 0.1 * ROWS
    sources = {row["id"]: row["messages"] for row in rows()}
    for row in read_rows(tmp_path / "a"):
        source = sources[row["parents"][0]]
        right, _ = translated({place: message["content"] for place, message in enumerate(source)})
        assert [message["content"] for message in row["messages"]] == list(right.values())


def test_faults_on_the_wire_change_nothing_in_the_rows(tmp_path: Path) -> None:
    # No garbage: an answer without text is one, and goes up the ladder.
    faults = "&rate_429=0.05&retry_after=0.01&rate_500=0.03&rate_503=0.02&rate_cut=0.03&rate_reset=0.03"
    quiet, stormy = run(tmp_path / "a"), run(tmp_path / "b", faults)
    assert list(read_rows(tmp_path / "a")) == list(read_rows(tmp_path / "b"))
    assert quiet.metrics["rungs"] == stormy.metrics["rungs"]
    assert stormy.performance["requests_sent"] > quiet.performance["requests_sent"]
