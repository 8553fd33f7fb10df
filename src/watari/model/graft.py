"""`model.graft`: a base model and the extended form of its tokenizer, joined: one new row for each new piece."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Documents, Model, OneOrMore, StageParams, Tokenizer
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError
from watari.model.rows import Init

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from watari.pretrained.graft import Graft

_KIND = "model.graft"


class Params(StageParams):
    """Which model gets which tokenizer, and how its new rows begin."""

    base: Model = Field(description="the model to graft on")
    tokenizer: Tokenizer = Field(description="an extension of that model's tokenizer (`tokenizer.extend`)")
    init: Init | None = Field(
        None,
        description="how new rows begin. count-bias: input row of the last base token, output row of the first, and a "
        "bias by corpus counts (least damage to the base's language and best start in the new one: facts §7); it "
        "needs `text`. mean: mean of the base tokens' rows (Swallow). last-first: count-bias without the bias. "
        "random: for comparison. Default: count-bias with `text`, mean without it; mean where the head is tied to "
        "the embedding, since one row cannot be both that of the last and that of the first token",
    )
    text: Annotated[list[Documents], OneOrMore] = Field(
        default_factory=list,
        description="documents for count-bias, in both languages: half of the hidden states are taken from the new "
        "one, half from all others",
    )
    states: Count = Field(
        10_000, ge=64, description="hidden states that the bias direction is fitted to (facts: tokenizer §7)"
    )

    @model_validator(mode="after")
    def _text_for_bias(self) -> Params:
        if self.init == "count-bias" and not self.text:
            raise ValueError(
                "init: count-bias needs `text:` (documents in both languages); or write `init: mean`"
            )
        return self


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write the grafted model with its tokenizer. The base's rows, and every other weight, keep their bits.

    Raises:
        UserError: if the tokenizer does not extend this base's, or the init does not fit the model.
    """
    from watari.model.rows import bias_direction, new_rows
    from watari.model.states import sample_states
    from watari.pretrained import load_model, load_tokenizer, save_model
    from watari.pretrained.graft import read_graft

    base, tokenizer = inputs.one("base"), inputs.one("tokenizer")
    graft = read_graft(tokenizer.path)
    _check_same_base(graft, base.path, base.name, tokenizer.name)
    model = load_model(base.path, dtype="auto")
    embedding, head = _matrices(model)
    rows_before = embedding.weight.shape[0]
    if rows_before < graft.base_vocabulary:
        raise UserError(
            f"base: {base.name} has {rows_before:,} embedding rows for a tokenizer of {graft.base_vocabulary:,}",
            "its config and its tokenizer do not belong together: `watari doctor` says more",
        )
    init = _choose_init(params, tied=head is None)
    before = model.num_parameters()

    metrics: dict[str, Any] = {}
    bias = None
    if init == "count-bias":
        states = sample_states(
            model,
            load_tokenizer(base.path),
            inputs.many("text"),
            language=graft.language,
            count=params.states,
            seed=params.seed,
            stage=_KIND,
            progress=progress,
        )
        metrics["states"] = {"new_language": states.new, "other": states.other}
        bias = bias_direction(states.hidden)
    rows = new_rows(
        graft,
        embedding.weight,
        None if head is None else head.weight,
        init=init,
        bias=bias,
        spread=float(getattr(model.config, "initializer_range", 0.02)),
        seed=params.seed,
    )
    stop_if_asked(progress)
    progress.update(len(graft.pieces), len(graft.pieces), unit="rows", note=init)
    _append(embedding, rows.input, graft.base_vocabulary)
    if head is not None and rows.output is not None:
        _append(head, rows.output, graft.base_vocabulary)
    model.config.vocab_size = graft.vocabulary
    if head is None:
        model.tie_weights()
    save_model(model, out, tokenizer_from=tokenizer.path)
    metrics |= {
        "init": init,
        "rows_added": len(graft.pieces),
        "padding_rows_replaced": rows_before - graft.base_vocabulary,
        "tied": head is None,
        "vocabulary_before": graft.base_vocabulary,
        "vocabulary": graft.vocabulary,
        "parameters_before": before,
        "parameters": model.num_parameters(),
    }
    return StageResult(metrics=metrics)


def _choose_init(params: Params, *, tied: bool) -> Init:
    if tied and params.init == "last-first":
        raise UserError(
            "init: last-first gives a token two different rows, and this model ties its head to its embedding",
            "use `init: mean` or `init: count-bias` (mean plus bias)",
        )
    if params.init is not None:
        return params.init
    return "count-bias" if params.text and not tied else "mean"


def _check_same_base(graft: Graft, folder: Path, name: str, tokenizer: str) -> None:
    """Make sure that the base's token ids mean what they meant when its tokenizer was extended."""
    from watari.pretrained import load_tokenizer
    from watari.pretrained.sentencepiece import read_spm, vocabulary_digest

    if (folder / "tokenizer.model").is_file():
        digest, size = (model := read_spm(folder / "tokenizer.model")).digest(), len(model)
    else:
        loaded = load_tokenizer(folder)
        size = len(loaded)
        digest = vocabulary_digest([str(piece) for piece in loaded.convert_ids_to_tokens(list(range(size)))])
    if digest != graft.base_digest:
        raise UserError(
            f"tokenizer: {tokenizer} extends a tokenizer of {graft.base_vocabulary:,} pieces that is not the one of "
            f"{name} ({size:,} pieces)",
            f"let tokenizer.extend have `base: {name}`",
        )


def _matrices(model: PreTrainedModel) -> tuple[nn.Embedding, nn.Linear | None]:
    """Return the input embedding, and the output head unless it is the same matrix."""
    from torch import nn

    embedding = model.get_input_embeddings()
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(embedding, nn.Embedding) or not isinstance(head, nn.Linear):
        raise UserError(
            f"base: {type(model).__name__} keeps its embedding as {type(embedding).__name__} and its head as "
            f"{type(head).__name__}: not supported yet in this version"
        )
    return embedding, None if head.weight is embedding.weight else head


def _append(layer: nn.Embedding | nn.Linear, rows: Tensor, keep: int) -> None:
    """Give `layer` its first `keep` rows, then `rows`, in the type that it has.

    Not `resize_token_embeddings`: that draws rows of its own, and loading has overwritten resized untied heads before
    (transformers #45079).
    """
    import torch

    weight = layer.weight.data
    size = keep + len(rows)
    layer.weight = torch.nn.Parameter(torch.cat([weight[:keep], rows.to(weight.dtype)]))
    if isinstance(layer, torch.nn.Embedding):
        layer.num_embeddings = size
        return
    layer.out_features = size
    if layer.bias is not None:
        layer.bias = torch.nn.Parameter(
            torch.cat([layer.bias.data[:keep], layer.bias.data.new_zeros(len(rows))])
        )


STAGE = Stage(kind=_KIND, version=1, output=Kind.MODEL, params=Params, run=run)
