"""Renders a page: one HTML file with everything in it, which nothing that it shows can act on.

Jinja2 escapes all that a page is given, and a content security policy allows only the page's own script, by its hash,
and no network at all. A room's page is `templates/page.html`, which extends `shell.html`; its style (`page.css`) stands
after the shared one, and its script, if it has one, between the shared script and the call that starts it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from watari.pages.labels import Labels, language_name

_HERE = "watari.pages"
# Lone surrogates cannot be written as UTF-8, and HTML allows no control characters but tab and line ends.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Template:
    """A room's kind of page.

    Args:
        package: The Python package whose `templates/` holds `page.html`, `page.css` and maybe `page.js`.
        labels: Its labels; `report` is the page's title where none is given, `footer` stands below.
        helpers: Further functions and values that the template calls by name.
    """

    package: str
    labels: Labels
    helpers: Mapping[str, object] = field(default_factory=dict)

    def render(self, *, title: str = "", **values: object) -> str:
        """Return the page as HTML that can be written as UTF-8. The same values give the same text.

        Args:
            title: Shown above everything, and as the document's title in both languages.
            values: What the template shows.
        """
        script = _text(_HERE, "switches.js") + _text(self.package, "page.js") + "page.start();\n"
        style = _text(_HERE, "base.css") + _text(self.package, "page.css")
        return writable(
            self._environment.get_template("page.html").render(
                title=title, script=Markup(script), style=Markup(style), policy=policy(script), **values
            )
        )

    @cached_property
    def _environment(self) -> Environment:
        made = environment(self.package)
        made.globals.update(
            t=self.labels.t,
            aria=self.labels.aria,
            known=self.labels.words,
            language_name=language_name,
            **self.helpers,
        )
        return made


def environment(package: str, *, autoescape: bool = True) -> Environment:
    """Return what renders the templates of a package, and the shared ones; a name that is not defined is an error."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(_HERE)]),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def policy(script: str) -> str:
    """Return the content security policy that lets this script run, the page's own style apply, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def writable(text: str) -> str:
    """Return `text` with every character that an HTML file cannot hold replaced by U+FFFD."""
    return _UNWRITABLE.sub("\ufffd", text)


def _text(package: str, name: str) -> str:
    """Return a file of a package's templates, or nothing if it has none of that name."""
    found = resources.files(package).joinpath("templates", name)
    return found.read_text("utf-8") if found.is_file() else ""
