"""How new rows begin: every init on two small bases trained here, before training and after 50 steps.

Bases of 1.5M and 3.6M parameters with untied heads learn English and Japanese, half and half; their tokenizer (SentencePiece
BPE, 3,600 pieces) is extended by 3,000 pieces with Watari's learner; each init is grafted by `graft_model`. Measured on
held-out text: bits per Japanese character at once, after 50 steps of all weights and of the two tables alone, and how
much the English loss changed. transformers' own `resize_token_embeddings` is measured beside our re-implementation.
The whole table is told on stderr.

With WATARI_TEST_DATA set the text is books (English) and Wikipedia (Japanese); else the demo's little world.
"""

from __future__ import annotations

from sides import arguments, one_thread, tell

one_thread()

import json  # noqa: E402  one_thread() comes before every import that starts threads
import math  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from graft_bases import (  # noqa: E402
    Corpora,
    Shape,
    loss_of,
    mixed,
    new_base,
    read_corpora,
    train,
    windows,
    write_base,
    write_tokenizer,
)
from transformers import PreTrainedModel, PreTrainedTokenizerBase  # noqa: E402

from watari.model.graft import graft_model  # noqa: E402
from watari.model.rows import METHODS  # noqa: E402
from watari.pretrained import load_model, load_tokenizer  # noqa: E402
from watari.pretrained.encoding import encode_documents  # noqa: E402
from watari.tokenizer.build import extend_tokenizer, write_extension  # noqa: E402
from watari.tokenizer.goal import Goal  # noqa: E402
from watari.tokenizer.opening import open_base  # noqa: E402
from watari.tokenizer.policy import Policy  # noqa: E402
from watari.tokenizer.script import script_of  # noqa: E402

SHAPES = (Shape("1.5M", 128, 3), Shape("3.6M", 192, 5))
LENGTH = 256
PEER = "transformers' resize_token_embeddings"
STEPS = 50
TRAINED = ("count-bias", "count-bias-focus", "subword-mean", PEER, "random")
"""Inits that are trained on; the others are measured at step 0, on the first base alone."""


@dataclass(frozen=True)
class Sizes:
    """What differs between the full run and the quick one."""

    megabytes: float = 6.0
    held_out: int = 30
    vocabulary: int = 3600
    add: int = 3000
    batch: int = 4
    steps: int = 1500
    states: int = 10_000


@dataclass(frozen=True)
class Outcome:
    """Figures of one init: loss changes in percent, the rest in bits per Japanese character."""

    init: str
    english_change: float
    start: float
    after_all: float | None
    english_after_all: float | None
    after_tables: float | None
    english_after_tables: float | None


class Bench:
    """One base, its extended tokenizer, and the texts in both tokenisations."""

    def __init__(self, sizes: Sizes, shape: Shape, corpora: Corpora, root: Path) -> None:
        self.sizes, self.shape, self.corpora = sizes, shape, corpora
        self.base, self.extended = root / shape.name, root / "extended"
        self.english = [text[at : at + 500] for text in corpora.english for at in range(0, len(text), 500)]
        self.japanese = [text[at : at + 100] for text in corpora.japanese for at in range(0, len(text), 100)]
        tokenizer = load_tokenizer(root / "tokenizer")
        began = time.process_time()
        model = new_base(shape, len(tokenizer))
        train(model, self._batches(tokenizer, sizes.steps, share=0.5, seed=0), 6e-3)
        write_base(model, root / "tokenizer", self.base)
        self.parameters = model.num_parameters()
        self.english_loss, self.japanese_bits = self.measure(load_model(self.base), tokenizer)
        note(
            f"{shape.name}: {self.parameters:,} parameters, {sizes.steps} steps of {sizes.batch * LENGTH} tokens in "
            f"{time.process_time() - began:.0f} CPU s; English loss {self.english_loss:.3f}, Japanese "
            f"{self.japanese_bits:.3f} bits/character"
        )
        self.tuning = self._batches(load_tokenizer(self.extended), STEPS, share=0.75, seed=1)

    def _batches(
        self, tokenizer: PreTrainedTokenizerBase, steps: int, *, share: float, seed: int
    ) -> list[torch.Tensor]:
        sides = []
        for language in ("en", "ja"):
            texts = [text.text for text in self.corpora.train if text.language == language]
            sides.append(windows(encode_documents(tokenizer, texts), LENGTH))
        return mixed(*sides, share, self.sizes.batch, steps, seed)

    def measure(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[float, float]:
        """Return the English loss (nats/token) and bits per Japanese character."""
        loss, tokens = loss_of(model, encode_documents(tokenizer, self.english), LENGTH * 2)
        japanese, _ = loss_of(model, encode_documents(tokenizer, self.japanese), LENGTH * 2)
        return loss / tokens, japanese / math.log(2) / sum(map(len, self.japanese))

    def outcome(self, init: str, root: Path) -> Outcome:
        """Graft with one init (or the peer) and measure it."""
        tokenizer = load_tokenizer(self.extended)

        def made() -> PreTrainedModel:
            if init != PEER:
                return load_model(root / f"{self.shape.name}-{init}")
            model = load_model(self.base)
            torch.manual_seed(0)
            model.resize_token_embeddings(len(tokenizer), mean_resizing=True)
            return model

        if init != PEER:
            needs = METHODS[init].text  # type: ignore[index]
            graft_model(
                self.base,
                self.extended,
                root / f"{self.shape.name}-{init}",
                init=init,
                text=self.corpora.train if needs else None,
                states=self.sizes.states,
            )
        english, start = self.measure(made(), tokenizer)
        figures: list[float | None] = [self.change(english), start]
        for tables in (False, True):
            # The first base tells the whole story; what else is measured there is whether new rows come first.
            if init not in TRAINED or (tables and self.shape != SHAPES[0]):
                figures += [None, None]
                continue
            model = made()
            chosen = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
            for parameter in model.parameters() if tables else ():
                parameter.requires_grad_(False)
            for parameter in chosen:
                parameter.requires_grad_(True)
            train(model, self.tuning, 1e-3, parameters=chosen if tables else None, warmup=5, decay=False)
            english, japanese = self.measure(model, tokenizer)
            figures += [japanese, self.change(english)]
        found = Outcome(init, *figures)  # type: ignore[arg-type]
        told = {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(found).items()
        }
        note(f"{self.shape.name}: {json.dumps(told)}")
        return found

    def change(self, english: float) -> float:
        """Return how much the English loss changed, in percent of the base's."""
        return 100 * (english / self.english_loss - 1)


def note(text: str) -> None:
    """Tell what is not a claim."""
    print(text, file=sys.stderr, flush=True)


def claims(bench: Bench, found: dict[str, Outcome]) -> None:
    """Print the claims of one base."""
    sizes = (
        f"base of {bench.parameters:,} parameters, untied, {bench.sizes.vocabulary:,} + {bench.sizes.add:,} pieces; base: "
        f"{bench.japanese_bits:.2f} bits/character, English loss {bench.english_loss:.3f}; held out: "
        f"{sum(map(len, bench.japanese)):,} Japanese, {sum(map(len, bench.english)):,} English characters"
    )
    for init in ("count-bias", "count-bias-focus"):
        ours = found[init]
        for peer in ("subword-mean", PEER, "random"):
            package = ("transformers",) if peer == PEER else ("watari",)
            for when, name in (("at step 0", "start"), (f"after {STEPS} steps", "after_all")):
                tell(
                    f"Japanese {when}, {init} against {peer}, {bench.shape.name}",
                    getattr(ours, name),
                    getattr(found[peer], name),
                    unit="bits/character",
                    peer_packages=package,
                    sizes=sizes,
                )
            tell(
                f"English loss changed by the graft, {init} against {peer}, {bench.shape.name}",
                ours.english_change,
                found[peer].english_change,
                unit="%",
                peer_packages=package,
                sizes=sizes,
            )


def main() -> None:
    """Train the bases, graft every init, print the claims."""
    options = arguments(__doc__)
    torch.set_num_threads(1)
    quick = Sizes(megabytes=0.2, held_out=4, vocabulary=1200, add=64, batch=4, steps=4, states=500)
    sizes = quick if options.quick else Sizes()
    shapes = (Shape("tiny", 64, 1),) if options.quick else SHAPES
    data = os.environ.get("WATARI_TEST_DATA")
    corpora = read_corpora(Path(data) if data else None, sizes.megabytes, sizes.held_out)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tokenizer(corpora, sizes.vocabulary, 0.1, root / "tokenizer")
        learned = extend_tokenizer(
            open_base(str(root / "tokenizer")), corpora.train, Policy(script_of("ja")), Goal(add=sizes.add)
        )
        write_extension(learned, root / "extended")
        for shape in shapes:
            bench = Bench(sizes, shape, corpora, root)
            inits = (*TRAINED, *(name for name in METHODS if name not in TRAINED and shape == SHAPES[0]))
            claims(bench, {init: bench.outcome(init, root) for init in inits})


if __name__ == "__main__":
    main()
