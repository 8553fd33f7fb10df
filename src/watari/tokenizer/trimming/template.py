"""Which tokens a chat template writes of its own: a model that talks in them cannot do without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.errors import UserError
from watari.tokenizer.trimming.forms import Form

if TYPE_CHECKING:
    from jinja2 import nodes

_ROLES = ("system", "user", "assistant", "tool")
"""What `message.role` may put into a prompt."""


def template_tokens(form: Form, folder: Path) -> list[int]:
    """Return the ids of the texts that the chat template of a tokenizer's folder writes, rising; [] without one.

    Each text is encoded by itself, at the start of a line and behind a word: what joins with a message's own text
    depends on that.

    Raises:
        UserError: if the template is no Jinja template.
    """
    template = _template(form.settings, folder)
    if template is None:
        return []
    from jinja2 import Environment, TemplateSyntaxError

    try:
        # Chat templates use this extension; others of theirs (generation) are only marks around what is written.
        parsed = Environment(extensions=["jinja2.ext.loopcontrols"], autoescape=True).parse(_plain(template))
    except TemplateSyntaxError as error:
        raise UserError(
            f"base: the chat template of {form.name} cannot be read: line {error.lineno}: {error.message}"
        ) from None
    texts = [text for text in _written(parsed) if text.strip()]
    if "role" in template:
        texts += _ROLES
    fixed = form.fixed()
    found: set[int] = set()
    for ids in form.encode([start + text for text in texts for start in ("", "\n", "a")]):
        found.update(int(index) for index in ids)
    return sorted(index for index in found if index not in fixed)


def _template(settings: dict[str, Any], folder: Path) -> str | None:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text("utf-8")
    given = settings.get("chat_template")
    if isinstance(given, list):
        # Several named ones.
        return "\n".join(str(item["template"]) for item in given)
    return given if isinstance(given, str) else None


def _plain(template: str) -> str:
    import re

    return re.sub(r"{%-?\s*(end)?generation\s*-?%}", "", template)


def _written(node: nodes.Node) -> Iterator[str]:
    """Yield the texts that a template puts out: those between its tags, constants inside `{{ }}`, and those set."""
    from jinja2 import nodes

    if isinstance(node, nodes.Output):
        for part in node.nodes:
            yield from _constants(part)
        return
    if isinstance(node, nodes.Assign):
        yield from _constants(node.node)
    for child in node.iter_child_nodes():
        yield from _written(child)


def _constants(node: nodes.Node) -> Iterator[str]:
    from jinja2 import nodes

    if isinstance(node, nodes.TemplateData):
        yield node.data
    elif isinstance(node, nodes.Const):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, nodes.Add):
        yield from _constants(node.left)
        yield from _constants(node.right)
    elif isinstance(node, nodes.Concat):
        for part in node.nodes:
            yield from _constants(part)
    elif isinstance(node, nodes.CondExpr):
        yield from _constants(node.expr1)
        if node.expr2 is not None:
            yield from _constants(node.expr2)
