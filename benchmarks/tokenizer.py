"""The bars of tokenizer surgery: real tokenizers, held-out Japanese, every other method beside ours, and what it costs.

Ours goes on from the base's own segmentation (`watari.tokenizer`), with Japanese pieces only and with digits inside them.
In the same tables, from the same text with the same weights and at the same number of pieces: Shisa's merge regeneration,
Chinese-LLaMA's score-0 merge, the pieces of SentencePiece models ranked below the base, plain continued BPE, and
transformers' `add_tokens`. Then real tokenizers, the cost of building, the speed of encoding, and proof that texts without
Japanese do not move. Claims go to stdout; tables go to stderr, with every text and method. The full run needs
WATARI_TEST_DATA and half an hour; without it the little world of the demo stands in, and says so.

Sources and weights of the learning text were chosen on JSQuAD valid and on documents of their own
(`tokenizer_data.DEVELOPMENT`), out of a dozen settings, for the best least ratio; "JSQuAD" is valid and test
together, as the bar says it; "JSQuAD test" is the half on which nothing was chosen.
"""

from __future__ import annotations

from sides import arguments, one_thread

one_thread()

import os  # noqa: E402  one_thread() comes before every import that starts threads
from argparse import ArgumentParser  # noqa: E402
from pathlib import Path  # noqa: E402

from tokenizer_bars import bars, packages  # noqa: E402
from tokenizer_bench import COUNTS, WEIGHTS, Bench  # noqa: E402
from tokenizer_contest import peers  # noqa: E402
from tokenizer_cost import cost  # noqa: E402
from tokenizer_data import demo_corpus, read_corpus  # noqa: E402
from tokenizer_exact import exact  # noqa: E402
from tokenizer_measure import say  # noqa: E402
from tokenizer_peers import Weighed  # noqa: E402


def main() -> None:
    """Measure everything, and print claims as they come."""

    def more(parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wheels", type=Path, help="folder of wheels with tokenizers (litellm, dashscope)"
        )
        parser.add_argument(
            "--cache", type=Path, help="folder that keeps learned pieces for another run over the same text"
        )
        parser.add_argument(
            "--only", action="append", help="bars, peers, packages, cost or exact (default: all)"
        )

    options = arguments(__doc__, more)
    folder = os.environ.get("WATARI_TEST_DATA")
    data = Path(folder) if folder and not options.quick else None
    corpus = read_corpus(data) if data is not None else demo_corpus(options.quick)
    sources = [
        Weighed(source.name, source.documents, WEIGHTS.get(source.name, 1)) for source in corpus.learning
    ]
    counts = COUNTS if data is not None else ((100,) if options.quick else (500, 2_000))
    bench = Bench(
        corpus, sources, counts, options.wheels, data, options.quick, options.repeats or 5, options.cache
    )
    say(f"learned from {corpus.told()}; weights {', '.join(f'{s.name} {s.weight}' for s in sources)}")
    for kind, texts in corpus.other.items():
        size = sum(len(text.encode("utf-8")) for text in texts)
        say(
            f"{kind}: {len(texts):,} documents, {size / 1e6:.1f} MB; {corpus.apart[kind]:,} with Japanese left out"
        )
    parts = {"bars": bars, "peers": peers, "packages": packages, "cost": cost, "exact": exact}
    for name, part in parts.items():
        if options.only is None or name in options.only:
            part(bench)


if __name__ == "__main__":
    main()
