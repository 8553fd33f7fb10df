"""`model.init`: a small Llama with random weights, for demos, tests and pre-training from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from watari.artifact.draws import generator
from watari.artifact.kinds import Kind
from watari.artifact.outside import packaged_file
from watari.artifact.params import Count, OutsidePath, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

_KIND = "model.init"
_NORM_EPS = 1e-5
"""As in Llama 2 and Mistral 7B (their config.json)."""


class Params(StageParams):
    """Shape of the model and its tokenizer. Defaults give about 20M parameters with a vocabulary of 32,000."""

    tokenizer: OutsidePath = Field(
        description="`package://mistral-v1`, `package://mistral-v3`, a SentencePiece `tokenizer.model`, or a folder "
        "with tokenizer files"
    )
    hidden: Count = Field(256, ge=8, description="width of the residual stream")
    layers: Count = Field(4, ge=1, description="decoder layers")
    heads: Count = Field(4, ge=1, description="attention heads; hidden must be a multiple of it")
    kv_heads: Count | None = Field(
        None, ge=1, description="key and value heads (grouped-query attention); default: as many as heads"
    )
    intermediate: Count | None = Field(
        None,
        ge=8,
        description="width of the feed-forward layer; default: 8/3 of hidden, rounded up to 64 (Llama)",
    )
    context: Count = Field(1024, ge=8, description="longest sequence, tokens (max_position_embeddings)")
    rope_theta: float = Field(10_000.0, gt=0, description="base of the rotary embedding (Llama 2's)")
    tie_embeddings: bool = Field(False, description="use the input embedding as the output head too")
    initializer_range: float = Field(
        0.02,
        gt=0,
        le=1,
        description="standard deviation of every weight matrix (transformers' Llama default)",
    )
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="type in which weights are written")

    @model_validator(mode="after")
    def _shapes_fit(self) -> Params:
        kv_heads = self.kv_heads or self.heads
        if self.hidden % self.heads or self.hidden // self.heads % 2:
            raise ValueError(
                f"hidden: {self.hidden} is not an even multiple of heads ({self.heads}): rotary embeddings need heads "
                "of even width"
            )
        if self.heads % kv_heads:
            raise ValueError(f"kv_heads: {kv_heads} does not divide heads ({self.heads})")
        return self


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write a model folder with seeded weights and the tokenizer.

    Every matrix is drawn from its own generator, keyed by (seed, stage, parameter name), so that neither the order in
    which a library creates its layers nor another layer more changes any of them. Norms are 1.

    Raises:
        UserError: if the tokenizer is missing or of a family that is not supported.
    """
    import torch

    from watari.pretrained import save_model

    tokenizer = out / "work" / "tokenizer"
    vocabulary, bos, eos = _write_tokenizer(params.tokenizer, tokenizer)
    model = _build(params, vocabulary, bos, eos)
    weights = list(model.named_parameters())
    with torch.no_grad():
        for done, (name, weight) in enumerate(weights):
            stop_if_asked(progress)
            progress.update(done, len(weights), unit="matrices", note=name)
            if weight.dim() == 1:
                weight.fill_(1.0)
                continue
            # NumPy's stream is the same on every CPU; torch's normal_ is not (vectorised and scalar paths differ).
            draws = generator(params.seed, _KIND, name).standard_normal(tuple(weight.shape), dtype="float32")
            weight.copy_(torch.from_numpy(draws * params.initializer_range))
    model.to(getattr(torch, params.dtype))
    save_model(model, out, tokenizer_from=tokenizer)
    embedding = vocabulary * params.hidden * (1 if params.tie_embeddings else 2)
    return StageResult(
        metrics={
            "parameters": sum(weight.numel() for _, weight in weights),
            "embedding_parameters": embedding,
            "vocabulary": vocabulary,
        }
    )


def _build(params: Params, vocabulary: int, bos: int | None, eos: int | None) -> LlamaForCausalLM:
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=params.hidden,
        intermediate_size=params.intermediate or -(-params.hidden * 8 // (3 * 64)) * 64,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        num_key_value_heads=params.kv_heads or params.heads,
        max_position_embeddings=params.context,
        initializer_range=params.initializer_range,
        rms_norm_eps=_NORM_EPS,
        rope_parameters={"rope_type": "default", "rope_theta": params.rope_theta},
        tie_word_embeddings=params.tie_embeddings,
        bos_token_id=bos,
        eos_token_id=eos,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(bos_token_id=bos, eos_token_id=eos)  # type: ignore[no-untyped-call]
    return model


def _write_tokenizer(location: str, out: Path) -> tuple[int, int | None, int | None]:
    """Write the tokenizer's files; return the size of its vocabulary and the ids of bos and eos."""
    from watari.pretrained import copy_tokenizer, load_tokenizer
    from watari.pretrained.fast import check_supported, write_fast_tokenizer
    from watari.pretrained.sentencepiece import read_spm

    path = packaged_file(location) if location.startswith("package://") else Path(location)
    if path.is_dir() and (path / "tokenizer.json").is_file():
        copy_tokenizer(path, out)
        tokenizer = load_tokenizer(out)
        return len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id
    if path.is_dir():
        path = path / "tokenizer.model"
    if not path.is_file():
        raise UserError(
            f"tokenizer: {location}: no tokenizer there",
            "give package://mistral-v1, a tokenizer.model, or a folder with tokenizer.json",
        )
    model = read_spm(path)
    check_supported(model, location)
    write_fast_tokenizer(model, out)
    return len(model), model.bos, model.eos


STAGE = Stage(kind=_KIND, version=1, output=Kind.MODEL, params=Params, run=run)
