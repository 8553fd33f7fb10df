"""Pages that stages of the run have made themselves: where each lies, as the report names it.

The report's own artifact lies in the store, away from theirs; the copy in the run folder has them beside it, under
`stages/`. So the page names the file, and its script makes a link of it in the run folder's copy alone.
"""

from __future__ import annotations

from urllib.parse import quote

from markupsafe import Markup

from watari.report.stages import ReportStage


def page_of(stage: ReportStage) -> Markup | None:
    """Return the name of the page that a stage has made, for the page's script to link; None if it has none."""
    made = sorted(entry.path for entry in stage.manifest.files if _is_page(entry.path))
    if not made or stage.uses == "report.run":
        return None
    shown = f"stages/{stage.name}/{made[0]}"
    return Markup('<code class="made" data-page="{}">{}</code>').format(quote(shown), shown)


def _is_page(path: str) -> bool:
    return path.endswith(".html") and "/" not in path
