"""One optimizer step of supervised fine-tuning: our compact head against the model's own loss over all logits.

Both sides have the same weights, batch, attention, precision and fused AdamW; the peer is
`model(input_ids, attention_mask, labels).loss`. Their losses must agree to 1e-2 at every step.
"""

from __future__ import annotations

from sides import alternate, arguments, one_thread, tell

one_thread()

import numpy as np  # noqa: E402  one_thread() comes before every import that starts threads
import torch  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from watari.train.batches import Batch, Sample, lay_out  # noqa: E402
from watari.train.device import choose  # noqa: E402
from watari.train.head import cross_entropy  # noqa: E402
from watari.train.language_model import LanguageModel  # noqa: E402
from watari.train.loop import optimizer_for  # noqa: E402
from watari.train.settings import TrainingParams  # noqa: E402

IGNORED = -100


def new_model(vocabulary: int, width: int, layers: int, attention: str) -> LlamaForCausalLM:
    """Return a small tied Llama; the same weights every time."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=-(-width * 8 // (3 * 64)) * 64,
        num_hidden_layers=layers,
        num_attention_heads=width // 48,
        num_key_value_heads=width // 48,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        attn_implementation=attention,
    )
    return LlamaForCausalLM(config)


def conversations(count: int, length: int, vocabulary: int, share: float) -> list[Sample]:
    """Return rows of `length` tokens whose last `share` is supervised, as a reply behind its question."""
    draw = np.random.Generator(np.random.PCG64(1))
    trained = np.arange(length) >= length - round(length * share)
    return [
        Sample(str(row), draw.integers(3, vocabulary, length).astype(np.int32), trained)
        for row in range(count)
    ]


class Ours:
    """The step as `train.sft` does it."""

    def __init__(
        self, model: LlamaForCausalLM, batch: Batch, supervised: int, params: TrainingParams
    ) -> None:
        self.model = LanguageModel(model, choose("cpu", params.precision))
        self.optimizer = optimizer_for(model, params)
        self.batch, self.supervised = batch, supervised
        self.losses: list[float] = []

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        hidden = self.model.hidden(self.batch)
        summed = cross_entropy(hidden, self.model.head.weight, self.batch.targets, self.model.compute.dtype)
        loss = summed / self.supervised
        loss.backward()
        self.optimizer.step()
        self.losses.append(float(loss.detach()))


class Peer:
    """The same step through transformers alone."""

    def __init__(self, model: LlamaForCausalLM, samples: list[Sample], params: TrainingParams) -> None:
        self.model = model.eval()
        self.compute = choose("cpu", params.precision)
        self.optimizer = optimizer_for(model, params)
        self.ids = torch.from_numpy(np.stack([sample.ids for sample in samples]).astype(np.int64))
        self.mask = torch.ones_like(self.ids)
        trained = torch.from_numpy(np.stack([sample.trained for sample in samples]))
        self.labels = torch.where(trained, self.ids, IGNORED)
        self.losses: list[float] = []

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with self.compute.autocast():
            loss = self.model(
                input_ids=self.ids, attention_mask=self.mask, labels=self.labels, use_cache=False
            ).loss
        loss.backward()
        self.optimizer.step()
        self.losses.append(float(loss.detach()))


def main() -> None:
    """Measure both and print the claim."""
    options = arguments(__doc__)
    vocabulary, width, layers, rows, length = (
        (1000, 48, 1, 4, 20) if options.quick else (32_000, 192, 4, 32, 96)
    )
    share = 0.2
    torch.set_num_threads(1)
    params = TrainingParams(lr=1e-4, precision="bf16")
    samples = conversations(rows, length, vocabulary, share)
    supervised = sum(sample.supervised for sample in samples)
    attention = choose("cpu", "bf16").attention(length, packed=False)
    batch = lay_out([[sample] for sample in samples])
    ours = Ours(new_model(vocabulary, width, layers, attention), batch, supervised, params)
    peer = Peer(new_model(vocabulary, width, layers, attention), samples, params)
    mine, theirs = alternate(ours.step, peer.step, repeats=options.repeats or (2 if options.quick else 7))
    worst = max(abs(a - b) for a, b in zip(ours.losses, peer.losses, strict=True))
    if not worst < 1e-2:
        raise SystemExit(f"the losses differ by {worst:.3g}: {ours.losses} against {peer.losses}")
    tell(
        "SFT step, loss at supervised positions only",
        mine,
        theirs,
        unit="CPU s per step",
        peer_packages=("transformers",),
        sizes=f"Llama {width} wide, {layers} layers, vocabulary {vocabulary:,} tied; {rows} conversations of {length} "
        f"tokens, {supervised / (rows * length):.0%} supervised; bf16 autocast, {attention} attention and fused AdamW on "
        f"both sides; losses agree to {worst:.1g} over {len(ours.losses)} steps",
    )


if __name__ == "__main__":
    main()
