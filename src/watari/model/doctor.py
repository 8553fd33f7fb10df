"""Examine a model folder before anybody relies on it: what is there, what it means, how to mend it.

The weights are read (headers, and the rows of embeddings and head), the model is not loaded.

`watari doctor MODEL --json` prints

    {"model": "path as given",
     "ok": true,
     "checks": [{"name": "template.bos", "status": "ok" | "warn" | "fail",
                 "found": "what is there", "meaning": "why it matters", "mend": "what to do, or empty"}]}

`ok` is false if any check failed; the exit code is then 3. Names are stable. A check that does not apply (the template's
checks of a base model, the comparison of two tokenizer files where there is one) is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.model.checks import settings, template, tokenizer, weights
from watari.model.checks.patient import Check, Patient

CHECKS: tuple[Callable[[Patient], Check | None], ...] = (
    settings.config,
    weights.files,
    weights.dtype,
    weights.tied,
    weights.rows,
    weights.values,
    tokenizer.loads,
    tokenizer.bos,
    tokenizer.pad,
    tokenizer.special_ids,
    tokenizer.as_written,
    tokenizer.files_agree,
    tokenizer.round_trip,
    template.present,
    template.turns,
    template.system,
    template.bos,
    template.prompt,
    template.prefix,
    template.eos,
    settings.eos,
    settings.sampling,
    settings.context,
)
"""Every check, in the order of the report."""


@dataclass(frozen=True)
class Report:
    """What the doctor found, one entry a check that applies."""

    model: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """True if no check failed; warnings do not count."""
        return all(check.status != "fail" for check in self.checks)

    def count(self, status: str) -> int:
        """Return how many checks ended with this status."""
        return sum(check.status == status for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON form."""
        return {"model": self.model, "ok": self.ok, "checks": [asdict(check) for check in self.checks]}


def examine(folder: Path, *, name: str | None = None) -> Report:
    """Run every check on a model folder.

    Args:
        folder: A folder with config.json.
        name: How to call it in the report; default: the folder.

    Raises:
        UserError: if the folder cannot be read as a model at all (no config.json, broken JSON, a damaged file).
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json", "a Hugging Face model folder is wanted")
    patient = Patient(folder)
    found = (check(patient) for check in CHECKS)
    return Report(name or str(folder), tuple(check for check in found if check is not None))
