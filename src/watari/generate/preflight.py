"""Before a model is asked much: the prompt that is really sent, token by token, and whether BOS stands in it as it must.

One real Shisa checkpoint has llm-jp-eval 0.0391 without its BOS and 0.7166 with it (facts/evaluation.md §2). So no
evaluation and no sweep starts whose prompt loses or doubles it; what is sent stands in `prompts.json`, as text and token by
token.

What can be seen depends on who is asked. For a model of ours the tokenizer's folder says all of it, and no weights are
read. Behind an endpoint a server renders and encodes: what it makes of a prompt cannot be seen, and is marked so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from watari.errors import UserError

if TYPE_CHECKING:  # a folder is read, and answers are scored, without any of these
    from transformers import PreTrainedTokenizerBase

    from watari.endpoint.settings import Endpoint
    from watari.generate.local import LocalModel
    from watari.generate.prompting import Prompt

FILE = "prompts.json"
MEANING = (
    "a model trained with BOS is not itself without it (Shisa: 0.0391 without, 0.7166 with); two harm too"
)
Verdict = Literal["ok", "fail", "not checkable"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a prompt: its id, its name in the vocabulary, and what it reads as."""

    id: int
    token: str
    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One prompt as it is sent.

    Args:
        name: What it stands for: the dataset, or the turn.
        item: The id of the item.
        prompt: As it is handed over: a text, or messages.
        text: As the model sees it, special tokens spelt out; None where a server renders it.
        tokens: In order; () where a server encodes.
        bos: The tokenizer's BOS; None if it has none, or it is not known.
        bos_count: How often it stands among the tokens; None if it has none, or that is not known.
        verdict: `ok`, `fail`, or `not checkable` (an endpoint).
        found: What was found, in words.
        meaning: Why it matters; "" if all is well.
        mend: What to do; "" if all is well.
    """

    name: str
    item: str
    prompt: Any
    text: str | None
    tokens: tuple[Token, ...]
    bos: str | None
    bos_count: int | None
    verdict: Verdict
    found: str
    meaning: str = ""
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def preflight(
    model: Path | LocalModel | Endpoint,
    prompts: Mapping[str, tuple[str, Prompt]],
    *,
    allowed_inside: int = 0,
) -> list[Sent]:
    """Return each prompt as it is sent, and whether its BOS is as it must be.

    Args:
        model: The model's folder (no weights are read), the model, or the endpoint.
        prompts: By dataset or turn: (id of the item, its prompt), one of each.
        allowed_inside: How many BOS the spec itself writes inside of a prompt (Shisa's patch of llm-jp-eval: one).

    Raises:
        UserError: if there is no tokenizer, a conversation is asked and there is no template, or it refuses it.
    """
    from watari.endpoint.settings import Endpoint

    if isinstance(model, Endpoint):
        return [_unseen(model, name, item, prompt) for name, (item, prompt) in prompts.items()]
    if isinstance(model, Path):
        from watari.generate.local import folder_end_ids
        from watari.pretrained import load_tokenizer

        tokenizer = load_tokenizer(model)
        ends = folder_end_ids(model, tokenizer)
    else:
        tokenizer, ends = model.tokenizer, model.end_ids
    return [
        seen(tokenizer, ends, name, item, prompt, allowed_inside) for name, (item, prompt) in prompts.items()
    ]


def refuse(sent: Sequence[Sent], model: str) -> None:
    """Stop where a prompt loses or doubles BOS.

    Raises:
        UserError: with the reason and the mend of the first prompt that fails.
    """
    failed = [one for one in sent if one.verdict == "fail"]
    if failed:
        first = failed[0]
        others = f" (and of {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise UserError(
            f"{model}: the prompt of {first.name}{others}: {first.found}; {MEANING}",
            f"{first.mend}; if it was trained so: --set on_bos=tell, in a recipe `on_bos: tell`",
        )


def write_preflight(out: Path, sent: Sequence[Sent]) -> None:
    """Write `prompts.json`: every prompt with its tokens and its verdict, by name."""
    from watari.artifact import atomic

    atomic.write_json(out / FILE, {one.name: one.as_json() for one in sent})


def _plain(prompt: Prompt) -> Any:
    return prompt if isinstance(prompt, str) else [dict(message) for message in prompt]


def _unseen(endpoint: Endpoint, name: str, item: str, prompt: Prompt) -> Sent:
    adds = "tokenizer" if isinstance(prompt, str) else "template and tokenizer"
    return Sent(
        name=name,
        item=item,
        prompt=_plain(prompt),
        text=None,
        tokens=(),
        bos=None,
        bos_count=None,
        verdict="not checkable",
        found=f"as it goes to {endpoint.label}; what the server's {adds} make of it cannot be seen from here",
        meaning=MEANING,
        mend="run `watari doctor` on the folder that is served",
    )


def seen(
    tokenizer: PreTrainedTokenizerBase,
    ends: frozenset[int],
    name: str,
    item: str,
    prompt: Prompt,
    inside: int,
) -> Sent:
    """Return one prompt as a tokenizer makes it.

    Args:
        tokenizer: The model's.
        ends: Ids that end an answer.
        name, item, prompt: As of `preflight`.
        inside: How many BOS its author means to be inside.

    Raises:
        UserError: if there is no template, or it refuses the prompt.
    """
    from watari.generate.prompting import encode, judge_bos

    encoded = encode(tokenizer, prompt)
    names: list[Any] = list(tokenizer.convert_ids_to_tokens(encoded.ids))
    found, mend = judge_bos(tokenizer, encoded.ids, ends=ends, chat=encoded.chat, inside=inside)
    bos = tokenizer.bos_token_id
    return Sent(
        name=name,
        item=item,
        prompt=_plain(prompt),
        text=encoded.rendered,
        tokens=tuple(
            Token(number, str(token), str(tokenizer.decode([number])))
            for number, token in zip(encoded.ids, names, strict=True)
        ),
        bos=None if bos is None else str(tokenizer.bos_token),
        bos_count=None if bos is None else encoded.ids.count(bos),
        verdict="fail" if mend else "ok",
        found=found,
        meaning=MEANING if mend else "",
        mend=mend,
    )
