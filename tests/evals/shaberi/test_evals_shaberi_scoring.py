"""Scores of the family shaberi: upstream's table to the last bit, forms of files, hostile input, intervals, invalid ratings."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.errors import UserError
from watari.evals.intervals import figures_of
from watari.evals.shaberi.reading import read_files
from watari.evals.shaberi.scoring import as_json, as_table, refused, score_files
from watari.evals.shaberi.sheets import japanese_share
from watari.evals.shaberi.spec import ShaberiSpec
from watari.evals.spec import load_spec

ELYZA, JA_MT = "elyza__ELYZA-tasks-100", "shisa-ai__ja-mt-bench-1shot"
RAKUDA, TENGU = "yuzuai__rakuda-questions", "lightblue__tengu_bench"


@pytest.fixture(scope="session")
def spec() -> ShaberiSpec:
    found = load_spec("shaberi")
    assert isinstance(found, ShaberiSpec)
    return found


def sheet(dataset: str, scores: list[Any], model: str = "m", judge: str = "j", **more: Any) -> dict[str, Any]:
    return {"judge": judge, "dataset": dataset, "model": model, "scores": scores, **more}


def write(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_every_figure_of_upstreams_table_comes_out(spec: ShaberiSpec, test_data: Path) -> None:
    folder = test_data / "shaberi"
    results = score_files(spec, [folder / "scores.jsonl.gz", folder / "answers.jsonl.gz"], rounds=0)
    table = as_json(results, spec)["published_form"]["models"]
    with gzip.open(folder / "published_output.csv.gz", "rt", encoding="utf-8") as stream:
        published = {row.pop("model_name"): row for row in csv.DictReader(stream)}
    assert set(table) == set(published)
    compared = shares = 0
    for model, row in published.items():
        stated = {column: float(value) for column, value in row.items() if value != ""}
        share = stated.pop("% JA")
        ours = dict(table[model])
        if "% JA" in ours:
            assert ours.pop("% JA") == pytest.approx(share, abs=2e-15)
            shares += 1
        assert set(ours) == set(stated)
        for column, value in stated.items():
            assert ours[column] == pytest.approx(value, abs=2e-15, rel=0), (model, column)
        compared += len(stated)
    assert (compared, shares) == (6012, 3)


def test_judges_stand_apart_with_their_unreadable_ratings(spec: ShaberiSpec, test_data: Path) -> None:
    results = score_files(spec, [test_data / "shaberi" / "scores.jsonl.gz"], rounds=0)
    found = as_json(results, spec)
    judges = found["judges"]
    assert len(judges) == 6
    assert "models" not in found
    assert judges["llmjudge-athenev2"]["unreadable"]["datasets"][RAKUDA] == 2702 / 8120
    assert judges["llmjudge-athenev2"]["unreadable"]["invalid"] == 2767
    # Facts §3: the same answers, GPT-4 turbo, GPT-4.1, GPT-5.1.
    levels = [
        judges[name]["models"]["augmxnt__shisa-7b-v1"]["datasets"][JA_MT]
        for name in ("gpt-4-turbo-preview", "gpt-4.1-2025-04-14", "gpt-5.1-2025-11-13", "llmjudge-tulu405")
    ]
    assert [round(level, 2) for level in levels] == [3.95, 2.62, 2.45, 4.13]
    shisa = judges["llmjudge-athenev2"]["models"]["augmxnt__shisa-7b-v1"]
    assert shisa["refused"] == "5.1 % of 315 ratings are invalid"
    # A third of one benchmark may be missing and be less than 5 % of all.
    few = [one for one in judges["llmjudge-athenev2"]["models"].values() if one["invalid"]["rate"] < 0.05]
    assert sum("refused" in one for one in few) > 100
    assert {one["refused"].split(":")[0] for one in few if "refused" in one} == {"Rakuda"}


def test_the_average_is_the_mean_of_means_on_one_scale(spec: ShaberiSpec, tmp_path: Path) -> None:
    tengu = [4] * 120
    tengu[60:65] = [10, 10, None, 10, 10]
    path = write(
        tmp_path / "s.jsonl",
        sheet(ELYZA, [5, 1] * 50),
        sheet(JA_MT, [7, None] * 30),
        sheet(RAKUDA, [8.5] * 40),
        sheet(TENGU, tengu),
    )
    (result,) = score_files(spec, [path])
    values = {name: figure.value for name, figure in result.figures.items()}
    assert values == {
        "average": (6.0 + 7.0 + 8.5 + 4.0) / 4, "ELYZA 100": 6.0, "JA-MT": 7.0, "Rakuda": 8.5, "Tengu": 4.0
    }  # fmt: skip
    assert (result.figures["Tengu"].n, result.figures["Tengu"].invalid) == (115, 0)
    assert (result.figures["JA-MT"].n, result.figures["JA-MT"].invalid) == (30, 30)
    top = sum(u.weight * u.value for u in result.units if u.value is not None)
    assert top / sum(u.weight for u in result.units if u.value is not None) == pytest.approx(6.375, abs=1e-12)
    assert refused(result) == "9.5 % of 315 ratings are invalid"
    assert refused(result, None) is None


def test_intervals_are_those_of_the_units(spec: ShaberiSpec, test_data: Path) -> None:
    results = score_files(
        spec, [test_data / "shaberi" / "scores.jsonl.gz"], judge="gpt-5.1-2025-11-13", seed=3
    )
    for result in results[:4]:
        strata = dict.fromkeys(unit.stratum for unit in result.units)
        groups = [result.units, *([u for u in result.units if u.stratum == name] for name in strata)]
        for name, figure in zip(["average", *strata], figures_of(groups, seed=3), strict=True):
            ours = result.figures[name]
            assert (ours.n, ours.invalid) == (figure.n, figure.invalid)
            for field in ("value", "stderr", "low", "high"):
                assert getattr(ours, field) == pytest.approx(getattr(figure, field), abs=1e-9)


def test_a_models_interval_does_not_depend_on_its_company(
    spec: ShaberiSpec, test_data: Path, tmp_path: Path
) -> None:
    with gzip.open(test_data / "shaberi" / "scores.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [row for row in map(json.loads, stream) if row["judge"] == "llmjudge-llama33"]
    one = rows[0]["model"]
    alone = score_files(spec, [write(tmp_path / "a.jsonl", *(r for r in rows if r["model"] == one))], seed=1)
    together = score_files(spec, [write(tmp_path / "b.jsonl", *rows[::-1])], seed=1)
    (same,) = [result for result in together if result.model == one]
    assert same.figures == alone[0].figures


@given(st.lists(st.one_of(st.none(), st.integers(1, 10)), min_size=40, max_size=40))
def test_the_interval_holds_the_mean_of_what_could_be_read(
    spec: ShaberiSpec, tmp_path_factory: pytest.TempPathFactory, scores: list[int | None]
) -> None:
    path = write(tmp_path_factory.mktemp("s") / "s.jsonl", sheet(RAKUDA, scores))
    (result,) = score_files(spec, [path], rounds=200)
    figure = result.figures["Rakuda"]
    valid = [score for score in scores if score is not None]
    assert (figure.n, figure.invalid) == (len(valid), 40 - len(valid))
    if not valid:
        assert (figure.value, figure.low, figure.high) == (None, None, None)
        return
    assert figure.value == pytest.approx(sum(valid) / len(valid))
    if len(valid) < 5 or len(set(valid)) == 1:
        assert (figure.stderr, figure.low, figure.high) == (None, None, None)
        return
    assert figure.low is not None
    assert figure.high is not None
    assert min(valid) - 1e-9 <= figure.low < figure.high <= max(valid) + 1e-9


def test_what_cannot_be_averaged_is_counted_with_its_reason(spec: ShaberiSpec, tmp_path: Path) -> None:
    scores = [9, None, "dict", "8", True, -1, 12, *[9] * 33]
    path = write(tmp_path / "s.jsonl", sheet(RAKUDA, scores))
    (dropped,) = score_files(spec, [path])
    assert dropped.figures["Rakuda"].value == (9 * 34 + 12) / 35
    shown = as_json([dropped], spec)["models"]["m"]
    assert shown["invalid"]["reasons"] == {"unreadable": 1, "a raw record instead of a number": 3, "-1": 1}
    assert shown["n"] == 35
    assert "Rakuda: 1 ratings outside of 1 to 10, averaged in as upstream does" in shown["notes"]
    (kept,) = score_files(spec, [path], invalid="as-is")
    assert kept.figures["Rakuda"].value == (9 * 34 + 12 - 1) / 36
    assert as_json([kept], spec)["invalid_policy"] == "as-is"


def test_one_benchmark_alone_and_what_is_missing(spec: ShaberiSpec, tmp_path: Path) -> None:
    (result,) = score_files(spec, [write(tmp_path / "s.jsonl", sheet("Rakuda", [5] * 38))])
    assert list(result.figures) == ["average", "Rakuda"]
    assert result.figures["average"].value == 5
    assert "no ratings on ELYZA 100, JA-MT, Tengu: the average is over Rakuda alone" in result.notes
    assert "Rakuda: 38 of 40 items, judge j" in result.notes


def test_order_says_which_items_they_are(spec: ShaberiSpec, test_data: Path, tmp_path: Path) -> None:
    row = sheet(JA_MT, [1, 2, 3, 4], order=[2, None, 0, 0])
    (result,) = score_files(spec, [write(tmp_path / "s.jsonl", row)])
    assert [unit.item for unit in result.units] == ["3", "other 2/4", "1", "1"]
    assert result.figures["JA-MT"].value == 2.5  # upstream averages whatever is there
    assert "JA-MT: 1 of 4 ratings are of questions outside of the benchmark" in result.notes
    assert "JA-MT: 1 ratings of a question that has one already, averaged in" in result.notes
    stored = read_files(spec, [test_data / "shaberi" / "scores.jsonl.gz"]).sheets
    other = {
        len(s.items): sum(i.startswith("other") for i in s.items)
        for s in stored
        if s.dataset.short == "JA-MT"
    }
    assert other == {60: 0, 80: 28, 81: 28}


def test_upstreams_own_files_give_what_the_compact_form_gives(spec: ShaberiSpec, tmp_path: Path) -> None:
    scores: dict[str, list[Any]] = {
        RAKUDA: [8.0, None, *[7.0] * 38],
        TENGU: [3.0] * 60 + [9.0] * 5 + [4.0] * 55,
    }
    for dataset, values in scores.items():
        write(
            tmp_path / "judgements" / "judge_gpt-4-turbo-preview" / dataset / "a__b-1.5.json",
            *(
                {"Question": f"{dataset} {n}", "ModelAnswer": "東京、", "score": value}
                for n, value in enumerate(values)
            ),
        )
    (ours,) = score_files(spec, [tmp_path / "judgements"], seed=2)
    assert (ours.model, ours.judge) == ("a__b-1.5", "gpt-4-turbo-preview")
    rows = [sheet(name, values, "a__b-1.5", "gpt-4-turbo-preview") for name, values in scores.items()]
    (compact,) = score_files(spec, [write(tmp_path / "s.jsonl", *rows)], seed=2)
    assert ours.figures == compact.figures
    assert ours.settings["japanese_share"] == pytest.approx({"Rakuda": 2 / 3, "Tengu": 2 / 3})


def test_questions_of_upstreams_files_are_known_by_their_text(spec: ShaberiSpec, tmp_path: Path) -> None:
    base = [{"Question": f"q{n}", "score": 5} for n in range(60)]
    write(tmp_path / "judge_j" / JA_MT / "new.json", *base)
    write(
        tmp_path / "judge_j" / JA_MT / "old.json", *({"Question": q, "score": 1} for q in ("q7", "x", "q0"))
    )
    new, old = score_files(spec, [tmp_path])
    assert [unit.item for unit in new.units][:2] == ["1", "2"]
    assert [unit.item for unit in old.units][::2] == ["8", "1"]
    assert old.units[1].item.startswith("other ")


def test_categories_come_from_a_file_of_items(spec: ShaberiSpec, test_data: Path) -> None:
    folder = test_data / "shaberi"
    results = score_files(
        spec, [folder / "items.json", folder / "scores.jsonl.gz"], judge="gpt-4.1-2025-04-14"
    )
    shown = as_json(results, spec)["models"]["augmxnt__shisa-gamma-7b-v1"]["categories"]
    assert set(shown) == {JA_MT, RAKUDA, TENGU}
    assert set(shown[JA_MT]) == {"extraction", "humanities", "reasoning", "roleplay", "stem", "writing"}
    (gamma,) = [one for one in results if one.model == "augmxnt__shisa-gamma-7b-v1"]
    writing = [u.value for u in gamma.units if u.stratum == "JA-MT" and u.category == "writing"]
    assert len(writing) == 10
    assert shown[JA_MT]["writing"] == pytest.approx(sum(writing) / 10)
    figure = gamma.figures["JA-MT writing"]
    assert figure.low is not None
    assert figure.low <= shown[JA_MT]["writing"] <= figure.high


def test_categories_of_upstreams_own_files(spec: ShaberiSpec, tmp_path: Path) -> None:
    rows = [
        {"Category": "数学" if n < 10 else "敬語", "Question": f"q{n}", "score": n % 3} for n in range(120)
    ]
    write(tmp_path / "judge_j" / TENGU / "m.json", *rows)
    (result,) = score_files(spec, [tmp_path])
    assert list(result.figures) == ["average", "Tengu", "Tengu 数学", "Tengu 敬語"]
    assert (result.figures["Tengu 数学"].value, result.figures["Tengu 敬語"].n) == (0.9, 105)


def test_share_of_japanese() -> None:
    assert japanese_share(["東京です", "ab", ""]) == pytest.approx((1 + 0 + 0) / 3)
    assert japanese_share(["東京。 a1!"]) == pytest.approx(
        4 / 6
    )  # 。 is not among upstream's ranges, blanks are no matter
    assert japanese_share([]) is None


def test_answers_to_excluded_items_do_not_count(spec: ShaberiSpec, tmp_path: Path) -> None:
    rows = [
        {"Question": f"q{n}", "ModelAnswer": "yes" if 61 <= n <= 65 else "はい", "score": 5}
        for n in range(1, 121)
    ]
    write(tmp_path / "judge_j" / TENGU / "m.json", *rows)
    (result,) = score_files(spec, [tmp_path])
    assert result.settings["japanese_share"] == {"Tengu": 1.0}
    answers = [
        {"model": "n", "dataset": TENGU, "n": n, "answer": row["ModelAnswer"]}
        for n, row in enumerate(rows, 1)
    ]
    both = [write(tmp_path / "a.jsonl", *answers), write(tmp_path / "s.jsonl", sheet(TENGU, [5] * 120, "n"))]
    (other,) = score_files(spec, both)
    assert other.settings["japanese_share"] == {"Tengu": 1.0}


def test_the_same_twice_counts_once_and_a_contradiction_is_refused(spec: ShaberiSpec, tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", sheet(RAKUDA, [5] * 40))
    (result,) = score_files(spec, [path, path])
    assert result.figures["Rakuda"].n == 40
    assert "Rakuda, judge j: given twice, counted once" in result.notes
    other = write(tmp_path / "t.jsonl", sheet(RAKUDA, [6] * 40))
    with pytest.raises(
        UserError, match=r"t\.jsonl: line 1: m on yuzuai/rakuda-questions by j is also in .*s\.jsonl"
    ):
        score_files(spec, [path, other])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no ratings"),
        (b"\n\n", "no ratings"),
        (b"{broken", "line 1: not JSON"),
        (b"[1, 2]\n", "line 1: not an object"),
        (b'{"a": 1}\n', "line 1: neither `scores` nor `score` nor `answer`"),
        (b'{"judge": "j", "model": "m", "dataset": "Rakuda", "scores": 5}', "`scores` is not a list"),
        (b'{"judge": "j", "model": "m", "dataset": "Rakuda", "scores": []}', "`scores` is not a list"),
        (b'{"judge": "j", "model": "m", "dataset": "Rakuda", "scores": [NaN]}', "not JSON: NaN is no JSON number"),
        (b'{"judge": "j", "model": "m", "dataset": "Rakuda", "scores": [1e300]}', "a score of 1e+300"),
        (b'{"judge": "j", "model": "m", "dataset": "other", "scores": [1]}', "has no benchmark 'other'"),
        (b'{"judge": "j", "model": 3, "dataset": "Rakuda", "scores": [1]}', "`model` is no text"),
        (b'{"model": "m", "dataset": "Rakuda", "scores": [1]}', "no `judge`"),
        (b'{"judge": "j", "model": "m", "dataset": "Rakuda", "scores": [1], "order": [40]}', "`order` holds 40"),
        (b'{"judge": "j", "model": "m", "dataset": "Rakuda", "scores": [1], "order": []}', "`order` is not a list as"),
        (b'{"model": "m", "score": 5}', "nothing says its judge"),
        (b'{"judge": "j", "model": "m", "dataset": "Rakuda", "score": 5, "run": -1}', "`run` is no number"),
        (b'{"judge": "j", "model": "m", "dataset": "Rakuda", "score": 5, "n": [1]}', "`n` is neither"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)  # fmt: skip
def test_hostile_rows_are_named(spec: ShaberiSpec, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        score_files(spec, [path])
    assert str(path) in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_hostile_files(spec: ShaberiSpec, tmp_path: Path) -> None:
    good = json.dumps(sheet(RAKUDA, [5] * 40))
    whole = gzip.compress((good + "\n").encode() * 50)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged file"):
        score_files(spec, [cut])
    with pytest.raises(UserError, match="no such file"):
        score_files(spec, [tmp_path / "none.jsonl"])
    with pytest.raises(UserError, match=r"`order` says which items"):
        score_files(spec, [write(tmp_path / "many.jsonl", sheet(RAKUDA, [5] * 41))])
    huge = '{"judge": "j", "model": "m", "dataset": "Rakuda", "scores": [' + "9" * 400 + "]}"
    (tmp_path / "huge.jsonl").write_text(huge)
    with pytest.raises(UserError, match="a score of 9999"):
        score_files(spec, [tmp_path / "huge.jsonl"])
    with pytest.raises(UserError, match=r"--judge k: rated nothing in these files \(they have j\)"):
        score_files(spec, [write(tmp_path / "ok.jsonl", sheet(RAKUDA, [5] * 40))], judge="k")
    windows = tmp_path / "windows.jsonl"
    windows.write_bytes(b"\xef\xbb\xbf" + good.encode() + b"\r\n\r\n")
    assert score_files(spec, [windows])[0].figures["Rakuda"].value == 5


def test_numbers_of_items_in_any_writing(spec: ShaberiSpec, tmp_path: Path) -> None:
    numbers = [7, "008", "9" * 5000, "x", "００３"]
    rows = [{"judge": "j", "dataset": "Rakuda", "model": "m", "n": n, "score": 5} for n in numbers]
    (result,) = score_files(spec, [write(tmp_path / "s.jsonl", *rows)])
    assert [unit.item for unit in result.units] == ["7", "8", "9" * 5000, "x", "００３"]


def test_the_table_shows_a_dash_and_the_reason(spec: ShaberiSpec, tmp_path: Path) -> None:
    from rich.console import Console

    path = write(
        tmp_path / "s.jsonl",
        sheet(RAKUDA, [None] * 30 + [9] * 10, "[bold]bad"),
        sheet(RAKUDA, [6, 8] * 20, "good"),
    )
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(as_table(score_files(spec, [path]), spec))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "judge j" in text
    assert "7.00" in text
    assert "[bold]bad" in text
    assert "75.0 % of 40" in " ".join(text.split())
    assert "9.00" not in text
    assert "30 of 80 ratings unreadable (37.5 %" in text
