"""Names of licences in one form, and what a list of them says about a document's licence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

_CREATIVE_COMMONS = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z+\-]+)(?:/([0-9.]+))?(?:/([a-z]{2})(?![a-z]))?"
)
_SYNONYMS = (
    (re.compile(r"\bcreative[ \-]commons\b"), "cc"),
    (re.compile(r"\battribution\b"), "by"),
    (re.compile(r"\bnon-?commercial\b"), "nc"),
    (re.compile(r"\bno-?deriv(?:s|atives|ativeworks)?\b"), "nd"),
    (re.compile(r"\bshare-?alike\b"), "sa"),
    (re.compile(r"\b(?:the|licen[cs]es?|version|international|unported|generic|universal)\b"), " "),
)


def license_name(text: str) -> str:
    """Return a licence's name in lower case, its parts joined by `-`: `CC BY-SA 4.0` and its URL → `cc-by-sa-4.0`."""
    low = text.strip().lower()
    if match := _CREATIVE_COMMONS.match(low):
        kind, name, version, place = match.groups()
        named = {"zero": "cc0", "mark": "pdm"}.get(name, name) if kind == "publicdomain" else f"cc-{name}"
        return "-".join(part for part in (named, version, place) if part)
    for pattern, short in _SYNONYMS:
        low = pattern.sub(short, low)
    low = re.sub(r"[\s_/,()\-]+", "-", low).strip("-")
    low = re.sub(r"-v(?=[0-9])", "-", low)
    low = re.sub(r"^cc-?(?:0|zero)(?![0-9])", "cc0", low)
    return re.sub(r"^(cc-by(?:-[a-z]+)*?)(?=[0-9])", r"\1-", low)


@dataclass(frozen=True)
class LicenseRule:
    """What licences a document may have.

    Args:
        allowed: Patterns of names; none: every licence that is not denied.
        denied: Patterns of names.
        keep_missing: Whether a document without a licence is kept.
    """

    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    keep_missing: bool

    @staticmethod
    def of(allowed: Iterable[str], denied: Iterable[str], *, keep_missing: bool) -> LicenseRule:
        """Return the rule of names as people write them."""
        return LicenseRule(
            tuple(sorted({license_name(name) for name in allowed})),
            tuple(sorted({license_name(name) for name in denied})),
            keep_missing,
        )

    def fault(self, license: str | None) -> str | None:
        """Return why a licence may not be used, or None. `A OR B` needs one that may, `A AND B` both."""
        if license is None or not license.strip():
            return None if self.keep_missing else "no licence"
        if not self.allowed and not self.denied:
            return None
        alternatives = re.split(r"\s+or\s+|\s*\|\s*", license.strip("() "), flags=re.IGNORECASE)
        for alternative in alternatives:
            parts = re.split(r"\s+and\s+", alternative, flags=re.IGNORECASE)
            if all(self._may(license_name(part)) for part in parts):
                return None
        return license.strip()

    def _may(self, name: str) -> bool:
        if any(_fits(name, pattern) for pattern in self.denied):
            return False
        return not self.allowed or any(_fits(name, pattern) for pattern in self.allowed)


def _fits(name: str, pattern: str) -> bool:
    """Return whether a pattern means this licence; one without a version means every version."""
    if fnmatchcase(name, pattern):
        return True
    return name.startswith(f"{pattern}-") and name[len(pattern) + 1 :][:1].isdigit()
