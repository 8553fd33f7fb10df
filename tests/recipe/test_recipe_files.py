"""Finding recipe files; extends, override and --set."""

import pytest

from watari.errors import UserError
from watari.recipe.files import find, packaged, parse_set, read, target


def test_extends_merges_maps_replaces_lists_and_deletes_by_null(base):
    book = base()
    book.write(
        """
        extends: recipe.yaml
        name: other
        stages:
          tokenizer: null
          sft: {tokenizer: null, data: [talk], lr: 1e-4}
        """,
        "child.yaml",
    )
    recipe = book.load(name="child.yaml")
    assert recipe.name == "other"
    assert "tokenizer" not in recipe.nodes
    sft = recipe.nodes["sft"].params
    assert (sft.lr, sft.epochs, sft.tokenizer) == (1e-4, 3, None)
    assert [selection.source for selection in sft.data] == ["talk"]


def test_extends_chains_and_lists(base):
    book = base()
    book.write("{extends: recipe.yaml, stages: {sft: {lr: 1.0, epochs: 5}}}", "one.yaml")
    book.write("{name: two, stages: {sft: {lr: 2.0}}}", "two.yaml")
    book.write("{extends: [one.yaml, two.yaml], stages: {sft: {note: top}}}", "three.yaml")
    sft = book.load(name="three.yaml").nodes["sft"].params
    assert (sft.lr, sft.epochs, sft.note) == (2.0, 5, "top")


def test_extends_finds_packaged_recipes(book, monkeypatch):
    path = book.write(
        """
        name: base
        stages:
          base: {uses: model.load, path: weights}
        """,
        "package/tiny.yaml",
    )
    monkeypatch.setattr("watari.recipe.files.packaged", lambda: {"tiny": path})
    book.write("{extends: tiny, name: mine}", "mine/recipe.yaml")
    recipe = book.load(name="mine/recipe.yaml", data=book.root / "data")
    # Paths of a packaged recipe are relative to --data, not to where the package lies.
    assert recipe.nodes["base"].params.path == str(book.root / "data/weights")
    assert book.load(name="tiny").nodes["base"].params.path == str(book.root / "weights")


def test_a_circle_of_extends_is_told(book):
    book.write("{extends: b.yaml}", "a.yaml")
    book.write("name: b\nextends:\n  - a.yaml\n", "b.yaml")
    assert book.problems(name="a.yaml") == ["b.yaml:3: extends[0]: 'a.yaml' extends itself"]


def test_what_extends_names_wrongly_is_told_with_its_line(book):
    book.write("name: x\nextends: demoo\n")
    (said,) = book.problems()
    assert said.startswith(
        "recipe.yaml:2: extends: demoo: no such recipe file, and no packaged recipe of that name"
    )
    book.write("name: x\nextends: 5\n")
    assert book.problems() == ["recipe.yaml:2: extends: the name of a recipe or a path is wanted"]


def test_a_mistake_in_a_file_below_is_told_with_that_file(base):
    book = base()
    book.write("{extends: ../recipe.yaml, stages: {sft: {epochs: 0}}}", "below/child.yaml")
    book.write("{extends: below/child.yaml}", "top.yaml")
    (said,) = book.problems(name="top.yaml")
    assert said.startswith(
        "below/child.yaml:1: stages.sft.epochs: input should be greater than or equal to 1"
    )


def test_paths_are_relative_to_the_file_that_wrote_them(base):
    book = base("defaults: {model.load: {path: fallback}}\n")
    book.write(
        """
        extends: ../recipe.yaml
        stages:
          web: {sources: [{path: mine.jsonl}]}
        override:
          base.path: other
        """,
        "sub/child.yaml",
    )
    (book.root / "elsewhere").mkdir()
    recipe = book.load(name="sub/child.yaml")
    assert recipe.nodes["web"].params.sources[0].path == str(book.root / "sub/mine.jsonl")
    assert recipe.nodes["talk"].params.path == str(book.root / "talk.jsonl")
    assert recipe.nodes["base"].params.path == str(book.root / "sub/other")
    # A default lies where it was written, wherever the stage that takes it was.
    book.write("{extends: ../recipe.yaml, stages: {base: {path: null}}}", "sub/child.yaml")
    assert book.load(name="sub/child.yaml").nodes["base"].params.path == str(book.root / "fallback")
    # --set is written where one stands.
    assert book.load("base.path=here").nodes["base"].params.path == str(book.root / "here")


def test_override_is_laid_on_last(base):
    book = base(
        """
        override:
          sft.lr: 0.5
          sft: {epochs: 7}
          tokenizer: null
          sft.tokenizer: null
          seed: 9
        """
    )
    recipe = book.load()
    assert (recipe.nodes["sft"].params.lr, recipe.nodes["sft"].params.epochs) == (0.5, 7)
    assert recipe.seed == recipe.nodes["sft"].params.seed == 9
    assert "tokenizer" not in recipe.nodes
    # An override below outweighs a plain value above, and --set outweighs all.
    book.write("{extends: recipe.yaml, stages: {sft: {lr: 0.1}}}", "child.yaml")
    assert book.load(name="child.yaml").nodes["sft"].params.lr == 0.5
    assert book.load("sft.lr=0.2", name="child.yaml").nodes["sft"].params.lr == 0.2
    book.write("{extends: recipe.yaml, override: null}", "child.yaml")
    assert book.load(name="child.yaml").nodes["sft"].params.lr == 2e-5


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("sft.lr=1e-3", lambda r: r.nodes["sft"].params.lr == 1e-3),
        ("stages.sft.lr=1e-3", lambda r: r.nodes["sft"].params.lr == 1e-3),
        ("sft.data=[talk]", lambda r: [s.source for s in r.nodes["sft"].params.data] == ["talk"]),
        ("sft.data={from: talk, limit: 2k}", lambda r: r.nodes["sft"].params.data[0].limit == 2000),
        ("sft.tokens=1.5M", lambda r: r.nodes["sft"].params.tokens == 1_500_000),
        ("sft.tokenizer=null", lambda r: r.nodes["sft"].params.tokenizer is None),
        ("sft.tokenizer=", lambda r: r.nodes["sft"].params.tokenizer is None),
        ("sft=null", lambda r: "sft" not in r.nodes),
        ("sft.note=a=b", lambda r: r.nodes["sft"].params.note == "a=b"),
        ("sft.note=no", lambda r: r.nodes["sft"].params.note == "no"),
        ("seed=4", lambda r: r.nodes["base"].params.seed == 4),
        ("language=ko", lambda r: r.nodes["translated"].params.language == "ko"),
        ("name=other", lambda r: r.name == "other"),
        ("talk.path=x", None),
        ("datasets.talk.format=oasst", lambda r: r.nodes["talk"].params.format == "oasst"),
        ("defaults.train.sft.lr=0.5", lambda r: r.nodes["sft"].params.lr == 0.5),
        ("defaults.train.*.lr=0.5", lambda r: r.nodes["sft"].params.lr == 0.5),
        ("web.mix.ja=0.9", lambda r: r.nodes["web"].params.mix == {"ja": 0.9}),
    ],
)
def test_set(base, text, check):
    book = base()
    if check is None:
        # A dataset is named with its section: stages come first in a plain name.
        assert book.problems(text) == [
            "--set talk.path: no stage named 'talk' (there are: base, web, tokenizer, translated, sft)"
        ]
    else:
        assert check(book.load(text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stf.lr=1", "--set stf.lr: no stage named 'stf' (did you mean 'sft'?)"),
        ("stf=null", "--set stf: no stage named 'stf' (did you mean 'sft'?)"),
        ("sft.lrr=1", "--set sft.lrr: stages.sft.lrr: no parameter 'lrr' for train.sft (did you mean 'lr'?)"),
        (
            "sft.lr=fast",
            "--set sft.lr: stages.sft.lr: input should be a valid number, unable to parse string",
        ),
        ("sft.lr=[", "--set sft.lr:1: malformed YAML"),
        ("stages=null", "--set stages: stages: name one entry of it: stage.field=value"),
        ("endpoints.fast.model=x", "--set endpoints.fast.model: no endpoint named 'fast'"),
    ],
)
def test_what_set_names_wrongly_is_told(base, text, told):
    book = base("endpoints: {slow: {base_url: http://x/v1, model: y}}\n")
    (said,) = book.problems(text)
    assert said.startswith(told)


@pytest.mark.parametrize("text", ["sft.lr", "=5", " = 5"])
def test_set_wants_an_equals_sign(text, tmp_path):
    with pytest.raises(UserError, match=r"write --set stage\.field=value"):
        parse_set(text, tmp_path)


def test_targets():
    assert target("sft.lr") == ("stages", "sft", "lr")
    assert target("datasets.talk.path") == ("datasets", "talk", "path")
    assert target("seed") == ("seed",)


def test_an_empty_body_is_told_and_so_is_a_deletion_of_nothing(base):
    book = base()
    book.write("name: x\nstages:\n  sft:\n")
    assert book.problems() == ["recipe.yaml:3: stages.sft: is empty, and there is none to delete"]
    base()
    book.write("extends: recipe.yaml\nstages:\n  stf: null\n", "child.yaml")
    assert book.problems(name="child.yaml") == [
        "child.yaml:3: stages.stf: is empty, and there is none to delete (did you mean 'sft'?)"
    ]


def test_what_is_no_recipe_is_told(book, tmp_path):
    for text, told in [
        ("", "recipe.yaml: the file is empty"),
        ("- a\n", "recipe.yaml:1: a recipe is a mapping: name:, stages:, ..."),
        ("5\n", "recipe.yaml:1: a recipe is a mapping: name:, stages:, ..."),
        ("matrix: 5\n", "recipe.yaml:1: matrix: a mapping is wanted"),
    ]:
        book.write(text)
        assert book.problems() == [told]
    (tmp_path / "recipe.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(UserError, match=r"recipe\.yaml: cannot be read: 'utf-8' codec"):
        book.load()
    (tmp_path / "sub").mkdir()
    with pytest.raises(UserError, match=r"sub: is a folder"):
        book.load(name="sub")
    with pytest.raises(UserError, match=r"nowhere\.yaml: no such recipe file"):
        book.load(name="nowhere.yaml")


def test_packaged_recipes_are_found_by_name(tmp_path):
    assert "demo" in packaged()
    assert find("demo", tmp_path) == packaged()["demo"]
    (tmp_path / "demo").write_text("name: own\nstages: {}\n")
    # A file that is there comes first.
    assert find("demo", tmp_path) == tmp_path / "demo"
    with pytest.raises(UserError, match=r"did you mean 'demo'\?"):
        find("dmeo", tmp_path)


def test_every_packaged_recipe_is_a_readable_mapping(tmp_path):
    for name in packaged():
        tree = read(name, folder=tmp_path)
        assert tree.value["stages"]
        assert tree.value["description"]
