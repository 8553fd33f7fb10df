"""An extended tokenizer cut back to its first k new pieces.

Grafts are nested: the first k pieces of one run are what a run for k gives, so that one tokenizer tells of every size.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.pretrained.graft import Graft, read_graft
from watari.tokenizer.encoder import Encoder
from watari.tokenizer.foreign import encoder_of


class Nested:
    """The tokenizers of every size that lie in an extended tokenizer's folder.

    Its tokenizer.json is cut: the later pieces leave the vocabulary, and with them every merge that makes or uses one.

    Args:
        folder: What `tokenizer.extend` wrote.

    Raises:
        UserError: if it holds no graft.json, or no tokenizer.json that goes with it.
    """

    def __init__(self, folder: Path) -> None:
        self.graft: Graft = read_graft(folder)
        path = folder / "tokenizer.json"
        try:
            self._content: dict[str, Any] = json.loads(path.read_text("utf-8"))
            self._ids: dict[str, int] = self._content["model"]["vocab"]
            merges = self._content["model"]["merges"]
        except FileNotFoundError:
            raise UserError(
                f"{folder}: no tokenizer.json", "feed the folder that tokenizer.extend wrote"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}: not the tokenizer.json of a byte-pair encoding") from None
        pairs = (pair.split(" ", 1) if isinstance(pair, str) else pair for pair in merges)
        self._merges: list[tuple[str, str]] = [(left, right) for left, right in pairs]
        base = self.graft.base_vocabulary
        wrong = next(
            (piece for place, piece in enumerate(self.graft.pieces) if self._ids.get(piece) != base + place),
            None,
        )
        if wrong is not None:
            raise UserError(
                f"{path}: {wrong!r} of graft.json is not the piece that it says: they belong apart"
            )
        self._made: dict[int, Encoder] = {}
        self._needs = [
            max(self._ids.get(part, len(self._ids) + base) for part in (left, right, left + right))
            for left, right in self._merges
        ]

    def __len__(self) -> int:
        """Number of new pieces."""
        return len(self.graft.pieces)

    def first(self, count: int) -> Encoder:
        """Return the tokenizer with the first `count` new pieces; 0 is the base."""
        if count in self._made:
            return self._made[count]
        made = self._cut(self.graft.base_vocabulary + count)
        if count in (0, len(self)):
            # Asked for again and again; the sizes between are tens of megabytes each, and are asked for once.
            self._made[count] = made
        return made

    def _cut(self, end: int) -> Encoder:
        model = dict(self._content["model"])
        model["vocab"] = {piece: index for piece, index in self._ids.items() if index < end}
        model["merges"] = [
            list(pair) for pair, needs in zip(self._merges, self._needs, strict=True) if needs < end
        ]
        content = {**self._content, "model": model}
        return encoder_of(json.dumps(content), f"+{end - self.graft.base_vocabulary}", content)

    def texts(self) -> list[str | None]:
        """Return the text of each new piece; None for a part of a character."""
        surfaces = self.first(len(self)).surfaces()
        found: list[str | None] = []
        for surface in surfaces[self.graft.base_vocabulary : self.graft.vocabulary]:
            try:
                found.append(None if surface is None else surface.decode("utf-8"))
            except UnicodeDecodeError:
                found.append(None)
        return found
