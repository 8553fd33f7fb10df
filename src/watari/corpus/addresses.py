"""URLs as lists compare them: hosts in one form, paths without escapes, broken ones told apart."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote

SCHEME = re.compile(r"^(?:[a-z][a-z0-9+.\-]*:)?[/\\]+", re.IGNORECASE)
"""What stands before the host, as people write it."""
_HOST = re.compile(r"^[a-z0-9_](?:[a-z0-9_\-.]*[a-z0-9_])?$|^\[[0-9a-f:.]+\]$")


@dataclass(frozen=True)
class Address:
    """A URL as lists see it.

    Args:
        host: Lower case, IDNs as punycode, without port, credentials and a dot at its end.
        path: From the first slash on, with the query, %-escapes resolved, without the fragment; `/` if there is none.
    """

    host: str
    path: str

    @property
    def site(self) -> str:
        """The host without `www.`, which URL lists do not tell apart."""
        return self.host.removeprefix("www.")

    @property
    def domains(self) -> list[str]:
        """The host, and every domain that it lies in, the longest first."""
        if self.host.startswith("[") or re.fullmatch(r"[0-9.]+", self.host):
            return [self.host]
        parts = self.host.split(".")
        return [".".join(parts[index:]) for index in range(len(parts))]

    @property
    def folders(self) -> list[str]:
        """Site and path up to each slash, with it, the longest first."""
        path = self.path.split("?")[0]
        ends = [index + 1 for index, char in enumerate(path) if char == "/"]
        below = [] if path.endswith("/") else [f"{path}/"]
        return [self.site + part for part in (*below, *(path[:end] for end in reversed(ends)))]


def split_url(url: str) -> Address | None:
    """Return a URL's address; None if it holds no host that could be one. A missing scheme is no fault."""
    text = SCHEME.sub("", url.strip())
    end = re.search(r"[/\\?#]", text)
    authority, rest = (text[: end.start()], text[end.start() :]) if end else (text, "")
    authority = authority.rpartition("@")[2]
    authority = re.sub(r":\d*$", "", authority)
    host = unicodedata.normalize("NFKC", unquote(authority)).replace("。", ".").strip(".").lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    if not _HOST.match(host):
        return None
    rest = rest.partition("#")[0].replace("\\", "/")
    path = unicodedata.normalize("NFC", unquote(rest, errors="replace"))
    path = re.sub("/{2,}", "/", path) if "?" not in path else path
    return Address(host, path if path.startswith("/") else f"/{path}")
