"""What a replay server answers: functions, files of rules, recordings; found by the name in an address."""

from __future__ import annotations

import importlib
import inspect
import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import xxhash

from watari.endpoint.replay.settings import Behaviour, parse_address
from watari.errors import UserError

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a script says to a request.

    Args:
        text: The answer.
        finish_reason: `stop`, or `length`, `content_filter`, ...; stop sequences and `max_tokens` still cut the text.
        status: Another than 200: an error, with `text` as its message.
        code: Of the error: `context_length_exceeded`, `insufficient_quota`, ...
        headers: Beside the server's own.
        seconds: How late, beside the server's latency.
        message: Further fields of the message: `reasoning_content`, `tool_calls`.
    """

    text: str
    finish_reason: str = "stop"
    status: int = 200
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    message: Mapping[str, Any] = field(default_factory=dict)


Answering = Callable[[Body, int], Reply]
"""From a request's body and the number of the choice (from 0, for `n`) to what is said."""

REGISTERED: Final[dict[str, str]] = {
    "demo-teacher": "watari.demo.teacher:answer",
    "echo": "watari.endpoint.replay.script:echo",
    "filler": "watari.endpoint.replay.script:filler",
}
"""Scripts by name. The teacher is named, not imported: this floor imports nothing of the rooms."""
_MODELS: Final = {"demo-teacher": ("demo-teacher", "demo-teacher-strong")}


@dataclass(frozen=True)
class Script:
    """Answers and how they are given.

    Args:
        answer: A function of the request's body; it may also take `choice` (the number of the answer, for `n`) and
            `options` (what an address says beyond the server's settings), and returns the text, a mapping with the
            fields of `Reply`, or a `Reply`.
        behaviour: Latency, faults, limits.
        options: Handed to `answer` where it takes them; `seed` is always among them.
        models: What /v1/models lists.
        name: For messages.
    """

    answer: Callable[..., Any]
    behaviour: Behaviour = field(default_factory=Behaviour)
    options: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ("replay",)
    name: str = "script"

    def answering(self) -> Answering:
        """Return the function as one of a body and a choice.

        Raises:
            UserError: if there are options and it takes none: one of them is then misspelt.
        """
        try:
            takes = dict(inspect.signature(self.answer).parameters)
        except ValueError:  # some of Python's own functions do not tell theirs
            takes = {}
        every = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
        function = self.answer
        if "options" in takes or every:
            function = partial(function, options={"seed": str(self.behaviour.seed), **self.options})
        elif self.options:
            settings = ", ".join(Behaviour.model_fields)
            raise UserError(
                f"{self.name}: {next(iter(self.options))} is no setting, and the script takes no options",
                f"known: {settings}",
            )
        chosen = "choice" in takes or every

        def said(body: Body, choice: int) -> Reply:
            found = function(body, choice=choice) if chosen else function(body)
            if isinstance(found, str):
                return Reply(found)
            return found if isinstance(found, Reply) else Reply(**found)

        return said


def script_at(url: str) -> Script:
    """Return the script that a `replay://` address names, with its behaviour and options.

    Raises:
        UserError: if there is none of this name, or its file cannot be read.
    """
    address = parse_address(url)
    return load_script(address.script, address.behaviour, address.options)


def load_script(
    name: str, behaviour: Behaviour | None = None, options: Mapping[str, str] | None = None
) -> Script:
    """Return a script by its name.

    Args:
        name: A registered name, `package.module:function`, a `.yaml` or `.jsonl` file of rules, a `.sqlite` file or a folder
            with a ledger, or an exported `.jsonl` of recordings.
        behaviour: How it is given.
        options: For the script.

    Raises:
        UserError: if there is none of this name, or its file cannot be read.
    """
    given = dict(options or {})
    behaviour = behaviour or Behaviour()
    target = REGISTERED.get(name, name)
    if ":" in target and not Path(target).exists():
        return Script(
            _function(target),
            behaviour,
            given,
            _MODELS.get(name, (name,) if name in REGISTERED else ("replay",)),
            name,
        )
    path = Path(target)
    if not path.exists():
        raise UserError(
            f"replay://{name}: no such script",
            f"name one of {', '.join(REGISTERED)}, package.module:function, or a file of rules or recordings",
        )
    if path.is_dir() or path.suffix in (".sqlite", ".db"):
        from watari.endpoint.replay.recordings import from_ledger

        return Script(from_ledger(path), behaviour, given, name=path.name)
    from watari.endpoint.replay.rules import from_file

    return Script(from_file(path), behaviour, given, name=path.name)


def _function(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # as `python -m` does, so that a script beside the recipe is found
        sys.path.append(here)
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"replay://{target}: {error}", "it must be importable: check PYTHONPATH") from None
    if not callable(found):
        raise UserError(f"replay://{target}: this is a {type(found).__name__}, not a function")
    function: Callable[..., Any] = found
    return function


def last_message(body: Body) -> str:
    """Return the text of the last message, or the prompt: what most rules look at."""
    messages = body.get("messages")
    if messages:
        content = messages[-1].get("content")
        if isinstance(content, list):  # the form with parts
            return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        return str(content or "")
    prompt = body.get("prompt", "")
    return prompt if isinstance(prompt, str) else "\n".join(map(str, prompt))


def echo(body: Body) -> str:
    """Say the last message again."""
    return last_message(body)


_SYLLABLES: Final = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわん"
)


def filler(body: Body, choice: int = 0, *, options: Mapping[str, str]) -> str:
    """Say `bytes` (1700) bytes of kana in sentences, others to every request: what a benchmark of a client needs."""
    size = int(options.get("bytes", "1700"))
    number = xxhash.xxh3_64_intdigest(last_message(body).encode(), choice)
    start = number % len(_FILL)
    count = size // 3
    return (f"{number:x}。" + (_FILL[start:] + _FILL * (count // len(_FILL) + 1)))[:count]


def _filling() -> str:
    letters = itertools.islice(itertools.cycle(_SYLLABLES), 0, 7 * 1201, 7)
    return "".join(letter + ("。" if place % 24 == 23 else "") for place, letter in enumerate(letters))


_FILL: Final = _filling()
