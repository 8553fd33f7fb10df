"""Where and how exactly to compute: device, threads, precision, determinism."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from watari.errors import UserError
from watari.train.settings import Precision


@dataclass(frozen=True)
class Compute:
    """The device and the type in which matrices are multiplied; weights are fp32 whatever it is."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a forward pass runs."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def attention(self, sequence: int, *, packed: bool) -> str:
        """Return transformers' attention implementation that is the faster one here.

        On a CPU the plain matrix products win over PyTorch's fused kernel for short unpacked rows (measured on Zen 5:
        141 against 187 µs a token at 96 tokens, 172 against 190 at 512, 377 against 231 at 1024).
        """
        short = self.device.type == "cpu" and sequence <= 512 and not packed
        return "eager" if short else "sdpa"

    @property
    def name(self) -> str:
        """`bf16` or `fp32`, for the manifest."""
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"


def native_bf16(device: torch.device) -> bool:
    """True if the device multiplies bfloat16 matrices natively (AVX512-BF16, AMX; NVIDIA from Ampere on).

    Elsewhere bfloat16 is emulated and slower than fp32. fp16 is never used: facts/training.md §1 measured 10-24 GFLOP/s
    for it on a CPU that does 450 in bfloat16.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def choose(device: str, precision: Precision) -> Compute:
    """Return the device and precision that the parameters mean on this machine.

    Raises:
        UserError: if a GPU is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda: PyTorch sees no GPU here", "use `device: auto` or `cpu`")
    use_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    place = torch.device("cuda" if use_gpu else "cpu")
    bf16 = precision == "bf16" or (precision == "auto" and native_bf16(place))
    return Compute(place, torch.bfloat16 if bf16 else torch.float32)


def compiler_missing(device: torch.device) -> str | None:
    """Return why torch.compile cannot be used for this device, or None: it can.

    On a CPU it writes C++, which the compiler named by `CXX`, or g++ or clang++, has to build.
    """
    if device.type == "cuda":
        from importlib.util import find_spec

        return (
            None if find_spec("triton") else "torch.compile needs the package triton, which is not installed"
        )
    named = os.environ.get("CXX")
    if any(shutil.which(name) for name in ([named] if named else ["g++", "clang++"])):
        return None
    return f"torch.compile needs a C++ compiler; {named or 'neither g++ nor clang++'} is not found"


def available_threads() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def exact(threads: int) -> Iterator[None]:
    """Compute with this number of threads and deterministic algorithms only; put both back afterwards."""
    # cuBLAS promises the same bits only with a fixed workspace, read when the library is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    settings: Any = torch.utils.deterministic
    filling = settings.fill_uninitialized_memory
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling every new tensor with NaN is for finding reads of it, costs a pass over memory and changes no result.
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(deterministic)
        settings.fill_uninitialized_memory = filling
