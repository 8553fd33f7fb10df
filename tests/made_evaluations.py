"""Small evaluations that are made up: judgments of several runs in FastChat's form, with answers and questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ATTACK = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><b>bold</b>"
"""What a hostile model says, in its answers, its name, and a judge's text."""

CATEGORIES = ("writing", "math", "coding")


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def score_of(model: int, question: int, turn: int, run: int) -> int:
    """Return a rating from 1 to 10 that differs by everything."""
    return 1 + (7 * model + 3 * question + 2 * turn + run * (question % 3)) % 9


def judgments(
    models: Sequence[str], questions: Sequence[int], *, judge: str = "gpt-4", runs: int = 2, bad: Sequence[str] = ()
) -> list[dict[str, Any]]:  # fmt: skip
    """Return judgments of both turns; models in `bad` have three of four ratings unreadable."""
    rows = []
    for place, model in enumerate(models):
        for question in questions:
            for turn in (1, 2):
                for run in range(runs):
                    score = score_of(place, question, turn, run)
                    if model in bad and (question + turn) % 4:
                        score = -1
                    said = f"{model} said {ATTACK} [[{score}]]" if score > 0 else "No rating here."
                    rows.append(
                        {
                            "question_id": question,
                            "model": model,
                            "judge": [judge, "single-v1" if turn == 1 else "single-v1-multi-turn"],
                            "user_prompt": f"Rate this: {ATTACK}",
                            "judgment": said,
                            "score": score,
                            "turn": turn,
                            "run": run,
                            "tstamp": 1.0,
                        }
                    )
    return rows


def answers(model: str, questions: Sequence[int], *, runs: int = 2) -> list[dict[str, Any]]:
    """Return a model's answers in FastChat's form."""
    return [
        {
            "question_id": question,
            "model_id": model,
            "choices": [
                {
                    "index": run,
                    "turns": [
                        f"The answer to {question} is yes, says {model}, run {run}. {ATTACK}",
                        f"東京タワーは{question}番目です。\u202e{model}",
                    ],
                }
                for run in range(runs)
            ],
        }
        for question in questions
    ]


def questions_file(ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return questions in FastChat's form."""
    return [
        {
            "question_id": id,
            "category": CATEGORIES[0 if id < 111 else 1 if id < 121 else 2],
            "turns": [f"Question {id}? {ATTACK}", f"And then {id}?"],
            "reference": [f"Reference {id} {ATTACK}", "Second reference"],
        }
        for id in ids
    ]


HOSTILE = f"evil{ATTACK}"
MODELS = ("alpha/one", "beta", HOSTILE, "broken")
# Of FastChat's ranges: writing from 81, math from 111, coding from 121.
QUESTIONS = (81, 82, 83, 84, 111, 112, 113, 114, 121, 122, 123, 124)


def write_evaluations(folder: Path) -> list[Path]:
    """Write two judges' judgments of four models, one of which can hardly be read, with answers and questions."""
    both = [
        write_lines(
            folder / f"{judge}_single.jsonl", judgments(MODELS, QUESTIONS, judge=judge, bad=["broken"])
        )
        for judge in ("gpt-4", "other-judge")
    ]
    said = [
        write_lines(folder / f"answers-{place}.jsonl", answers(model, QUESTIONS))
        for place, model in enumerate(MODELS[:3])
    ]
    return [*both, *said, write_lines(folder / "question.jsonl", questions_file(QUESTIONS))]
