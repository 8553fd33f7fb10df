"""Tasks `translate this` from conversations and their accepted translations, as in Shisa's ultra-orca-boros.

A translated row names its original in `parents`; turn k of the one translates turn k of the other. The texts are read
three times and only the few that become tasks are held.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from watari.artifact.dataset_facts import meta_fields
from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json, hash_text
from watari.artifact.rows import Row, select_rows
from watari.artifact.stage import InputArtifact, Progress, stop_if_asked
from watari.data.mix_params import TranslationTasks
from watari.errors import UserError
from watari.text.scripts import guess_language

CATEGORY = "translation"
_PLACE = "{text}"
_FEWEST = 11
"""Templates a direction: Shisa had 11."""
_CODE = re.compile(
    r"```|~~~|^\s*(?:def|class|import|from|return|function|const|let|var|public|private|#include|package|using)\b"
    r"|</\w+>|[;{}]\s*$|^\s*(?:SELECT|INSERT|UPDATE|CREATE)\s|=>|\$\w+\s*=|\bprintf?\(",
    re.M,
)


@dataclass(frozen=True)
class Templates:
    """How a translation is asked for.

    Args:
        words: (from, to) language → templates with `{text}`.
        version: Hash of the files.
    """

    words: Mapping[tuple[str, str], tuple[str, ...]]
    version: str


@cache
def load_templates() -> Templates:
    """Return every packaged template: `languages/prompts/rehydrate-*.yaml`.

    Raises:
        UserError: if a direction has too few, or a template has no place for the text.
    """
    import yaml

    found: dict[tuple[str, str], tuple[str, ...]] = {}
    texts = []
    folder = resources.files("watari.languages") / "prompts"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not entry.name.startswith("rehydrate-") or not entry.name.endswith(".yaml"):
            continue
        text = entry.read_text("utf-8")
        texts.append(text)
        for direction, templates in yaml.safe_load(text).items():
            one, _, other = direction.partition("-")
            if len(set(templates)) < _FEWEST or not all(t.count(_PLACE) == 1 for t in templates):
                raise UserError(
                    f"{entry.name}: {direction}: needs {_FEWEST} templates with one {_PLACE} each"
                )
            found[one, other] = tuple(templates)
    return Templates(found, hash_text("\x1e".join(texts)))


@dataclass(frozen=True, order=True)
class _Candidate:
    draw: int
    original: str
    translated: str
    turn: int
    back: bool


@dataclass
class TaskSource:
    """What the pairs can give.

    Args:
        candidates: By draw.
        passed_over: Reason → turns (or rows) that are no task.
    """

    candidates: list[_Candidate] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count what was passed over."""
        self.passed_over[reason] = self.passed_over.get(reason, 0) + count


def find_tasks(
    pairs: Sequence[InputArtifact],
    originals: Sequence[InputArtifact],
    params: TranslationTasks,
    progress: Progress,
    *,
    seed: int,
    stage: str,
    benchmarks: bool = False,
) -> TaskSource:
    """Return every turn that may become a task, in the order of its draw.

    Args:
        pairs: Translated conversations, whose `parents` name their originals.
        originals: Where those are.
        params: What is taken.
        progress: Asked whether to stop.
        seed, stage: Of the draws.
        benchmarks: True if rows of splits of benchmarks may become tasks.
    """
    parents: dict[str, None] = {}
    for row in _rows(pairs, seed, stage, progress):
        parents |= dict.fromkeys(row.get("parents") or ())
    suited: dict[str, tuple[str, tuple[str, ...], tuple[int, ...]]] = {}
    found = TaskSource()
    known: set[str] = set()
    for row in _rows(originals, seed, stage, progress):
        if row["id"] not in parents:
            continue
        known.add(row["id"])
        if not benchmarks and meta_fields(row).get("benchmark"):
            found.skip("of a benchmark")
            continue
        turns = tuple(
            number
            for number, turn in enumerate(row["messages"])
            if _suits(turn, params, found, original=True)
        )
        if turns:
            roles = tuple(turn["role"] for turn in row["messages"])
            suited[row["id"]] = (_language(row, turns), roles, turns)
    missing = 0
    for row in _rows(pairs, seed, stage, progress):
        above = [name for name in row.get("parents") or () if name in known]
        missing += not above
        for name in above:
            if name not in suited:
                continue
            language, roles, turns = suited[name]
            if tuple(turn["role"] for turn in row["messages"]) != roles:
                found.skip("turns do not match")
                continue
            good = [k for k in turns if _suits(row["messages"][k], params, found, original=False)]
            other = _language(row, good) if good else ""
            if good and (language, other) not in load_templates().words:
                found.skip(f"no templates for {language}-{other}", len(good))
                continue
            for k in good:
                draw = draw_uint64(seed, f"{stage} tasks", f"{name} {row['id']} {k}")
                back = params.directions == "back" or (params.directions == "both" and bool(draw & 1))
                found.candidates.append(_Candidate(draw, name, row["id"], k, back))
    if missing:
        found.skip("no original", missing)
    # Two translations of one turn are not two tasks.
    first: dict[tuple[str, int], _Candidate] = {}
    for item in sorted(found.candidates):
        first.setdefault((item.original, item.turn), item)
    found.candidates = list(first.values())
    return found


def make_tasks(
    chosen: Sequence[_Candidate],
    pairs: Sequence[InputArtifact],
    originals: Sequence[InputArtifact],
    progress: Progress,
    *,
    seed: int,
    stage: str,
) -> list[Row]:
    """Return the chosen tasks as rows of conversations, in the order in which they were chosen."""
    wanted = {item.original for item in chosen}, {item.translated for item in chosen}
    theirs = {row["id"]: row for row in _rows(originals, seed, stage, progress) if row["id"] in wanted[0]}
    ours = {row["id"]: row for row in _rows(pairs, seed, stage, progress) if row["id"] in wanted[1]}
    templates = load_templates().words
    made = []
    for item in chosen:
        one, other = theirs[item.original], ours[item.translated]
        if item.back:
            one, other = other, one
        text, answer = one["messages"][item.turn]["content"], other["messages"][item.turn]["content"]
        direction = _language(one, [item.turn]), _language(other, [item.turn])
        words = templates.get(direction)
        if words is None:
            continue
        identity = hash_json([stage, item.original, item.translated, item.turn, item.back])
        number = draw_uint64(seed, f"{stage} templates", identity) % len(words)
        meta = {
            "category": CATEGORY,
            "direction": "-".join(direction),
            "template": number,
            "turn": item.turn,
            **({"benchmark": mark} if (mark := meta_fields(ours[item.translated]).get("benchmark")) else {}),
        }
        made.append(
            {
                "id": identity,
                "messages": [
                    {"role": "user", "content": words[number].replace(_PLACE, text)},
                    {"role": "assistant", "content": answer},
                ],
                "language": direction[1],
                "source": ours[item.translated].get("source"),
                "license": theirs[item.original].get("license") or ours[item.translated].get("license"),
                "parents": [item.original, item.translated],
                "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True),
            }
        )
    return made


def _rows(
    artifacts: Sequence[InputArtifact], seed: int, stage: str, progress: Progress
) -> Iterator[dict[str, Any]]:
    for artifact in artifacts:
        for number, row in enumerate(select_rows(artifact, seed=seed, stage=stage)):
            if number % 2048 == 0:
                stop_if_asked(progress)
            yield row


def _suits(turn: Mapping[str, str], params: TranslationTasks, found: TaskSource, *, original: bool) -> bool:
    text = turn["content"]
    if turn["role"] == "system" or (params.turns == "assistant" and turn["role"] != "assistant"):
        return False
    if original and len(text) < params.min_characters:
        found.skip("too short")
    elif len(text) > params.max_characters:
        found.skip("too long")
    elif not params.code and _CODE.search(text):
        found.skip("holds code")
    else:
        return True
    return False


def _language(row: Row, turns: Sequence[int]) -> str:
    """Return a row's language; where it states none, the one its turn is written in."""
    return row.get("language") or guess_language(row["messages"][turns[0]]["content"])
