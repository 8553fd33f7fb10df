"""Hidden states of a model that need not fit in memory: each layer's weights are there only while it is at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.model.stream import TensorFiles
from watari.model.stream_tables import skeleton, stored_as

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from watari.artifact.stage import Progress


def hidden_states(
    folder: Path, windows: Sequence[Sequence[int]], *, progress: Progress, whole: bool = False
) -> Tensor:
    """Return the final hidden states of some sequences such that `hidden @ head.T` are the logits.

    (Σ lengths, width), float32, in the order of the windows. All windows go through the model at once, padded on the
    right (which a causal model cannot see), so that every layer is read once. In memory are one layer in float32 and
    the activations of all windows. The outcome is that of the whole model in float32 on the same batch.

    Args:
        folder: A model folder.
        windows: Token ids of each sequence, none empty.
        progress: Told of every layer.
        whole: Load the model as transformers does. Done anyway where its files hold other tensors than its modules
            (expert layers that transformers fuses while it loads).
    """
    import torch

    ids = torch.zeros(len(windows), max(map(len, windows)), dtype=torch.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = torch.tensor(window)
    model = skeleton(folder)
    decoder = None if whole else _streamed(model, TensorFiles(folder), progress)
    if decoder is None:
        from watari.pretrained import load_model

        # Some architectures have no kernel of torch's own: let each have what it chooses for itself.
        decoder = _decoder(load_model(folder, attention=str(model.config._attn_implementation)))
    with torch.no_grad():
        out = decoder(input_ids=ids, use_cache=False).last_hidden_state
    found = torch.cat([out[row, : len(window)] for row, window in enumerate(windows)]).float()
    return found * _logit_scale(model)


def _logit_scale(model: PreTrainedModel) -> float:
    """Return what the logits are multiplied by after the head (Cohere), or divided by (Granite); 1 elsewhere."""
    config = model.config.get_text_config()
    return float(getattr(config, "logit_scale", None) or 1) / float(
        getattr(config, "logits_scaling", None) or 1
    )


def _decoder(model: PreTrainedModel) -> nn.Module:
    found: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
    return found


def _streamed(model: PreTrainedModel, files: TensorFiles, progress: Progress) -> nn.Module | None:
    """Return the body of a `skeleton`, which fetches its weights as it goes, or None if it cannot."""
    from torch import nn

    decoder, text = _decoder(model), model.get_input_embeddings()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    stored: dict[int, str] = {}
    for parameter in decoder.parameters():
        name = stored_as(names[id(parameter)], files.entries)
        if name is None or files.entries[name].shape != tuple(parameter.shape):
            return None
        stored[id(parameter)] = name
    lists = [module for module in decoder.modules() if isinstance(module, nn.ModuleList)]
    blocks = max((list(found) for found in lists), key=len) if lists else []
    inside = {id(module) for block in blocks for module in block.modules()}
    for number, block in enumerate(blocks):
        _Unit(block, list(block.modules()), stored, files, progress, number, len(blocks))
    for module in decoder.modules():
        if id(module) in inside or not module._parameters:
            continue
        # A subclass may take something else than ids (OPT: a mask), unless it is the one that takes the text.
        if module is text or type(module) is nn.Embedding:
            _Lookup(module, stored, files)  # type: ignore[arg-type]
        else:
            _Unit(module, [module], stored, files, progress, len(blocks), len(blocks))
    return decoder


class _Unit:
    """Gives a module its weights before it runs and takes them away after."""

    def __init__(
        self,
        module: nn.Module,
        parts: list[nn.Module],
        stored: dict[int, str],
        files: TensorFiles,
        progress: Progress,
        number: int,
        of: int,
    ) -> None:
        self.files, self.progress, self.number, self.of = files, progress, number, of
        self.places = [
            (part, name, parameter, stored[id(parameter)])
            for part in parts
            for name, parameter in part._parameters.items()
            if parameter is not None
        ]
        module.register_forward_pre_hook(self._fetch)
        module.register_forward_hook(self._drop)

    def _fetch(self, module: nn.Module, arguments: Any) -> None:
        from torch import nn

        from watari.artifact.stage import stop_if_asked

        stop_if_asked(self.progress)
        self.progress.update(self.number, self.of, unit="layers", note="hidden states")
        for part, name, _, source in self.places:
            part._parameters[name] = nn.Parameter(self.files.read(source).float(), requires_grad=False)

    def _drop(self, module: nn.Module, arguments: Any, out: Any) -> None:
        for part, name, empty, _ in self.places:
            part._parameters[name] = empty


class _Lookup:
    """Gives an embedding only the rows that are looked up, with ids that count among them."""

    def __init__(self, module: nn.Embedding, stored: dict[int, str], files: TensorFiles) -> None:
        self.files, self.empty, self.source = files, module.weight, stored[id(module.weight)]
        self.padding = module.padding_idx
        module.register_forward_pre_hook(self._fetch)
        module.register_forward_hook(self._drop)

    def _fetch(self, module: Any, arguments: Any) -> Any:
        import torch

        used, places = torch.unique(arguments[0], return_inverse=True)
        rows = self.files.rows(self.source, used.tolist()).float()
        module.weight = torch.nn.Parameter(rows, requires_grad=False)
        # Only gradients know a padding index, and it may lie beyond these rows.
        module.padding_idx = None
        return (places, *arguments[1:])

    def _drop(self, module: Any, arguments: Any, out: Any) -> None:
        module.weight, module.padding_idx = self.empty, self.padding
