"""A teacher that translates one little dialogue about railway stations, with faults planted by row number."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from watari.artifact.rows import Row
from watari.artifact.stage import Silent, StageResult
from watari.endpoint.ledger import open_ledger
from watari.endpoint.replay import Listening, Script, serve
from watari.synth.translate import Params, translate_rows

STATIONS = ("Kyoto", "Osaka", "Nara", "Kobe", "Ueno", "Sendai", "Nagoya")
_JAPANESE = ("京都", "大阪", "奈良", "神戸", "上野", "仙台", "名古屋")
_BLOCK = re.compile(r"^\[\[(\d+)\]\] (.*?)(?=^\[\[\d+\]\] |\Z)", re.S | re.M)

Fault = Callable[[Mapping[str, Any], dict[int, str]], Any]
"""From the request's body and the right translations to what is said instead."""


def row(number: int, *, code: bool = False, turns: int = 1) -> Row:
    messages = []
    for turn in range(turns):
        station = STATIONS[(number + turn) % len(STATIONS)]
        ask = f"Where is platform {number} of the {station} station?"
        if code:
            ask += f"\n\n```python\nprint('platform {number}')\n```"
        tell = f"Platform {number} of the {station} station is behind the bakery on the left."
        if code:
            tell += f" See `plan.{number}` or https://example.com/plan/{number} for the way."
        messages += [{"role": "user", "content": ask}, {"role": "assistant", "content": tell}]
    return {
        "id": f"row-{number}",
        "messages": messages,
        "language": "en",
        "source": "stations",
        "license": "CC0-1.0",
        "meta": json.dumps({"line": number % 3}),
    }


def translated(text: str) -> str:
    """Return the right translation of one segment."""
    for english, japanese in zip(STATIONS, _JAPANESE, strict=True):
        text = text.replace(f"the {english} station", japanese + "駅")
    text = re.sub(r"Where is platform (\d+) of (\S+駅)\?", r"\2の\1番ホームはどこですか？", text)
    text = re.sub(
        r"Platform (\d+) of (\S+駅) is behind the bakery on the left\.",
        r"\2の\1番ホームは、左手のパン屋の裏にあります。",
        text,
    )
    return re.sub(r" See (⟦\d+⟧) or (⟦\d+⟧) for the way\.", r"行き方は \1 または \2 をご覧ください。", text)


def asked(body: Mapping[str, Any]) -> dict[int, str]:
    """Return the segments that a request asks for."""
    return {int(number): text.strip() for number, text in _BLOCK.findall(body["messages"][-1]["content"])}


def written(texts: Mapping[int, str]) -> str:
    return "\n\n".join(f"[[{number}]] {text}" for number, text in texts.items())


def platform(body: Mapping[str, Any]) -> int:
    found = re.search(r"latform (\d+)", "\n".join(asked(body).values()))
    return int(found[1]) if found else -1


def is_repair(body: Mapping[str, Any]) -> bool:
    return any("cannot be used" in one["content"] for one in body["messages"] if one["role"] == "user")


def refuse(body: Mapping[str, Any], right: dict[int, str]) -> str:
    return "申し訳ありませんが、そのご依頼にはお答えできません。"


def leave_english(body: Mapping[str, Any], right: dict[int, str]) -> str:
    return written(asked(body))


def lose_segment(body: Mapping[str, Any], right: dict[int, str]) -> str:
    return written(dict(list(right.items())[:-1]))


def lose_masks(body: Mapping[str, Any], right: dict[int, str]) -> str:
    return written({number: re.sub("⟦\\d+⟧", "", text) for number, text in right.items()})


def fail(body: Mapping[str, Any], right: dict[int, str]) -> dict[str, Any]:
    return {"text": "this request has no answer", "status": 400}


class Teacher:
    """Answers requests; `faults[(row number, "fast" | "fast repair" | "strong" | "strong repair")]` is what goes wrong."""

    def __init__(self, faults: Mapping[tuple[int, str], Fault] | None = None) -> None:
        self.faults = dict(faults or {})
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> Any:
        self.bodies.append(json.loads(json.dumps(body)))
        if "cannot be translated" in body["messages"][0]["content"]:
            return "[[1]] 「さくらもち」は平仮名で何文字ですか？\n\n[[2]] 五文字です。さ、く、ら、も、ち、と数えます。"
        right = {number: translated(text) for number, text in asked(body).items()}
        place = body["model"] + (" repair" if is_repair(body) else "")
        fault = self.faults.get((platform(body), place))
        return fault(body, right) if fault else written(right)


def params(server: Listening, folder: Path, **more: Any) -> Params:
    teachers = [
        {
            "name": "cheap",
            "base_url": server.base_url,
            "model": "fast",
            "price": {"input": 1.0, "output": 2.0},
        },
        {
            "name": "dear",
            "base_url": server.base_url,
            "model": "strong",
            "price": {"input": 10.0, "output": 20.0},
        },
    ]
    given: dict[str, Any] = {
        "data": "rows",
        "teachers": teachers,
        "language": "ja",
        "ledger": str(folder / "ledger.sqlite"),
        "label": "translated",
        "budget": {"money": 50.0},
    }
    return Params(**{**given, **more})


@contextmanager
def teaching(
    faults: Mapping[tuple[int, str], Fault] | None = None, **behaviour: Any
) -> Iterator[tuple[Teacher, Listening]]:
    teacher = Teacher(faults)
    with serve(Script(teacher, **behaviour)) as server:
        yield teacher, server


def translate(made: Params, rows: list[Row], out: Path, progress: Any = None) -> StageResult:
    out.mkdir(parents=True, exist_ok=True)
    return translate_rows(made, iter(rows), out, progress or Silent(), total=len(rows))


def requests_of(folder: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (row, purpose, body) of everything that was sent, in order."""
    with open_ledger(folder / "ledger.sqlite", readonly=True) as ledger:
        found = ledger.rows(
            "SELECT a.row_id, a.purpose, b.request FROM attempt a JOIN body b ON b.attempt = a.id ORDER BY a.id"
        )
    return [(str(name), str(purpose), json.loads(body)) for name, purpose, body in found]
