"""Which setting to use, and why, in words that name the figures.

The rule: of the cells whose quality is not shown to be worse than the best one's by more than a margin, the one that leaks
least. Where the default is not told apart from it, the default stays: a change needs a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from watari.generate.sampler import Sampler
from watari.leakage.sweep.figures import JUDGE, LEAKING, SOUND, Figures
from watari.leakage.sweep.front import Against, Front, against, smallest_told_apart
from watari.leakage.sweep.grid import Cell
from watari.pages.noted import Note, japanese_of
from watari.stats.intervals import Estimate

MARGIN: Final[Mapping[str, float]] = {SOUND: 0.02, JUDGE: 0.2}
"""How much worse a cell's quality may be shown to be: 2 of 100 responses, 0.2 of the judge's 10 points."""
_WORDS: Final[Mapping[str, Note]] = {
    SOUND: Note("sound responses", "問題のない応答の割合"),
    JUDGE: Note("the judge's rating", "判定モデルの評点"),
}
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens")
_BEYOND = ("frequency_penalty", "presence_penalty")


@dataclass(frozen=True)
class Recommendation:
    """What to use.

    Args:
        cell: The setting.
        least: The cell that leaks least among those that are good enough; the same one, or not told apart from it.
        keeps_default: True if it is the default because nothing is told apart from it.
        reason: Sentences in both languages.
    """

    cell: Cell
    least: Cell
    keeps_default: bool
    reason: tuple[Note, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "cell": self.cell.name,
            "least_leaking": self.least.name,
            "keeps_default": self.keeps_default,
            "settings": self.cell.settings,
            "reason": list(self.reason),
        }


def recommend(figures: Figures, front: Front, default: Cell | None, *, seed: int = 0) -> Recommendation:
    """Return the setting to use.

    Args:
        figures: Of all cells.
        front: How they stand to each other.
        default: The cell that is marked as the default.
        seed: Of the draws.
    """
    places = {cell.name: place for place, cell in enumerate(figures.cells)}
    margin = MARGIN[front.quality]
    worse = {
        name
        for name, one in front.standings.items()
        if one.quality is not None and one.quality.apart and one.quality.value < -margin
    }
    good = [figures.cells[places[name]] for name in front.standings if name not in worse]
    leaks, quality = figures.sums[LEAKING].values, figures.sums[front.quality].values
    least = min(
        good, key=lambda cell: (leaks[places[cell.name]], -quality[places[cell.name]], places[cell.name])
    )
    reason: list[Note | None] = []
    if worse:
        reason.append(
            Note(
                f"{len(worse)} of {len(front.standings)} cells are left out: their figure of {_WORDS[front.quality]} is shown"
                f" to be more than {margin:g} below that of {front.best_quality}.",
                f"{len(front.standings)} 通りのうち {len(worse)} 通りは除きました。{japanese_of(_WORDS[front.quality])}が"
                f" {front.best_quality} を {margin:g} を超えて下回るといえるためです。",
            )
        )
    if default is None or default.name not in front.standings:
        share = _share(figures, least)
        reason.append(
            Note(
                f"{least.name} leaks least: {share} of responses.",
                f"混入が最も少ないのは {least.name} です（応答の {share}）。",
            )
        )
        reason.append(_tied(front, least, good))
        return Recommendation(least, least, False, _said(reason))
    if default in good and leaks[places[default.name]] <= leaks[places[least.name]]:
        reason.append(
            Note(
                f"No cell leaks less than the default, {default.name}: {_share(figures, default)} of responses.",
                f"既定の設定 {default.name} より混入の少ない設定はありません（応答の {_share(figures, default)}）。",
            )
        )
        reason.append(_tied(front, default, good))
        return Recommendation(default, default, True, _said(reason))
    # Tested against the default alone: the question is whether to leave it, for any of the cells that are good enough.
    known = [places[cell.name] for cell in good if cell.name != default.name]
    change = against(figures.sums[LEAKING], known, places[default.name], seed).get(places[least.name])
    ours, theirs = _share(figures, least), _share(figures, default)
    apart = _difference(change)
    reason.append(
        Note(
            f"{least.name} leaks in {ours} of responses, the default ({default.name}) in {theirs}{apart}.",
            f"混入のある応答は {least.name} で {ours}、既定の設定（{default.name}）で {theirs} です{japanese_of(apart)}。",
        )
    )
    if default.name not in worse and (change is None or not change.apart):
        smallest = smallest_told_apart(change) if change is not None else None
        reason.append(
            Note(
                "They are not told apart, so the default stays.",
                "差があるとはいえないため、既定の設定のままとします。",
            )
        )
        if smallest is not None:
            reason.append(
                Note(
                    f"Alone, these data would tell {100 * smallest:.1f} points apart; fewer cells or more prompts tell more.",
                    f"両者だけの比較なら、このデータで見分けられる差は {100 * smallest:.1f} ポイントからです。設定を減らすか、"
                    "プロンプトを増やせば、より小さな差も見分けられます。",
                )
            )
        return Recommendation(default, least, True, _said(reason))
    reason.append(_quality(figures, front, least, default))
    reason.append(_tied(front, least, good))
    return Recommendation(least, least, False, _said(reason))


def _said(reason: Sequence[Note | None]) -> tuple[Note, ...]:
    return tuple(sentence for sentence in reason if sentence is not None)


def generation_config(sampler: Sampler, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of a `generation_config.json` (transformers, vLLM, SGLang).

    Args:
        sampler: The setting; what it has off is written out, since engines have defaults of their own (top_k 50).
        own: The model's present file: its token ids stay; what else it sets was not applied in the sweep (`left_out`).
    """
    kept = {name: value for name, value in (own or {}).items() if _stays(name)}
    given = sampler.model_dump(mode="json")
    found: dict[str, Any] = {**kept, "do_sample": not sampler.greedy}
    if not sampler.greedy:
        found |= {name: given[name] for name in ("temperature", "top_p", "top_k", "min_p")}
    found |= {name: given[name] for name in ("repetition_penalty", "max_new_tokens")}
    return found


def left_out(own: Mapping[str, Any]) -> list[str]:
    """Return what a model's file sets besides: neither applied in a sweep nor written again (`no_repeat_ngram_size`, ...)."""
    known = (*_SAMPLING, "do_sample", "_from_model_config")
    return [
        name for name, value in own.items() if value is not None and not _stays(name) and name not in known
    ]


def _stays(name: str) -> bool:
    return name.endswith(("_token_id", "_token_ids")) or name == "transformers_version"


def beyond_the_file(cell: Cell) -> list[str]:
    """Return the settings that are on and that the written `generation_config.json` does not hold: requests send them."""
    stop = ["stop"] if cell.sampler.stop else []
    return [*(name for name in _BEYOND if getattr(cell.sampler, name)), *stop, *cell.extra]


def _share(figures: Figures, cell: Cell) -> str:
    return percent(figures.estimates[cell.name][LEAKING])


def percent(one: Estimate) -> str:
    """Return a share with its interval: `4.5 % [3.1, 6.2]`."""
    shown = f"{100 * one.value:.1f} %"
    if one.low is None or one.high is None:
        return shown
    return f"{shown} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def _difference(change: Against | None) -> Note:
    if change is None or change.low is None or change.high is None:
        return Note("", "")
    ends = f"[{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
    return Note(
        f": {100 * change.value:+.1f} points {ends}, p = {change.p:.2g} over all cells",
        f"（差 {100 * change.value:+.1f} ポイント {ends}、全設定で補正した p = {change.p:.2g}）",
    )


def _quality(figures: Figures, front: Front, least: Cell, default: Cell) -> Note:
    ours = figures.estimates[least.name][front.quality]
    theirs = figures.estimates[default.name][front.quality]
    if front.quality == SOUND:
        return Note(
            f"Sound responses: {percent(ours)}, default {percent(theirs)}.",
            f"問題のない応答は {percent(ours)}、既定の設定では {percent(theirs)} です。",
        )
    return Note(
        f"The judge's rating: {ours.value:.2f}, default {theirs.value:.2f}.",
        f"判定モデルの評点は {ours.value:.2f}、既定の設定では {theirs.value:.2f} です。",
    )


def _tied(front: Front, least: Cell, good: list[Cell]) -> Note | None:
    names = {cell.name for cell in good}
    others = [name for name in front.not_apart if name in names and name != least.name]
    if not others:
        if len(good) == 1:
            return None
        return Note(
            "Every other cell that is good enough is told apart from it.",
            "品質が十分なほかの設定とは、すべて差があるといえます。",
        )
    shown = "; ".join(others[:4]) + ("; ..." if len(others) > 4 else "")
    return Note(
        f"Not told apart from the least leaking cell: {len(others)} of {len(good)} ({shown}).",
        f"混入が最も少ない設定と差があるといえないものは、{len(good)} 通りのうち {len(others)} 通りです（{shown}）。",
    )
