"""From what a script says to the JSON of the OpenAI protocol: chat and plain completions, n, stop, logprobs, usage.

A token is four bytes of UTF-8, the last one of a text perhaps fewer: a server needs some rule by which `max_tokens` and
`usage` agree with each other and with every run. A message costs four more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import xxhash

from watari.endpoint.replay.script import Answering, Body, Reply, last_message

CREATED: Final = 1_700_000_000
"""Of every answer: a clock would give other bytes each time."""
_TOKEN: Final = 4
_MESSAGE: Final = 4
_DEFAULT_COMPLETION: Final = 16  # max_tokens of /v1/completions where the request names none, as at OpenAI


@dataclass(frozen=True, slots=True)
class Response:
    """Status and body of a response, and what it counts.

    Args:
        seconds: How much later than the server's latency the script wants it.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


def error(
    status: int, message: str, kind: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error in OpenAI's form."""
    said = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Response(status, orjson.dumps(said), headers or {})


def refusal(body: Any, *, chat: bool) -> Response | None:
    """Return the 400 that a body gets which does not keep to the protocol, or None."""

    def wrong(message: str) -> Response:
        return error(400, message, "invalid_request_error")

    if not isinstance(body, dict):
        return wrong("the body must be a JSON object")
    if not isinstance(body.get("model"), str):
        return wrong("you must provide a model parameter")
    if body.get("stream"):
        return wrong("stream: this server does not stream")
    for name, least in (("n", 1), ("max_tokens", 0), ("max_completion_tokens", 1)):
        value = body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            return wrong(f"{name}: {value!r} is not a whole number of at least {least}")
    if chat:
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            return wrong("messages: at least one is needed")
        for place, message in enumerate(messages):
            if not isinstance(message, dict) or not isinstance(message.get("role"), str):
                return wrong(f"messages[{place}]: a role is needed")
    else:
        prompt = body.get("prompt")
        if not isinstance(prompt, str) and not (
            isinstance(prompt, list) and prompt and all(isinstance(item, str) for item in prompt)
        ):
            return wrong("prompt: a text or a list of texts is needed")
    return None


def tokens(text: str) -> int:
    """Return how many tokens a text counts."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _TOKEN)


def prompt_tokens(body: Body) -> int:
    """Return how many tokens a request's messages or prompts count."""
    if "messages" not in body:
        prompt = body.get("prompt") or ""
        return sum(map(tokens, [prompt] if isinstance(prompt, str) else prompt))
    count = 0
    for message in body["messages"]:
        content = message.get("content")
        count += _MESSAGE + tokens(
            content if isinstance(content, str) else last_message({"messages": [message]})
        )
    return count


def most_tokens(body: Body, *, chat: bool) -> int | None:
    """Return the limit on the tokens of an answer, None if there is none."""
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if most is None and not chat:
        return _DEFAULT_COMPLETION
    return most


def complete(body: Body, answering: Answering, *, chat: bool, filtered: bool = False) -> Response:
    """Return the whole response to a request that keeps to the protocol.

    Args:
        body: Its body.
        answering: The script.
        chat: For which of the two interfaces.
        filtered: The first half of the answer, with `content_filter`.
    """
    most = (
        body.get("max_tokens") if not chat and body.get("max_tokens") == 0 else most_tokens(body, chat=chat)
    )
    asked: list[Body] = [body]
    if not chat and not isinstance(body["prompt"], str):
        asked = [{**body, "prompt": prompt} for prompt in body["prompt"]]
    choices: list[dict[str, Any]] = []
    completion = 0
    seconds = 0.0
    headers: Mapping[str, str] = {}
    for one in asked:
        for number in range(body.get("n") or 1):
            reply = answering(one, number)
            if reply.status != 200:
                kind = "invalid_request_error" if reply.status < 500 else "server_error"
                said = error(reply.status, reply.text, kind, reply.code, reply.headers)
                return Response(said.status, said.body, said.headers, seconds=reply.seconds)
            text, reason = _ended(reply, body.get("stop"), most)
            if filtered:
                text, reason = text[: len(text) // 2], "content_filter"
            completion += tokens(text)
            seconds, headers = max(seconds, reply.seconds), reply.headers or headers
            choices.append(_choice(one, len(choices), reply, text, reason, chat=chat))
    prompt = prompt_tokens(body)
    key = xxhash.xxh3_64_hexdigest(orjson.dumps(choices))
    said_json = {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{key}",
        "object": "chat.completion" if chat else "text_completion",
        "created": CREATED,
        "model": body["model"],
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }
    return Response(200, orjson.dumps(said_json), headers, prompt, completion, seconds)


def _ended(reply: Reply, stop: Any, most: int | None) -> tuple[str, str]:
    """Cut the text at the first stop sequence, then at the limit."""
    text, reason = reply.text, reply.finish_reason
    for mark in [stop] if isinstance(stop, str) else stop or ():
        at = text.find(mark) if mark else -1
        if at >= 0:
            text, reason = text[:at], "stop"
    if most is not None and tokens(text) > most:
        cut = text.encode("utf-8", "surrogatepass")[: most * _TOKEN]
        # Half a letter at the end is left out.
        text, reason = cut.decode("utf-8", "ignore"), "length"
    return text, reason


def _choice(body: Body, index: int, reply: Reply, text: str, reason: str, *, chat: bool) -> dict[str, Any]:
    likeliest = body.get("top_logprobs") if chat else body.get("logprobs")
    wanted = bool(body.get("logprobs")) if chat else body.get("logprobs") is not None
    if chat:
        return {
            "index": index,
            "message": {"role": "assistant", "content": text, **reply.message},
            "finish_reason": reason,
            "logprobs": {"content": _chat_logprobs(text, likeliest or 0)} if wanted else None,
        }
    before = body["prompt"] if body.get("echo") else ""
    return {
        "index": index,
        "text": before + text,
        "finish_reason": reason,
        "logprobs": _plain_logprobs(before, text, likeliest or 0) if wanted else None,
    }


def pieces(text: str) -> list[str]:
    """Return a text as tokens: letters put together up to four bytes."""
    found: list[str] = []
    held, size = "", 0
    for letter in text:
        length = len(letter.encode("utf-8", "surrogatepass"))
        if size + length > _TOKEN:
            found.append(held)
            held, size = "", 0
        held, size = held + letter, size + length
    return [*found, held] if held else found


def _logprob(text: str, place: int, rank: int = 0) -> float:
    draw = xxhash.xxh3_64_intdigest(f"{place}\x1f{text}".encode("utf-8", "surrogatepass"))
    return -float((draw % 1000) / 1000) - 1.5 * rank


def _chat_logprobs(text: str, likeliest: int) -> list[dict[str, Any]]:
    def entry(token: str, logprob: float) -> dict[str, Any]:
        return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "surrogatepass"))}

    found = []
    for place, token in enumerate(pieces(text)):
        top = [
            entry(token if rank == 0 else f"{token}{rank}", _logprob(token, place, rank))
            for rank in range(likeliest)
        ]
        found.append({**entry(token, _logprob(token, place)), "top_logprobs": top})
    return found


def _plain_logprobs(before: str, text: str, likeliest: int) -> dict[str, Any]:
    parts = pieces(before) + pieces(text)
    offsets, at = [], 0
    for part in parts:
        offsets.append(at)
        at += len(part)
    chances = [_logprob(part, place) for place, part in enumerate(parts)]
    top = [
        {part if rank == 0 else f"{part}{rank}": _logprob(part, place, rank) for rank in range(likeliest)}
        for place, part in enumerate(parts)
    ]
    echoed = bool(before)
    return {
        "tokens": parts,
        # Nothing stands before the first token of a prompt that it could be likely after.
        "token_logprobs": [None if echoed and place == 0 else chance for place, chance in enumerate(chances)],
        "top_logprobs": [None if echoed and place == 0 else choice for place, choice in enumerate(top)],
        "text_offset": offsets,
    }
