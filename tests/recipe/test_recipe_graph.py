"""From a recipe file to a checked graph, and the mistakes on the way."""

import pytest

from watari.artifact.kinds import Kind


def test_the_recipe_of_the_design_becomes_a_graph(base):
    recipe = base().load()
    assert list(recipe.nodes) == ["talk", "base", "web", "tokenizer", "translated", "sft"]
    sft = recipe.nodes["sft"]
    assert [(source.parameter, source.node) for source in sft.sources] == [
        ("model", "base"),
        ("data", "translated"),
        ("data", "talk"),
        ("tokenizer", "tokenizer"),
    ]
    assert sft.kind is Kind.MODEL
    assert recipe.nodes["talk"].dataset
    assert recipe.nodes["tokenizer"].params.add == 8000


def test_order_follows_the_edges_then_the_file(book):
    book.write(
        """
        name: x
        stages:
          late: {uses: train.sft, model: base, data: talk}
          talk: {uses: data.import, path: t}
          base: {uses: model.load, path: b}
          other: {uses: model.load, path: o}
        """
    )
    assert list(book.load().nodes) == ["talk", "base", "late", "other"]


def test_selections(base):
    book = base(
        "  ja: {uses: train.sft, model: sft, data: {from: translated, limit: 5k, ratio: 0.5,"
        " where: {language: [ja, ko], n: {min: 3}, flag: true, meta.kind: x}}}\n"
    )
    (selection,) = book.load().nodes["ja"].params.data
    assert selection.narrowing() == {
        "where": {"language": ["ja", "ko"], "n": {"min": 3.0}, "flag": True, "meta.kind": "x"},
        "limit": 5000,
        "ratio": 0.5,
    }


def test_a_tokenizer_edge_takes_a_model_too(base):
    assert base().load("sft.tokenizer=base").nodes["sft"].sources[-1].node == "base"


def test_unused_datasets_are_left_out(base):
    book = base()
    recipe = book.load("sft.data=[talk]", "translated=null")
    assert "talk" in recipe.nodes
    book.write(
        """
        name: x
        datasets: {talk: {path: t}}
        stages: {base: {uses: model.load, path: b}}
        """
    )
    assert list(book.load().nodes) == ["base"]


def test_seed_and_language_are_filled_from_the_recipe(base):
    recipe = base("seed: 11\n").load("translated.seed=3")
    assert recipe.nodes["sft"].params.seed == 11
    assert recipe.nodes["translated"].params.seed == 3
    assert recipe.nodes["translated"].params.language == "ja"
    assert recipe.nodes["talk"].params.language == "ja"
    assert base().load("translated.language=ko").nodes["translated"].params.language == "ko"


def test_defaults_by_kind_and_by_group(base):
    recipe = base(
        """
        defaults:
          train.*: {lr: 0.1, epochs: 8}
          train.sft: {lr: 0.2}
        """
    ).load("sft.epochs=1")
    sft = recipe.nodes["sft"].params
    assert (sft.lr, sft.epochs) == (0.2, 1)


def test_endpoints_hold_names_of_secrets_never_secrets(base):
    recipe = base(
        """
        endpoints:
          fast: {base_url: http://x/v1, model: m, key_env: FAST_KEY, price: {input: 0.1}, limits: {tokens_per_minute: 90k}}
          other: {base_url: http://x/v1, model: m, key_env: "${OTHER_KEY}"}
        """
    ).load()
    assert recipe.endpoints["fast"].key_env == "FAST_KEY"
    assert recipe.endpoints["fast"].limits.tokens_per_minute == 90_000
    assert recipe.endpoints["other"].key_env == "OTHER_KEY"


SECRET = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    "endpoint",
    [
        f"{{base_url: http://x/v1, model: m, key_env: {SECRET}}}",
        f"{{base_url: http://x/v1, model: m, api_key: {SECRET}}}",
        f"{{base_url: http://x/v1, model: m, limits: {SECRET}}}",
        f"{{base_url: http://x/v1, model: m, sampler: {{temperature: {SECRET}}}}}",
        f"{{base_url: [{SECRET}], model: m}}",
        f"{SECRET}",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(base, endpoint):
    book = base(f"endpoints:\n  fast: {endpoint}\n")
    said = "\n".join(book.problems())
    assert said.startswith("recipe.yaml:12: endpoints.fast")
    assert SECRET not in said
    assert all(
        SECRET not in line
        for line in base("endpoints: {fast: {base_url: http://x/v1, model: m}}\n").problems(
            f"endpoints.fast.key_env={SECRET}"
        )
    )
    assert all(
        SECRET not in line
        for line in base("endpoints: {fast: {base_url: http://x/v1, model: m}}\n").problems(
            f"endpoints.fast.key_env=[{SECRET}"
        )
    )


def test_numbers_that_may_be_secrets_are_not_repeated(base):
    (said,) = base("endpoints: {fast: {base_url: http://x/v1, model: m, key_env: 123456789}}\n").problems()
    assert "123456789" not in said


def test_environment_variables_are_not_read_elsewhere(base, monkeypatch):
    monkeypatch.setenv("HOME_DATA", "/data")
    assert base().problems("sft.note=${HOME_DATA}") == [
        "--set sft.note: stages.sft.note: environment variables are not read here; only an endpoint's key_env names one"
    ]


def test_the_mistake_of_the_issue_is_told_to_the_letter(book):
    book.write(
        """
        name: x
        language: ja

        datasets:
          talk:
            path: talk.jsonl

        stages:
          base:
            uses: model.load
            path: base
          translated:
            uses: synth.translate
            data: talk
          sft:
            uses: train.sft
            data: tranlated
            model: base
        """
    )
    assert book.problems() == [
        "recipe.yaml:17: stages.sft.data: no stage named 'tranlated' (did you mean 'translated'?)"
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "sft.model=talk",
            "stages.sft.model: 'talk' (data.import) makes conversations, but model is wanted here",
        ),
        (
            "tokenizer.base=web",
            "stages.tokenizer.base: 'web' (corpus.build) makes documents, but tokenizer or model is wanted here",
        ),
        ("sft.model=5", "stages.sft.model: write the name of a stage, or {from: stage, where: ...}"),
        ("sft.model=[base]", "stages.sft.model: write the name of a stage, or {from: stage, where: ...}"),
        ("sft.data={where: {a: 1}}", "stages.sft.data: 'from' is missing"),
        ("sft.data={from: talk, wher: {a: 1}}", "stages.sft.data.wher: no key 'wher' here"),
        (
            "sft.data={from: talk, ratio: -1}",
            "stages.sft.data.ratio: input should be greater than or equal to 0 (got -1)",
        ),
        ("sft.epochs=0", "stages.sft.epochs: input should be greater than or equal to 1 (got 0)"),
        (
            "sft.epochs=1.5",
            "stages.sft.epochs: input should be a valid integer, got a number with a fractional part",
        ),
        ("sft.tokens=many", "stages.sft.tokens: 'many' is not a count: write 5000, 5k, 1.5M or 8B"),
        ("sft.tokens=1.5", "stages.sft.tokens: input should be a valid integer"),
        ("sft.tokens='1.00001k'", "stages.sft.tokens: '1.00001k' is not a whole number"),
        ("sft.lr=nan", "stages.sft.lr: input should be a finite number (got 'nan')"),
        ("sft.lr=inf", "stages.sft.lr: input should be a finite number (got 'inf')"),
        ("web.sources=[]", "stages.web.sources: list should have at least 1 item"),
        ("web.sources=[{pth: x}]", "stages.web.sources[0]: 'path' is missing"),
        ("sft.uses=train.stf", "stages.sft.uses: no stage kind 'train.stf' (did you mean 'train.sft'?)"),
        ("sft.uses=null", "stages.sft: no `uses`: say which stage kind this is"),
        ("sft.uses=[x]", "stages.sft: no `uses`: say which stage kind this is"),
        ("sft.model=null", "stages.sft: 'model' is missing: train.sft needs it"),
        ("sft=5", "stages.sft: a mapping is wanted (got 5)"),
        ("seed=-1", "seed: input should be greater than or equal to 0 (got -1)"),
        ("language=Japanese", "language: string should match pattern"),
        ("name=a/b", "name: string should match pattern"),
        ("Sft={uses: model.load, path: x}", "stages.Sft: 'Sft' is not a name: write lower-case letters"),
        ("defaults.train.dpo.lr=1", "defaults.train.dpo: no stage kind 'train.dpo' (did you mean "),
        ("defaults.trian.*.lr=1", "defaults.trian.*: no stage kind begins with 'trian.'"),
        ("defaults.train.*.lrr=1", "defaults.train.*.lrr: no train.* stage has it (did you mean 'lr'?)"),
        (
            "defaults.train.sft.lrr=1",
            "defaults.train.sft.lrr: no train.sft stage has it (did you mean 'lr'?)",
        ),
    ],
)
def test_mistakes_are_told_with_field_and_mend(base, change, told):
    said = base().problems(change)
    assert any(told in line for line in said), said
    # What a setting took away is missing where it was taken from.
    assert all(line.startswith("--set ") for line in said) or "=null" in change or "uses=" in change, said


def test_top_level_mistakes(base):
    assert base("stagess: {}\n").problems() == [
        "recipe.yaml:11: stagess: no parameter 'stagess' for a recipe (did you mean 'stages'?)"
    ]
    book = base()
    book.write("stages: {base: {uses: model.load, path: b}}\n")
    assert book.problems() == ["recipe.yaml:1: 'name' is missing: a recipe needs it"]
    book.write("name: x\n")
    assert book.problems() == ["recipe.yaml:1: 'stages' is missing: a recipe needs it"]
    book.write("name: x\nstages: {}\n")
    assert book.problems()[0].startswith("recipe.yaml:2: stages: dictionary should have at least 1 item")
    book.write("name: x\nstages: {seed: {uses: model.load, path: b}}\n")
    assert "'seed' is a key of the recipe itself" in book.problems()[0]


def test_several_mistakes_are_told_at_once(base):
    book = base(
        """
        defaults: {train.stf: {lr: 1}}
        """
    )
    text = (book.root / "recipe.yaml").read_text("utf-8")
    text = (
        text.replace("add: 8k", "add: 8x")
        .replace("data: talk}", "data: tlak}")
        .replace("path: base}", "pth: base}")
    )
    (book.root / "recipe.yaml").write_text(text, "utf-8")
    assert book.problems() == [
        "recipe.yaml:12: defaults.train.stf: no stage kind 'train.stf' (did you mean 'train.sft'?)",
        "recipe.yaml:6: stages.base: 'path' is missing: model.load needs it",
        "recipe.yaml:6: stages.base.pth: no parameter 'pth' for model.load (did you mean 'path'?)",
        "recipe.yaml:8: stages.tokenizer.add: '8x' is not a count: write 5000, 5k, 1.5M or 8B",
        "recipe.yaml:9: stages.translated.data: no stage named 'tlak' (did you mean 'talk'?)",
    ]


def test_very_many_mistakes_are_cut(book):
    stages = "".join(f"  s{n}: {{uses: nothing}}\n" for n in range(50))
    book.write(f"name: x\nstages:\n{stages}")
    said = book.problems()
    assert len(said) == 21
    assert said[-1] == "... and 30 more mistakes"


def test_a_name_in_both_sections_is_told(base):
    said = base().problems("talk={uses: data.import, path: x}")
    assert "--set talk: stages.talk: a dataset has this name too" in said


def test_a_cycle_is_told_once_from_where_it_begins(book):
    book.write(
        """
        name: x
        stages:
          talk: {uses: data.import, path: t}
          one: {uses: train.sft, model: three, data: talk}
          two: {uses: train.sft, model: one, data: talk}
          three: {uses: train.sft, model: two, data: talk}
        """
    )
    assert book.problems() == ["recipe.yaml:4: stages.one: a cycle: one ← three ← two ← one"]
    book.write("{name: x, datasets: {t: {path: t}}, stages: {me: {uses: train.sft, model: me, data: t}}}")
    assert book.problems() == ["recipe.yaml:1: stages.me: a cycle: me ← me"]


def test_a_mistake_in_a_default_is_told_at_its_line(base):
    assert (
        base("defaults:\n  train.*:\n    lr: slow\n")
        .problems()[0]
        .startswith("recipe.yaml:13: stages.sft.lr: ")
    )


def test_a_report_gathers_every_stage_but_datasets(base):
    book = base("  report: {uses: report.run}\n")
    assert [source.node for source in book.load().nodes["report"].sources] == [
        "base",
        "web",
        "tokenizer",
        "translated",
        "sft",
    ]
    recipe = book.load("report.stages=[sft]")
    assert [source.node for source in recipe.nodes["report"].sources] == ["sft"]


def test_upstream_and_downstream(base):
    recipe = base().load()
    assert recipe.upstream(["translated"]) == {"translated", "talk"}
    assert recipe.downstream(["web"]) == {"web", "tokenizer", "sft"}


@pytest.mark.parametrize("count", [200, 2000])
def test_long_chains_are_read(book, count):
    lines = [
        "name: x",
        "defaults: {train.*: {lr: 1.0, epochs: 2}}",
        "stages:",
        "  t: {uses: data.import, path: t}",
    ]
    lines.append("  s0: {uses: model.load, path: b}")
    lines += [f"  s{n}: {{uses: train.sft, model: s{n - 1}, data: t}}" for n in range(1, count)]
    book.write("\n".join(lines))
    assert len(book.load().nodes) == count + 1
