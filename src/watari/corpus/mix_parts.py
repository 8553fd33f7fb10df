"""The parts of a mixture: which documents share a quota, how large it is, and what was given of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from watari.corpus.mix_params import MixParams
from watari.errors import UserError

_CLOSE = 1e-9
_Name = tuple[str | None, str | None]


class Group(NamedTuple):
    """Documents of one language and one source."""

    language: str
    source: str


@dataclass(frozen=True)
class Part:
    """Documents that share a quota.

    Args:
        language: None for all.
        source: None for all that have no part of their own.
        share: Of all tokens.
        tokens: What its documents hold, each once.
        available: Documents there are.
        others: True if further sources of the language have parts of their own.
        quota: Tokens wanted.
        given: Tokens given, repeats included.
        documents: Documents of which there is a copy at least.
        repeated: Documents of which there is more than one.
    """

    language: str | None
    source: str | None
    share: float
    tokens: int
    available: int
    others: bool = False
    quota: int = 0
    given: int = 0
    documents: int = 0
    repeated: int = 0

    @property
    def name(self) -> str:
        """What it is called in a message."""
        source = "other sources" if self.others else self.source
        return " / ".join(name for name in (self.language, source) if name is not None) or "all documents"

    def filled(self, *, given: int, documents: int, repeated: int) -> Part:
        """Return it with what was given."""
        return replace(self, given=given, documents=documents, repeated=repeated)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


def parts_of(supply: Mapping[Group, Sequence[int]], params: MixParams) -> tuple[list[Part], dict[Group, int]]:
    """Return the parts of the mixture, sorted by name, and the number of each group's part.

    Args:
        supply: (tokens, documents) of each group.
        params: The mixture.

    Returns:
        Parts with a share, held by documents or not; a group without a share is not in the mapping.
    """
    sizes: dict[_Name, list[int]] = {}
    home: dict[Group, _Name] = {}
    for group in sorted(supply):
        language = group.language if params.languages else None
        if language is not None and language not in params.languages:
            continue
        source = group.source if group.source in params.sources_of(language) else None
        home[group] = (language, source)
        found = sizes.setdefault((language, source), [0, 0])
        found[0] += supply[group][0]
        found[1] += supply[group][1]
    shares: dict[_Name, float] = {}
    whole: dict[str | None, float] = dict(params.languages.items()) if params.languages else {None: 1.0}
    for language, share in whole.items():
        named = params.sources_of(language)
        for source, portion in named.items():
            shares[language, source] = share * portion
        rest = 1.0 - math.fsum(named.values())
        # Shares that sum to 1 leave nothing for sources without a name; where no such source is, nothing is missed.
        if rest > _CLOSE:
            shares[language, None] = share * rest
    wanted = sorted(
        (name for name, share in shares.items() if share > 0), key=lambda name: [part or "" for part in name]
    )
    parts = []
    for language, source in wanted:
        tokens, documents = sizes.get((language, source), [0, 0])
        others = source is None and bool(params.sources_of(language))
        parts.append(Part(language, source, shares[language, source], tokens, documents, others))
    place = {name: number for number, name in enumerate(wanted)}
    return parts, {group: place[name] for group, name in home.items() if name in place}


def left_out(supply: Mapping[Group, Sequence[int]], part_of_group: Mapping[Group, int]) -> list[str]:
    """Return a warning for each group of documents that has no share."""
    return [
        f"mix: '{group.language}' of '{group.source}' has no share: its {documents:,} documents are left out"
        for group, (_, documents) in sorted(supply.items())
        if group not in part_of_group and documents
    ]


def quotas(parts: list[Part], params: MixParams) -> tuple[list[Part], list[str]]:
    """Return the parts with their quotas, and a warning for each that holds too little.

    Raises:
        UserError: if a part holds nothing while the total is to follow the scarcest, or, with `on_short: stop`, too
            little.
    """
    if params.tokens is None:
        for part in parts:
            if not part.tokens:
                raise UserError(
                    f"mix: {part.name} has a share of {part.share:g} and no document is left of it",
                    "take it out of the mix, or add such documents",
                )
        total = min((part.tokens * params.repeats / part.share for part in parts), default=0.0)
        # Rounding must not ask the scarcest part for more than it holds.
        filled = [
            replace(part, quota=min(math.floor(total * part.share + _CLOSE), part.tokens * params.repeats))
            for part in parts
        ]
        return filled, []
    filled = [replace(part, quota=round(params.tokens * part.share)) for part in parts]
    short = [part for part in filled if part.tokens * params.repeats < part.quota]
    warnings = [
        f"mix: {part.name}: {part.quota:,} tokens are wanted, its {part.available:,} documents hold {part.tokens:,}"
        + (f", {part.tokens * params.repeats:,} with {params.repeats} copies" if params.repeats > 1 else "")
        for part in short
    ]
    if warnings and params.on_short == "stop":
        raise UserError(
            warnings[0], "lower `tokens`, raise `repeats`, change the shares, or set on_short: warn"
        )
    return filled, warnings
