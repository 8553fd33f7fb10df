"""Rows to repair as pairs of sequences: the leaking reply with its leak marked, the mended one with what mends it.

A row is a preference (`chosen` the mended reply, `rejected` the leaking one) with a column `spans`, JSON:

    {"rejected": [[first, last + 1], ...], "chosen": [[first, last + 1], ...]}

in characters of the reply; an empty stretch is a place where something was taken out. `chosen` may be left out (or a bare
list of spans given, those of the leaking reply): what mends it is then found by what the two replies share.

A token that stands in both replies with nothing but the same tokens before it is no decision between them: it is neither
made unlikely nor likely (the first byte of 钩 is that of many kanji).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from watari.artifact.hashing import hash_json
from watari.artifact.rows import Ledger, select_rows
from watari.artifact.stage import InputArtifact
from watari.generate.masking import Encoded
from watari.train.batches import Sample
from watari.train.examples import TOO_LONG, Unusable, checked_messages, control_texts, encoded_reply
from watari.train.pairs import SAME, Pair
from watari.train.script_rows import MendedReply, Wrong
from watari.train.spans import Span, placed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_SPANS = "no span of the leak is given"
BAD_SPANS = "spans are malformed"
UNDECIDED = "the replies share all tokens of the spans"


@dataclass(frozen=True)
class Repair:
    """A row ready to train on.

    Args:
        pair: Both replies; `trained` marks the tokens of the spans, and both end with the last of them.
        reply: The whole mended reply; None if its language is not known.
    """

    pair: Pair
    reply: MendedReply | None

    @property
    def id(self) -> str:
        """The row's."""
        return self.pair.id


@dataclass(frozen=True)
class Repairs:
    """Rows ready to train on.

    Args:
        rows: In the order in which they came.
        rows_in: Rows read.
        bad_tokens, good_tokens: Tokens of spans to be made unlikely and likely, of all rows.
        shared_tokens: Tokens of spans that were left out because both replies share them.
        ledger: The rows that cannot be trained on.
    """

    rows: list[Repair]
    rows_in: int
    bad_tokens: int
    good_tokens: int
    shared_tokens: int
    ledger: Ledger


def read_repairs(
    artifacts: Sequence[InputArtifact],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    *,
    sequence: int,
    seed: int,
    stage: str,
) -> Repairs:
    """Return the selected rows of all artifacts as sequences.

    Args:
        artifacts: Preferences with `spans`.
        tokenizer: The model's.
        template: The chat template.
        sequence: Longest prompt with a reply, up to the last token of its spans.
        seed, stage: For the selections' draws.
    """
    rows: list[Repair] = []
    ledger = Ledger()
    wrong = Wrong(tokenizer)
    rows_in = shared = 0
    control = control_texts(tokenizer)
    for artifact in artifacts:
        for row in select_rows(artifact, seed=seed, stage=stage):
            rows_in += 1
            try:
                repair, left_out = _repair(row, tokenizer, template, control, sequence, wrong)
            except Unusable as error:
                ledger.drop(
                    error.reason, id=row.get("id"), source=row.get("source") or "", detail=error.detail
                )
                continue
            shared += left_out
            rows.append(repair)
    good, bad = (sum(row.pair.replies[side] for row in rows) for side in (0, 1))
    return Repairs(rows, rows_in, bad, good, shared, ledger)


def spans_of(row: Mapping[str, Any]) -> tuple[list[Span], list[Span]]:
    """Return the spans of a row: those of the mended reply, and those of the leaking one.

    Raises:
        Unusable: if they are no spans of these replies.
    """
    given = row.get("spans")
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            raise Unusable(BAD_SPANS, "not JSON") from None
    if given is None:
        raise Unusable(NO_SPANS)
    if isinstance(given, list):
        given = {"rejected": given}
    if not isinstance(given, dict) or not set(given) <= {"chosen", "rejected"}:
        raise Unusable(BAD_SPANS, "neither {rejected, chosen} nor a list")
    rejected = _spans(given.get("rejected"), row["rejected"], "rejected")
    if not rejected:
        raise Unusable(NO_SPANS)
    if any(start == stop for start, stop in rejected):
        raise Unusable(BAD_SPANS, "rejected: an empty span leaks nothing")
    if given.get("chosen") is None:
        return mended_spans(row["rejected"], row["chosen"], rejected), rejected
    return _spans(given["chosen"], row["chosen"], "chosen"), rejected


def mended_spans(rejected: str, chosen: str, leaks: Sequence[Span]) -> list[Span]:
    """Return what stands in `chosen` in place of the leaks.

    Where it keeps everything between the leaks, one span a leak; otherwise one span: all but the beginning and the end
    that both have in common.

    Args:
        rejected, chosen: The replies.
        leaks: Spans of `rejected`.
    """
    ordered = sorted(leaks)
    edges = [0, *(place for span in ordered for place in span), len(rejected)]
    kept = [rejected[edges[at] : edges[at + 1]] for at in range(0, len(edges), 2)]
    found: list[Span] = []
    at = len(kept[0])
    if chosen.startswith(kept[0]) and chosen.endswith(kept[-1]):
        last = len(chosen) - len(kept[-1])
        for between in kept[1:-1]:
            # An empty stretch between two leaks cannot be found; the first of them takes what is there.
            place = chosen.find(between, at, last) if between else at
            if place < 0:
                break
            found.append((at, place))
            at = place + len(between)
        else:
            if at <= last:
                return [*found, (at, last)]
    shortest = min(len(rejected), len(chosen))
    start = next((n for n in range(shortest) if rejected[n] != chosen[n]), shortest)
    ends = next((n for n in range(shortest - start) if rejected[-1 - n] != chosen[-1 - n]), shortest - start)
    return [(start, len(chosen) - ends)]


def _spans(value: Any, text: str, side: str) -> list[Span]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unusable(BAD_SPANS, f"{side}: not a list")
    found = []
    for item in value:
        whole = isinstance(item, list) and len(item) == 2 and all(type(place) is int for place in item)
        if not whole or not 0 <= item[0] <= item[1] <= len(text):
            raise Unusable(BAD_SPANS, f"{side}: {str(item)[:60]} in {len(text)} characters")
        found.append((item[0], item[1]))
    return sorted(found)


def _repair(
    row: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    control: Sequence[str],
    sequence: int,
    wrong: Wrong,
) -> tuple[Repair, int]:
    """Return a row's sequences, and how many tokens of its spans both sides share."""
    prompt = row.get("prompt")
    sides: list[tuple[list[dict[str, str]], Encoded]] = []
    for side in ("chosen", "rejected"):
        reply = {"role": "assistant", "content": row.get(side)}
        messages = checked_messages([*prompt, reply] if isinstance(prompt, list) else None, control)
        sides.append((messages, encoded_reply(messages, tokenizer, template)))
    ids = [encoded.ids for _, encoded in sides]
    if ids[0] == ids[1]:
        raise Unusable(SAME)
    common = next(
        (place for place, (a, b) in enumerate(zip(*ids, strict=False)) if a != b), min(map(len, ids))
    )
    samples, shared = [], 0
    name = str(row.get("id"))
    both = spans_of(row)
    for (messages, encoded), spans in zip(sides, both, strict=True):
        where = placed(tokenizer, messages, template, encoded)
        marked = sorted({position for span in spans for position in where.tokens(span)})
        kept = [position for position in marked if position >= common]
        shared += len(marked) - len(kept)
        if not kept:
            raise Unusable(UNDECIDED)
        length = kept[-1] + 1
        if length > sequence:
            raise Unusable(TOO_LONG, f"{length} tokens")
        trained = np.zeros(length, np.bool_)
        trained[kept] = True
        samples.append(Sample(name, np.asarray(encoded.ids[:length], np.int32), trained))
    key = hash_json([[sample.ids.tolist(), sample.trained.tolist()] for sample in samples])
    leaks = [row["rejected"][start:stop] for start, stop in both[1]]
    mended = wrong.reply(name, sides[0][1], str(row.get("language") or ""), leaks, sequence)
    return Repair(Pair(name, key, samples[0], samples[1]), mended), shared
