"""What the replay server says where it does not answer: who is not let in, and what does not fit the context."""

from __future__ import annotations

from typing import Any, Final

from watari.endpoint.replay.answers import Response, error, most_tokens, prompt_tokens

_DENIALS: Final = {
    "401": (401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    "402": (402, "Insufficient credits.", "insufficient_credits", None),
    "403": (403, "You are not allowed to use this model.", "permission_error", "model_not_allowed"),
    "quota": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
}


def denial(how: str) -> Response:
    """Return the response of a server that lets nobody in; `how`: as in `Behaviour.deny`."""
    return error(*_DENIALS[how])


def too_long(asked: Any, context: int | None, *, chat: bool) -> Response | None:
    """Return the refusal of a request that does not fit into `context` tokens; None: it fits, or there is no limit."""
    if context is None:
        return None
    prompt, most = prompt_tokens(asked), most_tokens(asked, chat=chat) or 0
    if prompt + most <= context:
        return None
    told = (
        f"This model's maximum context length is {context} tokens. However, you requested"
        f" {prompt + most} tokens ({prompt} in the messages, {most} in the completion)."
    )
    return error(400, told, "invalid_request_error", "context_length_exceeded")
