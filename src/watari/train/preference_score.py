"""Log-probabilities of the replies of pairs under a model: computed once, kept by the pairs' hash.

They are kept as they come in (`work/`), so that a killed run goes on where it was, and the finished stage hands those of
the reference on (`reference.parquet`), so that another run against the same reference need not compute them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact, Progress
from watari.errors import Interrupted, UserError
from watari.train.batches import Batch
from watari.train.head import token_logprobs
from watari.train.language_model import LanguageModel
from watari.train.pairs import Pair
from watari.train.preference_rows import PairPass

if TYPE_CHECKING:
    from watari.train.distributed import World

REFERENCE = "reference.parquet"
_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("chosen", pa.float64()),
        ("rejected", pa.float64()),
        ("chosen_tokens", pa.int32()),
        ("rejected_tokens", pa.int32()),
        ("model", pa.string()),
        ("precision", pa.string()),
    ]
)


@dataclass(frozen=True)
class LogProbs:
    """Log-probabilities of both replies of a pair under one model, summed over their supervised tokens."""

    chosen: float
    rejected: float


def reply_logprobs(model: LanguageModel, batch: Batch) -> Tensor:
    """Return the log-probability of the supervised tokens of each sequence, summed in fp64, [sequences]."""
    each = token_logprobs(model.hidden(batch), model.head.weight, batch.targets, model.compute.dtype)
    summed = torch.zeros(len(batch.spans), dtype=torch.float64, device=each.device)
    return summed.index_add(0, batch.owner, each.double())


def score(
    model: LanguageModel,
    batches: Sequence[PairPass],
    *,
    progress: Progress,
    note: str,
    kept_in: Path | None = None,
    world: World | None = None,
) -> dict[str, LogProbs]:
    """Return the log-probabilities of every pair in `batches` under `model`, by the pair's key.

    A pair that stands in several batches is taken from the first: what a pass computes depends in its last bits on all
    of its rows, and an interrupted run shall come to the same.

    Args:
        model: The model; of several processes each calls with the same batches.
        batches: The passes to compute. Those in which training will compute the pairs give the very same numbers as
            training will, so that a policy that is its own reference starts at a margin of exactly 0.
        progress: Told of every pass.
        note: What it is told.
        kept_in: A file that keeps each pass's results at once, so that an interrupted run does not compute them again.
        world: The processes that share the passes.

    Raises:
        Interrupted: if the user asked to stop.
    """
    home: dict[str, int] = {}
    for number, batch in enumerate(batches):
        for pair in batch.pairs:
            home.setdefault(pair.key, number)
    main = world is None or world.is_main
    found = _read(kept_in) if kept_in is not None and main else {}
    found = _agreed(found, list(home), world)
    missing = {number for key, number in home.items() if key not in found}
    wanted = [batch for number, batch in enumerate(batches) if number in missing]
    size = 1 if world is None else world.size
    handle = kept_in.open("a", encoding="utf-8") if kept_in is not None and main else None
    try:
        for start in range(0, len(wanted), size):
            _stop_together(progress, world)
            for key, value in _round(model, wanted[start : start + size], world).items():
                if key not in found:
                    found[key] = value
                    if handle is not None:
                        handle.write(json.dumps([key, value.chosen, value.rejected]) + "\n")
            if handle is not None:
                handle.flush()
            progress.update(min(start + size, len(wanted)), len(wanted), unit="passes", note=note)
    finally:
        if handle is not None:
            handle.close()
    return found


def _round(model: LanguageModel, batches: Sequence[PairPass], world: World | None) -> dict[str, LogProbs]:
    """Return the results of at most as many batches as there are processes, each of which computes one."""
    rank = 0 if world is None else world.rank
    # A process without a batch goes through the motions: a divided model computes together or not at all.
    own = batches[min(rank, len(batches) - 1)].laid().to(model.compute.device)
    with torch.no_grad():
        work = partial(reply_logprobs, model, own)
        sums = (work() if world is None else world.forward(model, work)).tolist()
    if world is not None and world.size > 1:
        slots = [[0.0] * 2 * len(batch.pairs) for batch in batches]
        if rank < len(batches):
            slots[rank] = sums
        sums = world.sum([value for slot in slots for value in slot])
    pairs = [pair for batch in batches for pair in batch.pairs]
    return {
        pair.key: LogProbs(sums[2 * index], sums[2 * index + 1])
        for index, pair in reversed(list(enumerate(pairs)))
    }


def _agreed(found: dict[str, LogProbs], keys: list[str], world: World | None) -> dict[str, LogProbs]:
    """Return what rank 0 has found, on every rank."""
    if world is None or world.size == 1:
        return found
    values = []
    for key in keys:
        value = found.get(key) if world.is_main else None
        values += [0.0, 0.0, 0.0] if value is None else [1.0, value.chosen, value.rejected]
    summed = world.sum(values)
    return {
        key: LogProbs(summed[3 * index + 1], summed[3 * index + 2])
        for index, key in enumerate(keys)
        if summed[3 * index]
    }


def _stop_together(progress: Progress, world: World | None) -> None:
    """Raise `Interrupted` on every process if one of them was asked to stop."""
    asked = float(progress.stop_requested())
    if asked if world is None else world.sum([asked])[0]:
        raise Interrupted("stopped as asked; run the same command to go on")


def _read(path: Path) -> dict[str, LogProbs]:
    """Return what an interrupted run has kept; a line cut short by its death is left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, LogProbs] = {}
    whole = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
        if not line.endswith(b"\n"):
            break
        key, chosen, rejected = json.loads(line)
        found[key] = LogProbs(chosen, rejected)
        whole += len(line)
    if path.is_file():
        with path.open("r+b") as handle:
            handle.truncate(whole)
    return found


def write_reference(
    path: Path, pairs: Iterable[Pair], found: Mapping[str, LogProbs], *, model: str, precision: str
) -> None:
    """Write the reference's log-probabilities: key, chosen, rejected, tokens of both, and whose they are.

    Args:
        path: The file.
        pairs: Whose are to be written; of equal ones one row.
        found: By their keys.
        model: Digest of the reference.
        precision: "bf16" or "fp32".
    """
    rows = {
        pair.key: {
            "key": pair.key,
            "chosen": found[pair.key].chosen,
            "rejected": found[pair.key].rejected,
            "chosen_tokens": pair.replies[0],
            "rejected_tokens": pair.replies[1],
            "model": model,
            "precision": precision,
        }
        for pair in pairs
    }
    write_rows(path, _SCHEMA, rows.values())


def read_reference(artifact: InputArtifact, *, model: str, precision: str) -> dict[str, LogProbs]:
    """Return the log-probabilities that another run has written for this reference and precision, by key.

    Raises:
        UserError: if it has none.
    """
    path = artifact.path / REFERENCE
    if not path.is_file():
        raise UserError(
            f"reference_scores: '{artifact.name}' has no {REFERENCE}", "name a model that train.dpo has made"
        )
    rows = pq.read_table(path).to_pylist()
    found = {
        row["key"]: LogProbs(row["chosen"], row["rejected"])
        for row in rows
        if row["model"] == model and row["precision"] == precision
    }
    if not found:
        other = rows[0] if rows else {"model": "no model", "precision": precision}
        what = "another reference" if other["model"] != model else f"the reference in {other['precision']}"
        raise UserError(
            f"reference_scores: '{artifact.name}' holds the log-probabilities of {what}",
            "name a run with the same reference and precision, or leave it out",
        )
    return found
