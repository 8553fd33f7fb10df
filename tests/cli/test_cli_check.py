"""`watari check`: lines in the order of the rows, a report for people, broken rows told."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from watari.cli.main import app
from watari.errors import UserError


def row(name, target, **more):
    source = [{"role": "user", "content": "See `a.b` at https://x.org/a."}]
    return {"id": name, "src": source, "tgt": [{"role": "user", "content": target}], **more}


GOOD = row("good", "https://x.org/a の `a.b` を見てください。", kind="paragraph")
BAD = row("bad", "それを見てください。", kind="chat")


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(30):
            for one in (GOOD, BAD):
                file.write(json.dumps({**one, "id": f"{one['id']}{number}"}) + "\n")
    return path


def watari(*arguments):
    done = CliRunner().invoke(app, ["check", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_one_line_a_row_in_order(pairs):
    done = watari(pairs, "--source-lang", "en", "--target-lang", "ja", "--json", "--workers", "1")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["id"] for line in lines] == [f"{kind}{n}" for n in range(30) for kind in ("good", "bad")]
    assert all(line["findings"] == [] for line in lines[::2])
    assert {finding["severity"] for line in lines[1::2] for finding in line["findings"]} >= {"hard"}
    assert all(set(one) == {"code", "severity", "span", "message"} for one in lines[1]["findings"])


def test_processes_say_the_same(pairs):
    alone = watari(pairs, "--json", "--workers", "1")
    assert watari(pairs, "--json", "--workers", "2").stdout == alone.stdout


def test_a_report_for_people(pairs, tmp_path):
    page = tmp_path / "page.html"
    done = watari(pairs, "--workers", "1", "--report", page)
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    assert "60 rows: 30 accepted (50.0%)" in done.stdout
    assert "url-changed" in done.stdout
    assert "told together" in done.stdout
    text = page.read_text("utf-8")
    assert "url-changed" in text
    assert "合格" in text


def test_the_page_escapes_what_it_shows(tmp_path):
    path, page = tmp_path / "x.jsonl", tmp_path / "x.html"
    evil = "<script>alert(1)</script>"
    path.write_text(json.dumps(row(evil, evil)) + "\n")
    watari(path, "--workers", "1", "--report", page)
    assert evil not in page.read_text("utf-8")


def test_conversations_with_their_source(tmp_path):
    path = tmp_path / "made.jsonl"
    made = {"id": "1", "messages": BAD["tgt"], "source_messages": BAD["src"], "meta": '{"free": true}'}
    path.write_text(json.dumps(made) + "\n")
    (line,) = watari(path, "--json", "--workers", "1").stdout.splitlines()
    # Of a free translation, which `meta` says that it is, a missing address is told and not held against it.
    severities = {one["code"]: one["severity"] for one in json.loads(line)["findings"]}
    assert severities["url-elsewhere"] == "warn"


def test_targets_alone(tmp_path):
    path = tmp_path / "made.jsonl"
    path.write_text(json.dumps({"id": "1", "messages": GOOD["tgt"]}) + "\n")
    with pytest.raises(UserError, match=r"made.jsonl: line 1: no source"):
        watari(path, "--json", "--workers", "1")
    (line,) = watari(path, "--json", "--workers", "1", "--target-only").stdout.splitlines()
    assert json.loads(line) == {"id": "1", "findings": []}


def test_a_broken_row_stops_or_is_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([json.dumps(GOOD), "{broken", json.dumps({**BAD, "tgt": 3}), json.dumps(BAD)]))
    with pytest.raises(UserError, match=r"rows.jsonl: line 2: not JSON"):
        watari(path, "--json", "--workers", "1")
    done = watari(path, "--json", "--workers", "1", "--on-error", "drop")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["id"] for line in lines][0::3] == ["good", "bad"]
    assert [one["findings"][0]["code"] for one in lines[1:3]] == ["row-unreadable", "row-unreadable"]
    assert "line 3: tgt is no list of messages" in done.stderr
    assert "2 of 4 rows could not be read" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--on-error", "go"), "--on-error"),
        (("--target-lang", "japanese"), "--target-lang: 'japanese' is no language code"),
        (("--source-lang", "xx"), "--source-lang: 'xx' is no language code"),
        (("--report", "/no/such/place/x.html"), "--report"),
    ],
)
def test_wrong_options_are_named(pairs, options, said):
    with pytest.raises(UserError, match=said):
        watari(pairs, *options)


def test_a_language_is_known_by_its_long_code_too(pairs):
    codes = ("jpn", "JA", "ja-JP")
    short = watari(pairs, "--target-lang", "ja", "--json", "--workers", "1").stdout
    assert short
    for code in codes:
        assert watari(pairs, "--target-lang", code, "--json", "--workers", "1").stdout == short


def test_an_empty_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    with pytest.raises(UserError):
        watari(path)


def test_a_closed_pipe_does_not_cost_the_page(pairs, tmp_path, monkeypatch):
    import typer

    page = tmp_path / "page.html"

    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr(typer, "echo", closed)
    done = CliRunner().invoke(app, ["check", str(pairs), "--workers", "1", "--report", str(page)])
    assert done.exit_code != 0
    assert page.read_text("utf-8").rstrip().endswith("</html>")
