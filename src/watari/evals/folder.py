"""An evaluation as it is kept: a folder that says what was asked, answered, rated and counted, and with what.

    rows.parquet          scores: a row a figure, named in `group` as in `Result.figures`
    generations.parquet   every answer of every run
    judgments.parquet     every rating, with the judge's text; of judged families only
    items.jsonl           the questions or items, as they were asked
    prompts.json          the prompt really sent, for one item of each dataset or turn, token by token
    evaluation.json       spec, model, judge, runs, sampler, questions, seed, settings

Nothing in it depends on time: the same answers give the same bytes. `watari eval score SPEC DIR` counts it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.kinds import Kind
from watari.errors import UserError
from watari.evals.typed_rows import json_of, lines_of, made, rows_of
from watari.generate.preflight import FILE as PROMPTS
from watari.generate.preflight import Sent, Token, write_preflight

if TYPE_CHECKING:
    from watari.evals.result import Result

ABOUT = "evaluation.json"
ITEMS = "items.jsonl"
GENERATIONS = "generations.parquet"
JUDGMENTS = "judgments.parquet"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class About:
    """What `evaluation.json` says.

    Args:
        spec: The spec's name, as `watari eval score` takes it.
        label: What its scores are marked with: the spec's `name/version`, or our own where our own prompts were used.
        version, digest: Of the spec.
        model: As tables call it.
        model_digest: Of a model artifact; "" for an endpoint.
        judge: As tables call it; None where nobody judged.
        runs: Answers to each item.
        sampler: Sampling settings of the answers, as far as one set holds for all.
        questions: Where the items come from: `bundled`, a path, a hub id.
        questions_digest: Hash of the items' content.
        seed: Of every draw.
        settings: Whatever else decides the figures.
    """

    spec: str
    label: str
    version: int
    digest: str
    model: str
    judge: str | None = None
    model_digest: str = ""
    runs: int = 1
    sampler: Mapping[str, Any] = field(default_factory=dict)
    questions: str = ""
    questions_digest: str = ""
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One question or item, as it was asked.

    Args:
        id: Unique among those of its group.
        group: The category of a judged question, the dataset of a jaster item.
        turns: What the user says, turn by turn; a jaster item has one: its input.
        reference: Reference answers by turn; empty where there are none.
        gold: The right answer of a jaster item; "" for judged ones.
        meta: Anything else, JSON data.
    """

    id: str
    group: str
    turns: tuple[str, ...]
    reference: tuple[str, ...] = ()
    gold: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer; the columns of kind `generations`, and what it belongs to.

    Args:
        id: Unique in the folder; judgments name it.
        item_id, group: Of the item.
        model: Who answered, with its digest where it is an artifact.
        run: From 0.
        turn: From 1.
        sampler: JSON.
        seed: Of its draws.
        rendered_prompt: What a model in this process was given; "" for an endpoint, which renders itself.
        response: The whole text, unchanged.
        finish_reason: `stop`; `length`: it was cut off.
        problem: Why there is no answer; "" if there is.
        gold, pred: Of a jaster item: the right answer, and what was read out of the response.
    """

    id: str
    item_id: str
    group: str
    model: str
    run: int
    turn: int
    response: str
    finish_reason: str
    sampler: str = "{}"
    seed: int = 0
    rendered_prompt: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    problem: str = ""
    gold: str = ""
    pred: str = ""


@dataclass(frozen=True, slots=True)
class Judgment:
    """One rating of one turn; the columns of kind `judgments`, and what it belongs to.

    Args:
        id: hash(question, turn, answer, judge, prompt, reference), and how often it was asked again.
        generation_ids: Of the answers that the judge saw; the last is the one that was rated.
        spec: The label.
        judge: Who rated.
        turn: From 1.
        rating: None if it could not be read.
        text: All that the judge said.
        question_id, model, category, run: Of the answer.
        prompt_name: Of the judge prompt: `single-v1`, ...
        user_prompt: What the judge was sent, as text.
        reference: Whether it saw a reference answer.
        problem: Why there is no rating; "" if there is.
        parents: Ids of earlier judgments of the same answer, if it was asked again.
    """

    id: str
    generation_ids: tuple[str, ...]
    spec: str
    judge: str
    turn: int
    rating: float | None
    text: str
    question_id: str
    model: str
    category: str
    run: int = 0
    prompt_name: str = ""
    user_prompt: str = ""
    reference: bool = False
    problem: str = ""
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Everything in an evaluation folder but the scores, which follow from it."""

    about: About
    items: tuple[Item, ...]
    generations: tuple[Generation, ...]
    judgments: tuple[Judgment, ...] = ()
    prompts: tuple[Sent, ...] = ()


def write_evaluation(
    out: Path, evaluation: Evaluation, results: Sequence[Result] = (), *, metric: str = "score"
) -> None:
    """Write an evaluation folder.

    Args:
        out: The folder; it is made.
        evaluation: What was asked, answered and rated.
        results: What scoring made of it: one model, one judge. A family that scores the folder itself writes it without,
            and adds them with `write_results`.
        metric: What the figures are: `rating`, `score`.
    """
    from watari.artifact import atomic
    from watari.artifact.rows import write_rows

    atomic.make_folder(out)
    write_rows(out / GENERATIONS, Kind.GENERATIONS, (_plain(one) for one in evaluation.generations))
    if evaluation.judgments or evaluation.about.judge is not None:
        write_rows(out / JUDGMENTS, Kind.JUDGMENTS, (_plain(one) for one in evaluation.judgments))
    lines = (json.dumps(_plain(item), ensure_ascii=False) for item in evaluation.items)
    atomic.write_text(out / ITEMS, "".join(line + "\n" for line in lines))
    write_preflight(out, evaluation.prompts)
    atomic.write_json(out / ABOUT, _plain(evaluation.about))
    write_results(out, results, metric=metric)


def write_results(out: Path, results: Sequence[Result], *, metric: str = "score") -> None:
    """Write `rows.parquet` of an evaluation folder: the scores."""
    from watari.artifact.rows import ROWS, write_rows

    write_rows(out / ROWS, Kind.SCORES, score_rows(results, metric=metric))


def is_evaluation(path: Path) -> bool:
    """Return whether `path` is an evaluation folder."""
    return (path / ABOUT).is_file()


def read_about(folder: Path) -> About:
    """Return what an evaluation folder says of itself.

    Raises:
        UserError: if it is none, or its `evaluation.json` is broken.
    """
    return made(About, json_of(folder / ABOUT), folder / ABOUT)


def read_evaluation(folder: Path) -> Evaluation:
    """Read an evaluation folder.

    Raises:
        UserError: if it is none, or one of its files is missing or broken; names the file.
    """
    about = read_about(folder)
    return Evaluation(
        about,
        tuple(made(Item, row, place) for row, place in lines_of(folder / ITEMS)),
        tuple(rows_of(Generation, folder / GENERATIONS)),
        tuple(rows_of(Judgment, folder / JUDGMENTS)) if (folder / JUDGMENTS).is_file() else (),
        tuple(_prompts(folder / PROMPTS)) if (folder / PROMPTS).is_file() else (),
    )


def score_rows(results: Iterable[Result], *, metric: str) -> list[Row]:
    """Return rows of kind `scores`: one a figure, in the order of the spec, with `model` and `run_sd` beside."""
    from watari.evals.scores import rounded

    return [
        {
            "metric": metric,
            "group": name,
            "value": rounded(figure.value),
            "n": figure.n,
            "invalid": figure.invalid,
            "stderr": rounded(figure.stderr),
            "ci_low": rounded(figure.low),
            "ci_high": rounded(figure.high),
            "spec": result.spec,
            "judge": result.judge,
            "runs": result.runs,
            "model": result.model,
            "run_sd": rounded(figure.run_sd),
        }
        for result in results
        for name, figure in result.figures.items()
    ]


def _plain(record: Any) -> Row:
    """Return a record's fields as they are: its values are plain data already, and copies of long texts take time."""
    return {one.name: getattr(record, one.name) for one in fields(record)}


def _prompts(path: Path) -> Iterable[Sent]:
    found = json_of(path)
    if not isinstance(found, dict):
        raise UserError(f"{path}: not an object with a prompt a name")
    for row in found.values():
        tokens = row.get("tokens") if isinstance(row, dict) else None
        read = tuple(made(Token, token, path) for token in tokens or ())
        yield replace(made(Sent, row, path), tokens=read, prompt=row.get("prompt"))
