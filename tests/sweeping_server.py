"""A scripted model for sweeps: it follows its settings as an engine would, leaks more when hot, and can be told to be deaf."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from teachers import last
from watari.endpoint.replay import Reply

LEAK = " 高校生の"
OFF = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0}
PENALTIES = ("repetition_penalty", "frequency_penalty", "presence_penalty")
EXTRAS = {"typical_p": 1, "top_n_sigma": -1, "xtc_probability": 0, "dry_multiplier": 0, "taste": None}
"""What llama.cpp and others have besides, and what "off" is; `taste` is of this server alone."""


class Scripted:
    """Answers by its settings.

    Args:
        deaf: Settings that it takes and ignores.
        forgets: True if the same seed gives another answer each time.
        loops: True if it gets stuck without a repetition penalty.
    """

    def __init__(self, *deaf: str, forgets: bool = False, loops: bool = False) -> None:
        self.deaf = deaf
        self.forgets = forgets
        self.loops = loops
        self.asked: list[dict[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> str | Reply:
        self.asked.append(dict(body))
        heard = {name: value for name, value in body.items() if name not in self.deaf}
        settings = {name: heard.get(name, off) for name, off in OFF.items()}
        penalties = {name: heard[name] for name in PENALTIES if heard.get(name) not in (None, 0, 1)}
        greedy = (
            settings["temperature"] == 0
            or settings["min_p"] == 1
            or settings["top_k"] == 1
            or settings["top_p"] < 0.001
        )
        greedy |= 0 <= heard.get("top_n_sigma", -1) < 0.001
        prompt = last(body)
        # What turns words around by chance does nothing where the likeliest one is taken.
        warm_only = ("typical_p", "top_n_sigma", "xtc_probability")
        penalties |= {
            name: heard[name]
            for name, off in EXTRAS.items()
            if heard.get(name, off) != off and not (greedy and name in warm_only)
        }
        draw = [prompt, penalties] if greedy else [prompt, penalties, settings, heard.get("seed")]
        if heard.get("typical_p", 1) < 0.001 and not greedy:
            draw.pop()  # one word is left to choose from: no seed makes a difference
        if self.forgets and not greedy:
            draw.append(len(self.asked))
        number = zlib.crc32(json.dumps(draw, sort_keys=True, ensure_ascii=False).encode())
        said = f"The answer to this question is number {number} and nothing else that I know of."
        # One draw for a prompt and a seed: the hotter, the more of them leak; min_p takes most of that away.
        uniform = zlib.crc32(f"{prompt} {heard.get('seed')}".encode()) % 1000 / 1000
        share = 0.0 if greedy else 0.5 * settings["temperature"] * (0.1 if settings["min_p"] >= 0.05 else 1.0)
        if uniform < share:
            said += LEAK + "."
        if self.loops and "repetition_penalty" not in penalties:
            return Reply(said + " and so on" * 30, "length")
        return said
