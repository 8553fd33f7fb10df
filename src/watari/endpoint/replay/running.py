"""Starting a replay server: in a thread, in a process that ends with its parent, or in the foreground."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from watari.endpoint.replay.script import Script, script_at
from watari.endpoint.replay.server import Listening, ReplayServer
from watari.endpoint.replay.settings import parse_address
from watari.errors import StageFailed, UserError

_START_SECONDS = 60.0


@contextmanager
def serve(script: Script, port: int = 0) -> Iterator[Listening]:
    """Serve a script from a thread of this process, with an event loop of its own, until the block ends.

    Args:
        script: What is answered.
        port: On 127.0.0.1; 0: any that is free.

    Raises:
        UserError: if the port is taken, or the script's options are wrong.
    """
    server = ReplayServer(script)
    loop = asyncio.new_event_loop()
    # Also where the caller has a running loop of its own, as an asking stage has.
    thread = threading.Thread(target=loop.run_forever, name="replay", daemon=True)
    thread.start()
    try:
        try:
            number = asyncio.run_coroutine_threadsafe(server.start(port), loop).result()
        except OSError as error:
            raise UserError(f"port {port}: {error.strerror}", "0 takes any that is free") from None
        yield Listening(f"http://127.0.0.1:{number}/v1", number, server)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def serving(url: str) -> Iterator[str]:
    """Serve what a `replay://` address names and yield the http address that stands for it.

    The server runs in a process of its own, which ends with the block, and with this process however it dies;
    with `process=0` in the address it is a thread of this one.

    Raises:
        UserError: if the address names no script, or a setting is wrong.
        StageFailed: if the process does not come up.
    """
    script = script_at(url)
    script.answering()  # a misspelt option is told here, not by a child
    if not parse_address(url).process:
        with serve(script) as listening:
            yield listening.base_url
        return
    source = str(Path(__file__).resolve().parents[3])
    paths = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    child = subprocess.Popen(
        [sys.executable, "-m", "watari.endpoint.replay", url, "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        # Ctrl-C of a terminal goes to the whole group; answers in flight are still wanted then.
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        line = child.stdout.readline().decode().strip()
        if not line.startswith("http://"):
            raise StageFailed(f"{url}: the replay server did not start", f"exit code {child.wait(10)}")
        yield line
    finally:
        child.stdin.close()
        child.stdout.close()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


async def run(script: Script, port: int = 0, *, until_eof: bool = False) -> None:
    """Serve in the foreground: print the address, then go on until cancelled, or until standard input ends."""
    server = ReplayServer(script)
    number = await server.start(port)
    print(f"http://127.0.0.1:{number}/v1", flush=True)
    ended = asyncio.Event()
    if until_eof:
        loop = asyncio.get_running_loop()

        def watch() -> None:
            while os.read(0, 4096):
                pass
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=watch, daemon=True).start()
    try:
        await ended.wait()
    finally:
        await server.stop()
