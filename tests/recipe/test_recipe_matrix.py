"""`matrix:`: the same graph over variants."""

import pytest


def names(recipe, stage):
    return [name for name in recipe.nodes if name.split("@")[0] == stage]


def test_both_forms(base):
    book = base(
        """
        matrix:
          vocabulary:
            grown: null
            plain: {tokenizer: null, sft.tokenizer: null}
          sft.lr: [1e-5, 2e-5]
        """
    )
    recipe = book.load()
    assert names(recipe, "base") == ["base"]
    assert names(recipe, "translated") == ["translated"]
    assert names(recipe, "tokenizer") == ["tokenizer@vocabulary=grown"]
    assert names(recipe, "sft") == [
        "sft@vocabulary=grown,sft.lr=1e-05",
        "sft@vocabulary=grown,sft.lr=2e-05",
        "sft@vocabulary=plain,sft.lr=1e-05",
        "sft@vocabulary=plain,sft.lr=2e-05",
    ]
    grown = recipe.nodes["sft@vocabulary=grown,sft.lr=2e-05"]
    assert grown.params.lr == 2e-5
    assert ("tokenizer", "tokenizer@vocabulary=grown") in [(s.parameter, s.node) for s in grown.sources]
    assert all(s.parameter != "tokenizer" for s in recipe.nodes["sft@vocabulary=plain,sft.lr=2e-05"].sources)
    # A name without variants stands for all of them.
    assert len(recipe.names("sft")) == 4


def test_only_what_an_axis_changes_is_repeated(base):
    recipe = base("matrix: {translated.language: [ja, ko], tokenizer.add: [1k, 2k]}\n").load()
    assert names(recipe, "web") == ["web"]
    assert names(recipe, "translated") == [
        "translated@translated.language=ja",
        "translated@translated.language=ko",
    ]
    assert names(recipe, "tokenizer") == ["tokenizer@tokenizer.add=1k", "tokenizer@tokenizer.add=2k"]
    assert len(names(recipe, "sft")) == 4


def test_a_matrix_over_seeds(base):
    recipe = base("matrix: {seed: [1, 2, 3]}\n").load()
    assert names(recipe, "sft") == ["sft@seed=1", "sft@seed=2", "sft@seed=3"]
    assert recipe.nodes["sft@seed=2"].params.seed == 2


def test_the_report_takes_every_variant(base):
    recipe = base("  report: {uses: report.run}\nmatrix: {sft.lr: [1.0, 2.0]}\n").load()
    assert [source.node for source in recipe.nodes["report"].sources] == [
        "base",
        "web",
        "tokenizer",
        "translated",
        "sft@sft.lr=1.0",
        "sft@sft.lr=2.0",
    ]


def test_a_report_that_names_its_stages_takes_their_variants(base):
    recipe = base("  report: {uses: report.run, stages: [sft, base]}\nmatrix: {sft.lr: [1.0, 2.0]}\n").load()
    assert {source.node for source in recipe.nodes["report"].sources} == {
        "base",
        "sft@sft.lr=1.0",
        "sft@sft.lr=2.0",
    }


def test_a_report_left_out_of_one_variant_stands_once(base):
    recipe = base(
        "  report: {uses: report.run}\nmatrix: {with: {yes: null, no: {report: null, sft.lr: 1.0}}}\n"
    ).load()
    assert names(recipe, "report") == ["report"]


def test_a_child_can_take_the_matrix_away(base):
    book = base("matrix: {sft.lr: [1.0, 2.0], sft.epochs: [1, 2]}\n")
    assert len(names(book.load(), "sft")) == 4
    book.write("{extends: recipe.yaml, matrix: {sft.lr: null}}", "child.yaml")
    assert names(book.load(name="child.yaml"), "sft") == ["sft@sft.epochs=1", "sft@sft.epochs=2"]
    book.write("{extends: recipe.yaml, matrix: null}", "child.yaml")
    assert names(book.load(name="child.yaml"), "sft") == ["sft"]
    assert names(book.load("matrix=null"), "sft") == ["sft"]


def test_names_of_variants_are_names_of_files(base):
    recipe = base("matrix: {sft.note: [a/b, '', 日本, null, " + "x" * 300 + "]}\n").load()
    assert names(recipe, "sft") == [
        "sft@sft.note=a-b",
        "sft@sft.note=empty",
        "sft@sft.note=-",
        "sft@sft.note=null",
        f"sft@sft.note={'x' * 40}",
    ]
    recipe = base("matrix: {sft.data: [talk, [talk, translated]]}\n").load()
    assert names(recipe, "sft") == ["sft@sft.data=talk", "sft@sft.data=-talk-translated-"]


def test_two_axes_may_delete_the_same_stage(base):
    recipe = base(
        """
        matrix:
          a: {x: null, y: {tokenizer: null, sft.tokenizer: null}}
          b: {x: null, y: {tokenizer: null, sft.tokenizer: null}}
          tokenizer.add: [1k, 2k]
        """
    ).load()
    assert len(names(recipe, "tokenizer")) == 2


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        ("{lr: [1, 2]}", "matrix.lr: write `axis: {variant: {stage.field: value}}`"),
        ("{sft.lr: 5}", "matrix.sft.lr: write `axis: "),
        ("{sft.lr: []}", "matrix.sft.lr: write `axis: "),
        ("{size: {}}", "matrix.size: write `axis: "),
        ("{size: {a/b: {sft.lr: 1.0}}}", "matrix.size: 'a/b' is not a name"),
        ("{size: {a: 5}}", "matrix.size.a: a mapping `stage.field: value` is wanted"),
        ("{size: {a: {stf.lr: 1.0}}}", "no stage named 'stf' (did you mean 'sft'?)"),
        ("{size: {a: {stf: null}}}", "no stage named 'stf' (did you mean 'sft'?)"),
        ("{sft.lr: [1.0, 1.0]}", "matrix.sft.lr[1]: two variants are called '1.0'"),
        ("{sft.note: [a/b, a-b]}", "matrix.sft.note[1]: two variants are called 'a-b'"),
        ("{sft.lr: [1.0, -1.0]}", "stages.sft.lr: input should be greater than 0 (got -1.0)"),
        ("{a: {x: {base: null}, y: null}}", "stages.tokenizer.base: no stage named 'base'"),
        (
            "{sft.epochs: [1,2,3,4,5,6,7], sft.lr: [1.0,2.0,3.0,4.0,5.0,6.0,7.0], tokenizer.add: [1,2,3,4,5,6]}",
            "matrix: more than 256 variants",
        ),
    ],
)
def test_mistakes_in_a_matrix_are_told_with_their_line(base, matrix, told):
    said = base(f"matrix: {matrix}\n").problems()
    assert told in said[0], said
    assert said[0].startswith("recipe.yaml:8: " if "'base'" in told else "recipe.yaml:11: ")
    assert len(said) <= 2
