"""Reading a reply: the answers in it, what it used, or in words why it is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from watari.endpoint.request import Choice
from watari.endpoint.settings import Endpoint


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counts them; None where it does not say."""

    prompt: int | None = None
    completion: int | None = None
    cached: int = 0

    def cost(self, endpoint: Endpoint) -> float:
        """Return the price of this use; what is not told counts as nothing."""
        price = endpoint.price
        if price.free:
            return 0.0
        prompt, cached = self.prompt or 0, min(self.cached, self.prompt or 0)
        dear = price.input if price.cached is None else price.cached
        return (
            (prompt - cached) * price.input + cached * dear + (self.completion or 0) * price.output
        ) / 1_000_000


@dataclass(frozen=True, slots=True)
class Read:
    """A reply as it was understood.

    Args:
        choices: Empty if it is no answer.
        model: The model as the server names it.
        usage: What it used.
        problem: Why it is no answer, in words; "" if it is one.
        error: The server's own error, if the reply is one.
    """

    choices: tuple[Choice, ...] = ()
    model: str = ""
    usage: Usage = Usage()
    problem: str = ""
    error: ServerError | None = None


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error as servers write it: {"error": {"message", "type", "code"}} and the like; texts cut to one line."""

    message: str
    kind: str = ""
    code: str = ""


def read_reply(body: bytes, api: str) -> Read:
    """Read the body of a reply with status 200. Nothing is raised whatever the bytes are."""
    try:
        return _read(orjson.loads(body), api)
    except orjson.JSONDecodeError:
        return Read(problem=_not_json(body))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        return Read(problem=f"not in the form of an answer: {type(error).__name__}: {error}"[:200])


def _read(data: Any, api: str) -> Read:
    if not isinstance(data, dict):
        return Read(problem=f"a JSON {type(data).__name__} instead of an object")
    usage = _usage(data.get("usage"))
    error = data.get("error")
    if error:
        found = server_error(data)
        return Read(usage=usage, problem=found.message, error=found)
    listed = data.get("choices")
    if not isinstance(listed, list) or not listed:
        return Read(usage=usage, problem="no choices in it")
    if len(listed) > 1:
        listed = sorted(listed, key=_index)
    choices = tuple([_choice(item, api) for item in listed])
    model = data.get("model")
    return Read(choices, model if isinstance(model, str) else "", usage)


def _index(item: Any) -> int:
    index = item.get("index", 0)
    return index if isinstance(index, int) else 0


_WITHOUT_TEXT = ("length", "content_filter")
"""Reasons to finish that leave no text, and would again: all tokens went into thinking, the filter let nothing through."""


def _choice(item: Mapping[str, Any], api: str) -> Choice:
    reason = item.get("finish_reason")
    if api == "chat":
        message = item["message"]
        text = message.get("content")
        if isinstance(text, list):  # parts, as some servers write them
            text = "".join(part.get("text") or "" for part in text)
        if text is None:
            text = message.get("refusal")
        if text is None:
            if reason not in _WITHOUT_TEXT:
                called = message.get("tool_calls") or message.get("function_call")
                raise ValueError("a tool is called" if called else "there is no text in it")
            text = ""
    else:
        text = item["text"]
    if not isinstance(text, str):
        raise TypeError(f"the text is a {type(text).__name__}")
    return Choice(text, reason if isinstance(reason, str) else "", item.get("logprobs"))


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    details = data.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        _count(data.get("prompt_tokens")), _count(data.get("completion_tokens")), _count(cached) or 0
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_error(body: bytes) -> ServerError:
    """Return the error in the body of a reply that is no success; nothing is raised whatever the bytes are."""
    try:
        return server_error(orjson.loads(body))
    except orjson.JSONDecodeError:
        return ServerError(_line(body[:2000].decode("utf-8", "replace")))


def server_error(data: Any) -> ServerError:
    """Return the error in JSON data of whatever form."""
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return ServerError(_line(str(data)))
    error = data.get("error", data)
    if not isinstance(error, dict):
        return ServerError(_line(str(error)))
    message = error.get("message") or error.get("detail") or error.get("msg") or error
    return ServerError(_line(str(message)), str(error.get("type") or ""), str(error.get("code") or ""))


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def _not_json(body: bytes) -> str:
    if not body.strip():
        return "an empty body"
    start = body.lstrip()[:100].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page instead of JSON"
    return "not JSON, or only a part of it"
