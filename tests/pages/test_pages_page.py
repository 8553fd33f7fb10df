"""A page holds everything it needs, and nothing that it shows can act on it."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from jinja2 import TemplateRuntimeError, UndefinedError

from in_chromium import dump, needs_chromium, said_in
from watari.pages.labels import FRAME, Labels
from watari.pages.page import Template, environment, policy, writable

WORDS = FRAME | {"report": ("A page", "あるページ"), "footer": ("The end.", "以上。")}
EVIL = "</script><img src=x onerror=alert(1)>\x00\ud800"
PAGE = """{% extends "shell.html" %}
{% macro strong(text) %}<strong>{{ text }}</strong>{% endmacro %}
{% block root %} data-size="small"{% endblock %}
{% block contents %}<li><a href="#far">far</a></li>{% endblock %}
{% block counts %}{{ doubled(n) }}{% endblock %}
{% block content %}
<button type="button" data-set-size="small">s</button><button type="button" data-set-size="large">l</button>
<details id="near"><summary>near</summary><details id="far"><summary>far</summary>{{ strong(said) }}</details></details>
{% endblock %}
"""


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Template:
    """A page of a package of its own."""
    package = f"toy_page_{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    folder = tmp_path / package / "templates"
    folder.mkdir(parents=True)
    folder.with_name("__init__.py").write_text("")
    (folder / "page.html").write_text(PAGE, "utf-8")
    (folder / "page.css").write_text("body { --mine: 1; }\n", "utf-8")
    (folder / "page.js").write_text('page.toggles("size");\n', "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return Template(package, Labels(WORDS), {"doubled": lambda n: 2 * n})


def test_what_is_shown_cannot_act(template: Template) -> None:
    html = template.render(title=EVIL, said=EVIL, n=21)
    html.encode("utf-8")
    assert "<img" not in html
    assert html.count("<script>") == 1
    assert "<strong>&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;\ufffd\ufffd</strong>" in html
    assert '<p class="counts">42</p>' in html
    assert re.search(r'data-title-ja="&lt;/script&gt;', html)


def test_the_policy_is_that_of_the_script(template: Template) -> None:
    html = template.render(said="", n=1)
    script = html.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in html
    assert policy(script).startswith(f"default-src 'none'; script-src 'sha256-{digest}'; ")
    # The page's own script comes between the shared one and its start, its style behind the shared one.
    assert script.endswith('page.toggles("size");\npage.start();\n')
    assert html.index("--paper:") < html.index("--mine:") < html.index("</style>")


def test_titles_are_in_both_languages_where_none_is_given(template: Template) -> None:
    html = template.render(said="", n=1)
    assert (
        '<html lang="en" data-lang="en" data-title-en="A page" data-title-ja="あるページ" data-size="small">'
        in html
    )
    assert "<title>A page</title>" in html
    assert "<title>Mine</title>" in template.render(title="Mine", said="", n=1)
    assert html == template.render(said="", n=1)


def test_a_name_that_is_not_there_is_an_error(template: Template) -> None:
    with pytest.raises(UndefinedError, match="said"):
        template.render(n=1)


def test_a_page_must_fill_its_frame() -> None:
    with pytest.raises(TemplateRuntimeError, match="Required block"):
        environment("watari.pages").get_template("shell.html").render(
            title="", known=WORDS, t=Labels(WORDS).t, aria=Labels(WORDS).aria, policy="", style="", script=""
        )


def test_what_a_file_cannot_hold_is_replaced() -> None:
    assert writable("a\x00b\ud800c\td\n\x9f\uffff") == "a\ufffdb\ufffdc\td\n\ufffd\ufffd"


@needs_chromium
@pytest.mark.parametrize("fragment", ["", "#ja/dark/large/far", "#%E0%A4%A"])
def test_switches(template: Template, tmp_path: Path, fragment: str) -> None:
    script = """
      const root = document.documentElement, said = [];
      const look = () => said.push([root.dataset.lang, root.dataset.theme || "", root.dataset.size,
        document.title, document.getElementById("near").open, document.querySelectorAll(".arrived").length, location.hash]);
      look();
      document.querySelector("[data-set-size=large]").click();
      document.querySelector("[data-set-lang=ja]").click();
      document.querySelector("a[href='#far']").click();
      look();
      said.push(document.querySelector("[data-set-size=large]").getAttribute("aria-pressed"),
        document.querySelector("nav").getAttribute("aria-label"), root.dataset.ready);
      root.dataset.said = JSON.stringify(said);
    """
    html = template.render(said="", n=1)
    first, second, *rest = said_in(dump(html, tmp_path, fragment, extra=script))
    theme = "dark" if "dark" in fragment else ""
    asked = fragment.startswith("#ja")
    assert first == (
        ["ja", "dark", "large", "あるページ", True, 1, fragment]
        if asked
        else ["en", "", "small", "A page", False, 0, fragment]
    )
    shown = "/".join(part for part in ("#ja", theme, "large", "far") if part)
    assert second == ["ja", theme, "large", "あるページ", True, 1, shown]
    assert rest == ["true", "目次", "yes"]
