"""Averaging as a library function: model folders of one architecture and one tokenizer, and the model between them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from watari.artifact import atomic
from watari.artifact.stage import Progress, Silent, stop_if_asked
from watari.errors import UserError
from watari.model.average_files import CHUNK, FLOATS, Form, Reader, closing, write_tensors
from watari.model.average_members import Member, check_same, names_of

if TYPE_CHECKING:
    from torch import Tensor

Method = Literal["linear", "slerp"]
Dtype = Literal["float32", "bfloat16", "float16"]

_PARALLEL = 0.9995
"""Cosine from which on two tensors are averaged linearly (mergekit's)."""
_NOTHING = 1e-8
"""Length up to which a tensor has no direction (mergekit's)."""


def average_models(
    members: Sequence[Member],
    out: Path,
    *,
    method: Method = "linear",
    weights: Sequence[float] | None = None,
    dtype: Dtype | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the average of some models to `out`. The same inputs give the same bytes.

    Sums are taken in fp64 and rounded once. Tensors that hold no floats must be equal and are copied. A matrix that is
    tied stands in the result once, so that it stays tied.

    Args:
        members: Two models or more, for slerp two.
        out: The folder to write. config.json is written last: without it the folder is not a model.
        method: "linear" or "slerp"; see `slerp_shares`.
        weights: One a member, divided by their sum; default: all alike. For slerp the second one's share is t.
        dtype: Type of the weights written; default: each as in the first member.
        progress: Told of every tensor.

    Returns:
        Figures for a manifest: `distances` are each member's from the average, as a share of the average's length (L2 over all
        weights), `farthest_tensor` the one in which a member is farthest.

    Raises:
        UserError: if the members differ in anything but the values of their weights.
    """
    from watari.pretrained import copy_tokenizer

    progress = progress or Silent()
    given = list(weights) if weights is not None else [1.0] * len(members)
    shares = [weight / math.fsum(given) for weight in given]
    files = check_same(members)
    first = files[0]
    names = names_of(members[0], first)
    forms = {}
    for name in names:
        entry = first.entries[name]
        kind = _DTYPES[dtype] if dtype is not None and entry.dtype in FLOATS else entry.dtype
        size = math.prod(entry.shape) * _width(kind) if kind in FLOATS else entry.size
        forms[name] = Form(kind, entry.shape, size)
    out.mkdir(parents=True, exist_ok=True)
    with closing([Reader(found) for found in files]) as readers:
        work = _Averaging(members, readers, method, shares, forms, progress)
        write_tensors(out, forms, work.data)
    progress.update(len(forms), len(forms), unit="tensors")
    folder = members[0].folder
    copy_tokenizer(folder, out)
    if (folder / "generation_config.json").is_file():
        shutil.copyfile(folder / "generation_config.json", out / "generation_config.json")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if dtype is not None:
        config["torch_dtype" if "torch_dtype" in config else "dtype"] = dtype
    atomic.write_json(out / "config.json", config)
    return {
        "method": method,
        "members": [member.name for member in members],
        "weights": [_rounded(share) for share in shares],
        **work.figures(),
    }


def slerp_shares(cosine: float, t: float) -> tuple[float, float]:
    """Return what two tensors with this cosine are multiplied by at `t` of the arc between them.

    Shoemake's formula on the whole tensor as one vector, lengths left as they are; the linear shares where the two are
    nearly parallel or opposite. As mergekit does it (arcee-ai/mergekit, merge_methods/slerp.py).
    """
    if abs(cosine) > _PARALLEL:
        return 1 - t, t
    angle = math.acos(cosine)
    return math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)


@dataclass
class _Distances:
    """Sums of squares over what has been written."""

    average: float = 0.0
    members: list[float] = field(default_factory=list)

    def add(self, average: float, members: Sequence[float]) -> None:
        self.average += average
        old = self.members or [0.0] * len(members)
        self.members = [one + more for one, more in zip(old, members, strict=True)]

    def relative(self) -> list[float]:
        """Return each member's distance as a share of the average's length; 0 where there is nothing to compare with."""
        return [math.sqrt(square / self.average) if self.average else 0.0 for square in self.members]


class _Averaging:
    """One pass over all tensors."""

    def __init__(
        self,
        members: Sequence[Member],
        readers: Sequence[Reader],
        method: Method,
        shares: Sequence[float],
        forms: dict[str, Form],
        progress: Progress,
    ) -> None:
        self._members = members
        self._readers = readers
        self._method = method
        self._shares = shares
        self._forms = forms
        self._progress = progress
        self._all = _Distances()
        self._farthest = (0.0, "")
        self._on_the_arc = 0
        self._done = 0

    def data(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a tensor; each is asked for once."""
        stop_if_asked(self._progress)
        self._progress.update(self._done, len(self._forms), unit="tensors", note=name)
        form = self._forms[name]
        yield from self._average(name, form) if form.dtype in FLOATS else self._copy(name, form)
        self._done += 1

    def _average(self, name: str, form: Form) -> Iterator[bytes]:
        import torch

        dtype: torch.dtype = getattr(torch, FLOATS[form.dtype])
        count = math.prod(form.shape)
        shares = self._shares_of(name, count)
        here = _Distances()
        for start in range(0, count, CHUNK):
            parts = self._read(name, start, min(CHUNK, count - start))
            mean = torch.zeros_like(parts[0])
            for share, part in zip(shares, parts, strict=True):
                mean.add_(part, alpha=share)
            here.add(_dot(mean, mean), [_dot(part - mean, part - mean) for part in parts])
            written = mean.to(dtype)
            if not bool(torch.isfinite(written).all()):
                raise self._not_finite(name, parts, form)
            yield written.view(torch.uint8).numpy().tobytes()
        if count:
            self._all.add(here.average, here.members)
            self._farthest = max(self._farthest, (max(here.relative()), name))

    def _not_finite(self, name: str, parts: Sequence[Tensor], form: Form) -> UserError:
        import torch

        for member, part in zip(self._members, parts, strict=True):
            if not bool(torch.isfinite(part).all()):
                return UserError(
                    f"models: {name} of {member.name} has values that are not finite", "leave it out"
                )
        return UserError(
            f"dtype: {name} has values that {FLOATS[form.dtype]} cannot hold", "use bfloat16 or float32"
        )

    def _shares_of(self, name: str, count: int) -> Sequence[float]:
        if self._method == "linear":
            return self._shares
        products = [0.0, 0.0, 0.0]
        for start in range(0, count, CHUNK):
            one, two = self._read(name, start, min(CHUNK, count - start))
            for place, (left, right) in enumerate(((one, one), (two, two), (one, two))):
                products[place] += _dot(left, right)
        lengths = [math.sqrt(square) for square in products[:2]]
        # A tensor without a direction is taken as it is, as mergekit takes it.
        one_length, two_length = (length if length > _NOTHING else 1.0 for length in lengths)
        cosine = max(-1.0, min(1.0, products[2] / one_length / two_length))
        self._on_the_arc += abs(cosine) <= _PARALLEL
        return slerp_shares(cosine, self._shares[1])

    def _read(self, name: str, start: int, count: int) -> list[Tensor]:
        return [reader.numbers(name, start, count) for reader in self._readers]

    def _copy(self, name: str, form: Form) -> Iterator[bytes]:
        for start in range(0, form.size, CHUNK):
            count = min(CHUNK, form.size - start)
            parts = [reader.bytes(name, start, count) for reader in self._readers]
            for member, part in zip(self._members, parts, strict=True):
                if part != parts[0]:
                    raise UserError(
                        f"models: {name} differs between {self._members[0].name} and {member.name} and is of type "
                        f"{form.dtype}, which cannot be averaged",
                        "take models whose weights are not quantised",
                    )
            yield bytes(parts[0])

    def figures(self) -> dict[str, Any]:
        """Return what there is to say of the members, after all chunks are read."""
        distances = self._all.relative()
        found: dict[str, Any] = {
            "tensors": len(self._forms),
            "parameters": sum(math.prod(form.shape) for form in self._forms.values()),
            "distances": [_rounded(distance) for distance in distances],
            "distance_mean": _rounded(math.fsum(distances) / len(distances)) if distances else 0.0,
            "distance_max": _rounded(max(distances, default=0.0)),
            "farthest_tensor": self._farthest[1],
            "farthest_distance": _rounded(self._farthest[0]),
        }
        if self._method == "slerp":
            found["tensors_on_the_arc"] = self._on_the_arc
        return found


_DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


def _width(kind: str) -> int:
    import torch

    dtype: torch.dtype = getattr(torch, FLOATS[kind])
    return dtype.itemsize


def _dot(one: Tensor, two: Tensor) -> float:
    # numpy adds in an order of its own that no number of threads changes, so that the same shares come out everywhere.
    return float((one * two).numpy().sum())


def _rounded(value: float) -> float:
    # Six digits, and nothing of the noise of fp64: equal models are at distance 0.
    return float(f"{round(value, 12):.6g}")
