"""Notes are English in files and Japanese on the Japanese page; every note that scorers write has both."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from pathlib import Path

import pytest

import watari.evals
from made_evaluations import judgments, write_lines
from watari.evals.page import report
from watari.evals.page.page import noted
from watari.pages.noted import Note, counted, japanese_of, rewritten, some, some_in_japanese

_ROOT = Path(watari.evals.__path__[0])
_JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_SCORERS = sorted(
    path.relative_to(_ROOT).as_posix()
    for name in ("jaster/notes.py", "mtbench/notes.py", "mtbench/pairs.py", "shaberi/notes.py", "shaberi/reading.py")
    for path in [_ROOT / name]
)  # fmt: skip


def test_a_note_is_its_english_text_wherever_text_is_wanted() -> None:
    note = Note("2 rows twice", "2 行重複しています")
    assert note == "2 rows twice"
    assert {note: 1}["2 rows twice"] == 1
    assert json.loads(json.dumps([note])) == ["2 rows twice"]
    for again in (copy.deepcopy(note), pickle.loads(pickle.dumps(note))):
        assert (again, again.japanese) == ("2 rows twice", "2 行重複しています")
    assert japanese_of(note) == "2 行重複しています"
    assert japanese_of("of an older file") == "of an older file"


def test_a_place_is_hidden_in_both_languages() -> None:
    found = rewritten(Note("/a/b: left out", "/a/b：除きました"), lambda text: text.replace("/a/b", "b"))
    assert (found, japanese_of(found)) == ("b: left out", "b：除きました")
    assert rewritten("/a/b: left out", lambda text: text.replace("/a/b", "b")) == "b: left out"


def test_names_are_told_up_to_eight() -> None:
    names = [str(number) for number in range(1, 11)]
    assert some(names[:8]) == "1, 2, 3, 4, 5, 6, 7, 8"
    assert some(names) == "1, 2, 3, 4, 5, 6, 7, 8, and 2 more"
    assert some_in_japanese(iter(names)) == "1、2、3、4、5、6、7、8、ほか 2 件"
    assert some_in_japanese(names[:2]) == "1、2"
    assert (counted(1, "row"), counted(2000, "row")) == ("1 row", "2,000 rows")


def test_the_page_shows_both_and_runs_nothing_of_them() -> None:
    shown = str(noted(Note("<b>x</b>", "<i>例</i>\u202e")))
    assert '<span class="w" lang="en"><bdi>&lt;b&gt;x&lt;/b&gt;</bdi></span>' in shown
    assert '<span class="w" lang="ja"><bdi>&lt;i&gt;例&lt;/i&gt;' in shown
    assert "\u202e" not in shown
    assert noted("alone & old") == "<bdi>alone &amp; old</bdi>"


def test_a_report_has_its_notes_in_both_languages_and_its_files_in_english(tmp_path: Path) -> None:
    rows = judgments(["m"], [81, 82], runs=1)
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    made = report([write_lines(folder / "j.jsonl", [*rows, rows[0]])], tmp_path / "out", plots=False)
    html = made.page.read_text("utf-8")
    assert "1 row of a question and turn that stand there already: averaged as well</bdi></span>" in html
    assert "同じ問題・ターンの行が 1 行重複しており、これも平均に含めています</bdi></span>" in html
    figures = (tmp_path / "out" / "figures.json").read_text("utf-8")
    assert "averaged as well" in figures
    assert "重複" not in figures


@pytest.mark.parametrize("module", _SCORERS)
def test_scorers_write_every_note_in_both_languages_with_the_same_values(module: str) -> None:
    tree = ast.parse((_ROOT / module).read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    notes = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Note"]
    assert notes
    for call in notes:
        english, japanese = call.args
        assert not _JAPANESE.search(_literals(english))
        assert _JAPANESE.search(_literals(japanese))
        assert _numbers(english) - _numbers(japanese) == set()


def test_scorers_add_no_note_that_is_a_text_alone() -> None:
    for module in _SCORERS:
        for node in ast.walk(ast.parse((_ROOT / module).read_text("utf-8"))):
            given: list[ast.expr | None] = []
            if isinstance(node, ast.Yield):
                given = [node.value]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr == "append" and isinstance(node.func.value, ast.Name):
                    given = list(node.args) if node.func.value.id == "notes" else []
                elif node.func.attr == "note":
                    given = list(node.args[-1:])
            for value in given:
                assert not isinstance(value, ast.JoinedStr | ast.Constant), ast.unparse(node)


def _literals(node: ast.expr) -> str:
    return "".join(
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )


def _numbers(node: ast.expr) -> set[str]:
    """Return the names whose values a text shows."""
    texts = [one for one in ast.walk(node) if isinstance(one, ast.FormattedValue)]
    return {
        one.id
        for text in texts
        for one in ast.walk(text.value)
        if isinstance(one, ast.Name) and one.id not in ("counted", "some", "some_in_japanese", "len", "sum")
    }
