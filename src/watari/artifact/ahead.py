"""What takes long to import, imported while a stage waits for the network."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module


async def import_ahead() -> None:
    """Import what pyarrow imports when it first converts a list: pandas, where that is installed (0.7 s).

    Give it to `asyncio.create_task` before the waiting and await that before rows are written. It never fails: what
    cannot be imported now is told where it is used.
    """
    # Here, in the loop's own thread: where libarrow is first loaded by a thread that ends, what other threads allocate
    # later may crash (https://github.com/apache/arrow/issues/50471). It takes 40 ms.
    import pyarrow.parquet  # noqa: F401

    await asyncio.to_thread(_pandas)


def _pandas() -> None:
    # A broken installation raises more than ImportError; pyarrow passes over it or tells it.
    with suppress(Exception):
        import_module("pandas")
