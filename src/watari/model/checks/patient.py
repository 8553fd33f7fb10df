"""What the checks look at: a model folder, read once, without loading the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from watari.errors import UserError
from watari.pretrained import load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """What one check found.

    Args:
        name: Its stable name, e.g. `template.bos`.
        status: ok, warn (works, but look at it) or fail (gives wrong results somewhere).
        found: What is there.
        meaning: Why it matters.
        mend: What to do; "" if ok.
    """

    name: str
    status: Status
    found: str
    meaning: str
    mend: str = ""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a safetensors file, from the file's header."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


_INPUT_ROWS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
_OUTPUT_ROWS = ("lm_head.weight", "embed_out.weight", "output.weight")


class Patient:
    """A model folder as the checks see it; every part is read when it is first asked for.

    Args:
        folder: A folder with config.json.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_json(folder / "config.json")
        self.generation = read_json(folder / "generation_config.json")

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """The tokenizer as transformers loads it, or None; `tokenizer_problem` says why not."""
        try:
            return load_tokenizer(self.folder)
        except UserError as error:
            self.tokenizer_problem = error.message
        # Whatever is wrong with the files, the tokenizers library tells it with an exception of its own choice.
        except Exception as error:
            self.tokenizer_problem = _first_line(error)
        return None

    tokenizer_problem: str = ""

    @cached_property
    def tensors(self) -> dict[str, TensorEntry]:
        """Every tensor of the folder's safetensors files, by name.

        Raises:
            UserError: if a file is damaged.
        """
        from safetensors import SafetensorError, safe_open

        found: dict[str, TensorEntry] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(str(path), framework="pt") as file:
                    for name in file.keys():  # noqa: SIM118 (a safetensors handle is no mapping)
                        part = file.get_slice(name)
                        found[name] = TensorEntry(path, str(part.get_dtype()), tuple(part.get_shape()))
            except (SafetensorError, OSError) as error:
                raise UserError(
                    f"{path}: not a whole safetensors file: {error}", "get the file again"
                ) from None
        return found

    def tensor(self, name: str) -> torch.Tensor:
        """Return one tensor, in the type that it has in the file."""
        from safetensors import safe_open

        with safe_open(str(self.tensors[name].file), framework="pt") as file:
            value: torch.Tensor = file.get_tensor(name)
        return value

    @cached_property
    def input_name(self) -> str | None:
        """Name of the embedding matrix [rows, width]."""
        return next((name for name in self.tensors if name.endswith(_INPUT_ROWS)), None)

    @cached_property
    def output_name(self) -> str | None:
        """Name of the head's matrix [rows, width], if the files hold one."""
        return next(
            (name for name in self.tensors if name in _OUTPUT_ROWS or name.endswith(_OUTPUT_ROWS[:2])), None
        )

    @property
    def rows(self) -> int | None:
        """Rows of the embedding matrix."""
        return self.tensors[self.input_name].shape[0] if self.input_name else None

    @cached_property
    def architecture(self) -> PreTrainedConfig | None:
        """config.json as transformers reads it, defaults included, or None; `config_problem` says why not."""
        from transformers import AutoConfig

        try:
            found: PreTrainedConfig = AutoConfig.from_pretrained(
                str(self.folder), trust_remote_code=False, local_files_only=True
            )
        # Every architecture validates its settings in its own way, with exceptions of its own.
        except Exception as error:
            self.config_problem = _first_line(error)
            return None
        return found

    config_problem: str = ""

    @property
    def tied(self) -> bool:
        """Whether transformers will tie the head to the embeddings, defaults of the architecture included."""
        if self.architecture is None:
            return bool(self.setting("tie_word_embeddings"))
        return bool(self.architecture.get_text_config().tie_word_embeddings)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Every token of the tokenizer and its id; empty without a tokenizer."""
        return dict(self.tokenizer.get_vocab()) if self.tokenizer is not None else {}

    @property
    def tokens(self) -> int:
        """The highest token id and one: the rows that the tokenizer needs."""
        return max(self.vocabulary.values(), default=-1) + 1

    def setting(self, name: str) -> Any:
        """Return a value of config.json, looked up in its text part first where it has one."""
        text = self.config.get("text_config")
        if isinstance(text, dict) and name in text:
            return text[name]
        return self.config.get(name)

    @property
    def end_ids(self) -> set[int]:
        """Every id that anything in the folder names as an end."""
        own = {self.tokenizer.eos_token_id} if self.tokenizer is not None else set()
        found = own | set(ids(self.generation.get("eos_token_id"))) | set(ids(self.setting("eos_token_id")))
        return {token for token in found if isinstance(token, int)}


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file's mapping; {} if there is no such file.

    Raises:
        UserError: if it is not readable as a mapping.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: not a mapping")
    return value


def ids(value: Any) -> list[int]:
    """Return token ids given as one, as a list, or not at all."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
