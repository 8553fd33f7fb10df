"""transformers' causal language models as the loop uses them: body, output matrix, and the proof that both are understood."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from watari.errors import UserError
from watari.train.batches import Batch, Sample, lay_out
from watari.train.device import Compute, compiler_missing
from watari.train.head import token_logprobs
from watari.train.kernels.attention import Span
from watari.train.kernels.decoder import Pass, final_norm, known_layers, run_layer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TOLERANCE = 1e-3


class LanguageModel:
    """A model on its device, with fp32 weights.

    Layers of a known form (`kernels.decoder`) run through kernels that are equal to the model's own code and faster;
    all others run as transformers has them. The modules stay transformers' own, and so does what is saved.

    Args:
        model: Any causal language model of transformers whose logits are its hidden states times its output matrix
            (Llama, Mistral, Qwen, ...).
        compute: Device and precision.
        compile: Compile each decoder layer in its plain form with torch.compile instead, for any shape of a pass at
            once, so that a resumed run computes with the same code. Where no C++ compiler is found, `uncompiled` says
            so and nothing is compiled.
        checkpoint_activations: Keep only each layer's input for backward and compute the rest again; the same bits.

    Raises:
        UserError: if the model computes its logits in another way, or lets packed sequences see each other; or if its
            layers are not to be found where they are to be compiled or checkpointed.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        compute: Compute,
        *,
        compile: bool = False,
        checkpoint_activations: bool = False,
    ) -> None:
        untyped: Any = model
        # Evaluation mode switches dropout off and nothing else: no training here uses any.
        self.model: PreTrainedModel = untyped.to(compute.device).eval()
        self.compute = compute
        self.body = untyped.get_decoder()
        self.head = untyped.get_output_embeddings()
        self.embeddings = untyped.get_input_embeddings()
        # Of the embeddings. Asked for once: with adapters their matrix is put together anew each time.
        self.width = int(self.embeddings.weight.shape[1])
        for parameter in model.parameters():
            # Weights mapped from a file start at any byte; copies are aligned, so that kernels sum in one order always.
            parameter.data = _fresh(parameter.data)
        self.uncompiled: str | None = compiler_missing(compute.device) if compile else None
        self.compiled = compile and self.uncompiled is None
        known = known_layers(self.body)
        self._fast = known is not None and not self.compiled
        if self.compiled:
            # Past PyTorch's own limit of 8 variants of a layer (rows of one or several, masks, frozen inputs) it would
            # silently stop compiling.
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
        self._window: int | None = getattr(untyped.config, "sliding_window", None)
        layers: list[nn.Module] = known if known is not None else list(getattr(self.body, "layers", []))
        if not layers and (self.compiled or checkpoint_activations):
            raise UserError(
                f"{type(model).__name__} has no list of layers to compile or checkpoint",
                "set compile and activation_checkpointing to false",
            )
        self._layers = layers
        if self._fast or self.compiled or checkpoint_activations:
            for layer in layers:
                untyped_layer: Any = layer
                untyped_layer.forward = _LayerForward(
                    layer, compiled=self.compiled, checkpointed=checkpoint_activations
                )
        self.check()

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return the parameters that are trained, by their names in the saved model; a tied weight once."""
        return {name: each for name, each in self.model.named_parameters() if each.requires_grad}

    def hidden(self, batch: Batch, noise: Tensor | None = None, *, exact: bool = False) -> Tensor:
        """Return the last hidden states of the supervised positions, [n, width]; in fp32 throughout if `exact`.

        They are in the type of the matrix products, or in fp32.
        """
        embedded = self.embeddings(batch.ids)
        if noise is not None:
            embedded = embedded + noise.to(embedded.device)
        longest = max(length for *_, length in batch.spans)
        if self._fast and (self._window is None or longest <= self._window):
            return self._fast_hidden(batch, embedded, torch.float32 if exact else self.compute.dtype)
        for layer in self._layers if self.compiled else ():
            untyped: Any = layer
            untyped.forward.off = exact
        with nullcontext() if exact else self.compute.autocast():
            out = self.body(
                inputs_embeds=embedded,
                attention_mask=self._mask(batch, embedded.dtype),
                position_ids=batch.positions,
                use_cache=False,
            )
        return _picked(out.last_hidden_state, batch)

    def _mask(self, batch: Batch, dtype: torch.dtype) -> Tensor | None:
        """Return the batch's own mask as the model's attention takes it: added to the scores by the plain form."""
        if batch.mask is None or self.model.config._attn_implementation != "eager":
            return batch.mask
        hidden = torch.zeros(batch.mask.shape, dtype=dtype, device=batch.mask.device)
        return hidden.masked_fill(~batch.mask, torch.finfo(dtype).min)

    def _fast_hidden(self, batch: Batch, embedded: Tensor, dtype: torch.dtype) -> Tensor:
        rows, columns = batch.ids.shape
        positions, mask = batch.positions, batch.mask
        spans: tuple[Span, ...] = (Span(slice(0, rows), slice(0, columns)),)
        if positions is None:
            positions = torch.arange(columns, device=embedded.device)[None]
        elif mask is None and embedded.device.type == "cpu":
            spans = tuple(
                Span(slice(row, row + 1), slice(first, first + length))
                for row, first, length, _ in batch.spans
                if length
            )
        elif mask is None:
            sequence = (positions == 0).cumsum(-1)
            mask = (sequence[:, None, :, None] == sequence[:, None, None, :]).tril()
        cosine, sine = self.body.rotary_emb(embedded, position_ids=positions)
        autocast = nullcontext if dtype == torch.float32 else self.compute.autocast
        given = Pass(cosine, sine, spans, mask, dtype, autocast)
        states = embedded
        for layer in self._layers:
            states = layer(states, given=given)
        return final_norm(self.body.norm, _picked(states, batch), dtype)

    def check(self) -> None:
        """Compare our packed log-probabilities with the model's own, sequence by sequence, in fp32.

        Layers whose kernels turn out to compute something else run as transformers has them.
        """
        error = self._error()
        if self._fast and not error < _TOLERANCE:
            self._fast = False
            error = self._error()
        if not error < _TOLERANCE:
            raise UserError(
                f"{type(self.model).__name__} cannot be trained here: its log-probabilities differ from ours by {error:.2g}",
                "it scales or caps its logits, or does not keep packed sequences apart",
            )

    def _error(self) -> float:
        rows = int(self.embeddings.weight.shape[0])
        draw = np.random.Generator(np.random.PCG64(0))
        samples = [
            Sample(str(length), draw.integers(0, rows, length).astype(np.int32), np.ones(length, np.bool_))
            for length in (7, 5)
        ]
        with torch.no_grad():
            batch = lay_out([samples]).to(self.compute.device)
            ours = token_logprobs(
                self.hidden(batch, exact=True), self.head.weight, batch.targets, torch.float32
            )
            theirs = []
            for sample in samples:
                ids = torch.from_numpy(sample.ids.astype(np.int64))[None].to(self.compute.device)
                scores = torch.log_softmax(self.model(input_ids=ids, use_cache=False).logits.float(), -1)
                theirs.append(scores[0, :-1].gather(1, ids[0, 1:, None])[:, 0])
        return float((ours - torch.cat(theirs)).abs().max())

    def restore(self) -> PreTrainedModel:
        """Return the model as it came, every layer with transformers' own way to run."""
        for layer in self._layers:
            vars(layer).pop("forward", None)
        self._fast = self.compiled = False
        return self.model


class _LayerForward:
    """How a decoder layer runs: through kernels if it is given a `Pass`, else as transformers has it.

    It stands in for the layer's `forward`, inside of whatever hooks the layer has (FSDP2 gathers its parameters by one).
    """

    def __init__(self, layer: nn.Module, *, compiled: bool, checkpointed: bool) -> None:
        self._layer = layer
        self._plain: Callable[..., Any] = type(layer).forward
        self._compiled: Callable[..., Any] | None = (
            torch.compile(self._plain, dynamic=True) if compiled else None
        )
        self._checkpointed = checkpointed
        self.off = False

    def __call__(self, states: Tensor, *others: Any, given: Pass | None = None, **named: Any) -> Any:
        # With a cache (in generation) every call has another shape.
        off = self.off or named.get("past_key_values") is not None
        run: Callable[..., Any] = self._plain if off or self._compiled is None else self._compiled
        if given is not None:
            run, others = run_layer, (given,)
        if self._checkpointed and torch.is_grad_enabled():
            return checkpoint(
                run, self._layer, states, *others, use_reentrant=False, preserve_rng_state=False, **named
            )
        return run(self._layer, states, *others, **named)


def _picked(states: Tensor, batch: Batch) -> Tensor:
    """Return the states of the supervised positions, [n, width]."""
    flat = states.flatten(0, 1)
    # With a mask of its own a batch may ask for one position twice, and so for as many as there are by chance.
    return flat if batch.mask is None and len(batch.where) == len(flat) else flat.index_select(0, batch.where)


def _fresh(data: Tensor) -> Tensor:
    """Return an fp32 copy in memory of its own."""
    return torch.empty_like(data, dtype=torch.float32, memory_format=torch.contiguous_format).copy_(data)
