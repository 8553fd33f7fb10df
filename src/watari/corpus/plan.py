"""The plan of a build: pieces, parameters and what follows from them, written once and read by every task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from watari.artifact import atomic
from watari.corpus.ingest import Piece
from watari.corpus.params import Params
from watari.corpus.personal import PersonalParams
from watari.corpus.rules.profile import Profile
from watari.corpus.work import PLAN, Work, read_json
from watari.languages.personal import personal_languages

PACKED = 4
"""About how much larger a packed file's text is than the file."""


def text_bytes(piece: Piece) -> int:
    """Return about how many bytes of text a piece holds; 0 where nothing is known."""
    return piece.size * (PACKED if piece.file.endswith((".gz", ".zst", ".parquet")) else 1)


@dataclass(frozen=True)
class Plan:
    """What every task knows.

    Args:
        params: The parameters; inputs of other stages are in the pieces.
        pieces: What is read, sorted; the tasks of `clean`, `screen`, `score` and `write` have one of `groups` each.
        profile: With all changes; None for a build without rules.
    """

    params: Params
    pieces: list[Piece]
    profile: Profile | None

    @cached_property
    def groups(self) -> list[list[Piece]]:
        """The pieces of each task: one, or several small files that follow each other."""
        found: list[list[Piece]] = []
        room = 0
        for piece in self.pieces:
            size = text_bytes(piece)
            if found and 0 < size <= room:
                found[-1].append(piece)
                room -= size
            else:
                found.append([piece])
                # Of a file whose size is not known nothing is known.
                room = self.params.shard - size if size else 0
        return found

    @property
    def languages(self) -> list[str] | None:
        """The languages that stay; None: all."""
        if self.params.language is not None or self.profile is None:
            return self.params.language
        return list(self.profile.languages or (self.profile.language,))

    @property
    def masking(self) -> PersonalParams | None:
        """What personal data is masked, or None; drawn with the build's seed."""
        found = self.params.personal
        if found is None and self.profile is not None:
            own = self.profile.language
            found = PersonalParams(languages=[own]) if own in personal_languages() else PersonalParams()
        return found.model_copy(update={"seed": self.params.seed}) if found else None

    @property
    def footer_language(self) -> str | None:
        """The language whose page footers are cut; None: they are not."""
        if self.profile is None:
            return None
        wanted = self.profile.web if self.params.footer is None else self.params.footer
        return self.profile.language if wanted else None

    @property
    def measured_share(self) -> float:
        """The share of rows that every rule measures."""
        if self.profile is None or not self.params.measure:
            return 0.0
        size = sum(map(text_bytes, self.pieces))
        return min(1.0, self.params.measure / size) if size else 1.0

    @property
    def examples(self) -> int:
        """Dropped texts a reason that a task keeps the heads of."""
        return max(20, self.params.examples // max(1, len(self.groups)))

    @property
    def chosen(self) -> bool:
        """True if not everything that is clean goes in: there is a selection or a mixture."""
        return self.params.select is not None or self.params.mix is not None

    def write(self, work: Work) -> None:
        """Write it down for the tasks."""
        atomic.write_json(work.root / PLAN, self.plain(), indent=None)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "params": self.params.model_dump(mode="json", by_alias=True),
            "pieces": [piece.model_dump(mode="json", by_alias=True) for piece in self.pieces],
            "profile": self.profile.model_dump(mode="json") if self.profile else None,
        }


def load_plan(work: Work) -> Plan:
    """Return the plan of a work folder; read once a process."""
    path = work.root / PLAN
    return _load(str(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load(path: str, changed: int) -> Plan:
    from pathlib import Path

    value = read_json(Path(path))
    return Plan(
        Params.model_validate(value["params"]),
        [Piece.model_validate(piece) for piece in value["pieces"]],
        Profile.model_validate(value["profile"]) if value["profile"] else None,
    )
