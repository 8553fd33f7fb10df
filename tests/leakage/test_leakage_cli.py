"""`watari leakage scan` and `compare`, as a user calls them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from watari.cli.main import app
from watari.errors import UserError
from watari.pages.visible import columns

CLEAN = "今日はとても良い天気だったので、友達と公園へ散歩に行きました。桜がきれいに咲いていました。"
LEAKY = "今日はとても良い天気だったので、友達と공원へ散歩に行きました。桜がきれいに咲いていました。"
PROMPT = "昨日の出来事を教えてください。"


def written(path: Path, leaks: dict[tuple[str, float], int], prompts: int = 12, **more: Any) -> str:
    """Write a file in which each model at each temperature leaks in its answers to the first so many prompts."""
    rows = [
        {"id": f"{model}-{temperature}-{number}", "prompt": f"{PROMPT}{number}", "model": model,
         "temperature": temperature, "response": LEAKY if number < many else CLEAN, **more}
        for (model, temperature), many in leaks.items()
        for number in range(prompts)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


def called(*arguments: str, input: str | None = None) -> str:
    done = CliRunner().invoke(app, ["leakage", *arguments], input=input)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_line_a_row_and_the_summary_last(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", {("m", 0.1): 1, ("m", 1.0): 6})
    *lines, last = [json.loads(line) for line in called("scan", file, "--json").splitlines()]
    assert [line["id"] for line in lines] == [
        json.loads(row)["id"] for row in Path(file).read_text().splitlines()
    ]
    assert all(set(line) == {"id", "expected_lang", "events"} for line in lines)
    (found,) = lines[0]["events"]
    assert {"class", "span", "start", "end", "severity", "why"} <= set(found)
    assert found["span"] == LEAKY[found["start"] : found["end"]] == "공원"
    assert lines[1]["events"] == []
    summary = last["summary"]
    assert (summary["responses"], summary["judged"], summary["events"], summary["leaking"]) == (24, 24, 7, 7)
    assert summary["events_per_1000"]["value"] == pytest.approx(7 / (24 * len(CLEAN)) * 1000)
    assert summary["responses_with_any"]["low"] < 7 / 24 < summary["responses_with_any"]["high"]
    assert summary["by_expected"]["ja"]["by_language"]["ko"]["events"] == 7
    (curve,) = [curve for curve in summary["curves"] if not curve["series"]]
    assert [point["value"] for point in curve["points"]] == [0.1, 1.0]
    assert curve["trend"]["responses_with_any"]["low"] > 0


def test_tables_are_80_columns_wide(tmp_path: Path) -> None:
    long = "a-model-with-a-name-that-is-far-too-long-for-any-table-of-this-kind-日本語"
    one = written(tmp_path / "a.jsonl", {(long, 0.1): 1, ("m", 1.0): 6})
    two = written(tmp_path / "b.jsonl", {("n", 0.1): 1, ("n", 1.0): 6})
    for said in (called("scan", one), called("compare", one, two), called("compare", one)):
        assert max(map(columns, said.splitlines())) <= 80
    assert "⟦공원⟧" in called("scan", one)


def test_only_some_rows(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", {("m", 0.1): 1, ("m", 1.0): 6, ("n", 1.0): 3})
    said = called("scan", file, "--json", "--where", "temperature=1", "--where", "model=m,n").splitlines()
    assert len(said) == 25
    assert json.loads(said[-1])["summary"]["passed_over"] == 12
    with pytest.raises(UserError, match="none of 36 responses is wanted"):
        called("scan", file, "--where", "model=x")
    with pytest.raises(UserError, match="--by min_p: no row has this column") as told:
        called("scan", file, "--by", "min_p")
    assert "model" in str(told.value.mend)
    assert "temperature" in str(told.value.mend)


def test_a_folder_is_left(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", {("m", 0.1): 1, ("m", 1.0): 6})
    out = tmp_path / "out"
    called("scan", file, "--out", str(out), "--title", "<b>題</b>")
    assert sorted(path.name for path in out.iterdir()) == [
        "events.jsonl", "index.html", "rows.parquet", "summary.json",
    ]  # fmt: skip
    leaks = [json.loads(line) for line in (out / "events.jsonl").read_text("utf-8").splitlines()]
    assert len(leaks) == 7
    assert leaks[0]["messages"] == [{"role": "user", "content": f"{PROMPT}0"}]
    assert leaks[0]["response"] == LEAKY
    scores = pq.read_table(out / "rows.parquet").to_pylist()
    whole = {row["metric"]: row for row in scores if row["group"] == "all"}
    assert whole["responses_with_any"]["value"] == pytest.approx(7 / 24, abs=1e-6)
    assert whole["responses_with_any"]["n"] == 24
    assert "&lt;b&gt;題&lt;/b&gt;" in (out / "index.html").read_text("utf-8")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    called("scan", file, "--out", str(out), "--title", "<b>題</b>")
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    # What was found can be scanned again: repair does.
    assert (
        json.loads(called("scan", str(out / "events.jsonl"), "--json").splitlines()[-1])["summary"]["leaking"]
        == 7
    )


def test_two_files_are_compared(tmp_path: Path) -> None:
    before = written(tmp_path / "before.jsonl", {("base", 0.5): 1})
    after = written(tmp_path / "after.jsonl", {("dpo", 0.5): 9})
    said = json.loads(called("compare", before, after, "--json"))
    assert (said["a"], said["b"], said["prompts"]) == ("base", "dpo", 12)
    assert said["responses_with_any"]["difference"] == pytest.approx(-8 / 12)
    assert said["responses_with_any"]["high"] < 0
    assert said["responses_with_any"]["p_permutation"] < 0.05
    assert "B leaks more" in called("compare", before, after)
    assert "not told apart" in called("compare", before, before)


def test_two_models_in_one_file_are_compared(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", {("x", 0.5): 1, ("y", 0.5): 2})
    assert json.loads(called("compare", file, "--json"))["b"] == "y"
    three = written(tmp_path / "b.jsonl", {("x", 0.5): 1, ("y", 0.5): 2, ("z", 0.5): 3})
    with pytest.raises(UserError, match="3 models in 1 file: x, y, z"):
        called("compare", three)
    said = json.loads(called("compare", three, "--a", "model=x,y", "--b", "model=z", "--json"))
    assert (said["a"], said["b"], said["responses"]) == ("x+y", "z", [24, 12])
    with pytest.raises(UserError, match="--a and --b go together"):
        called("compare", three, "--a", "model=x")
    with pytest.raises(UserError, match="w: no response to compare"):
        called("compare", three, "--a", "model=w", "--b", "model=z")


def test_broken_rows_stop_or_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    good = json.dumps({"prompt": PROMPT, "response": CLEAN}, ensure_ascii=False)
    file.write_text(f"{good}\n{{}}\n{good}\n", "utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl: line 2: no text in 'response'"):
        called("scan", str(file))
    said = json.loads(called("scan", str(file), "--json", "--on-error", "drop").splitlines()[-1])["summary"]
    assert (said["responses"], said["unreadable"]) == (2, {"no text in 'response'": 1})
    assert "1 unreadable" in called("scan", str(file), "--on-error", "drop")


def test_standard_input(tmp_path: Path) -> None:
    row = json.dumps({"id": "x", "prompt": PROMPT, "response": LEAKY}, ensure_ascii=False)
    said = called("scan", "-", "--json", input=row + "\n").splitlines()
    assert json.loads(said[0])["id"] == "x"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--expected", "Japanese"], "no language code"),
        (["--licensed", "some"], "not one of none, names, any"),
        (["--where", "model"], "not COLUMN=VALUE"),
        (["--on-error", "weep"], "not one of stop, drop"),
    ],
)
def test_wrong_options_are_refused(options: list[str], said: str, tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", {("m", 0.1): 1})
    with pytest.raises(UserError, match=said):
        called("scan", file, *options)


def test_nothing_to_scan_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("", "utf-8")
    with pytest.raises(UserError, match="nothing to scan"):
        called("scan", str(tmp_path / "a.jsonl"))
    with pytest.raises(UserError, match="no such file"):
        called("scan", str(tmp_path / "b.jsonl"))
    (tmp_path / "out").write_text("", "utf-8")
    with pytest.raises(UserError, match="is a file"):
        called("scan", written(tmp_path / "c.jsonl", {("m", 0.1): 1}), "--out", str(tmp_path / "out"))


def test_responses_of_no_known_language_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"response": "12345 !!"}\n', "utf-8")
    said = called("scan", str(tmp_path / "a.jsonl"))
    assert "no expected language is known" in said


def test_the_stored_runs(test_data: Path) -> None:
    """Prompts beside are found; leakage in English answers grows with temperature."""
    file = test_data / "shisa-generations" / "generations.jsonl.gz"
    said = called(
        "scan", str(file), "--json", "--where", "expected_lang=en", "--by", "temperature"
    ).splitlines()
    summary = json.loads(said[-1])["summary"]
    assert summary["expected_from"] == {"prompt": summary["responses"]}
    assert summary["prompts"] in range(44, 50)
    (curve,) = summary["curves"]
    assert curve["trend"]["responses_with_any"]["low"] > 0
    assert summary["by_language"]["ja"]["events"] > 0.9 * summary["events"]


def documented(name: str) -> dict[str, Any]:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    found = re.search(rf"<!-- json: {name} -->\n```json\n(.*?)```", text, re.S)
    assert found is not None
    said: dict[str, Any] = json.loads(found[1])
    return said


def test_the_json_is_as_documented(tmp_path: Path) -> None:
    before = written(tmp_path / "before.jsonl", {("base", 0.1): 1, ("base", 1.0): 6})
    after = written(tmp_path / "after.jsonl", {("dpo", 0.5): 9})
    summary = json.loads(called("scan", before, "--json").splitlines()[-1])["summary"]
    said = documented("leakage scan")["summary"]
    assert set(summary) == set(said)
    assert set(summary["curves"][0]) == set(said["curves"][0])
    assert set(summary["events_per_1000"]) == set(said["events_per_1000"])
    pair, told = json.loads(called("compare", before, after, "--json")), documented("leakage compare")
    assert set(pair) == set(told)
    assert set(pair["parts"][0]) == set(told["parts"][0])
    assert set(pair["events_per_1000"]) == set(told["events_per_1000"])
