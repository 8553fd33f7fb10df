"""An evaluation folder scored again: the figures, the label of whose prompts were used, a judge that was asked twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from watari.errors import UserError
from watari.evals.folder import About, Evaluation, Item, Judgment, write_evaluation
from watari.evals.mtbench.rating import rate_file
from watari.evals.mtbench.scoring import as_json, score_files
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.spec import load_spec


def _spec(name: str) -> MTBenchSpec:
    spec = load_spec(name)
    assert isinstance(spec, MTBenchSpec)
    return spec


NEJUMI, STABILITY = _spec("nejumi-mt-bench-ja"), _spec("stability-ja-mt-bench")
LABEL = "watari-mt-bench-ja/1"


def _judgment(
    id: str, question: str, rating: float | None, run: int = 0, turn: int = 1, **more: object
) -> Judgment:
    text = f"[[{rating:g}]]" if rating is not None else "who knows"
    given = {"text": text, "problem": "" if rating is not None else "cut off"} | more
    return Judgment(
        id, (f"g{id}",), LABEL, "judge", turn, rating, question_id=question, model="m", category="songs", run=run,
        **given,  # type: ignore[arg-type]
    )  # fmt: skip


def _folder(
    path: Path,
    judgments: list[Judgment],
    spec: str = "nejumi-mt-bench-ja",
    model: str = "m",
    label: str = LABEL,
) -> Path:
    from dataclasses import replace

    items = tuple(Item(id, "songs", ("Sing.",)) for id in ("a", "b"))
    about = About(spec, label, 1, "d", model, "judge", runs=2)
    given = tuple(replace(one, model=model) for one in judgments)
    write_evaluation(path, Evaluation(about, items, (), given), [], metric="rating")
    return path


def test_its_figures(tmp_path: Path) -> None:
    judgments = [
        _judgment("1", "a", 8),
        _judgment("2", "b", None),
        _judgment("3", "b", 4, parents=("2",)),
        _judgment("4", "a", 10, run=1),
        _judgment("5", "b", None, run=1),
    ]
    folder = _folder(tmp_path / "e", judgments)
    (result,) = score_files(NEJUMI, [folder])
    assert (result.spec, result.model, result.judge, result.runs) == (LABEL, "m", "judge", 2)
    shown = as_json([result], NEJUMI)["models"]["m"]
    assert shown["overall"] == pytest.approx((0.6 + 1.0) / 2)
    assert shown["categories"] == {"songs": pytest.approx(0.8)}
    assert shown["invalid"] == {"rows": 1, "rate": 0.25, "reasons": {"cut off": 1}}
    assert shown["spec"] == LABEL
    assert not any("missing" in note for note in shown["notes"])
    assert [one["rating"] for one in rate_file(NEJUMI, folder)] == [8, None, 4, 10, None]


def test_questions_that_it_asked_but_nobody_rated(tmp_path: Path) -> None:
    (result,) = score_files(NEJUMI, [_folder(tmp_path / "e", [_judgment("1", "a", 8)])])
    assert "1 of 2 questions of the evaluation; missing: b" in result.notes


def test_two_evaluations_of_a_model_are_runs(tmp_path: Path) -> None:
    paths = [_folder(tmp_path / f"e{score}", [_judgment("1", "a", score)]) for score in (4, 8)]
    (result,) = score_files(NEJUMI, paths)
    assert result.settings["run_means"] == [0.4, 0.8]
    other = _folder(tmp_path / "o", [_judgment("1", "a", 1)], model="other")
    assert [one.model for one in score_files(NEJUMI, [paths[0], other])] == ["m", "other"]


def _file(path: Path, **more: object) -> Path:
    row = {"question_id": 1, "model": "m", "judge": "judge", "score": 2, "turn": 1} | more
    path.write_text(json.dumps(row), "utf-8")
    return path


def test_our_own_prompts_and_upstreams_are_two_results(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "e", [_judgment("1", "a", 4), _judgment("2", "b", 4)])
    results = score_files(NEJUMI, [folder, _file(tmp_path / "j.jsonl")])
    assert [(one.spec, one.runs) for one in results] == [(LABEL, 1), (NEJUMI.label, 1)]
    models = as_json(results, NEJUMI)["models"]
    assert {name: one["overall"] for name, one in models.items()} == {"m": 0.4, f"m ({NEJUMI.label})": 0.2}
    # Each is held against its own questions.
    assert not any("missing" in note for note in models["m"]["notes"])
    assert any("1 of 80 questions" in note for note in models[f"m ({NEJUMI.label})"]["notes"])


def test_a_file_beside_an_evaluation_knows_more_than_its_questions(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "e", [_judgment("1", "a", 4)], label=NEJUMI.label)
    (result,) = score_files(NEJUMI, [folder, _file(tmp_path / "j.jsonl")])
    assert set(result.figures) >= {"songs", "coding"}
    assert not any("of the evaluation" in note for note in result.notes)


def test_another_specs_evaluation_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "e", [_judgment("1", "a", 4)])
    with pytest.raises(UserError, match="an evaluation under nejumi-mt-bench-ja") as caught:
        score_files(STABILITY, [folder])
    assert caught.value.mend == "score it as nejumi-mt-bench-ja"
    with pytest.raises(UserError, match="no judgments in it"):
        score_files(NEJUMI, [_folder(tmp_path / "none", [])])


def test_the_judgments_alone(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "e", [_judgment("1", "a", 8), _judgment("2", "b", None)])
    (result,) = score_files(NEJUMI, [folder / "judgments.parquet"])
    assert result.figures["overall"].value == 0.8
    assert result.invalid == 1


def test_runs_that_share_judgments_say_so(tmp_path: Path) -> None:
    """The same answer is judged once, in whatever run: its ratings do not differ by the judge's noise."""
    judgments = [_judgment("1", "a", 8), _judgment("2", "b", 4), _judgment("1", "a", 8, run=1)]
    told = "2 ratings of answers that are the same in several runs rest on 1 judgment: run_sd leaves the judge's own noise out there"
    (result,) = score_files(NEJUMI, [_folder(tmp_path / "e", [*judgments, _judgment("3", "b", 6, run=1)])])
    assert told in result.notes
    # Another judgment of the same run, of a question that stands there twice: nothing to tell.
    (result,) = score_files(
        NEJUMI, [_folder(tmp_path / "f", [judgments[0], judgments[1], _judgment("1", "b", 8)])]
    )
    assert not [note for note in result.notes if "run_sd" in note]
