"""The main text of a web page, by trafilatura."""

from __future__ import annotations

import importlib.util
import logging

from watari.errors import UserError

LARGEST = 4_000_000
"""Characters of HTML; a larger page is a table or a dump, and takes minutes to parse."""


def needs_extractor() -> None:
    """Make sure that pages can be read.

    Raises:
        UserError: if trafilatura is not installed.
    """
    if importlib.util.find_spec("trafilatura") is None:
        raise UserError("web pages need the package trafilatura", "pip install 'watari[warc]'")


def main_text(page: str) -> str | None:
    """Return the main text of an HTML page, a paragraph a line, or None if there is none.

    Comments, menus and links are left out; tables stay. The same page always gives the same text (trafilatura's
    duplicate filter, which remembers earlier pages, is off).
    """
    import trafilatura

    # It logs every page that it finds nothing in; those pages have a row of their own here.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    logging.getLogger("htmldate").setLevel(logging.CRITICAL)
    try:
        text = trafilatura.extract(page, include_comments=False, deduplicate=False)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return text or None
