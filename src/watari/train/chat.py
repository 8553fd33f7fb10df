"""The chat template of a training stage: chosen, checked, and kept with the model that is trained with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.generate.masking import check_template
from watari.generate.templates import PRESETS, read_template, stored_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Chat:
    """A chat template and what the trained model must say about it.

    Args:
        template: Jinja.
        tokenizer_settings: For `pretrained.save_model`: the template, if it is not the one that the model had.
        generation: For the same: the tokens that end a reply, if the model does not name them yet.
    """

    template: str
    tokenizer_settings: dict[str, Any] | None
    generation: dict[str, Any] | None


def chosen_template(tokenizer: PreTrainedTokenizerBase, name: str, file: str | None, folder: Path) -> Chat:
    """Return the template that a stage's parameters mean, checked on the model's tokenizer.

    Args:
        tokenizer: The model's.
        name: "model" or a preset.
        file: A .jinja file, which goes before `name`.
        folder: The model's folder, for its generation configuration.

    Raises:
        UserError: if there is no such template or it is unfit for training.
    """
    if file is not None:
        template = read_template(Path(file))
    else:
        template = stored_template(tokenizer) if name == "model" else PRESETS[name]
    stop = check_template(tokenizer, template)
    stored = name == "model" and file is None
    return Chat(template, None if stored else {"chat_template": template}, _stops(folder, stop))


def _stops(folder: Path, stop: int) -> dict[str, Any] | None:
    """Return the generation settings under which the model stops at the end of its turn, or None if it does already."""
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        named = json.loads(path.read_text("utf-8")).get("eos_token_id") if path.is_file() else None
        if named is not None:
            break
    ids = list(named) if isinstance(named, list) else [named] if named is not None else []
    if stop in ids:
        return None
    return {"eos_token_id": [stop, *ids] if ids else stop}
