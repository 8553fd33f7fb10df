"""What the arms of the adaptation benchmark came to: the table of the curves, and the claims."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adaptation_arms import Setting
from adaptation_curve import ENGLISH, JAPANESE, MARKS, Course, Point
from sides import tell

OURS, STOCK, PLAIN, STOCK_PLAIN = "ours", "stock", "no expansion", "no expansion, Trainer"
ARMS = (OURS, STOCK, PLAIN)


def say(text: str) -> None:
    """Tell something beside the claims."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Runs:
    """All courses of one arm, a seed each."""

    name: str
    courses: list[Course]

    def at(self, place: int) -> list[Point]:
        """Return every seed's point at one place of the curve."""
        return [course.points[place] for course in self.courses]

    def mean(self, place: int, of: str) -> float:
        """Return the mean over seeds of `seconds`, `tokens`, `japanese`, `english` or of a source's bits."""
        return statistics.fmean(figure(point, of) for point in self.at(place))


def figure(point: Point, of: str) -> float:
    """Return a property of the point, or the bits of a source."""
    return float(point.bits[of] if of in point.bits else getattr(point, of))


def spread(ours: Runs, peer: Runs, of: str, place: int = -1) -> str:
    """Return in words by how much ours is lower, on average and for each seed."""
    each = [figure(b, of) - figure(a, of) for a, b in zip(ours.at(place), peer.at(place), strict=True)]
    return f"lower by {statistics.fmean(each):.3f} ({', '.join(f'{value:.3f}' for value in each)} by seed)"


def table(runs: Sequence[Runs]) -> None:
    """Tell the whole curve of every arm: means over seeds, with the seeds' range of the Japanese."""
    say(
        f"{'arm':24}{'CPU s':>8}{'tokens':>10}{'aozora':>9}{'kyoto':>9}{'Japanese':>10}{'range':>16}{'English':>9}"
    )
    for run in runs:
        for place in range(len(run.courses[0].points)):
            japanese = [point.japanese for point in run.at(place)]
            cells = [run.mean(place, of) for of in ("aozora", "kyoto", "japanese")]
            say(
                f"{run.name:24}{run.mean(place, 'seconds'):8.1f}{run.mean(place, 'tokens'):10,.0f}"
                f"{cells[0]:9.3f}{cells[1]:9.3f}{cells[2]:10.3f}"
                f"{f'{min(japanese):.3f}–{max(japanese):.3f}':>16}{run.mean(place, 'english'):9.3f}"
            )


def claims(
    setting: Setting,
    seconds: float,
    runs: Mapping[str, Runs],
    base: Mapping[str, float],
    per_token: Mapping[str, Mapping[str, float]],
) -> None:
    """Print what came of it.

    Args:
        setting: What all arms share.
        seconds: CPU seconds that each was to have.
        runs: Of each arm.
        base: Bits per character of the base, by source.
        per_token: Characters a token of each arm, by source.
    """
    ours = runs[OURS]
    sizes = (
        f"{setting.shape.width}d/{setting.shape.layers}L Llama, base read {setting.shape.tokens:,} English tokens; "
        f"{seconds:g} CPU s an arm, {setting.pieces:,} pieces, {setting.replay:.0%} English; "
        f"{len(ours.courses)} seeds"
    )
    named = {
        STOCK: ("add_tokens + resize_token_embeddings + Trainer (bf16)", ("transformers",)),
        PLAIN: ("the base's tokenizer, our loop", ("watari",)),
    }
    for peer, (what, packages) in named.items():
        other = runs[peer]
        for of, where in (("japanese", "both"), ("aozora", "literature"), ("kyoto", "encyclopaedia")):
            tell(
                f"bits per Japanese character after equal CPU time ({where}), ours against {peer}",
                ours.mean(-1, of),
                other.mean(-1, of),
                unit="bits/character",
                peer_name=what,
                peer_packages=packages,
                sizes=f"{spread(ours, other, of)}; {sizes}",
            )
        for place, share in enumerate(MARKS, 1):
            tell(
                f"the same after {share:.1%} of the time, ours against {peer}",
                ours.mean(place, "japanese"),
                other.mean(place, "japanese"),
                unit="bits/character",
                peer_name=what,
                peer_packages=packages,
                sizes=f"{spread(ours, other, 'japanese', place)}; {sizes}",
            )
        for of, unit, less in (("seconds", "CPU s", True), ("tokens", "tokens", False)):
            tell(
                f"training that this took ({of}), ours against {peer}",
                ours.mean(-1, of),
                other.mean(-1, of),
                unit=unit,
                peer_name=what,
                peer_packages=packages,
                sizes=sizes,
                less_is_better=less,
            )
    for of in JAPANESE:
        tell(
            f"characters a token, {of}, ours against stock",
            per_token[OURS][of],
            per_token[STOCK][of],
            unit="characters/token",
            peer_name="add_tokens of the same pieces (normalized=False)",
            peer_packages=("transformers",),
            sizes=sizes,
            less_is_better=False,
        )
    for run in runs.values():
        each = [point.english / base[ENGLISH] - 1 for point in run.at(-1)]
        tell(
            f"bits per English character after it, {run.name} against the base before",
            run.mean(-1, "english"),
            base[ENGLISH],
            unit="bits/character",
            peer_name="the base",
            sizes=f"{', '.join(f'{value:+.1%}' for value in each)} by seed; {sizes}",
        )
