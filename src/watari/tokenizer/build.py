"""Extending a tokenizer, from texts to files: the library function under `tokenizer.extend` and the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from watari.errors import UserError
from watari.tokenizer.ban import banned
from watari.tokenizer.collect import collect
from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.goal import Goal, Meter
from watari.tokenizer.policy import Policy
from watari.tokenizer.prune import prune, unreachable, usage
from watari.tokenizer.sequences import UNIT, Sequences
from watari.tokenizer.train import learn

if TYPE_CHECKING:
    from watari.pretrained.graft import Graft
    from watari.tokenizer.texts import Text

Tell = Callable[[int, int, str], None]
"""Told as (pieces done, pieces wanted or 0 where that is not known yet, what is being done)."""


@dataclass(frozen=True)
class Extension:
    """An extended tokenizer, before it is written.

    Args:
        base: What it extends.
        extended: The outcome.
        graft: How it follows from the base.
        unused: Pieces that were left out because the learning text never came to use them.
        lost: Learned texts that the base's form cannot hold (byte-level: a character out of bytes that other scripts
            use too).
        usage: How often each id of `extended` comes out of the learning text.
        base_usage: The same of the base.
    """

    base: BpeTokenizer
    extended: BpeTokenizer
    graft: Graft
    unused: int
    lost: list[str]
    usage: npt.NDArray[np.int64]
    base_usage: npt.NDArray[np.int64]


def extend_tokenizer(
    base: BpeTokenizer,
    texts: Sequence[Text],
    policy: Policy,
    goal: Goal,
    *,
    weights: Mapping[str, float] | None = None,
    prune_unused: bool = True,
    tell: Tell = lambda done, wanted, doing: None,
) -> Extension:
    """Learn new pieces from `texts` on top of the base's own segmentation.

    Deterministic, and free of the order of `texts` and of the machine.

    Args:
        base: The tokenizer to extend.
        texts: The learning text.
        policy: What a piece may be.
        goal: How many there shall be.
        weights: What a text of each source counts, by `Text.source`; 1 where it is not named.
        prune_unused: Leave out pieces that the learning text never uses, and take the next best.
        tell: Progress.

    Raises:
        UserError: if the text holds no new piece, or fewer than one alignment step.
    """
    first = len(base)
    tell(0, 0, "reading the text")
    sequences = collect(base, texts, policy, weights)
    meter = Meter(goal, first, sequences)
    most = goal.most(first)
    spare = max(64, most // 20) if prune_unused else 0

    def told(done: int) -> None:
        tell(done, meter.wanted or 0, "learning pieces")

    learned = learn(sequences, policy, banned(base, policy), most + spare, told, enough=meter.enough(spare))
    entries, lost = _entries(base, learned.pieces, policy)
    wanted = min(most if meter.wanted is None else meter.wanted, most)
    have = len(entries)
    if have < wanted:
        wanted = goal.aligned_down(first, have)
    if not wanted:
        raise UserError(
            f"text: {sum(sequences.characters):,} characters hold {have} new pieces of {policy.script.language} that "
            f"occur {policy.min_frequency} times; {goal.most(first):,} are wanted"
            if goal.add is not None or goal.size is not None
            else f"text: {sum(sequences.characters):,} characters hold {have} new pieces, and the goal asks for none",
            "give more text of the language, or lower `add`, `align` or `min_frequency`",
        )
    saved = {
        _entry(base, text): tokens
        for text, tokens in zip(learned.pieces, learned.saved.tolist(), strict=True)
    }
    tell(wanted, wanted, "leaving out unused pieces" if prune_unused else "counting")
    plain = [text.text for text in texts]
    if prune_unused:
        pruned = prune(base, entries, wanted, plain)
        chosen, counts = [entries[place] for place in pruned.kept], pruned.counts
        unused = pruned.left_out
        if len(chosen) != wanted:
            chosen = chosen[: goal.aligned_down(first, len(chosen))]
            counts = usage(base.extended(chosen), plain)
    else:
        chosen, unused = entries[:wanted], 0
        counts = usage(base.extended(chosen), plain)
    bad = unreachable(base, chosen)
    if bad:
        raise AssertionError(f"{len(bad)} new pieces cannot be reached, the first is {chosen[bad[0]]!r}")
    tell(wanted, wanted, "measuring")
    base_counts = usage(base, plain)
    graft = _graft(base, policy, sequences, chosen, saved, counts, base_counts)
    return Extension(base, base.extended(chosen), graft, unused, lost, counts, base_counts)


def write_extension(extension: Extension, out: Path, *, templates: Path | None = None) -> None:
    """Write the tokenizer's files and graft.json into `out`.

    Args:
        extension: What to write.
        out: The folder; made if missing.
        templates: A folder whose chat_template.jinja and special_tokens_map.json go along.
    """
    import shutil

    from watari.pretrained.graft import write_graft

    out.mkdir(parents=True, exist_ok=True)
    extension.extended.write(out, base=len(extension.base))
    write_graft(extension.graft, out)
    for name in ("chat_template.jinja", "special_tokens_map.json"):
        if templates is not None and (templates / name).is_file():
            shutil.copyfile(templates / name, out / name)


def _graft(
    base: BpeTokenizer,
    policy: Policy,
    sequences: Sequences,
    chosen: list[str],
    saved: Mapping[str, int],
    counts: npt.NDArray[np.int64],
    base_counts: npt.NDArray[np.int64],
) -> Graft:
    from watari.pretrained.graft import Graft

    def weighed(amounts: Sequence[int]) -> int:
        return sum(n * weight for n, weight in zip(amounts, sequences.weights, strict=True)) // UNIT

    parents = base.spelled(chosen)
    return Graft(
        family=base.family,
        language=policy.script.language,
        base_digest=base.digest(),
        base_vocabulary=len(base),
        pieces=chosen,
        ranks=list(range(len(chosen))),
        parents=parents,
        frequency=counts[len(base) :].tolist(),
        first_frequency=[int(base_counts[ids[0]]) for ids in parents],
        saved=[saved.get(entry, 0) for entry in chosen],
        characters=weighed(sequences.characters),
        tokens=weighed(sequences.tokens),
    )


def _entries(base: BpeTokenizer, texts: list[str], policy: Policy) -> tuple[list[str], list[str]]:
    """Return learned texts as vocabulary entries of the base's form, and the texts that it cannot hold."""
    from watari.tokenizer.bytes import ByteBpe

    if isinstance(base, ByteBpe):
        found = base.with_intermediates(texts, policy)
        return list(found.pieces), list(found.dropped)
    return [_entry(base, text) for text in texts], []


def _entry(base: BpeTokenizer, text: str) -> str:
    """Return a learned text as it stands in the vocabulary."""
    if base.family == "byte-level":
        from watari.pretrained.bytelevel import to_alphabet

        return to_alphabet(text.encode("utf-8"))
    from watari.pretrained.sentencepiece import SPACE

    return text.replace(" ", SPACE)
