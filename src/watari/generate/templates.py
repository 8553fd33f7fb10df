"""Chat templates: the two presets of the seed systems, and the one way in which messages become a prompt.

Both are Llama-2 chat and differ between the turns (facts/seed-systems.md §4; the cards' "Prompt format" sections):

    shisa    <s>[INST] <<SYS>>\\n{system}\\n<</SYS>>\\n\\n{user} [/INST] {reply} </s><s>[INST] {user} [/INST]
    swallow  <s>[INST] <<SYS>>\\n{system}\\n<</SYS>>\\n\\n{user} [/INST] {reply}</s>[INST] {user} [/INST]

The template that Shisa 7B shipped writes no BOS (and no `[INST]`) without a system message and takes any order of
roles; these start with BOS always and refuse what they cannot say. ` [/INST]` closes the user's turn and opens the
assistant's at once, as in both cards, whose own code samples render with and without `add_generation_prompt`; asking for
a generation prompt where no user has spoken last is refused instead of being ignored.

The replies stand in `{% generation %}` blocks, so that transformers and TRL find the assistant's tokens too. The tags
are written without dashes or blanks around them, the form that engines with a plain textual filter for them expect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from watari.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_GENERATION = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")

Message = Mapping[str, str]
"""{role, content}: the OpenAI form."""

_HEAD = """\
{%- if messages and messages[0]['role'] == 'system' -%}
{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' -%}
{%- set turns = messages[1:] -%}
{%- else -%}
{%- set system = '' -%}
{%- set turns = messages -%}
{%- endif -%}
{%- if not turns -%}
{{- raise_exception('a conversation needs a user message') -}}
{%- endif -%}
{{- bos_token -}}
{%- for turn in turns -%}
{%- if turn['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') -%}
{{- raise_exception('roles must alternate: system (at most once, first), user, assistant, user, ...') -}}
{%- endif -%}
{%- if turn['role'] == 'user' -%}
"""

_TAIL = """\
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt and turns[-1]['role'] != 'user' -%}
{{- raise_exception('a generation prompt can only follow a user message') -}}
{%- endif -%}"""

SHISA = (
    _HEAD
    + """\
{{- ('' if loop.first else bos_token) + '[INST] ' + (system if loop.first else '') + turn['content'] + ' [/INST]' -}}
{%- else -%}{% generation %}{{ ' ' + turn['content'] + ' ' + eos_token }}{% endgeneration %}
"""
    + _TAIL
)
"""Shisa 7B: a blank before EOS, and a new BOS before every later user turn."""

SWALLOW = (
    _HEAD
    + """\
{{- '[INST] ' + (system if loop.first else '') + turn['content'] + ' [/INST]' -}}
{%- else -%}{% generation %}{{ ' ' + turn['content'] + eos_token }}{% endgeneration %}
"""
    + _TAIL
)
"""Swallow instruct v0.1: EOS right after the reply, BOS only once."""

PRESETS: Mapping[str, str] = {"shisa": SHISA, "swallow": SWALLOW}


def stored_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the chat template that the tokenizer carries.

    Raises:
        UserError: if it has none.
    """
    try:
        template: str = tokenizer.get_chat_template()
    except (ValueError, AttributeError):
        raise UserError(
            "the model's tokenizer has no chat template",
            f"train it with one: `template: {'` or `template: '.join(PRESETS)}`",
        ) from None
    return template


def read_template(path: Path) -> str:
    """Return a template from a `.jinja` file, without the newline that ends the file.

    Raises:
        UserError: if it cannot be read or is no Jinja.
    """
    import jinja2

    try:
        text = path.read_text("utf-8").removesuffix("\n")
        # Only the syntax is looked at; `generation` is transformers' own tag.
        plain = _GENERATION.sub("", text)
        jinja2.Environment(extensions=["jinja2.ext.loopcontrols"]).parse(plain)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: not a Jinja template: {error.message}") from None
    return text


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    template: str | None = None,
    *,
    generation_prompt: bool = False,
) -> str:
    """Return `messages` as the text that the model sees, special tokens spelt out.

    Args:
        tokenizer: Gives the special tokens, and the template unless one is given.
        messages: The conversation.
        template: A Jinja template; by default the tokenizer's own.
        generation_prompt: True to end where the assistant is to speak.

    Raises:
        UserError: if the template refuses the conversation (roles that do not alternate, ...).
    """
    import jinja2

    try:
        text = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            chat_template=template or stored_template(tokenizer),
            tokenize=False,
            add_generation_prompt=generation_prompt,
        )
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"the chat template refuses the conversation: {reason}") from None
    return str(text)


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], template: str | None = None
) -> list[int]:
    """Return the token ids of a prompt that ends where the assistant is to speak.

    The template writes BOS itself, so the tokenizer adds nothing: what `apply_chat_template` of transformers gives.
    """
    return encode_text(tokenizer, render(tokenizer, messages, template, generation_prompt=True))


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return the token ids of a rendered text; its special tokens are read, none is added.

    A text longer than the tokenizer's own limit is no matter here: whoever generates says what does not fit.
    """
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
