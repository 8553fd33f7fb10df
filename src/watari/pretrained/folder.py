"""Reading and writing Hugging Face folders without surprises.

Tokenizer files are copied byte for byte from the artifact that made them: `save_pretrained` of a loaded tokenizer may
rewrite what a careful export has set (facts: transformers 5's LlamaTokenizer drops tokenizer.json's normalizer).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact import atomic
from watari.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "tekken.json",
)


def check_model_folder(folder: Path) -> None:
    """Make sure that `folder` is a model folder whose weights are safetensors.

    Raises:
        UserError: naming what is missing, or that only pickle weights are there.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json", "a Hugging Face model folder is wanted")
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(p.name for p in [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")])
    if pickles:
        raise UserError(
            f"{folder}: weights only as pickle ({pickles[0]}), which can run code when read",
            "convert them to safetensors first, in a place where you trust the file",
        )
    raise UserError(f"{folder}: no weights (*.safetensors)")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the fast tokenizer of a model or tokenizer folder, chat template included."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        raise UserError(f"{folder}: no tokenizer (tokenizer.json or tokenizer.model)")
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        str(folder), trust_remote_code=False, local_files_only=True
    )
    return tokenizer


def load_model(folder: Path, *, dtype: str = "float32", attention: str = "sdpa") -> PreTrainedModel:
    """Return the causal language model of `folder` on the CPU, in evaluation mode.

    Args:
        folder: A model folder with safetensors.
        dtype: "float32" for training (masters), or "bfloat16" / "auto" for use.
        attention: transformers' attention implementation.

    Raises:
        UserError: if the folder has no usable weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    check_model_folder(folder)
    with _quiet():
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype="auto" if dtype == "auto" else getattr(torch, dtype),
            attn_implementation=attention,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
        )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def copy_tokenizer(source: Path, out: Path, *, settings: dict[str, Any] | None = None) -> None:
    """Copy a tokenizer's files from one folder to another, byte for byte.

    Args:
        source: A tokenizer or model folder.
        out: The folder to copy to; made if missing.
        settings: Keys to set in `tokenizer_config.json`, e.g. {"chat_template": "..."}. A chat template given here
            replaces `chat_template.jinja` too, so that there is one template only.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    if settings:
        path = out / "tokenizer_config.json"
        config = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        config.update(settings)
        atomic.write_json(path, config)
        if "chat_template" in settings:
            (out / "chat_template.jinja").unlink(missing_ok=True)


def save_model(
    model: PreTrainedModel,
    out: Path,
    *,
    tokenizer_from: Path,
    tokenizer_settings: dict[str, Any] | None = None,
    generation: dict[str, Any] | None = None,
) -> None:
    """Write a model folder that AutoModelForCausalLM and AutoTokenizer load with no code of ours.

    Args:
        model: The model; its weights are written in the type that they have.
        out: The folder.
        tokenizer_from: The folder whose tokenizer files are copied.
        tokenizer_settings: See `copy_tokenizer`.
        generation: Fields to set in generation_config.json, e.g. the sampler's defaults.
    """
    out.mkdir(parents=True, exist_ok=True)
    if generation:
        model.generation_config.update(**generation)  # type: ignore[no-untyped-call]
    with _quiet():
        model.save_pretrained(str(out), max_shard_size="5GB")
    for weights in out.glob("*.safetensors"):
        # safetensors writes 0600; a store may be shared.
        weights.chmod(_file_mode())
    copy_tokenizer(tokenizer_from, out, settings=tokenizer_settings)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars off the terminal for a while; ours say what a stage does."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _file_mode() -> int:
    """Return the mode that a file made in the ordinary way would have here."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
