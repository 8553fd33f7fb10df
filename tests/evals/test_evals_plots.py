"""Plots as files: SVG that any reader takes, PNG, in both languages; and what a machine without a font is told."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from made_evaluations import HOSTILE, write_evaluations
from watari.evals import plots, plots_png
from watari.evals.page.board import Board, boards_of
from watari.evals.page.gathering import gather
from watari.evals.plots_png import title_of

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> list[Board]:
    found = gather(write_evaluations(tmp_path_factory.mktemp("evaluations")), "fastchat-mt-bench")
    return boards_of(found.results, {"fastchat-mt-bench/1": (0.0, 10.0)})


def test_every_table_has_every_plot_in_both_languages_and_forms(boards: list[Board], tmp_path: Path) -> None:
    files, notes = plots.write_plots(boards, tmp_path)
    assert notes == ()
    assert {file.name for file in files} == {
        f"fastchat-mt-bench-1-{judge}-{kind}.{language}.{form}"
        for judge in ("gpt-4", "other-judge")
        for kind in ("intervals", "radar", "bars", "turns", "spread")
        for language in ("en", "ja")
        for form in ("svg", "png")
    }
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(file.name for file in files)
    for file in files:
        if file.suffix == ".png":
            assert file.read_bytes().startswith(b"\x89PNG")


def test_svg_is_well_formed_names_spec_and_judge_and_runs_nothing(boards: list[Board]) -> None:
    for language, words in (("en", "judge: gpt-4"), ("ja", "判定モデル：gpt-4")):
        for kind, plot in plots.svg_plots(boards[0], language).items():
            text = plots.standalone(plot, title_of(boards[0], kind, language))
            root = ElementTree.fromstring(text)
            said = "".join(root.itertext())
            assert "fastchat-mt-bench/1" in said
            assert words in said
            assert {element.tag for element in root.iter()} <= {
                SVG + name
                for name in ("svg", "style", "g", "rect", "text", "title", "circle", "line", "path")
            }
            assert "var(" not in text
            assert "onerror" not in " ".join(name for element in root.iter() for name in element.attrib)


def test_radar_and_bars_say_which_colour_is_which_model(boards: list[Board]) -> None:
    for kind in ("radar", "bars"):
        plot = plots.svg_plots(boards[0], "en")[kind]
        assert {name for _, name in plot.legend} == {"alpha/one", "beta", HOSTILE}
        assert "&lt;img" in plots.standalone(plot, ["a", "b"])


def test_refused_models_are_in_no_plot_but_the_distribution(boards: list[Board]) -> None:
    for kind, plot in plots.svg_plots(boards[0], "en").items():
        text = plots.standalone(plot, ["a", "b"])
        assert (">broken<" in text) == (kind == "spread")


def test_without_a_japanese_font_english_labels_stand_in_and_it_is_told(
    boards: list[Board], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots_png, "FONTS", ("No Such Font",))
    files, notes = plots.write_plots(boards[:1], tmp_path)
    assert notes == ("no Japanese font on this machine: the .ja.png plots have English labels",)
    same = [
        file.read_bytes() == file.with_name(file.name.replace(".ja.", ".en.")).read_bytes()
        for file in files
        if file.name.endswith(".ja.png")
    ]
    assert same == [True] * 5


def test_names_of_files_hold_no_path_and_no_two_are_the_same() -> None:
    hostile = [
        Board(f"board-{place}", "spec/1", judge, "o", (0, 1), (), (), (), ())
        for place, judge in enumerate(("../../x", ".._.._x", "a b", "a/b", "判定"), 1)
    ]
    names = plots._names(hostile)
    assert len(set(names)) == 5
    assert not [name for name in names if "/" in name or " " in name]
