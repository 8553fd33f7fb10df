"""The base of the adaptation benchmark: a small Llama with the real Llama 2 tokenizer that has read English books only."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from adaptation_data import Corpus, artifact, documents_of

from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.corpus import pack
from watari.model import init
from watari.tokenizer.texts import Text
from watari.train import pretrain


@dataclass(frozen=True)
class Shape:
    """The base and its training.

    Args:
        tokenizer: A SentencePiece model, or `package://…`.
        width, layers, heads: Of the Llama; its head is tied to its embedding.
        tokens: That it reads, in windows of `sequence`, `batch` a step.
        lr: Peak rate; 2 % warm-up, then a cosine to a tenth.
    """

    tokenizer: str
    width: int = 192
    layers: int = 4
    heads: int = 6
    tokens: int = 2_300_000
    sequence: int = 256
    batch: int = 8
    lr: float = 2e-3


def training(
    shape: Shape, batch: int, *, tokens: int, lr: float, seed: int, **more: object
) -> pretrain.Params:
    """Return the parameters of `train.pretrain` that the base and the arms share; `batch` windows a step."""
    given = {
        "model": "model",
        "data": ["data"],
        "tokens": tokens,
        "lr": lr,
        "warmup": 0.02,
        "lr_min_ratio": 0.1,
        "batch": batch,
        "sequence": shape.sequence,
        "pass_tokens": batch * shape.sequence,
        "seed": seed,
        "threads": 1,
        "checkpoint_seconds": 0.0,
        "device": "cpu",
    }
    return pretrain.Params.model_validate(given | more)


def packed(texts: Sequence[Text], name: str, model: InputArtifact, folder: Path) -> InputArtifact:
    """Return texts as tokens of the model's tokenizer, by `tokens.pack`."""
    if not (folder / "tokens.json").is_file():
        source = documents_of(texts, name, folder / "documents")
        params = pack.Params.model_validate({"documents": [name], "tokenizer": "model", "check": 0})
        pack.run(params, Inputs({"documents": [source], "tokenizer": [model]}), folder, Silent())
        shutil.rmtree(folder / "documents")
    return artifact(name, folder, Kind.TOKENS)


def base_model(shape: Shape, corpus: Corpus, cache: Path) -> Path:
    """Return the base's folder below `cache`, training it first if it is not there."""
    texts = hash_json([text.id for text in corpus.english])
    folder = cache / f"base-{hash_json({**asdict(shape), 'texts': texts})[:12]}"
    if (folder / "config.json").is_file():
        return folder
    blank = cache / f"{folder.name}-blank"
    shutil.rmtree(blank, ignore_errors=True)
    shutil.rmtree(partial := cache / f"{folder.name}-partial", ignore_errors=True)
    partial.mkdir(parents=True)
    params = init.Params.model_validate(
        {
            "tokenizer": shape.tokenizer,
            "hidden": shape.width,
            "layers": shape.layers,
            "heads": shape.heads,
            "context": 2 * shape.sequence,
            "tie_embeddings": True,
        }
    )
    blank.mkdir()
    init.run(params, Inputs(), blank, Silent())
    shutil.rmtree(blank / "work", ignore_errors=True)
    model = artifact("model", blank, Kind.MODEL)
    english = packed(corpus.english, "english", model, partial / "work" / "english")
    pretrain.run(
        training(shape, shape.batch, tokens=shape.tokens, lr=shape.lr, seed=0),
        Inputs({"model": [model], "data": [english]}),
        partial,
        Silent(),
    )
    shutil.rmtree(partial / "work", ignore_errors=True)
    shutil.rmtree(blank)
    partial.rename(folder)
    torch.set_num_threads(1)
    return folder
