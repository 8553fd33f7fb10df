"""A server of a few lines whose every byte a test decides: for what a well-behaved server, even a replaying one, never does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass
class Say:
    """What is said to one request; `cut`: only so many bytes of the body, then the connection is closed."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cut: int | None = None
    drip: float = 0.0


@dataclass
class Got:
    """A request as it came."""

    number: int
    at: float
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        return str(self.body["messages"][-1]["content"])


def answer(text: str = "fine", reason: str = "stop", **more: Any) -> bytes:
    return orjson.dumps(
        {
            "model": "raw",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
            ],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            **more,
        }
    )


def error(message: str, code: str | None = None, kind: str | None = None) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "code": code}})


class RawServer:
    """Serves on loopback in a thread; `say` is called for each request, in the order in which they come."""

    def __init__(self, say: Callable[[Got], Say]) -> None:
        self._say = say
        self.got: list[Got] = []
        self.in_flight = 0
        self.peak = 0
        self.said: list[int] = []
        self.base_url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines[1:] if line)
                }
                data = await reader.readexactly(int(headers.get("content-length", 0)))
                got = Got(len(self.got), time.monotonic(), headers, orjson.loads(data))
                self.got.append(got)
                self.in_flight += 1
                self.peak = max(self.peak, self.in_flight)
                say = self._say(got)
                try:
                    await asyncio.sleep(say.seconds)
                finally:
                    self.in_flight -= 1
                self.said.append(say.status)
                fields = {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(say.body)),
                    **say.headers,
                }
                lines = [
                    f"HTTP/1.1 {say.status} Words",
                    *(f"{name}: {value}" for name, value in fields.items()),
                ]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
                if say.drip:
                    for byte in say.body:
                        writer.write(bytes([byte]))
                        await asyncio.sleep(say.drip)
                elif say.cut is not None:
                    writer.write(say.body[: say.cut])
                    await writer.drain()
                    await asyncio.sleep(0.02)
                    break
                else:
                    writer.write(say.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def serving_raw(say: Callable[[Got], Say]) -> Iterator[RawServer]:
    server = RawServer(say)
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server._serve, "127.0.0.1", 0, backlog=1024))
    server.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
