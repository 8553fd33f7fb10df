"""The run folder's own copy of the report: the artifact's page with the times and speeds of this run in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import watari
from watari.artifact import atomic
from watari.artifact.manifest import Manifest, now
from watari.flow.folder import RunFolder
from watari.recipe.graph import Recipe

KIND = "report.run"
PAGE = "report.html"


def copy_report(
    folder: RunFolder, recipe: Recipe, made: Mapping[str, Manifest], built: Sequence[str], started: str
) -> Path | None:
    """Write `RUN/report.html` if the recipe has a report and it is made; return its place, or None.

    The page in the store is the same for the same artifacts, so it holds no times; the copy is this run's own.

    Args:
        folder: The run's folder.
        recipe: Its recipe; of several reports the last is taken.
        made: The manifests of the stages that are there.
        built: The stages that this run made; the others were cached.
        started: When the run began, ISO 8601.

    Raises:
        ValueError: if the page was not made by `report.run`.
        OSError: if it cannot be read or written.
    """
    reports = [node.name for node in recipe.nodes.values() if node.stage.kind == KIND and node.name in made]
    if not reports:
        return None
    from watari.report.page import with_run_times

    page = (folder.link(reports[-1]) / PAGE).read_text("utf-8")
    stages = [
        {
            "name": name,
            "seconds": manifest.seconds,
            "performance": manifest.performance,
            "state": "built" if name in built else "cached",
        }
        for name, manifest in made.items()
    ]
    run = {"stages": stages, "started": started, "finished": now(), "watari": watari.__version__}
    atomic.write_text(folder.root / PAGE, with_run_times(page, run))
    return folder.root / PAGE
