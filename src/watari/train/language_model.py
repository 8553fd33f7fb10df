"""transformers' causal language models as the loop uses them: body, output matrix, and the proof that both are understood."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from watari.errors import UserError
from watari.train.batches import Batch, Sample, lay_out
from watari.train.device import Compute
from watari.train.head import token_logprobs

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TOLERANCE = 1e-3


class LanguageModel:
    """A model on its device, with fp32 weights.

    Args:
        model: Any causal language model of transformers whose logits are its hidden states times its output matrix
            (Llama, Mistral, Qwen, ...).
        compute: Device and precision.

    Raises:
        UserError: if the model computes its logits in another way, or lets packed sequences see each other.
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
        for parameter in model.parameters():
            # Weights mapped from a file start at any byte; copies are aligned, so that kernels sum in one order always.
            parameter.data = parameter.data.float().clone()
        self.check()

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """Return the weights that are trained, by the names of the saved form; tied ones once."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @property
    def width(self) -> int:
        """Width of the embeddings."""
        return int(self.embeddings.weight.shape[1])

    def hidden(self, batch: Batch, noise: Tensor | None = None, *, exact: bool = False) -> Tensor:
        """Return the last hidden states of the supervised positions, [n, width]; in fp32 throughout if `exact`."""
        embedded = self.embeddings(batch.ids)
        if noise is not None:
            embedded = embedded + noise.to(embedded.device)
        with nullcontext() if exact else self.compute.autocast():
            out = self.body(
                inputs_embeds=embedded,
                attention_mask=self._mask(batch, embedded.dtype),
                position_ids=batch.positions,
                use_cache=False,
            )
        flat: Tensor = out.last_hidden_state.flatten(0, 1)
        # With a mask of its own a batch may ask for one position twice, and so for as many as there are by chance.
        return flat if batch.mask is None and len(batch.where) == len(flat) else flat.index_select(0, batch.where)

    def _mask(self, batch: Batch, dtype: torch.dtype) -> Tensor | None:
        """Return the batch's own mask as the model's attention takes it: added to the scores by the plain form."""
        if batch.mask is None or self.model.config._attn_implementation != "eager":
            return batch.mask
        hidden = torch.zeros(batch.mask.shape, dtype=dtype, device=batch.mask.device)
        return hidden.masked_fill(~batch.mask, torch.finfo(dtype).min)

    def check(self) -> None:
        """Compare our packed log-probabilities with the model's own, sequence by sequence, in fp32."""
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
        error = float((ours - torch.cat(theirs)).abs().max())
        if not error < _TOLERANCE:
            raise UserError(
                f"{type(self.model).__name__} cannot be trained here: its log-probabilities differ from ours by {error:.2g}",
                "it scales or caps its logits, or does not keep packed sequences apart",
            )
