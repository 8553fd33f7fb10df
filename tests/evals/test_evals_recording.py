"""What evaluations write down alike: figures, ratings, names of places; how they are written and scored; what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from watari.artifact.rows import read_rows
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.evals.evaluated import Evaluated, write_and_score
from watari.evals.folder import About, Evaluation, read_evaluation
from watari.evals.jaster.stage import STAGE as JASTER
from watari.evals.mtbench.stage import STAGE as MTBENCH
from watari.evals.params import check_one_limit, is_bundled, none_if_bundled
from watari.evals.recording import figures_json, named, ratings_json
from watari.evals.result import Figure, Result
from watari.evals.shaberi.stage import STAGE as SHABERI
from watari.judge.single import Opinion

RESULT = Result(
    "spec/1", "m", "j", "overall", {"overall": Figure(1 / 3, 2, 1, 0.1, 0.25, 0.5, 2 / 3)}, (), notes=("own",)
)
EVALUATION = Evaluation(About("spec", "spec/1", 1, "0" * 32, "m", judge="j"), (), ())


def test_figures_are_rounded_and_tell_the_runs_deviation_where_wanted() -> None:
    plain = {"value": 0.333333, "n": 2, "invalid": 1, "ci_low": 0.25, "ci_high": 0.5}
    assert figures_json(RESULT) == {"overall": plain}
    found = figures_json(RESULT, run_sd=True)
    assert found == {"overall": plain | {"run_sd": 0.666667}}
    assert list(found["overall"])[-1] == "run_sd"


def test_of_several_opinions_the_last_counts() -> None:
    good, bad, worse = Opinion("a", 8.0), Opinion("b", None, problem="no"), Opinion("c", None, problem="cut")
    found = ratings_json([[good], [bad, good], [bad, worse], [bad], [bad]], again="asked_again")
    assert found == {"rated": 2, "unreadable": 3, "reasons": {"cut": 1, "no": 2}, "asked_again": 2}
    assert list(found["reasons"]) == ["cut", "no"]


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/home/me/q.jsonl", "q.jsonl"),
        ("./q.jsonl", "q.jsonl"),
        ("data/q.jsonl", "q.jsonl"),
        ("/runs/12:30/q.jsonl", "q.jsonl"),
        ("hf://datasets/org/name", "hf://datasets/org/name"),
        ("bundled:mt-bench-ja", "bundled:mt-bench-ja"),
        ("bundled", "bundled"),
    ],
)
def test_a_place_is_told_without_this_machines_folders(location: str, told: str) -> None:
    assert named(location) == told
    assert named(told) == told


def test_what_is_scored_is_what_was_written(tmp_path: Path) -> None:
    seen: list[str] = []

    def score(folders: Sequence[Path]) -> list[Result]:
        seen.extend(read_evaluation(folder).about.model for folder in folders)
        return [RESULT]

    found = write_and_score(tmp_path / "out", EVALUATION, score, notes=("of the plan",), metric="rating")
    assert seen == ["m"]
    assert found == replace(RESULT, notes=("of the plan", "own"))
    (row,) = read_rows(tmp_path / "out")
    assert (row["metric"], row["group"], row["value"], row["judge"]) == ("rating", "overall", 0.333333, "j")


def test_what_is_large_is_not_written_out_as_text() -> None:
    assert repr(Evaluated(RESULT, EVALUATION, {"a": 1}, {})) == "Evaluated(metrics={'a': 1}, performance={})"


def test_the_word_bundled_is_no_place_unless_it_is_one(tmp_path: Path) -> None:
    assert is_bundled("bundled")
    assert is_bundled("/recipes/bundled")
    assert none_if_bundled("/recipes/bundled") is None
    own = tmp_path / "bundled"
    own.touch()
    for other in (str(own), "q.jsonl", None, ["bundled"]):
        assert not is_bundled(other)
        assert none_if_bundled(other) == other


def test_an_answer_has_one_limit() -> None:
    check_one_limit(EndpointSampler(temperature=0.5))
    with pytest.raises(ValueError, match="`max_tokens:` of the stage"):
        check_one_limit(EndpointSampler(max_tokens=5))


@pytest.mark.parametrize("stage", [MTBENCH, SHABERI, JASTER], ids=lambda stage: stage.kind)
def test_every_stage_holds_its_parameters_to_that(stage: object) -> None:
    server = Endpoint(name="a", base_url="http://127.0.0.1:1/v1", model="a")
    params = getattr(stage, "params")  # noqa: B009
    given = {"model": server, "questions": "/recipes/bundled"}
    if params is not JASTER.params:
        given["judge"] = server
    if params is MTBENCH.params:
        given["language"] = "ja"
    assert not params(**given).questions
    assert params(**given).on_bos == "stop"
    with pytest.raises(ValidationError, match="sampler: the limit of an answer"):
        params(**given, sampler={"max_tokens": 5})
