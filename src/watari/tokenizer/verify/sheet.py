"""The outcome of a verification: one result an invariant, and what was asked of which tokenizers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from watari.tokenizer.script import Script

CERTIFICATE = "certificate.json"
FORMAT = 1
ALIGNMENTS = (8, 64, 128)
"""Table sizes that matrix units like to have as a divisor."""


@dataclass(frozen=True)
class CounterExample:
    """One case in which an invariant does not hold.

    Args:
        text: The shortest part of the text in which the fault still shows, or the token that it is about.
        base: What the base makes of it, one string a token; bytes that are no text as `<0xE3>`.
        extended: What the extended tokenizer makes of it.
        position: Place of the first difference: a token's index, or a byte of the text for `coarsening`; for a fault
            of the files, the id or the rank.
        found_in: Id of the document, or `fuzz N`; empty for a fault of the files.
        sides: What stands in `base` and `extended`; two forms of the extended tokenizer where those are compared.
    """

    text: str
    base: tuple[str, ...]
    extended: tuple[str, ...]
    position: int
    found_in: str = ""
    sides: tuple[str, str] = ("base", "extended")


@dataclass(frozen=True)
class Result:
    """Whether one invariant holds.

    Args:
        name: Stable name.
        law: Its number on the facts page (I1 ... I9), or empty.
        title: What is promised.
        holds: Whether it does; None if it cannot be asked of these forms, and then `note` says why.
        cases: How many texts, tokens or entries were asked.
        failures: In how many of them it does not hold.
        counter_example: One of them.
        note: What else was seen.
    """

    name: str
    law: str
    title: str
    holds: bool | None
    cases: int
    failures: int
    counter_example: CounterExample | None = None
    note: str = ""


@dataclass(frozen=True)
class Asked:
    """What the invariants were asked of: numbers of texts, lines and fuzz strings, and the seed of the latter."""

    documents: int
    characters: int
    fuzz: int
    reference_lines: int
    seed: int


@dataclass(frozen=True)
class Side:
    """One of the two tokenizers: its name, its size, and the hash of what its ids mean."""

    name: str
    vocabulary: int
    digest: str


@dataclass(frozen=True)
class Sheet:
    """Everything that a verification found.

    Args:
        base: The base.
        extended: The extended tokenizer.
        script: The target script; None if there is no new token and none was given.
        script_from: Where the script is from: "given", "graft.json" or "the new tokens".
        asked: What was asked.
        used: New tokens that come out when the documents are encoded.
        results: One an invariant, in the order of the table.
    """

    base: Side
    extended: Side
    script: Script | None
    script_from: str
    asked: Asked
    used: int
    results: tuple[Result, ...]

    @property
    def holds(self) -> bool:
        """True if no invariant fails; what cannot be asked does not count."""
        return all(result.holds is not False for result in self.results)

    @property
    def failed(self) -> list[str]:
        """Return the names of the invariants that fail."""
        return [result.name for result in self.results if result.holds is False]

    @property
    def added(self) -> int:
        """Number of new ids."""
        return self.extended.vocabulary - self.base.vocabulary

    @property
    def aligned(self) -> list[int]:
        """Return those of `ALIGNMENTS` that divide the size of the extended table."""
        return [size for size in ALIGNMENTS if self.extended.vocabulary % size == 0]

    def result(self, name: str) -> Result:
        """Return one invariant's result."""
        return next(result for result in self.results if result.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return everything, as `watari tokenizer verify --json` prints it."""
        return {
            "holds": self.holds,
            "base": asdict(self.base),
            "extended": asdict(self.extended),
            "added": self.added,
            "aligned": self.aligned,
            "used": self.used,
            "script": self._script() and {**self._script(), "from": self.script_from},
            "asked": asdict(self.asked),
            "invariants": [asdict(result) for result in self.results],
        }

    def certificate(self) -> dict[str, Any]:
        """Return the content of `certificate.json`: no texts, times or paths, so that it is the same on every run."""
        return {
            "format": FORMAT,
            "holds": self.holds,
            "base": {"vocabulary": self.base.vocabulary, "digest": self.base.digest},
            "extended": {"vocabulary": self.extended.vocabulary, "digest": self.extended.digest},
            "added": self.added,
            "aligned": self.aligned,
            "script": self._script(),
            "promise": self._promise(),
            "asked": asdict(self.asked),
            "invariants": [
                {
                    "name": result.name,
                    "law": result.law,
                    "title": result.title,
                    "holds": result.holds,
                    "cases": result.cases,
                    "failures": result.failures,
                    **({"reason": result.note} if result.holds is None else {}),
                }
                for result in self.results
            ],
        }

    def _script(self) -> dict[str, Any]:
        if self.script is None:
            return {}
        ranges = [f"{first:04X}-{last:04X}" for first, last in self.script.strict]
        return {"language": self.script.language, "strict": ranges, "shared_with": list(self.script.shares)}

    def _promise(self) -> str:
        if self.script is None:
            return "every text keeps its ids"
        outside = (
            f" Texts in {', '.join(self.script.shares)} hold such characters too."
            if self.script.shares
            else ""
        )
        return (
            f"A text keeps the base's ids if it holds none of the strict characters of {self.script.language}, "
            f"in whatever language it is.{outside}"
        )
