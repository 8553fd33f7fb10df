"""Markdown in the forms of the two cards: golden figures, both languages, and texts that do nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from made_evaluations import MODELS, QUESTIONS, judgments, write_evaluations, write_lines
from watari.evals.page.board import Board, boards_of
from watari.evals.page.gathering import gather
from watari.evals.page.report import scales
from watari.evals.tables import markdown


def boards(paths: list[Path], spec: str | None = None) -> list[Board]:
    """Return the tables of files."""
    found = gather(paths, spec)
    return boards_of(found.results, scales(found))


def rows(text: str, head: str) -> list[list[str]]:
    """Return the rows of the first table whose head begins so."""
    lines = text[text.index(head) :].split("\n\n")[0].split("\n")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_swallows_form_has_overall_and_both_turns_by_category_from_0_to_1(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "j.jsonl", judgments(["m"], QUESTIONS))
    board = boards([path], "fastchat-mt-bench")
    text = markdown(board, "en")
    figures = board[0].entries[0].result.figures
    overall = rows(text, "| Model | Overall | First Turn | Second Turn |")
    names = ("overall", "turn 1", "turn 2")
    assert overall == [["m", *(f"{figures[name].value / 10:.4f}" for name in names)]]  # type: ignore[operator]
    for turn, head in (("", "### Overall"), (" turn 1", "### First Turn"), (" turn 2", "### Second Turn")):
        cells = rows(text[text.index(head) :], "| Model | Average | Writing | Math | Coding |")[0]
        first = figures["overall" if not turn else turn.strip()]
        wanted = [first, *(figures[name + turn] for name in ("writing", "math", "coding"))]
        assert cells == ["m", *(f"{figure.value / 10:.4f}" for figure in wanted)]  # type: ignore[operator]
    assert rows(text[text.index("### Score") :], "| Model | Score |") == [
        ["m", f"{figures['overall'].value:.2f}"]
    ]
    assert "## fastchat-mt-bench/1 · judge: gpt-4" in text
    footnote = text.rstrip().split("\n")[-1]
    assert re.fullmatch(
        r"- \*\*m\*\*: Overall [\d.]+ \[[\d.]+, [\d.]+\], n = 48, invalid 0 of 48, sd of 2 runs [\d.]+\.", footnote
    )  # fmt: skip


def test_shisas_form_and_its_published_figures(test_data: Path) -> None:
    board = boards([test_data / "shisa-llm-jp-eval" / "predictions.jsonl.gz"])
    text = markdown(board, "en")
    table = {row[0]: row[1:] for row in rows(text, "| Model | AVR | MC | NLI | QA | RC |")}
    assert len(table) == 41
    # The figures of Shisa 7B's card.
    assert table["shisa-mega-dpo-7b-v1.1"] == ["0.7480", "0.8900", "0.8040", "0.4153", "0.8825"]
    assert "llm-jp-eval-1.0" in text
    assert "no judge" in text


def test_both_languages_hold_the_same_numbers(tmp_path: Path) -> None:
    board = boards(write_evaluations(tmp_path), "fastchat-mt-bench")
    english, japanese = markdown(board, "en"), markdown(board, "ja")
    said = [re.findall(r"\d+\.\d{2,4}", text) for text in (english, japanese)]
    assert said[0] == said[1]
    assert len(said[0]) > 100
    assert "| モデル | 総合 | 1ターン目 | 2ターン目 |" in japanese
    assert "Model |" not in japanese


def test_a_refused_model_has_a_dash_and_the_reason(tmp_path: Path) -> None:
    text = markdown(boards(write_evaluations(tmp_path), "fastchat-mt-bench"), "en")
    assert ["broken", "–", "–", "–"] in rows(text, "| Model | Overall | First Turn | Second Turn |")
    assert "- **broken**: not shown: " in text
    assert "% of 48 ratings are invalid" in text
    japanese = markdown(boards(write_evaluations(tmp_path), "fastchat-mt-bench"), "ja")
    assert "- **broken**：非表示（評点 48 件のうち 75.0 % が無効）。" in japanese


def test_a_models_name_is_no_markup_and_breaks_no_table(tmp_path: Path) -> None:
    hostile = "a|b<img src=x>\n| c | **d** [e](javascript:f) `g`"
    path = write_lines(tmp_path / "j.jsonl", judgments([hostile, "x"], QUESTIONS))
    text = markdown(boards([path], "fastchat-mt-bench"), "en")
    assert "<img" not in text
    assert "](" not in text.replace("\\](", "").replace("\\]\\(", "")
    table = re.split(r"\n\n", text[text.index("| Model | Overall") :])[0].split("\n")
    assert len(table) == 4
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {5}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_table_names_spec_and_judge(language: str, tmp_path: Path) -> None:
    text = markdown(boards(write_evaluations(tmp_path), "fastchat-mt-bench"), language)  # type: ignore[arg-type]
    heads = [line for line in text.split("\n") if line.startswith("## ")]
    assert len(heads) == 2
    assert all("fastchat-mt-bench/1" in head for head in heads)
    assert "gpt-4" in heads[0]
    assert "other-judge" in heads[1]
    assert all(model.split("<")[0] in text for model in MODELS)
