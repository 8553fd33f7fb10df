"""The Batch API: files up and down, batches through their states, with what OpenAI's leave behind when they end badly.

States go by the clock, since that is what a client waits for; what is answered, and which lines of an expired batch were
done, goes by content alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from watari.artifact.hashing import hash_bytes
from watari.endpoint.replay.answers import Response, error
from watari.endpoint.replay.draws import uniform
from watari.endpoint.replay.settings import Behaviour
from watari.endpoint.replay.wire import Exchange

_ENDPOINTS: Final = ("/v1/chat/completions", "/v1/completions")
_MOST_LINES: Final = 50_000  # of one batch, as at OpenAI
_EXPIRED: Final = "This request could not be executed before the completion window expired."


@dataclass
class Batch:
    """One batch: what was asked, and what came of it once it has ended."""

    id: str
    input_file: str
    endpoint: str
    window: str
    metadata: Any
    created: float
    lines: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    ended: str = ""
    cancelled: float | None = None
    output_file: str | None = None
    error_file: str | None = None
    counts: dict[str, int] = field(default_factory=lambda: {"total": 0, "completed": 0, "failed": 0})


class Batches:
    """Files and batches of one server.

    Args:
        behaviour: How batches end, and after how long.
        answer: From the interface's path and a body to the response of one line.
    """

    def __init__(self, behaviour: Behaviour, answer: Callable[[str, Any], Response]) -> None:
        self._behaviour = behaviour
        self._answer = answer
        self._files: dict[str, tuple[str, str, bytes]] = {}
        self._batches: dict[str, Batch] = {}

    def handle(self, exchange: Exchange) -> Response:
        """Return the answer to a request under /v1/files or /v1/batches."""
        parts = exchange.path.removeprefix("/v1/").strip("/").split("/")
        match exchange.method, parts:
            case "POST", ["files"]:
                return self._upload(exchange)
            case "GET", ["files"]:
                return _listed([self._file(name) for name in self._files])
            case "GET", ["files", name] if name in self._files:
                return _json(self._file(name))
            case "GET", ["files", name, "content"] if name in self._files:
                return Response(200, self._files[name][2], {})
            case "DELETE", ["files", name] if name in self._files:
                del self._files[name]
                return _json({"id": name, "object": "file", "deleted": True})
            case "POST", ["batches"]:
                return self._create(exchange.body)
            case "GET", ["batches"]:
                return self._list(exchange.query)
            case "GET", ["batches", name] if name in self._batches:
                return _json(self._told(self._batches[name]))
            case "POST", ["batches", name, "cancel"] if name in self._batches:
                return self._cancel(self._batches[name])
        return error(404, f"no such path or object: {exchange.path}", "invalid_request_error", "not_found")

    # -- files --

    def _upload(self, exchange: Exchange) -> Response:
        fields = _multipart(exchange.header("content-type"), exchange.body)
        if "file" not in fields or "purpose" not in fields:
            return error(400, "a file and its purpose are needed", "invalid_request_error")
        name, content = fields["file"]
        return _json(self._file(self._keep(name or "upload.jsonl", fields["purpose"][1].decode(), content)))

    def _keep(self, name: str, purpose: str, content: bytes) -> str:
        # Two uploads of the same bytes are two files.
        key = f"file-{hash_bytes(f'{len(self._files)} {name}'.encode() + content)[:24]}"
        self._files[key] = (name, purpose, content)
        return key

    def _file(self, key: str) -> dict[str, Any]:
        name, purpose, content = self._files[key]
        return {
            "id": key,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }

    # -- batches --

    def _create(self, body: bytes) -> Response:
        try:
            asked = orjson.loads(body)
            input_file, endpoint = asked["input_file_id"], asked["endpoint"]
            window = asked["completion_window"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as fault:
            return error(400, f"missing or unreadable: {fault}", "invalid_request_error")
        if input_file not in self._files:
            return error(400, f"no such file: {input_file}", "invalid_request_error", "invalid_file_id")
        if endpoint not in _ENDPOINTS:
            return error(400, f"endpoint: one of {', '.join(_ENDPOINTS)}", "invalid_request_error")
        lines, errors = _checked(self._files[input_file][2], endpoint)
        if self._behaviour.batch == "failed" and not errors:
            errors = [
                {
                    "code": "invalid_json_line",
                    "message": "This line is not parseable.",
                    "line": 1,
                    "param": None,
                }
            ]
        key = f"batch_{hash_bytes(f'{len(self._batches)} {input_file}'.encode())[:24]}"
        self._batches[key] = Batch(
            key, input_file, endpoint, window, asked.get("metadata"), time.time(), lines, errors
        )
        self._batches[key].counts["total"] = len(lines)
        return _json(self._told(self._batches[key]))

    def _list(self, query: str) -> Response:
        given = {name: values[0] for name, values in parse_qs(query).items()}
        names = list(reversed(self._batches))
        if given.get("after") in names:
            names = names[names.index(given["after"]) + 1 :]
        limit = int(given.get("limit", "20"))
        return _listed([self._told(self._batches[name]) for name in names[:limit]], more=len(names) > limit)

    def _cancel(self, batch: Batch) -> Response:
        self._told(batch)
        if batch.ended:
            return error(409, f"this batch is {batch.ended}", "invalid_request_error")
        batch.cancelled = batch.cancelled or time.time()
        return _json(self._told(batch))

    def _told(self, batch: Batch) -> dict[str, Any]:
        state = self._state(batch)
        now = int(time.time())
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint,
            "errors": {"object": "list", "data": batch.errors} if state == "failed" else None,
            "input_file_id": batch.input_file,
            "completion_window": batch.window,
            "status": state,
            "output_file_id": batch.output_file,
            "error_file_id": batch.error_file,
            "created_at": int(batch.created),
            "expires_at": int(batch.created) + 86_400,
            f"{state}_at": now,
            "request_counts": batch.counts,
            "metadata": batch.metadata,
        }

    def _state(self, batch: Batch) -> str:
        if batch.ended:
            return batch.ended
        age, whole = time.time() - batch.created, self._behaviour.batch_seconds
        if batch.cancelled is not None:
            if time.time() - batch.cancelled < whole / 4:
                return "cancelling"
            self._end(
                batch, "cancelled", share=min(1.0, (batch.cancelled - batch.created) / max(whole, 1e-9))
            )
        elif age < whole / 4:
            return "validating"
        elif batch.errors:
            batch.ended = "failed"
        elif age < whole * 0.9:
            return "in_progress"
        elif age < whole:
            return "finalizing"
        elif self._behaviour.batch == "expired":
            self._end(batch, "expired", share=self._behaviour.batch_share)
        else:
            self._end(batch, "completed", share=1.0)
        return batch.ended

    def _end(self, batch: Batch, state: str, share: float) -> None:
        output: list[bytes] = []
        errors: list[bytes] = []
        # Providers promise no order: what comes out is sorted by a hash.
        for line in sorted(batch.lines, key=lambda line: hash_bytes(str(line["custom_id"]).encode())):
            name = str(line["custom_id"])
            row: dict[str, Any] = {"id": f"batch_req_{hash_bytes(name.encode())[:16]}", "custom_id": name}
            if share < 1 and uniform(self._behaviour.seed, "batch", name.encode()) >= share:
                told = {"code": f"batch_{state}", "message": _EXPIRED}
                errors.append(orjson.dumps({**row, "response": None, "error": told}))
                continue
            response = self._answer(line["url"], line["body"])
            if self._behaviour.batch == "errors":
                response = error(500, "The server had an error.", "server_error")
            said = orjson.loads(response.body)
            whole = {"status_code": response.status, "request_id": row["id"], "body": said}
            to = output if response.status == 200 else errors
            to.append(orjson.dumps({**row, "response": whole, "error": None}))
        batch.ended = state
        batch.counts = {"total": len(batch.lines), "completed": len(output), "failed": len(errors)}
        if output:
            batch.output_file = self._keep(
                f"{batch.id}_output.jsonl", "batch_output", b"\n".join(output) + b"\n"
            )
        if errors:
            batch.error_file = self._keep(
                f"{batch.id}_error.jsonl", "batch_output", b"\n".join(errors) + b"\n"
            )


def _checked(content: bytes, endpoint: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the lines of an input file and what is wrong with it; a line that is wrong fails the whole batch."""
    lines: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    names: set[str] = set()

    def wrong(number: int, code: str, message: str) -> None:
        errors.append({"code": code, "message": message, "line": number, "param": None})

    for number, text in enumerate(content.splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = orjson.loads(text)
        except orjson.JSONDecodeError:
            wrong(number, "invalid_json_line", "This line is not parseable as valid JSON.")
            continue
        if not isinstance(line, dict) or not isinstance(line.get("custom_id"), str):
            wrong(number, "missing_required_parameter", "custom_id is missing.")
        elif line["custom_id"] in names:
            wrong(number, "duplicate_custom_id", f"The custom_id '{line['custom_id']}' stands here twice.")
        elif line.get("method") != "POST" or line.get("url") != endpoint:
            wrong(number, "mismatched_endpoint", f"method must be POST and url {endpoint}.")
        elif not isinstance(line.get("body"), dict):
            wrong(number, "missing_required_parameter", "body is missing.")
        else:
            names.add(line["custom_id"])
            lines.append(line)
    if len(lines) > _MOST_LINES:
        wrong(_MOST_LINES + 1, "too_many_tasks", f"At most {_MOST_LINES} requests are allowed.")
    if not lines and not errors:
        wrong(1, "empty_file", "The input file is empty.")
    return lines, errors


def _multipart(kind: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Return {field: (file name, content)} of a multipart/form-data body; {} if it is none."""
    _, found, boundary = kind.partition("boundary=")
    if not found:
        return {}
    mark = b"--" + boundary.split(";")[0].strip().strip('"').encode()
    fields = {}
    for part in body.split(mark)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        line = next(
            (line for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition")), b""
        )
        values = {}
        for item in line.decode("utf-8", "replace").split(";")[1:]:
            name, _, value = item.strip().partition("=")
            values[name] = value.strip('"')
        if "name" in values:
            fields[values["name"]] = (values.get("filename", ""), content.removesuffix(b"\r\n"))
    return fields


def _json(value: Any) -> Response:
    return Response(200, orjson.dumps(value), {})


def _listed(values: list[Any], *, more: bool = False) -> Response:
    ids = [value["id"] for value in values]
    first, last = (ids[0], ids[-1]) if ids else (None, None)
    return _json({"object": "list", "data": values, "first_id": first, "last_id": last, "has_more": more})
