"""The commands of a chat: lines that begin with a slash."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from watari.chat.conversation import Conversation
from watari.chat.screen import Screen
from watari.errors import UserError


class Next(Enum):
    """What the chat does after a command."""

    READ = auto()
    ANSWER = auto()
    LEAVE = auto()


@dataclass(frozen=True)
class Command:
    """One command: what it takes, what it does, and the function that does it."""

    argument: str
    help: str
    run: Callable[[str, Conversation, Screen], Next]


def run_command(line: str, conversation: Conversation, screen: Screen) -> Next:
    """Carry out a line that begins with a slash.

    Raises:
        UserError: for an unknown command or an argument that it cannot take; the conversation is then as it was.
    """
    name, _, argument = line[1:].partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        raise UserError(f"no command /{name}", f"did you mean /{near[0]}?" if near else "see /help")
    return command.run(argument.strip(), conversation, screen)


def _help(_: str, conversation: Conversation, screen: Screen) -> Next:
    screen.pairs([(f"/{name} {c.argument}".rstrip(), c.help) for name, c in COMMANDS.items()])
    screen.notice("Newline: Esc Enter, or a backslash at the end of the line. A leading slash: write two.")
    screen.notice("Ctrl-C stops an answer, and again leaves; Ctrl-D leaves.")
    if not conversation.chats:
        screen.notice(
            "This model has no chat template: it goes on with your text. An empty line: it goes on further."
        )
    return Next.READ


def _system(argument: str, conversation: Conversation, screen: Screen) -> Next:
    if not conversation.chats:
        raise UserError("this model has no chat template, so it has no system prompt")
    if argument == "none":
        conversation.system = None
        screen.notice("no system prompt")
    elif argument:
        conversation.system = argument
        screen.notice("system prompt set; /reset begins anew with it")
    else:
        screen.notice(conversation.system or "no system prompt")
    return Next.READ


def _setting(field: str, number: Callable[[str], float]) -> Callable[[str, Conversation, Screen], Next]:
    def run(argument: str, conversation: Conversation, screen: Screen) -> Next:
        if argument:
            try:
                value = number(argument)
            except ValueError:
                raise UserError(f"{field}: not a number: {argument!r}") from None
            conversation.sampler = conversation.sampler.with_settings(**{field: value})
        screen.notice(f"{field} {getattr(conversation.sampler, field)}")
        return Next.READ

    return run


def _seed(argument: str, conversation: Conversation, screen: Screen) -> Next:
    if argument:
        try:
            conversation.seed = int(argument)
        except ValueError:
            raise UserError(f"seed: not a whole number: {argument!r}") from None
    screen.notice(f"seed {conversation.seed}")
    return Next.READ


def _undo(_: str, conversation: Conversation, screen: Screen) -> Next:
    question = conversation.undo()
    screen.notice("nothing to take back" if question is None else f"taken back: {question}")
    return Next.READ


def _retry(_: str, conversation: Conversation, screen: Screen) -> Next:
    if not conversation.retry():
        screen.notice("nothing was asked yet")
        return Next.READ
    if conversation.sampler.greedy:
        screen.notice("temperature is 0: the answer will be the same")
    return Next.ANSWER


def _history(_: str, conversation: Conversation, screen: Screen) -> Next:
    head = [{"role": "system", "content": conversation.system}] if conversation.system else []
    screen.messages([*head, *conversation.messages])
    if not head and not conversation.messages:
        screen.notice("nothing was said yet")
    return Next.READ


def _save(argument: str, conversation: Conversation, screen: Screen) -> Next:
    conversation.save(_path(argument, "/save FILE"))
    screen.notice(f"saved: {argument}")
    return Next.READ


def _load(argument: str, conversation: Conversation, screen: Screen) -> Next:
    conversation.load(_path(argument, "/load FILE"))
    screen.notice(f"loaded {len(conversation.messages)} turns; /history shows them")
    return Next.READ


def _path(argument: str, usage: str) -> Path:
    if not argument:
        raise UserError(f"{usage}: no file given")
    return Path(argument).expanduser()


def _reset(_: str, conversation: Conversation, screen: Screen) -> Next:
    conversation.reset()
    screen.notice("a new conversation; system prompt and settings stay")
    return Next.READ


def _exit(_: str, __: Conversation, ___: Screen) -> Next:
    return Next.LEAVE


COMMANDS: dict[str, Command] = {
    "help": Command("", "this list", _help),
    "system": Command("[TEXT|none]", "show, set or drop the system prompt", _system),
    "temp": Command("[X]", "temperature; 0 = always the likeliest token", _setting("temperature", float)),
    "top_p": Command("[X]", "keep the likeliest tokens up to this probability", _setting("top_p", float)),
    "top_k": Command("[N]", "keep this many tokens; 0 = all", _setting("top_k", int)),
    "min_p": Command("[X]", "keep tokens with this share of the likeliest one", _setting("min_p", float)),
    "rep": Command("[X]", "repetition penalty; 1 = none", _setting("repetition_penalty", float)),
    "max": Command("[N]", "tokens of an answer at most", _setting("max_new_tokens", int)),
    "seed": Command("[N]", "the same seed gives the same answer", _seed),
    "undo": Command("", "take back the last question and its answer", _undo),
    "retry": Command("", "another answer to the last question", _retry),
    "history": Command("", "what was said so far", _history),
    "save": Command("FILE", "write the conversation as JSON", _save),
    "load": Command("FILE", "take one over", _load),
    "reset": Command("", "begin a new conversation", _reset),
    "exit": Command("", "leave", _exit),
}
"""Every command by name, in the order in which /help shows them."""
