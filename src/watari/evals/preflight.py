"""Before an evaluation: what `generate.preflight` says of whoever is examined, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from watari.generate.preflight import Sent, preflight, refuse

if TYPE_CHECKING:
    from watari.artifact.stage import InputArtifact, Progress
    from watari.generate.prompting import Prompt


def look_at(
    model: object,
    artifact: InputArtifact | None,
    prompts: Mapping[str, tuple[str, Prompt]],
    *,
    allowed_inside: int = 0,
) -> list[Sent]:
    """Return what `preflight` says of whoever a stage examines.

    Args:
        model: The stage's parameter: an endpoint, or the edge of a stage that makes a model.
        artifact: The model, where it is one; its weights are not read.
        prompts: By dataset or turn: (id of the item, its prompt).
        allowed_inside: How many BOS the spec itself writes inside of a prompt.

    Raises:
        UserError: for a model without a tokenizer, or without a chat template where it is to chat.
    """
    from watari.endpoint.settings import Endpoint

    if isinstance(model, Endpoint):
        return preflight(model, prompts, allowed_inside=allowed_inside)
    assert artifact is not None  # the graph check has made sure that there is one
    return preflight(artifact.path, prompts, allowed_inside=allowed_inside)


def heed(
    sent: Sequence[Sent],
    on_bos: Literal["stop", "tell"],
    artifact: InputArtifact | None,
    progress: Progress | None = None,
    *,
    why: bool = False,
) -> None:
    """Stop an evaluation whose prompt loses or doubles BOS, or tell it and go on.

    Args:
        sent: What was found.
        on_bos: What is done.
        artifact: The model, where it is one.
        progress: Where it is told; None: nowhere.
        why: Whether it is told, too, why that matters.

    Raises:
        UserError: as `refuse` says, if it is to stop.
    """
    if on_bos == "stop":
        refuse(sent, artifact.name if artifact is not None else "")
    elif progress is not None:
        for one in sent:
            if one.verdict == "fail":
                progress.log(f"{one.name}: {one.found}: {one.meaning}" if why else f"{one.name}: {one.found}")
