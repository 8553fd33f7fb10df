"""Whether kernels run compiled: numba where it is installed, unless `WATARI_KERNELS=numpy` says otherwise."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

from watari.errors import UserError

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled() -> bool:
    """Return whether numba's kernels are used.

    Raises:
        UserError: if `WATARI_KERNELS` is neither `numba` nor `numpy`, or asks for numba where it is not installed.
    """
    wanted = os.environ.get("WATARI_KERNELS", "")
    if wanted not in ("", "numba", "numpy"):
        raise UserError(f"WATARI_KERNELS={wanted}: numba or numpy is wanted")
    installed = importlib.util.find_spec("numba") is not None
    if wanted == "numba" and not installed:
        raise UserError("WATARI_KERNELS=numba: numba is not installed", "pip install 'watari[fast]'")
    return installed and wanted != "numpy"


def jit(function: Function) -> Function:
    """Compile a kernel with numba (no Python objects, kept on disk), or return it as it is where numba is not used.

    Fast maths stays off: the order of operations is part of the result.
    """
    if not compiled():
        return function
    import numba

    return cast(Function, numba.njit(cache=True, nogil=True)(function))
