"""Greedy answers to many short prompts: `LocalModel.generate` against transformers' `generate`, both in batches of 64.

The model is untrained, so that an end token would hardly ever come; one id in twenty is declared an end instead, in
`generation_config.json`, where both sides read it. Answers then end at different lengths, as those of an exam do. Both
sides get texts and give texts, which must be the same.
"""

from __future__ import annotations

from sides import alternate, arguments, one_thread, tell

one_thread()

import json  # noqa: E402  one_thread() comes before every import that starts threads
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

from watari.artifact.stage import Inputs, Silent  # noqa: E402
from watari.demo import documents  # noqa: E402
from watari.generate.local import LocalModel  # noqa: E402
from watari.generate.sampler import GREEDY  # noqa: E402
from watari.model import init  # noqa: E402

BATCH = 64


def make_model(out: Path, width: int, layers: int) -> frozenset[int]:
    """Write the model and return its end tokens."""
    out.mkdir()
    # Wide initial weights give sharp distributions: no answer hangs on the last bit of a sum.
    params = init.Params(
        tokenizer="package://mistral-v1",
        hidden=width,
        layers=layers,
        heads=width // 48,
        tie_embeddings=True,
        initializer_range=0.3,
    )
    vocabulary = int(init.run(params, Inputs(), out, Silent()).metrics["vocabulary"])
    ends = list(range(2, vocabulary, 20))
    path = out / "generation_config.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "eos_token_id": ends}), "utf-8")
    return frozenset(ends)


def prompts(count: int) -> list[str]:
    """Return beginnings of stories, 20 to 120 characters long."""
    rows = documents(seed=0, count=count, language="en", level="full")
    return [row["text"][: 20 + number * 37 % 100] for number, row in enumerate(rows)]


class Peer:
    """transformers' own way: prompts in their order, padded on the left, `generate`, decoded."""

    def __init__(self, folder: Path, ends: frozenset[int], limit: int) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), padding_side="left")
        self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()
        self.ends, self.limit = ends, limit

    def answer(self, texts: list[str]) -> list[str]:
        answers: list[str] = []
        for start in range(0, len(texts), BATCH):
            batch = self.tokenizer(texts[start : start + BATCH], return_tensors="pt", padding=True)
            with torch.inference_mode():
                out = self.model.generate(
                    **batch,
                    do_sample=False,
                    max_new_tokens=self.limit,
                    pad_token_id=self.tokenizer.pad_token_id,
                )
            width = batch["input_ids"].shape[1]
            for row in range(len(out)):
                prompt = batch["input_ids"][row][batch["attention_mask"][row].bool()].tolist()
                answers.append(self._text(prompt, out[row, width:].tolist()))
        return answers

    def _text(self, prompt: list[int], new: list[int]) -> str:
        """Return the answer's text up to its end token, its first blank kept."""
        end = next((place for place, token in enumerate(new) if token in self.ends), len(new))
        before = self.tokenizer.decode(prompt, skip_special_tokens=True)
        whole: str = self.tokenizer.decode(prompt + new[:end], skip_special_tokens=True)
        return whole[len(before) :]


def main() -> None:
    """Measure both and print the claim."""
    options = arguments(__doc__)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    count, width, layers, limit = (8, 48, 1, 4) if options.quick else (200, 192, 4, 64)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "model"
        ends = make_model(folder, width, layers)
        texts = prompts(count)
        ours = LocalModel(folder, device="cpu")
        peer = Peer(folder, ends, limit)
        sampler = GREEDY.with_settings(max_new_tokens=limit)
        answers = ours.generate(texts, sampler, batch_size=BATCH)
        found, wanted = [answer.text for answer in answers], peer.answer(texts)
        differing = [row for row in range(count) if found[row] != wanted[row]]
        if differing:
            row = differing[0]
            raise SystemExit(
                f"{len(differing)} answers differ; {row}: {found[row]!r} against {wanted[row]!r}"
            )
        mine, theirs = alternate(
            lambda: ours.generate(texts, sampler, batch_size=BATCH),
            lambda: peer.answer(texts),
            repeats=options.repeats or (1 if options.quick else 3),
            warm_up=False,
        )
        lengths = [answer.completion_tokens for answer in answers]
        tell(
            "greedy answers to short prompts",
            mine,
            theirs,
            unit="CPU s",
            peer_packages=("transformers",),
            sizes=f"{count} prompts of {min(a.prompt_tokens for a in answers)} to "
            f"{max(a.prompt_tokens for a in answers)} tokens, batches of {BATCH}, at most {limit} new tokens (mean "
            f"{sum(lengths) / count:.1f}); Llama {width} wide, {layers} layers, vocabulary 32,000, fp32; the same answers",
        )


if __name__ == "__main__":
    main()
