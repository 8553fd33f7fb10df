"""Keeps secrets out of the ledger, where a server's answer repeats one."""

from __future__ import annotations

import json
from urllib.parse import quote

_SHORTEST = 8
"""Shorter keys are words (`EMPTY`, `none`: what local servers are given) and would blot out parts of honest answers."""

_BLOT = "[hidden]"


class Secrets:
    """What must not be written down."""

    def __init__(self) -> None:
        self._forms: list[tuple[str, bytes]] = []

    def add(self, *secrets: str) -> None:
        """Hide these from now on, also as they stand in JSON and in addresses."""
        known = {text for text, _ in self._forms}
        for secret in secrets:
            if len(secret) < _SHORTEST:
                continue
            for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
                if form not in known:
                    known.add(form)
                    self._forms.append((form, form.encode()))
        # The longest first: one secret may begin with another.
        self._forms.sort(key=lambda form: (-len(form[0]), form[0]))

    def clean(self, data: bytes) -> bytes:
        """Return the bytes without any secret."""
        for _, secret in self._forms:
            if secret in data:
                data = data.replace(secret, _BLOT.encode())
        return data

    def clean_text(self, text: str) -> str:
        """Return the text without any secret."""
        for secret, _ in self._forms:
            if secret in text:
                text = text.replace(secret, _BLOT)
        return text
