"""`watari leakage scan` and `compare` with what users get wrong: one line that names it, no traceback, nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from watari.cli.main import app
from watari.errors import UserError
from watari.leakage.rows import Row
from watari.leakage.scan import scan_row
from watari.leakage.summary import Collector, summarise
from watari.leakage.writing import Leaks
from watari.text.language_codes import is_language_code

ROWS: list[dict[str, Any]] = [
    {"id": "a", "prompt": "Write about spring in English.", "response": "In spring the 桜 bloom."},
    {"id": "b", "prompt": "春について日本語で書いて。", "response": "春は桜が咲きます。"},
    {"id": "c", "prompt": "Write about the sea.", "response": "The sea is blue and wide."},
]


def file_of(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> str:
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return str(path)


def called(*arguments: str, input: str | None = None) -> str:
    done = CliRunner().invoke(app, ["leakage", *arguments], input=input)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{"id": "x", "resp', "line 2: not JSON"),
        ("[1, 2]", "line 2: not an object: a list"),
        ({"prompt": "hi"}, "line 2: no text in 'response': the row has prompt"),
        ({"prompt": "hi", "response": 5}, "line 2: no text in 'response': it is a number"),
        ({"prompt": 7, "response": "x"}, "line 2: no prompt: prompt: it is a number"),
        ({"messages": "hi", "response": "x"}, "line 2: no prompt: messages: it is a string, not a list"),
        ({"messages": [{"role": "system"}], "response": "x"}, "not a list of {role, content}"),
        ({"response": "x", "expected_lang": "xx"}, "expected_lang: 'xx' is no language code; write ja, en"),
        ({"response": "x", "expected_lang": "Japanese"}, "expected_lang: 'Japanese' is no language code"),
        ({"response": "x", "expected_lang": 5}, "expected_lang: 5 is no language code"),
        ({"response": "x", "licensed": "some"}, "licensed: 'some' is not one of none, names, any"),
    ],
    ids=[
        "cut", "list", "no-response", "number", "prompt", "messages", "message", "xx", "name", "five", "licensed",
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_can_be_dropped(row: Any, told: str, tmp_path: Path) -> None:
    file = file_of(tmp_path, [ROWS[0], row, ROWS[1]])
    with pytest.raises(UserError) as caught:
        called("scan", file, "--json")
    assert told in caught.value.message
    assert caught.value.message.startswith(f"{file}: line 2: ")
    assert "\n" not in caught.value.message
    assert "--on-error drop" in str(caught.value.mend)
    *lines, last = called("scan", file, "--json", "--on-error", "drop").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b"]
    assert sum(json.loads(last)["summary"]["unreadable"].values()) == 1


def test_an_event_has_these_six_values_and_no_other(tmp_path: Path) -> None:
    line = called("scan", file_of(tmp_path, ROWS), "--json").splitlines()[0]
    assert json.loads(line) == {
        "id": "a",
        "expected_lang": "en",
        "events": [
            {
                "class": "token",
                "span": "桜",
                "start": 14,
                "end": 15,
                "severity": "medium",
                "why": "Japanese letters",
            }
        ],
    }


@pytest.mark.parametrize(
    ("code", "is_one"),
    [("ja", True), ("ain", True), ("zu", True), ("xx", False), ("cn", False), ("JA", False), ("j", False),
     ("japanese", False), ("日本", False), ("", False), (5, False), (None, False)],
)  # fmt: skip
def test_what_a_language_code_is(code: object, is_one: bool) -> None:
    assert is_language_code(code) is is_one


def test_codes_are_read_in_the_forms_that_people_write(tmp_path: Path) -> None:
    for code in ("ja", "JA", "jp", "ja-JP", "jpn_Jpan"):
        file = file_of(
            tmp_path, [{"id": 1, "prompt": "q", "response": "春は spring です。", "expected_lang": code}]
        )
        assert json.loads(called("scan", file, "--json").splitlines()[0])["expected_lang"] == "ja"
        assert '"expected_lang": "ja"' in called("scan", file, "--json", "--expected", code)
    with pytest.raises(UserError, match="--expected xx: no language code"):
        called("scan", file, "--expected", "xx")


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arguments in (
        (file_of(tmp_path, [ROWS[0], "{"]),),
        (file_of(tmp_path, ROWS, "good.jsonl"), "--by", "nope"),
        (file_of(tmp_path, ROWS, "good.jsonl"), "--where", "model=none"),
    ):
        with pytest.raises(UserError):
            called("scan", *arguments, "--out", str(out))
        assert list(out.iterdir()) == []


def test_files_of_others_are_not_written_over(tmp_path: Path) -> None:
    file, out = file_of(tmp_path, ROWS), tmp_path / "site"
    out.mkdir()
    (out / "index.html").write_text("mine", "utf-8")
    with pytest.raises(UserError, match=r"site/index\.html: is there, and no scan wrote it"):
        called("scan", file, "--out", str(out))
    assert (out / "index.html").read_text("utf-8") == "mine"
    (out / "index.html").unlink()
    (out / "notes.txt").write_text("mine", "utf-8")
    called("scan", file, "--out", str(out))
    first = (out / "summary.json").read_bytes()
    called("scan", file, "--out", str(out))
    assert (out / "summary.json").read_bytes() == first
    assert (out / "notes.txt").read_text("utf-8") == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    file = file_of(tmp_path, ROWS)
    with pytest.raises(UserError, match="is a file"):
        called("scan", file, "--out", file)
    (tmp_path / "away").symlink_to(tmp_path / "nowhere" / "deep")
    with pytest.raises(UserError, match="cannot be made"):
        called("scan", file, "--out", str(tmp_path / "away"))


def test_standard_input_is_read_once(tmp_path: Path) -> None:
    text = Path(file_of(tmp_path, ROWS)).read_text("utf-8")
    assert len(called("scan", "-", "--json", input=text).splitlines()) == 4
    with pytest.raises(UserError, match="standard input can be read once"):
        called("compare", "-", "-", input=text)
    with pytest.raises(UserError, match="standard input can be read once"):
        called("scan", "-", "-", input=text)


def test_what_is_wrong_with_standard_input_is_told_of_it() -> None:
    with pytest.raises(UserError, match=r"^standard input: line 1: no text in 'response'"):
        called("scan", "-", input='{"prompt": "a", "response": 5}\n')


def test_rows_that_were_all_dropped_are_told(tmp_path: Path) -> None:
    file = file_of(tmp_path, [{"prompt": "a", "response": 5}, {"prompt": "b"}], "bad.jsonl")
    with pytest.raises(UserError, match=r"nothing to scan; 2 cannot be read: no text in 'response'"):
        called("scan", file, "--on-error", "drop")


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    file = file_of(tmp_path, ROWS)
    empty = file_of(tmp_path, [], "empty.jsonl")
    with pytest.raises(UserError, match=r"empty\.jsonl: no response to compare") as caught:
        called("compare", file, empty)
    assert "--where" not in str(caught.value.mend)
    with pytest.raises(UserError, match="--by nope: no row has this column"):
        called("compare", file, file, "--by", "nope")
    with pytest.raises(UserError, match="answer no prompt in common"):
        called("compare", file, file_of(tmp_path, [{"prompt": "another", "response": "x"}], "other.jsonl"))
    with pytest.raises(UserError, match=r"empty\.jsonl: nothing to scan"):
        called("scan", empty)


def test_a_file_with_itself_and_one_row_each(tmp_path: Path) -> None:
    file = file_of(tmp_path, ROWS)
    same = json.loads(called("compare", file, file, "--json"))
    share = same["responses_with_any"]
    assert (share["difference"], share["low"], share["high"], share["p_permutation"]) == (0, 0, 0, 1)
    one = file_of(tmp_path, ROWS[:1], "one.jsonl")
    alone = json.loads(called("compare", one, one, "--json"))
    assert alone["responses_with_any"]["low"] is None
    assert "one prompt says nothing about the difference" in called("compare", one, one)
    some = json.loads(called("compare", file, one, "--json"))
    assert (some["prompts"], some["only_a"], some["only_b"]) == (1, 2, 0)


def test_a_reader_that_goes_away_is_no_defect(tmp_path: Path) -> None:
    file = file_of(tmp_path, ROWS * 2000)
    child = subprocess.Popen(
        [sys.executable, "-m", "watari", "leakage", "scan", file, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert child.stdout is not None
    assert child.stderr is not None
    assert json.loads(child.stdout.readline())["id"] == "a"
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    child.wait()
    assert "Traceback" not in said
    assert "Exception ignored" not in said


def test_rows_alike_are_kept_once() -> None:
    """What a scan holds of a row does not grow with its text or with columns that no curve is drawn by."""

    def row(n: int) -> Row:
        columns: dict[str, str | int | float] = {"temperature": 0.5 * (n % 2), "note": f"row {n}", "run": n}
        response = "In spring the 桜 bloom." if n % 3 else "In spring they bloom."
        return Row(str(n), f"p{n % 4}", (), response, expected="en", columns=columns)

    lean, whole = Collector(columns=("temperature",)), Collector()
    for n in range(24):
        for found in (lean, whole):
            found.add(scan_row(row(n)))
    assert len({id(tally.columns) for tally in lean.tallies}) == 2
    assert len({id(tally.events) for tally in lean.tallies}) == 2
    assert set(whole.tallies[0].columns) == {"temperature", "note", "run"}
    assert summarise(lean).as_json() == summarise(whole).as_json()


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Real ENOSPC: what is written goes to /dev/full, in which nothing has room."""
    rows = tmp_path / "rows.jsonl"
    leaking = {"prompt": "Say something of a ball.", "response": "The red 高校生の ball was too high. " * 40}
    rows.write_text(
        "".join(json.dumps({"id": str(n), **leaking}) + "\n" for n in range(40)), encoding="utf-8"
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / ".events.jsonl.part").symlink_to("/dev/full")
    done = subprocess.run(
        [sys.executable, "-m", "watari", "leakage", "scan", str(rows), "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(out.iterdir())
    # What is still in the buffer when a scan ends early has no room either.
    (out / ".events.jsonl.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match="row 2"):
        scan_one_and_stop(out)
    assert not any(out.iterdir())


def scan_one_and_stop(out: Path) -> None:
    with Leaks(out) as leaks:
        leaks.add(scan_row(Row("1", "p", (), "The red 高校生の ball.", expected="en")))
        assert leaks.count == 1
        raise UserError("row 2")
