"""How the processes of stages begin, and what is told of one that ended without a word.

They are forked from a server process that has imported the heavy libraries once (Python's forkserver), so that a stage
starts in milliseconds and no thread or lock of the runner is copied.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

from watari.errors import StageFailed

# pyarrow imports pandas, where that is installed, when it first makes an array of a list: 0.3 s of every stage that writes rows.
_ROWS = ("watari.flow.worker", "watari.artifact.rows", "pandas")
_TENSORS = ("torch", "transformers", "tokenizers")
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
_HEAVY = ("model.", "train.", "tokenizer.", "tokens.", "eval.")


def server(kinds: Iterable[str]) -> ForkServerContext:
    """Return the way to start processes, with its server running.

    Ctrl-C reaches the whole foreground group of a terminal. The server and its children must not hear it (the runner asks
    them to stop), not even while they import, so it is ignored from their first moment.

    Args:
        kinds: The stage kinds of the recipe; they decide what the server imports, the first time.
    """
    # Threads of one stage that spin while they wait starve those of another: measured here on two busy cores, training
    # went four times faster without spinning, with the same bits. OpenMP reads this when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # glibc gives every large block back to the kernel at once, and training takes the same ones again each step; keeping
    # them made small-model training 15 to 30 % faster here. Read when the server starts.
    for name, value in _ALLOCATOR.items():
        os.environ.setdefault(name, value)
    context = multiprocessing.get_context("forkserver")
    heavy = any(kind.startswith(_HEAVY) for kind in kinds)
    context.set_forkserver_preload([*_ROWS, *(_TENSORS if heavy else ())])
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:
        # Not in the main thread: signals are the caller's business.
        return context
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
    return context


def ended(code: int, log: Path) -> StageFailed:
    """Return what is told of a process that ended without a word.

    Args:
        code: Its exit code; the negative number of the signal that ended it.
        log: Where its output went.
    """
    if code >= 0:
        return StageFailed(f"its process ended with exit code {code}", f"what it printed is in {log}")
    names = {int(known): known.name for known in signal.Signals}
    hints = {int(signal.SIGKILL): "; out of memory?", int(signal.SIGBUS): "; no space left on the disk?"}
    reason = f"signal {-code} ({names.get(-code, 'unknown')})"
    return StageFailed(
        f"its process was ended by {reason}{hints.get(-code, '')}", f"run again to go on; its log is {log}"
    )
