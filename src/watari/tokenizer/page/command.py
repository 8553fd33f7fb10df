"""The body of `watari tokenizer report`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from watari.artifact import atomic
from watari.errors import UserError
from watari.tokenizer.page.build import HIDDEN, build
from watari.tokenizer.page.nested import Nested


def report_command(
    folder: Path,
    out: Path,
    *,
    base: str | None = None,
    files: Sequence[str] = (),
    field: str = "text",
    unit: str = "document",
    title: str = "",
    hidden: Sequence[int] = HIDDEN,
    seed: int = 0,
) -> Path:
    """Write the page of the extended tokenizer in `folder` to `out`, and return where it lies.

    Args:
        folder: What `tokenizer.extend` wrote: graft.json and tokenizer.json are read.
        out: The HTML file; its folder is made.
        base: What it extends, as `open_base` takes it: the page is then refused if that is another tokenizer. The base
            itself is read from `folder`, as everything else.
        files: Texts to measure and cut; held out from learning, if they are to tell what to expect.
        field: The column that holds the text.
        unit: What one document of a .txt file is: "document", "paragraph" or "line".
        title: Shown above everything; default: the folder's name.
        hidden: Sizes of a model's hidden layer, for the cost in parameters.
        seed: Of draws and the bootstrap.

    Raises:
        UserError: naming what cannot be read, or does not belong together.
    """
    from watari.tokenizer.measure.names import short_names
    from watari.tokenizer.opening import open_base
    from watari.tokenizer.texts import read_texts

    if out.is_dir():
        raise UserError(f"{out}: a folder", "give a file's name, e.g. report.html")
    if any(size < 1 for size in hidden) or not hidden:
        raise UserError("hidden: sizes of a hidden layer are positive numbers")
    twice = next((file for file in files if list(files).count(file) > 1), None)
    if twice is not None:
        raise UserError(f"{twice}: this file is named twice")
    nested = Nested(folder)
    if not len(nested):
        raise UserError(f"{folder}: this tokenizer has no new pieces")
    if base is not None and open_base(base).digest() != nested.graft.base_digest:
        raise UserError(
            f"{base}: not the base of {folder}: their pieces differ",
            "give the tokenizer that it was made from",
        )
    texts = [
        # No place on a disk stands in the page.
        replace(text, source=shown)
        for file, shown in zip(files, short_names(files), strict=True)
        for text in read_texts([file], field=field, unit=unit)
    ]
    page = build(nested, texts, title=title or folder.absolute().name, hidden=hidden, seed=seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(out, page)
    return out
