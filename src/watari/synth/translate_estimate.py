"""What a translation will take, told before anything is sent: rows, shares, tokens, cost by rung."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from watari.artifact.rows import Row
from watari.endpoint.settings import Endpoint
from watari.languages import languages, load_language
from watari.synth.glossary import Glossary
from watari.synth.human import Filled
from watari.synth.ladder import REPAIR, Messages, rungs_of
from watari.synth.prompts import Prompts
from watari.synth.segments import Exchange, parts
from watari.synth.translate_params import Params
from watari.synth.translate_work import readable, routed_away
from watari.synth.translator import Translator

CHARACTERS_PER_TOKEN = {"latin": 4.0, "dense": 1.4, "other": 2.2}
"""Of a modern large vocabulary: English 4.1 (Llama 2 to Mistral 3.9-4.1), Japanese 1.39 (GPT-4o) to 1.46 (Llama 3), both from
facts/seed-systems.md §1; scripts with blanks but without Latin letters lie between (an assumption)."""
LENGTH = {"dense": 0.55, "other": 1.0, "latin": 1.1}
"""Characters of a translation for one of an English source: Japanese .51-.64 at the median (facts/synthetic.md §2); the
others are assumptions."""
FAILING = 0.15
"""Share of the rows of one rung that the next is expected to be asked for: an assumption, which the run's report replaces."""
_MESSAGE = 16


@dataclass
class Estimate:
    """What is told.

    Args:
        rows: Read.
        asked: Rows that go up the ladder.
        routed: By category, rows that must not be translated.
        dropped: By reason, rows that are dropped before anything is asked.
        human: Rows that a person has translated.
        requests: Of the first rung.
        characters, masked: Of the rows that are asked for: in all, and not sent.
        rungs: For each: name, requests, prompt_tokens, completion_tokens, cost as expected, and `worst` cost.
    """

    rows: int = 0
    asked: int = 0
    routed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    human: int = 0
    requests: int = 0
    characters: int = 0
    masked: int = 0
    rungs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """As expected, of all rungs."""
        return float(sum(rung["cost"] for rung in self.rungs))

    @property
    def worst(self) -> float:
        """If every row failed on every rung, and every answer were as long as it may be."""
        return float(sum(rung["worst"] for rung in self.rungs))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "rows": self.rows,
            "asked": self.asked,
            "routed": dict(sorted(self.routed.items())),
            "dropped": dict(sorted(self.dropped.items())),
            "human": self.human,
            "requests": self.requests,
            "characters": self.characters,
            "masked_share": round(self.masked / self.characters, 4) if self.characters else 0.0,
            "rungs": self.rungs,
            "cost": round(self.cost, 6),
            "worst_cost": round(self.worst, 6),
            "assumed_failing": FAILING,
        }

    def lines(self) -> list[str]:
        """Return it in words, lines of at most 80 characters."""
        share = f"{self.masked / self.characters:.1%}" if self.characters else "0 %"
        told = [f"{self.rows:,} rows, {self.asked:,} to ask for in {self.requests:,} requests"]
        told.append(f"{self.characters:,} characters, {share} of them masked (code, addresses, ...)")
        if self.human:
            told.append(f"translated by people: {self.human:,}")
        for name, counts in (("not to be translated", self.routed), ("dropped", self.dropped)):
            if counts:
                told.append(
                    f"{name}: {', '.join(f'{count:,} {why}' for why, count in sorted(counts.items()))}"[:80]
                )
        told.append(f"{'rung':<26} {'requests':>9} {'prompt':>10} {'answer':>10} {'cost':>9} {'worst':>9}")
        for rung in self.rungs:
            told.append(
                f"{rung['name'][:26]:<26} {rung['requests']:>9,} {rung['prompt_tokens']:>10,}"
                f" {rung['completion_tokens']:>10,} {rung['cost']:>9.2f} {rung['worst']:>9.2f}"
            )
        told.append(
            f"expected {self.cost:.2f} if {FAILING:.0%} of a rung's rows go on, at worst {self.worst:.2f}"
        )
        return told


def estimate(
    params: Params, rows: Iterable[Row], glossary: Glossary, people: Mapping[str, Filled]
) -> Estimate:
    """Return what translating `rows` will take; reads them all, sends nothing.

    Tokens are by characters (`CHARACTERS_PER_TOKEN`); the worst case is the budget's own: a token for every byte of the
    prompt, and `max_tokens` for every answer.
    """
    translator = Translator.without_asking(params, glossary)
    prompts: Prompts = translator.prompts
    found = Estimate()
    prompt_tokens = answer_tokens = worst_prompt = worst_answer = 0.0
    source, target = _script(params.source_language), _script(params.language)
    for row in rows:
        found.rows += 1
        done = readable(row, params)
        if done.drop:
            found.dropped[done.drop] += 1
            continue
        if str(row["id"]) in people:
            found.human += 1
            continue
        routed = routed_away(done.source, params)
        if routed is not None:
            found.routed[routed.category] += 1
            if params.routed == "native":
                asked: list[tuple[Messages, int]] = [
                    (
                        prompts.native(done.source[:2], routed.reason, ["user", "assistant"]),
                        _size(done.source),
                    )
                ]
            else:
                continue
        else:
            taken = translator.segmented(done.source)
            if not taken.segments:
                found.dropped["nothing to translate"] += 1
                continue
            terms = translator.glossary(done.source)
            found.masked += sum(len(text) for text in taken.masks.texts)
            asked = [
                (prompts.translate(part, Exchange(), terms), sum(len(one.text) for one in part))
                for part in parts(taken.segments, params.max_characters)
            ]
        found.asked += 1
        found.characters += _size(done.source)
        found.requests += len(asked)
        for messages, size in asked:
            prompt_tokens += _size(messages) / CHARACTERS_PER_TOKEN["latin" if source == "latin" else source]
            answer_tokens += size * LENGTH[target] / CHARACTERS_PER_TOKEN[target]
            worst_prompt += sum(len(one["content"].encode()) + _MESSAGE for one in messages) + _MESSAGE
            worst_answer += translator.room(size)
    found.rungs = _rungs(params, found.requests, prompt_tokens, answer_tokens, worst_prompt, worst_answer)
    return found


def _rungs(
    params: Params, requests: int, prompt: float, answer: float, worst_prompt: float, worst_answer: float
) -> list[dict[str, Any]]:
    told = []
    reached = 1.0
    for rung in rungs_of(params.teachers, params.repairs):
        # A repair shows the source twice and the faulty answer.
        extra = (prompt * 0.5 + answer) if rung.purpose == REPAIR else 0.0
        most = (worst_prompt * 2 + worst_answer * 4) if rung.purpose == REPAIR else worst_prompt
        told.append(
            {
                "name": rung.name,
                "model": rung.endpoint.model,
                "requests": round(requests * reached),
                "prompt_tokens": round((prompt + extra) * reached),
                "completion_tokens": round(answer * reached),
                "cost": round(_cost(rung.endpoint, (prompt + extra) * reached, answer * reached), 6),
                "worst": round(_cost(rung.endpoint, most, worst_answer * 2), 6),
            }
        )
        reached *= FAILING
    return told


def _cost(endpoint: Endpoint, prompt: float, answer: float) -> float:
    return (prompt * endpoint.price.input + answer * endpoint.price.output) / 1e6


def _size(messages: Messages) -> int:
    return sum(len(message["content"]) for message in messages)


def _script(code: str) -> str:
    """Return how densely a language is written: `latin`, `dense` (no blanks between words) or `other`."""
    if code not in languages():
        return "latin"
    pack = load_language(code)
    if not pack.script.spaces or code == "ko":
        return "dense"
    return "latin" if code == "id" else "other"
