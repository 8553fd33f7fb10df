"""Every method at the same number of pieces, from the same text, on Mistral."""

from __future__ import annotations

from sides import tell
from tokenizer_bench import MISTRAL, POLICIES, SCRIPT, Bench, mistral
from tokenizer_measure import Codes, Row, compression, encoded, examine, say, show
from tokenizer_peers import SentencePieceMade, added, appended, pieces, plain, shisa

from watari.tokenizer.train import banned

SAFE = "harmless ones below the base"
"""The pieces of another method in our way: what its choice of pieces alone is worth."""
BY_LINE = ", line by line"
"""Every line a document of its own. A method that makes a piece of the line break saves a token a line, at the price of
the ids of every other text of two lines; this is what is left of its lead without that."""


def peers(bench: Bench) -> None:
    """Learn with every method once, and measure all at every number."""
    base = mistral()
    model = base.model
    ban = banned(base, POLICIES["Japanese only"])
    most = max(bench.counts)
    say("others: learning with merges regenerated ...")
    regenerated = bench.learned("shisa", lambda: shisa.learn(model, bench.sources, most))
    say("others: learning plain continued BPE ...")
    continued = bench.learned("plain", lambda: plain.learn(model, bench.sources, round(most * pieces.SPARE)))
    say("others: learning SentencePiece models ...")
    bpe, unigram = (
        bench.learned(kind, lambda kind=kind: pieces.learn(model, bench.sources, bench.counts, kind))
        for kind in ("bpe", "unigram")
    )
    sample = bench.sample
    by_base = encoded(SentencePieceMade(model), sample)
    held = dict(bench.held)
    held |= {
        name + BY_LINE: _lines(texts) for name, texts in held.items() if any("\n" in text for text in texts)
    }
    before = compression(base, held)
    floor = min(piece.score for piece in model.pieces if piece.text.strip("▁")) - 1
    for count in bench.counts:
        mine = {variant: bench.ours(MISTRAL, base, variant, count) for variant in POLICIES}
        new = mine["Japanese only"].pieces()[len(base) :]
        below = {
            f"{what}, {SAFE}": pieces.harmless(found, SCRIPT, ban)[:count]
            for what, found in (
                ("SentencePiece-BPE pieces", bpe[str(count)]),
                ("SentencePiece-unigram pieces", unigram[str(count)]),
                ("plain continued BPE", continued),
            )
        }
        made: dict[str, Codes] = {
            **{_ours(variant): tokenizer for variant, tokenizer in mine.items()},
            "merges regenerated (Shisa)": shisa.extend(model, regenerated[:count]),
            "unigram pieces at score 0 (Chinese-LLaMA)": pieces.score_zero(
                model, unigram[str(count)][:count]
            ),
            "BPE pieces at score 0 (Chinese-LLaMA)": pieces.score_zero(model, bpe[str(count)][:count]),
            "plain continued BPE (Purason)": plain.extend(model, continued[:count]),
            **{name: appended(model, chosen, floor, -1.0) for name, chosen in below.items()},
            "add_tokens(our pieces)": added.extend(model, new),
            "add_tokens(our pieces, normalized=False)": added.extend(model, new, normalized=False),
        }
        rows = [
            examine(name, len(below.get(name, new)), tokenizer, held, sample, by_base)
            for name, tokenizer in made.items()
        ]
        show(rows, before, list(held))
        for variant in POLICIES:
            _stands(bench, count, variant, rows)
        if count == bench.headline:
            for row in rows[len(POLICIES) :]:
                _beside(bench, count, rows[0], row)


def _lines(texts: list[str]) -> list[str]:
    return [line for text in texts for line in text.split("\n") if line]


def _ours(variant: str) -> str:
    return f"ours, {variant}"


def _stands(bench: Bench, count: int, variant: str, rows: list[Row]) -> None:
    """Claim where one of our variants stands, on the text on which it stands worst."""
    mine = next(row for row in rows if row.method == _ours(variant))
    others = [row for row in rows if not row.method.startswith("ours")]
    exact = [row for row in others if row.exact]
    whole = [text for text in mine.per_token if not text.endswith(BY_LINE)]
    broken = [text + BY_LINE if text + BY_LINE in mine.per_token else text for text in whole]
    for rest, what, bar, texts in (
        (exact, "every other method that keeps other texts and gives all back", 1.0, whole),
        (others, "the best of any kind", 0.98, whole),
        (others, "the best of any kind without its pieces of line breaks", 0.98, broken),
    ):
        if not rest:
            say(f"  +{count:,}, {variant}: no other method is exact")
            continue
        best = {text: max((row.per_token[text], row.method) for row in rest) for text in texts}
        ratios = {text: mine.per_token[text] / value for text, (value, _) in best.items()}
        worst = min(ratios, key=ratios.__getitem__)
        held = "held" if mine.exact and ratios[worst] >= bar else "missed"
        tell(
            f"{MISTRAL} +{count:,}, {variant}, against {what}, on the text where ours is weakest: "
            f"{bench.where}{worst}; bar {bar}×: {held}",
            mine.per_token[worst],
            best[worst][0],
            unit="characters per token",
            peer_name=best[worst][1],
            sizes="; ".join(f"{text} {ratio:.3f}× {best[text][1]}" for text, ratio in ratios.items())
            + f"; of ours {mine.changed} of {mine.other:,} other documents changed, {mine.lossy} of "
            f"{mine.documents:,} not given back",
            less_is_better=False,
        )


def _beside(bench: Bench, count: int, mine: Row, row: Row) -> None:
    """Claim everything about one other method."""
    told = f"{MISTRAL} +{count:,} against {row.method}"
    text = bench.main_text
    packages = ("transformers", "tokenizers") if "add_tokens" in row.method else ("sentencepiece",)
    sizes = (
        f"{row.added:,} pieces of theirs; {row.other:,} documents without Japanese, {row.documents:,} in all"
    )
    for claim, own, theirs, unit in (
        (f"{bench.where}{text}", mine.per_token[text], row.per_token[text], "characters per token"),
        (
            "documents without Japanese that keep their ids",
            100 - 100 * mine.changed / mine.other,
            100 - 100 * row.changed / row.other,
            "%",
        ),
        (
            "documents that decode(encode(x)) gives back",
            100 - 100 * mine.lossy / mine.documents,
            100 - 100 * row.lossy / row.documents,
            "%",
        ),
    ):
        tell(
            f"{told}: {claim}",
            own,
            theirs,
            unit=unit,
            peer_name=f"{row.method}, with",
            peer_packages=packages,
            sizes=sizes,
            less_is_better=False,
        )
