"""Which BOS the harness sends to a model, and the `--model_args` that mend it.

`lm_eval --model hf` encodes a text with special tokens as the tokenizer adds them; `add_bos_token=True` or `False` overrides
that, and up to 0.4.9.1 its default was False: no BOS for any model but Gemma. A text that begins with BOS already (a rendered
chat template) gets no second one. Read in lm_eval/models/huggingface.py of 0.4.3 to 0.4.13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watari.errors import UserError
from watari.generate.prompting import judge_bos
from watari.pretrained.folder import check_model_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from watari.evals.harness.reading import Call

DEFAULT_SINCE = "0.4.9.2"
"""Since this version the tokenizer's own habit is the default."""
_TEXT = "これは文です。"


@dataclass(frozen=True)
class BosAdvice:
    """What to tell the harness about one model.

    Args:
        bos: The tokenizer's BOS; None if it has none.
        model_args: What to put behind `pretrained=DIR`; "" if nothing is needed.
        found: What it sends without and with that, in words.
        mend: What to do where no argument of the harness can help; "" otherwise.
    """

    bos: str | None
    model_args: str
    found: str
    mend: str = ""


def bos_advice(folder: Path) -> BosAdvice:
    """Return how the harness must be told about BOS for a model folder. Reads the tokenizer only."""
    tokenizer = _tokenizer(folder, None)
    if tokenizer.bos_token_id is None:
        return BosAdvice(None, "", "the tokenizer has no BOS, and none is sent")
    bos = str(tokenizer.bos_token)
    unasked, lost = judge_bos(tokenizer, _sent(tokenizer, None))
    if tokenizer.bos_token_id == tokenizer.eos_token_id:
        return BosAdvice(bos, "", unasked)
    asked = _tokenizer(folder, True)
    found, mend = judge_bos(asked, _sent(asked, True))
    if not mend:
        why = f"unasked: {unasked}" if lost else "up to 0.4.9.1 the harness leaves it out unless asked"
        return BosAdvice(bos, "add_bos_token=True", f"{found}; {why}")
    return BosAdvice(bos, "", unasked) if not lost else BosAdvice(bos, "", found, mend)


def problems_of(call: Call) -> list[str]:
    """Return what was wrong with the prompts of a call, as sentences: BOS lost or doubled, prompts cut from the left.

    Looks at the prompts in its samples with the tokenizer of its model, if that is still where the call says.
    """
    folder = Path(call.arguments.get("pretrained", call.model))
    prompts = {sample.prompt: sample.room for task in call.tasks.values() for sample in task.samples}
    if not prompts or call.template or not (folder / "config.json").is_file():
        return []
    add = told(call.arguments, call.harness)
    try:
        tokenizer = _tokenizer(folder, add)
    except (UserError, OSError, ValueError):
        return []
    sent = {prompt: _sent(tokenizer, add, prompt) for prompt in prompts}
    found = []
    if tokenizer.bos_token_id is not None and tokenizer.bos_token_id != tokenizer.eos_token_id:
        said, mend = judge_bos(tokenizer, next(iter(sent.values())))
        if mend:
            found.append(f"{said}: call it again with --model_args pretrained={folder},add_bos_token=True")
    cut = (
        sum(len(ids) > call.context - prompts[prompt] for prompt, ids in sent.items()) if call.context else 0
    )
    if cut:
        found.append(
            f"{cut} of {len(prompts)} prompts were longer than the model's {call.context} tokens: the harness cut them "
            "from the left, BOS and instruction with it"
        )
    return found


def told(arguments: Mapping[str, str], harness: str) -> bool | None:
    """Return what the harness was told to do, or did unasked; None: as the tokenizer does."""
    given = arguments.get("add_bos_token")
    if given is not None and given != "None":
        return given.lower() in ("true", "1")
    return False if harness and _version(harness) < _version(DEFAULT_SINCE) else None


def _tokenizer(folder: Path, add: bool | None) -> PreTrainedTokenizerBase:
    """Return the tokenizer as the harness loads it: what it was told about BOS is handed on."""
    from transformers import AutoTokenizer

    check_model_folder(folder)
    more = {} if add is None else {"add_bos_token": add}
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **more)
    return tokenizer


def _sent(tokenizer: PreTrainedTokenizerBase, add: bool | None, prompt: str = _TEXT) -> list[int]:
    """Return the ids that the harness makes of a prompt."""
    special = False if prompt.startswith(str(tokenizer.bos_token)) else True if add is None else add
    ids: list[int] = tokenizer(prompt, add_special_tokens=special, verbose=False)["input_ids"]
    return ids


def _version(text: str) -> tuple[int, ...]:
    parts = []
    for part in text.split("."):
        digits = "".join(character for character in part if character.isdigit())
        parts.append(int(digits) if digits else 0)
    return tuple(parts)
