"""The certificate beside an extended tokenizer: every invariant asked of the files as they lie there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from watari.artifact import atomic
from watari.errors import CheckFailed
from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.opening import open_encoder
from watari.tokenizer.script import Script

if TYPE_CHECKING:
    from watari.artifact.stage import Progress
    from watari.tokenizer.texts import Text
    from watari.tokenizer.verify import Sheet

REFERENCE_LINES = 2_000
"""Lines that the slow reference encoders are asked; `watari tokenizer verify` asks ten times as many."""


def certify(
    base: BpeTokenizer,
    base_files: Path,
    folder: Path,
    texts: Sequence[Text],
    script: Script,
    *,
    fuzz: int,
    seed: int,
    progress: Progress | None = None,
) -> Sheet:
    """Ask every invariant of the tokenizer in `folder` and write `certificate.json` there.

    Args:
        base: The tokenizer that it extends.
        base_files: The file or folder that `base` was read from.
        folder: The extended tokenizer's folder, as it was written.
        texts: Documents, best such as nothing was learned from.
        script: The target script.
        fuzz: Number of drawn strings.
        seed: Of them.
        progress: Told how far it is.

    Raises:
        CheckFailed: naming the invariants that do not hold; the certificate is written all the same.
    """
    from watari.tokenizer.verify import verify
    from watari.tokenizer.verify.sheet import CERTIFICATE

    sheet = verify(
        base,
        open_encoder(str(folder), name="extended"),
        texts,
        script=script,
        fuzz=fuzz,
        seed=seed,
        reference=REFERENCE_LINES,
        base_files=base_files,
        extended_files=folder,
        progress=progress,
    )
    atomic.write_json(folder / CERTIFICATE, sheet.certificate())
    if not sheet.holds:
        raise CheckFailed(
            f"the extended tokenizer breaks {len(sheet.failed)} of {len(sheet.results)} invariants: "
            f"{', '.join(sheet.failed)}; {CERTIFICATE} and `watari tokenizer verify` say more"
        )
    return sheet
