"""What a reader of a score must be told, in words: rows twice, questions missing or unknown, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from watari.evals.mtbench.rows import Rating
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.mtbench.units import OTHER, Asked, mean_of
from watari.evals.result import Unit
from watari.judge.rating import rating_of
from watari.pages.noted import Note, counted, some, some_in_japanese

_ASKED = {"the evaluation": "この評価", "the question file": "問題ファイル"}
_ENOUGH = 20  # ratings: fewer may well be the same by chance


def notes_of(
    spec: MTBenchSpec,
    asked: Asked,
    ratings: Sequence[Rating],
    units: Sequence[Unit],
) -> list[str]:
    """Return the notes on one model's ratings by one judge.

    Args:
        spec: What counts.
        asked: The questions that there are; if nothing says so, the spec's sets are held against.
        ratings: Those that count.
        units: Of each, in the same order.
    """
    notes: list[str] = [] if asked.questions else _beyond(spec, units)
    if twice := duplicates(units):
        notes.append(
            Note(
                f"{counted(twice, 'row')} of a question and turn that stand there already: averaged as well",
                f"同じ問題・ターンの行が {twice:,} 行重複しており、これも平均に含めています",
            )
        )
    notes += _missing(spec, asked, units)
    strange = dict.fromkeys(unit.item for unit in units if unit.category == OTHER)
    if strange:
        notes.append(
            Note(
                f"{counted(len(strange), 'question')} that no set knows, counted under '{OTHER}': {some(strange)}",
                f"どの問題集にもない問題が {len(strange):,} 問あり、「{OTHER}」に数えています：{some_in_japanese(strange)}",
            )
        )
    runs = Counter(unit.run for unit in units)
    if spec.runs > 1 and len(runs) < spec.runs:
        notes.append(
            Note(
                f"{counted(len(runs), 'run')}; {spec.name} averages {spec.runs}",
                f"実行は {len(runs):,} 回です（{spec.name} は {spec.runs} 回の平均です）",
            )
        )
    if len(set(runs.values())) > 1:
        sizes = [str(runs[run]) for run in sorted(runs)]
        notes.append(
            Note(
                "ratings a run differ: " + ", ".join(sizes),
                "評点の数が実行ごとに異なります：" + "、".join(sizes),
            )
        )
    notes += _judged_once(ratings) or _same_runs(units)
    notes += _of_rows(spec, ratings, units)
    return notes


def duplicates(units: Iterable[Unit]) -> int:
    """Return how many units are of a question, turn and run that another one is already of."""
    return sum(times - 1 for times in Counter((unit.item, unit.turn, unit.run) for unit in units).values())


def _beyond(spec: MTBenchSpec, units: Sequence[Unit]) -> list[str]:
    """Return a note where questions of the spec's first set stand beside those of its others: what the first alone gives."""
    name, first = next(iter(spec.sets.items()))
    own = set(first.ids())
    others = {unit.item for unit in units if unit.item not in own and spec.category_of(unit.item)}
    kept = [unit for unit in units if unit.item in own]
    mean = mean_of(spec, kept) if others and kept else None
    if mean is None:
        return []
    return [
        Note(
            f"{counted(len(others), 'question')} beyond {name} count as well; {name} alone: {mean:.4g}",
            f"{name} 以外の {len(others):,} 問も数えています。{name} だけでは {mean:.4g} です",
        )
    ]


def _missing(spec: MTBenchSpec, asked: Asked, units: Sequence[Unit]) -> list[str]:
    """Return what is missing of the questions that were asked, or of each set of which there is anything."""
    sets = {name: one.ids() for name, one in spec.sets.items()}
    if asked.questions:
        sets = {asked.name: list(asked.questions)}
    notes: list[str] = []
    by_turn: dict[int, set[str]] = {}
    for unit in units:
        by_turn.setdefault(unit.turn, set()).add(unit.item)
    for name, ids in sets.items():
        present = {turn: seen for turn in sorted(by_turn) if (seen := by_turn[turn] & set(ids))}
        everywhere = set().union(*present.values()) if present else set()
        if not everywhere:
            continue
        lost = [id for id in ids if id not in everywhere]
        if lost:
            notes.append(
                Note(
                    f"{len(ids) - len(lost)} of {len(ids)} questions of {name}; missing: {some(lost)}",
                    f"{_ASKED.get(name, name)}の {len(ids)} 問のうち {len(ids) - len(lost)} 問です。"
                    f"欠けている問題：{some_in_japanese(lost)}",
                )
            )
        for turn, seen in present.items():
            if lost_here := [id for id in ids if id in everywhere and id not in seen]:
                notes.append(
                    Note(
                        f"turn {turn}: {len(seen)} of {len(ids)} questions of {name}; also missing: {some(lost_here)}",
                        f"{turn}ターン目：{_ASKED.get(name, name)}の {len(ids)} 問のうち {len(seen)} 問です。"
                        f"ほかに欠けている問題：{some_in_japanese(lost_here)}",
                    )
                )
        if without := [str(turn) for turn in spec.turns if turn not in present]:
            notes.append(
                Note(
                    f"no rating of turn {' or '.join(without)}",
                    f"{'・'.join(without)}ターン目の評点がありません",
                )
            )
    return notes


def _judged_once(ratings: Sequence[Rating]) -> list[str]:
    """Return a note if runs share judgments: the same answer is judged once, so that its ratings cannot differ."""
    runs: dict[str, set[int]] = {}
    for one in ratings:
        if one.id:
            runs.setdefault(one.id, set()).add(one.run)
    shared = [len(found) for found in runs.values() if len(found) > 1]
    if not shared:
        return []
    return [
        Note(
            f"{counted(sum(shared), 'rating')} of answers that are the same in several runs rest on"
            f" {counted(len(shared), 'judgment')}: run_sd leaves the judge's own noise out there",
            f"複数の実行で同じ回答になった評点 {sum(shared):,} 件は、{len(shared):,} 件の判定によるものです。"
            "その分、実行間SDには判定モデル自身のばらつきが含まれていません",
        )
    ]


def _same_runs(units: Sequence[Unit]) -> list[str]:
    """Return a note if two runs have every rating the same: a file that was copied is no second run."""
    runs: dict[int, list[tuple[str, int, float | None]]] = {}
    for unit in units:
        runs.setdefault(unit.run, []).append((unit.item, unit.turn, unit.value))
    first: dict[tuple[tuple[str, int, float | None], ...], int] = {}
    notes: list[str] = []
    for run, rows in sorted(runs.items()):
        earlier = first.setdefault(tuple(sorted(rows, key=str)), run)
        if earlier != run and len(rows) >= _ENOUGH:
            notes.append(
                Note(
                    f"run {run + 1} has every rating of run {earlier + 1}: is it the same file?",
                    f"実行 {run + 1} の評点は実行 {earlier + 1} とすべて同じです。同じファイルではありませんか",
                )
            )
    return notes


def _of_rows(spec: MTBenchSpec, ratings: Sequence[Rating], units: Sequence[Unit]) -> list[str]:
    """Return what is odd in the rows themselves."""
    notes: list[str] = []
    if unsaid := sum(one.turn == 0 for one in ratings):
        notes.append(
            Note(
                f"{counted(unsaid, 'row')} without a turn: taken as turn 1",
                f"ターンの記載がない行が {unsaid:,} 行あり、1ターン目とみなしました",
            )
        )
    if below := sum(one.score == 0 for one in ratings):
        notes.append(
            Note(
                f"{counted(below, 'rating')} of 0: below the scale that judges are given, but counted, as upstream does",
                f"0点の評点が {below:,} 件あります。判定モデルに示した尺度より低い値ですが、元の実装と同じく数えています",
            )
        )
    other = [
        one
        for one in ratings
        if one.stored
        and one.text is not None
        and not one.problem
        and not _same(one.score, rating_of(spec.rating, one.text))
    ]
    if other:
        first = other[0].place
        notes.append(
            Note(
                f"{counted(len(other), 'stored rating')} not what the judge's text says (first: {first}): the stored one"
                " counts",
                f"保存された評点のうち {len(other):,} 件が判定文と一致しません（最初の箇所：{first}）。"
                "保存された評点を用いています",
            )
        )
    as_is = sum(unit.value is not None and bool(unit.reason) for unit in units)
    if as_is:
        notes.append(
            Note(
                f"{counted(as_is, 'invalid rating')} averaged in as stored (-1 where none could be read)",
                f"無効な評点 {as_is:,} 件を、保存された値のまま平均に含めています（読み取れなかったものは -1）",
            )
        )
    return notes


def _same(stored: float | None, read: float | None) -> bool:
    return (-1 if stored is None else stored) == (-1 if read is None else read)
