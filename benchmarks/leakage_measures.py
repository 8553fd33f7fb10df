"""What `leakage_repair.py` measures of a model, with a logit bias or without one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watari.artifact.hashing import hash_json
from watari.artifact.manifest import read_manifest
from watari.artifact.params import Selection
from watari.artifact.rows import read_rows
from watari.artifact.stage import InputArtifact
from watari.evals.answers import is_right
from watari.evals.questions import chat_prompt, read_questions
from watari.generate.local import LocalModel
from watari.generate.sampler import GREEDY, Sampler
from watari.leakage.mass import Mass, Response, script_mass
from watari.leakage.rows import Row
from watari.leakage.scan import Scanned, scan_row

Messages = list[dict[str, str]]
Asked = tuple[str, Messages]
"""A prompt's language, and the prompt."""
NAMES = {"en": "english", "ja": "japanese"}


@dataclass(frozen=True)
class Arm:
    """A model, and the logit bias of each language, if any."""

    model: LocalModel
    bias: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def of(self, language: str) -> Mapping[int, float]:
        """Return the bias of a language."""
        return self.bias.get(language, {})


def stage(run: Path, name: str) -> InputArtifact:
    """Return what a stage of the run has made."""
    folder = (run / "stages" / name).resolve()
    return InputArtifact(name, folder, read_manifest(folder), Selection.model_validate({"from": name}))


def prompts_of(run: Path, part: str, limit: int) -> list[Asked]:
    """Return up to `limit` different prompts of each language, up to the first answer."""
    found: list[Asked] = []
    for language, name in NAMES.items():
        own: dict[str, Messages] = {}
        for row in read_rows(stage(run, f"{name}_{part}").path):
            roles = [one["role"] for one in row["messages"]]
            first = roles.index("assistant") if "assistant" in roles else len(roles)
            messages = [dict(one) for one in row["messages"][:first]]
            own.setdefault(hash_json(messages), messages)
            if len(own) >= limit:
                break
        found += [(language, messages) for messages in own.values()]
    return found


def answers(
    arm: Arm, prompts: Sequence[Asked], times: int, *, temperature: float, seed: int
) -> list[Scanned]:
    """Return the model's answers, scanned; the same draws whatever the model."""
    scanned = []
    sampler = Sampler(temperature=temperature, max_new_tokens=64)
    for language in sorted({language for language, _ in prompts}):
        own = [(place, one) for place, one in enumerate(prompts) if one[0] == language for _ in range(times)]
        said = arm.model.generate(
            [messages for _, (_, messages) in own],
            sampler,
            seed=seed,
            ids=[f"{place} {number}" for number, (place, _) in enumerate(own)],
            logit_bias=arm.of(language) or None,
        )
        for (place, (_, messages)), one in zip(own, said, strict=True):
            row = Row(f"{language}{len(scanned)}", str(place), tuple(messages), one.text)
            scanned.append(scan_row(row))
    return scanned


def mass(
    arm: Arm, said: Sequence[Scanned], language: str, *, added_from: int, most: int = 150, listed: int = 300
) -> Mass:
    """Return the probability of wrong scripts' tokens on clean answers in a language, with the `listed` likeliest."""
    clean = [
        one for one in said if one.judged and not one.events and one.expected == language and one.row.response
    ]
    texts = [Response(one.row.id, one.row.messages, one.row.response) for one in clean[:most]]
    return script_mass(
        arm.model, texts, language, added_from=added_from, most=listed, logit_bias=arm.of(language)
    )


def bits_per_character(arm: Arm, run: Path, language: str, *, characters: int = 10_000) -> float:
    """Return the bits that a character of held-out text costs, each document on its own from its beginning."""
    import torch

    model = arm.model
    bias = torch.zeros(len(model.tokenizer))
    for token, value in arm.of(language).items():
        bias[token] = value
    bits = read = 0.0
    for row in read_rows(stage(run, f"{NAMES[language]}_heldout").path):
        text = row["text"][:600]
        ids = model.tokenizer(text).input_ids[:256]
        with torch.inference_mode():
            scores = model.model(input_ids=torch.tensor([ids])).logits[0, :-1, : len(bias)].float() + bias
        logs = torch.log_softmax(scores, -1).gather(1, torch.tensor(ids[1:])[:, None])
        bits -= float(logs.double().sum()) / math.log(2)
        read += len(model.tokenizer.decode(ids, skip_special_tokens=True))
        if read >= characters:
            break
    return bits / read


def exact(arm: Arm, run: Path, language: str) -> float:
    """Return the share of questions that are answered exactly, greedily."""
    questions = read_questions(stage(run, f"{NAMES[language]}_questions"), seed=0, stage="exact")
    said = arm.model.generate(
        [chat_prompt(question, []) for question in questions],
        GREEDY.with_settings(max_new_tokens=64),
        logit_bias=arm.of(language) or None,
    )
    right = [
        is_right(one.text, question.answers, language) for one, question in zip(said, questions, strict=True)
    ]
    return sum(right) / len(right)


def line_of(count: Any) -> dict[str, Any]:
    """Return a count's figures: events per 1,000 characters and share of answers with any, each with its interval."""
    return {
        name: [
            None if value is None else round(value, 4) for value in (figure.value, figure.low, figure.high)
        ]
        for name, figure in (("events_per_1000", count.rate), ("answers_with_any", count.share))
    }
