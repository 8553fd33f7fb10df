"""Pages in a real browser."""

from __future__ import annotations

import html as markup
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
needs_chromium = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
TOOLS = """
  const onPhone = () => {
    const source = "<!DOCTYPE html>" + document.documentElement.outerHTML.replace(/<script>[^]*?<\\/script>/g, "");
    const frame = document.createElement("iframe");
    frame.style.cssText = "width:360px;height:800px;border:0";
    document.body.replaceChildren(frame);
    const inside = frame.contentDocument;
    inside.open(); inside.write(source); inside.close();
    for (const part of inside.querySelectorAll("details")) part.open = true;
    return inside;
  };
"""
"""What a test's script can call: `onPhone()` shows the page 360 px wide, everything unfolded, and returns that document.

It shows as much of the page as is in the document by then; no script of the page runs in it.
"""


def dump(html: str, folder: Path, fragment: str = "", extra: str = "", *, wait_ms: int = 0) -> str:
    """Return the page's DOM after its script has run, without a complaint; `extra` is a script that runs after it, with
    `TOOLS`.

    `wait_ms`: of the browser's own clock, for what a page does later than at once.
    """
    if BROWSER is None:
        pytest.skip("no Chromium here")
    # The policy would refuse the test's own script, so it is taken out of this copy where there is one.
    if extra:
        html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
        html = html.replace("</body>", f"<script>{TOOLS}{extra}</script></body>")
    page = folder / "page.html"
    page.write_text(html, "utf-8")
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            "--lang=en-US",
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1200,900",
            *([f"--virtual-time-budget={wait_ms}"] if wait_ms else []),
            "--dump-dom",
            f"{page.as_uri()}{fragment}",
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    complaints = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line]
    assert complaints == []
    return done.stdout.decode("utf-8")


def said_in(dom: str) -> Any:
    """Return what a test's script has left as JSON in a `data-said` of the page."""
    (found,) = re.findall(r'data-said="([^"]*)"', dom)
    return json.loads(markup.unescape(found))
