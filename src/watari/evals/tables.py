"""Markdown tables in the forms of the two model cards that Watari started from.

Swallow's card gives MT-Bench JA on a scale of 0 to 1: overall, first and second turn, each by category. Shisa's gives
llm-jp-eval as `AVR | MC | NLI | QA | RC`, and JA MT-Bench as one figure a model. Neither says how sure a figure is; here
each table names its spec and judge, and every figure has its n and 95% interval in a footnote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from watari.evals.page.board import Board, Entry
from watari.evals.page.words import WORDS, name_pair
from watari.evals.result import Figure
from watari.pages.labels import Pair
from watari.pages.visible import visible

Language = Literal["en", "ja"]

_SHISA = ("MC", "NLI", "QA", "RC")
_SHISA_MORE = "avr"
_WORDS: dict[str, Pair] = {
    "title": ("Evaluation", "評価"),
    "made": (
        "Made by `watari eval report`. Intervals are 95% bootstraps clustered by question; levels of different judges "
        "or specs cannot be compared.",
        "`watari eval report` で作成しました。区間は問題単位のブートストラップによる95%信頼区間です。"
        "判定モデルや仕様が異なる値は比較できません。",
    ),
    "judge": WORDS["judged_by"],
    "no_judge": ("no judge", "判定モデルなし"),
    "model": WORDS["model"],
    "average": name_pair("average"),
    "score": ("Score", "スコア"),
    "overall": name_pair("overall"),
    "turn 1": ("First Turn", "1ターン目"),
    "turn 2": ("Second Turn", "2ターン目"),
    "swallow": (
        "Form of Swallow's card: scale 0–1, average over all ratings of {runs}.",
        "Swallow のモデルカードの形式です。0～1の尺度で、{runs}の全評点の平均です。",
    ),
    "shisa": ("Form of Shisa's card.", "Shisa のモデルカードの形式です。"),
    "setting": (
        "Form of Shisa's card: one figure a model, scale 0–10. Its own setting was a Japanese system prompt, four answers "
        "a question and the judge gpt-4-0613; this table averages all ratings of {runs}.",
        "Shisa のモデルカードの形式です（1モデル1値、0～10）。同カードの設定は、日本語のシステムプロンプト、"
        "1問につき4回答、判定は gpt-4-0613 でした。この表は{runs}の全評点の平均です。",
    ),
    "run": ("one run", "1 回の実行"),
    "runs": ("{n} runs", "{n} 回の実行"),
    "footnote": (
        "**{model}**: {overall} {value} [{low}, {high}], n = {n}, invalid {invalid} of {units}{sd}.",
        "**{model}**：{overall} {value}［{low}, {high}］、n = {n}、無効 {invalid} / {units}{sd}。",
    ),
    "sd": (", sd of {runs} runs {sd}", "、{runs}回の標準偏差 {sd}"),
    "refused": ("**{model}**: not shown: {reason}.", "**{model}**：非表示（{reason}）。"),
    "intervals": ("Intervals of the columns", "各列の信頼区間"),
    "cells": (
        "Each cell: 95% interval, then n valid units.",
        "各欄は95%信頼区間と、有効な採点単位の数 n です。",
    ),
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$])")


def markdown(boards: Sequence[Board], language: Language) -> str:
    """Return the tables of some boards as Markdown; the same boards give the same text in numbers in both languages."""
    parts = [f"# {_say('title', language)}", _say("made", language)]
    for board in boards:
        judge = (
            _say("judge", language, judge=_plain(board.judge)) if board.judge else _say("no_judge", language)
        )
        parts.append(f"## {_plain(board.spec)} · {judge}")
        parts += _tables(board, language)
        parts.append("\n".join(f"- {_footnote(board, entry, language)}" for entry in board.entries))
    return "\n\n".join(part for part in parts if part) + "\n"


def _tables(board: Board, language: Language) -> list[str]:
    if set(_SHISA) <= set(board.categories):
        return _shisa(board, language)
    if board.judge and board.turns and board.categories:
        return _swallow(board, language)
    return _plainly(board, language)


def _shisa(board: Board, language: Language) -> list[str]:
    names = [board.overall, *_SHISA, *(name for name in board.categories if name not in _SHISA)]
    return [
        _say("shisa", language),
        _grid(board, names, [name if name != _SHISA_MORE else "AVR" for name in names], language),
        *_intervals(board, names, language),
    ]


def _swallow(board: Board, language: Language) -> list[str]:
    """Swallow's three tables, and its four columns; Shisa's one figure a model stands below."""
    runs = _runs(board, language)
    parts = [_say("swallow", language, runs=runs)]
    turns = [name for name in ("turn 1", "turn 2") if name in board.turns]
    heads = [_name(name, language) for name in (board.overall, *turns)]
    parts.append(_grid(board, [board.overall, *turns], heads, language, unit=True))
    for name in (board.overall, *turns):
        columns = [
            name,
            *(f"{category} {name}" if name != board.overall else category for category in board.categories),
        ]
        known = [
            column for column in columns if any(column in entry.result.figures for entry in board.entries)
        ]
        titles = [_say("average", language)] + [
            _name(column.removesuffix(f" {name}") if name != board.overall else column, language)
            for column in known[1:]
        ]
        parts.append(f"### {_name(name, language)}")
        parts.append(_grid(board, known, titles, language, unit=True))
    parts += _intervals(board, [board.overall, *turns, *board.categories], language, unit=True)
    parts.append(f"### {_say('score', language)}")
    parts.append(_say("setting", language, runs=runs))
    rows = [[_plain(entry.model), _of_ten(board, entry.figure(board.overall))] for entry in board.entries]
    parts.append(_table([_say("model", language), _say("score", language)], rows))
    return parts


def _of_ten(board: Board, figure: Figure | None) -> str:
    value = None if figure is None or figure.value is None else 10 * figure.value / board.scale[1]
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _plainly(board: Board, language: Language) -> list[str]:
    names = [board.overall, *board.turns, *board.categories]
    heads = [_name(name, language) for name in names]
    return [_grid(board, names, heads, language), *_intervals(board, names, language)]


def _intervals(board: Board, names: Sequence[str], language: Language, *, unit: bool = False) -> list[str]:
    """Return a table of intervals and n beside the figures."""
    rows = []
    for entry in board.entries:
        cells = []
        for name in names:
            figure = entry.figure(name)
            if figure is None or figure.low is None or figure.high is None:
                cells.append("–" if figure is None or figure.value is None else f"n={figure.n:,}")
            else:
                cells.append(
                    f"{_of(board, figure.low, unit)}–{_of(board, figure.high, unit)}, n={figure.n:,}"
                )
        rows.append([_plain(entry.model), *cells])
    heads = [_say("model", language), *(_name(name, language) for name in names)]
    return [f"### {_say('intervals', language)}", _say("cells", language), _table(heads, rows)]


def _grid(
    board: Board, names: Sequence[str], heads: Sequence[str], language: Language, *, unit: bool = False
) -> str:
    rows = [
        [_plain(entry.model), *(_cell(board, entry.figure(name), unit) for name in names)]
        for entry in board.entries
    ]
    return _table([_say("model", language), *map(_plain, heads)], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(board: Board, figure: Figure | None, unit: bool) -> str:
    return "–" if figure is None else _of(board, figure.value, unit)


def _of(board: Board, value: float | None, unit: bool) -> str:
    """Return a figure; with `unit` on the scale of 0 to 1 with four decimals, as Swallow's card has it."""
    if value is None or not unit or board.digits == 4:
        return board.written(value)
    return f"{value / board.scale[1]:.4f}".replace("-", "−")


def _footnote(board: Board, entry: Entry, language: Language) -> str:
    model = _plain(entry.model)
    figure = entry.overall
    if entry.refused or figure.value is None:
        reason = entry.refused_in_japanese if language == "ja" else entry.refused
        return _say("refused", language, model=model, reason=reason or "n = 0")
    deviation = (
        _say("sd", language, runs=entry.result.runs, sd=board.written(figure.run_sd))
        if figure.run_sd is not None
        else ""
    )
    return _say(
        "footnote",
        language,
        model=model,
        overall=_name(board.overall, language),
        value=board.written(figure.value),
        low=board.written(figure.low),
        high=board.written(figure.high),
        n=f"{figure.n:,}",
        invalid=f"{entry.invalid:,}",
        units=f"{entry.units:,}",
        sd=deviation,
    )


def _runs(board: Board, language: Language) -> str:
    runs = sorted({entry.result.runs for entry in board.entries})
    if runs == [1]:
        return _say("run", language)
    return _say("runs", language, n=runs[0] if len(runs) == 1 else f"{runs[0]}–{runs[-1]}")


def _name(name: str, language: Language) -> str:
    if name in _WORDS:
        return _say(name, language)
    return _plain(name_pair(name)[language == "ja"])


def _say(key: str, language: Language, **values: object) -> str:
    return _WORDS[key][language == "ja"].format(**values)


def _plain(text: str) -> str:
    """Return a text from outside as Markdown that shows it and does nothing else."""
    return _SPECIAL.sub(r"\\\1", visible(text, lines=False)).replace("&", "&amp;").replace("\\<", "&lt;").replace("\\>", "&gt;")  # fmt: skip
