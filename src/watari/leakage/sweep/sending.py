"""Before a sweep of a model in this process: every prompt as its template and tokenizer make it, without its weights.

Nothing is asked whose prompt loses or doubles BOS (`generate.preflight`). One prompt of each form (its roles) is kept token by
token in `prompts.json`. A prompt that the template refuses is told now, and counts as missing in every cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watari.errors import UserError
from watari.leakage.sweep.prompts import Prompt
from watari.pages.noted import Note

if TYPE_CHECKING:
    from watari.endpoint.settings import Endpoint
    from watari.generate.preflight import Sent


@dataclass(frozen=True)
class Sending:
    """What goes into a model.

    Args:
        sent: One prompt of each form, and the first whose BOS is not as it must be.
        rendered: Each prompt's text with its special tokens, by id; empty for an endpoint.
        notes: What a reader must be told.
    """

    sent: tuple[Sent, ...]
    rendered: dict[str, str]
    notes: tuple[Note, ...] = ()


def sending_to(model: Path | Endpoint, prompts: Sequence[Prompt]) -> Sending:
    """Return what goes into a model, or what of it can be said of an endpoint; nothing is sent, no weights are read.

    Raises:
        UserError: for a folder without a tokenizer or a chat template, or whose template refuses every prompt.
    """
    if not isinstance(model, Path):
        from watari.generate.preflight import preflight

        one_each = {_form(prompt): (prompt.id, prompt.asked()) for prompt in reversed(prompts)}
        return Sending(tuple(preflight(model, dict(reversed(one_each.items())))), {})
    return _local(model, prompts)


def _local(folder: Path, prompts: Sequence[Prompt]) -> Sending:
    from watari.generate.local import folder_end_ids
    from watari.generate.preflight import seen
    from watari.generate.prompting import encode, judge_bos
    from watari.pretrained import load_tokenizer

    tokenizer = load_tokenizer(folder)
    if not tokenizer.chat_template:
        raise UserError(
            f"{folder}: no chat template: a base model does not chat",
            "name a chat model, or give it a template",
        )
    ends = folder_end_ids(folder, tokenizer)
    shown: dict[str, Prompt] = {}
    wrong: list[Prompt] = []
    rendered: dict[str, str] = {}
    refused: dict[str, str] = {}
    for prompt in prompts:
        try:
            encoded = encode(tokenizer, prompt.asked())
        except UserError as error:
            refused[prompt.id] = error.message
            continue
        rendered[prompt.id] = encoded.rendered
        shown.setdefault(_form(prompt), prompt)
        if judge_bos(tokenizer, encoded.ids, ends=ends, chat=True)[1]:
            wrong.append(prompt)
    if not rendered:
        raise UserError(f"{folder}: its chat template refuses every prompt: {next(iter(refused.values()))}")
    if wrong and wrong[0].id not in {prompt.id for prompt in shown.values()}:
        shown[f"prompt {wrong[0].id}"] = wrong[0]
    sent = tuple(seen(tokenizer, ends, name, prompt.id, prompt.asked(), 0) for name, prompt in shown.items())
    notes = []
    if wrong:
        told = next(one for one in sent if one.item == wrong[0].id)
        notes.append(
            Note(
                f"{len(wrong):,} of {len(prompts):,} prompts: {told.found} (prompt {told.item})",
                f"プロンプト {len(prompts):,} 件のうち {len(wrong):,} 件で BOS が正しく付きません：{told.found}（プロンプト {told.item}）",
            )
        )
    if refused:
        first = next(iter(refused))
        notes.append(
            Note(
                f"{len(refused):,} of {len(prompts):,} prompts are refused by the chat template and not answered in any"
                f" cell; the first is {first}: {refused[first]}",
                f"プロンプト {len(prompts):,} 件のうち {len(refused):,} 件はチャットテンプレートが受け付けず、どの設定でも回答が"
                f"ありません。最初は {first} です：{refused[first]}",
            )
        )
    return Sending(sent, rendered, tuple(notes))


def _form(prompt: Prompt) -> str:
    """Return its roles as one word: `system, user`."""
    return ", ".join(role for role, _ in prompt.messages)
