"""Hugging Face model folders: read and write models and tokenizers, safetensors only, no remote code.

Ground floor: every room that trains, grafts, generates or examines a model goes through here.
"""

from watari.pretrained.folder import (
    TOKENIZER_FILES,
    check_model_folder,
    copy_tokenizer,
    load_model,
    load_tokenizer,
    save_model,
)
from watari.pretrained.locate import find_model, model_stages

__all__ = [
    "TOKENIZER_FILES",
    "check_model_folder",
    "copy_tokenizer",
    "find_model",
    "load_model",
    "load_tokenizer",
    "model_stages",
    "save_model",
]
