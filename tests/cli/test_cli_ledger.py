"""`watari ledger ...`: honest when empty, readable while others write, at 80 columns, the same bytes again."""

import json
import time

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from watari.cli.ledger import ledger_app
from watari.endpoint.ledger import Attempt, Verdict, open_ledger
from watari.errors import UserError


def attempt(number: int, **changed) -> Attempt:
    text = json.dumps(
        {"choices": [{"index": 0, "message": {"content": f"答え {number}"}, "finish_reason": "stop"}]}
    )
    given = {
        "key": f"k{number}", "unit": f"u{number}", "label": "translated", "row": f"row-{number}", "rung": 0,
        "purpose": "translate", "endpoint": "fast", "model": "m", "status": "answered", "http": 200,
        "request": b'{"messages": []}', "response": text.encode(), "prompt_tokens": 100, "completion_tokens": 50,
        "cost": 0.0002, "sent": time.time() - 10, "seconds": 0.25, "finish_reason": "stop",
    }  # fmt: skip
    return Attempt(**{**given, **changed})


@pytest.fixture
def run(tmp_path):
    """A run's folder with a ledger that is open for writing while it is looked at."""
    folder = tmp_path / "runs" / "demo"
    with open_ledger(folder / "ledger.sqlite") as ledger:
        ledger.record_all(
            [
                attempt(1),
                attempt(2),
                attempt(
                    2,
                    status="rate limited",
                    http=429,
                    response=b"",
                    prompt_tokens=0,
                    completion_tokens=0,
                    cost=0.0,
                ),
                attempt(2, key="k2b", rung=1, endpoint="strong", purpose="repair", cost=0.01),
                attempt(
                    3,
                    status="timeout",
                    http=0,
                    response=b"",
                    detail="the overall deadline\x1b[31m has passed",
                ),
                attempt(4),
            ]
        )
        ledger.judge(
            [
                Verdict(1, "v1", True, ("register",)),
                Verdict(2, "v1", False, ("numbers", "urls")),
                Verdict(4, "v1", True),
                Verdict(6, "v0", True),
                Verdict(6, "v1", False, ("numbers",)),
            ]
        )
        ledger.flush()
        yield folder


def call(*arguments: object) -> str:
    done = CliRunner().invoke(ledger_app, [str(one) for one in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_status_as_json(run):
    told = json.loads(call("status", run, "--json"))
    assert told["rows"] == {"accepted": 2, "faulty": 1, "failed": 1}
    assert told["attempts"] == {"answered": 4, "rate limited": 1, "timeout": 1}
    fast, strong = told["endpoints"]
    assert {name: fast[name] for name in ("endpoint", "rung", "asked", "sent", "answered", "judged", "accepted", "limited")} == {
        "endpoint": "fast", "rung": 0, "asked": 4, "sent": 5, "answered": 3, "judged": 3, "accepted": 1, "limited": 1
    }  # fmt: skip
    assert fast["faults"] == {"numbers": 2, "register": 1, "urls": 1}
    assert (strong["accepted"], strong["cost"], strong["faults"]) == (1, 0.01, {})
    run_, stage = told["accounts"]
    assert (run_["label"], stage["label"]) == ("", "translated")
    assert run_["spent"] == stage["spent"] == {"money": 0.0108, "tokens": 750, "requests": 6}
    assert run_["budget"] is None
    assert told["in_flight"] == 0
    assert told["last_minute"] == {"attempts": 6, "answered": 4}
    assert 5 < told["answer_age"] < 60


def test_status_for_people_fits_80_columns(run):
    text = call("status", run)
    assert max(len(line) for line in text.splitlines()[1:]) <= 80
    assert "rows: 4 (2 accepted, 1 faulty, 1 failed)" in text
    assert "findings of translated, rung 0, fast: 2 numbers, 1 register, 1 urls" in text
    assert "the run: spent 0.0108, 750 tokens, 6 requests" in text
    assert call("status", run / "ledger.sqlite") == text or "last answer" in text


def test_an_empty_ledger_is_told_as_such(tmp_path):
    open_ledger(tmp_path).close()
    text = call("status", tmp_path)
    assert "nothing was sent yet" in text
    assert "no answer yet" in text
    assert json.loads(call("status", tmp_path, "--json"))["answer_age"] is None
    assert call("tail", tmp_path) == "nothing was sent yet\n"
    with pytest.raises(UserError, match="no ledger is there"):
        call("status", tmp_path / "nowhere.sqlite")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no ledger is there"):
        call("status", tmp_path / "empty")
    with pytest.raises(UserError, match="no ledger is there"):
        call("retry", tmp_path / "other.sqlite", "--check", "x")
    assert not (tmp_path / "other.sqlite").exists()


def test_tail_shows_the_newest_and_obeys_no_escape(run):
    lines = call("tail", run, "-n", 2).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("5 ")
    assert "timeout" in lines[0]
    assert "\x1b" not in lines[0]
    assert "faulty numbers" in lines[1]
    whole = [json.loads(line) for line in call("tail", run, "-n", 1, "--json").splitlines()]
    assert whole[0]["text"] == "答え 4"
    assert whole[0]["verdicts"] == [
        {"version": "v0", "accepted": True, "codes": []},
        {"version": "v1", "accepted": False, "codes": ["numbers"]},
    ]


def test_export_gives_the_same_bytes_again(run, tmp_path):
    for name in ("a.parquet", "b.parquet", "a.jsonl", "b.jsonl"):
        call("export", run, "--out", tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert rows == [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["答え 1", "答え 2", "", "答え 2", "", "答え 4"]
    assert json.loads(call("export", run, "--out", tmp_path / "a.jsonl", "--json"))["attempts"] == 6
    with pytest.raises(UserError, match="neither"):
        call("export", run, "--out", tmp_path / "a.csv")


def test_retry_asks_again_and_says_what_there_is(run):
    assert call("retry", run, "--check", "nothing") == (
        "no row's last attempt is of this kind; on record are: codes numbers, register, urls;"
        " status answered, rate limited, timeout; stages translated\n"
    )
    assert call("retry", run, "--check", "numbers").startswith("1 row will be asked again")
    assert json.loads(call("retry", run, "--status", "timeout", "--json")) == {"rows": 1}
    told = json.loads(call("status", run, "--json"))
    assert told["rows"] == {"accepted": 2, "asked again": 2}
    with pytest.raises(UserError, match="which rows"):
        call("retry", run)
