"""Small bases for bench_graft.py: real text in two languages, a tokenizer learnt from it, a Llama trained on both.

The tokenizer is SentencePiece BPE with byte fallback, the family of Llama 2 and Mistral, learnt from English with a
little Japanese: like theirs it has the common kana and kanji as single pieces and spells the rest in bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from watari.demo import documents
from watari.pretrained import save_model
from watari.pretrained.fast import write_fast_tokenizer
from watari.pretrained.sentencepiece import parse_spm
from watari.tokenizer.texts import Text

STRETCH = 2000
"""Characters of a document: a book is cut, so that every draw meets many of them."""


@dataclass(frozen=True)
class Corpora:
    """Text of both languages, and a part of each held out."""

    train: list[Text]
    english: list[str]
    japanese: list[str]


@dataclass(frozen=True)
class Shape:
    """A base: its name, its width and its layers."""

    name: str
    width: int
    layers: int


def read_corpora(data: Path | None, megabytes: float, held_out: int) -> Corpora:
    """Return English and Japanese text of `megabytes` each, every `n`-th stretch held out.

    Args:
        data: WATARI_TEST_DATA: books in English, Wikipedia on Kyoto in Japanese. None: the demo's little world.
        megabytes: Of UTF-8 of each language.
        held_out: Stretches held out of each.
    """
    sources = {"en": _books(data), "ja": _kyoto(data)} if data else {"en": _demo("en"), "ja": _demo("ja")}
    train: list[Text] = []
    held: dict[str, list[str]] = {}
    for language, stretches in sources.items():
        taken = _take(stretches, megabytes)
        every = max(2, len(taken) // held_out)
        held[language] = taken[::every][:held_out]
        kept = [text for place, text in enumerate(taken) if place % every or place // every >= held_out]
        train += [Text(f"{language}-{place}", text, language, language) for place, text in enumerate(kept)]
    return Corpora(train, held["en"], held["ja"])


def _take(stretches: Iterable[str], megabytes: float) -> list[str]:
    found: list[str] = []
    size = 0
    for text in stretches:
        found.append(text)
        size += len(text.encode("utf-8"))
        if size >= megabytes * 1e6:
            break
    return found


def _rows(path: Path) -> list[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _books(data: Path) -> Iterator[str]:
    """Yield a stretch of every book in turn."""
    works = [str(row["text"]).replace("\r", "") for row in _rows(data / "en-books" / "docs.jsonl.gz")]
    for start in range(0, max(map(len, works)), STRETCH):
        for work in works:
            if len(work) > start:
                yield work[start : start + STRETCH]


def _kyoto(data: Path) -> Iterator[str]:
    for row in _rows(data / "kyoto-wiki" / "docs.jsonl.gz"):
        sentences = row["ja"]
        text = "".join(sentences) if isinstance(sentences, list) else str(sentences)
        for start in range(0, len(text), STRETCH):
            yield text[start : start + STRETCH]


def _demo(language: str) -> Iterator[str]:
    return (row["text"] for row in documents(seed=0, count=1_000_000, language=language, level="full"))


def write_tokenizer(corpora: Corpora, size: int, japanese: float, out: Path) -> None:
    """Learn a base's tokenizer from the English text and a share of the Japanese, and write its files."""
    texts = [text.text for text in corpora.train if text.language == "en"]
    foreign = [text.text for text in corpora.train if text.language == "ja"]
    lines = [line for text in texts + foreign[: round(len(foreign) * japanese)] for line in text.splitlines()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for line in lines if line.strip()),
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
        byte_fallback=True,
        character_coverage=0.995,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        max_sentence_length=1 << 16,
        num_threads=1,
        minloglevel=2,
    )
    write_fast_tokenizer(parse_spm(model.getvalue()), out)


def windows(documents: Iterable[list[int]], length: int) -> Tensor:
    """Return the documents one after the other, each behind BOS, in windows (n, length); the rest is dropped."""
    flat = [token for ids in documents for token in (1, *ids)]
    count = len(flat) // length
    return torch.tensor(flat[: count * length]).reshape(count, length)


def mixed(english: Tensor, japanese: Tensor, share: float, batch: int, steps: int, seed: int) -> list[Tensor]:
    """Return `steps` batches of windows, `share` of each Japanese, each language in an order of its own."""
    draw = np.random.Generator(np.random.PCG64(seed))
    foreign = round(batch * share)
    parts = []
    for pool, each in ((english, batch - foreign), (japanese, foreign)):
        order = np.concatenate([draw.permutation(len(pool)) for _ in range(-(-steps * each // len(pool)))])
        parts.append(pool[torch.from_numpy(order[: steps * each])].reshape(steps, each, -1))
    return [torch.cat([one, two]) for one, two in zip(*parts, strict=True)]


def train(
    model: PreTrainedModel,
    batches: list[Tensor],
    rate: float,
    *,
    parameters: list[torch.nn.Parameter] | None = None,
    warmup: int = 20,
    decay: bool = True,
) -> None:
    """Train with AdamW; the rate warms up and, if `decay`, falls along a cosine to a tenth."""
    chosen = list(model.parameters()) if parameters is None else parameters
    optimizer = torch.optim.AdamW(chosen, lr=rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    for step, ids in enumerate(batches):
        along = step / max(1, len(batches))
        fall = 0.55 + 0.45 * math.cos(math.pi * along) if decay else 1.0
        optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / warmup) * fall
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chosen, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def new_base(shape: Shape, vocabulary: int, *, tied: bool = False) -> LlamaForCausalLM:
    """Return a base with random weights; the same every time."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        intermediate_size=-(-shape.width * 8 // (3 * 64)) * 64,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.width // 32,
        num_key_value_heads=shape.width // 32,
        max_position_embeddings=512,
        initializer_range=0.08,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2)
    return model


def write_base(model: LlamaForCausalLM, tokenizer: Path, out: Path) -> None:
    """Write a trained base with its tokenizer."""
    save_model(model, out, tokenizer_from=tokenizer)


def loss_of(model: PreTrainedModel, rows: list[list[int]], length: int) -> tuple[float, int]:
    """Return the summed loss in nats over some documents (each behind BOS), and how many tokens were predicted."""
    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(rows), 16):
            cut = [[1, *ids][:length] for ids in rows[start : start + 16]]
            ids = torch.zeros(len(cut), max(map(len, cut)), dtype=torch.int64)
            labels = torch.full_like(ids, -100)
            for place, row in enumerate(cut):
                ids[place, : len(row)] = labels[place, : len(row)] = torch.tensor(row)
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
            wanted = labels[:, 1:]
            total += float(
                torch.nn.functional.cross_entropy(
                    logits.reshape(-1, logits.shape[-1]),
                    wanted.reshape(-1),
                    ignore_index=-100,
                    reduction="sum",
                )
            )
            count += int((wanted != -100).sum())
    return total, count
