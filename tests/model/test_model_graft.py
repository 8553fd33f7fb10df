"""`model.graft`: the base keeps its bits, the new rows are what the chosen init says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from made_artifacts import as_input, documents
from small_japanese import japanese
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Inputs, Silent, StageResult
from watari.errors import UserError
from watari.model import graft, init
from watari.model.graft_model import graft_model
from watari.model.rows import INITS, METHODS, Init, log_ratios
from watari.pretrained import load_model
from watari.pretrained.graft import read_graft
from watari.tokenizer.build import extend_tokenizer, write_extension
from watari.tokenizer.goal import Goal
from watari.tokenizer.opening import open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of
from watari.tokenizer.texts import Text

torch.set_num_threads(1)
ENGLISH = [
    "The cat sat by the window and looked at “the sea”.",
    "def f(x):\n\treturn x + 1\n",
    "In 1998, 42 people.",
]


@dataclass
class World:
    """Bases of every sort, one extended tokenizer, and its text."""

    bases: dict[str, InputArtifact]
    tokenizer: InputArtifact
    text: InputArtifact


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("graft")
    bases = {}
    sorts = {"untied": {}, "tied": {"tie_embeddings": True}, "half": {"dtype": "bfloat16"}}
    for name, settings in sorts.items():
        (root / name).mkdir()
        params = init.Params(
            tokenizer="package://mistral-v1",
            hidden=32,
            layers=2,
            heads=4,
            context=128,
            initializer_range=0.2,
            **settings,
        )
        init.run(params, Inputs(), root / name, Silent())
        bases[name] = as_input(name, root / name, Kind.MODEL)
    text = documents("text", root / "text", japanese(200))
    learned = extend_tokenizer(
        open_base(str(root / "untied")),
        [Text(str(number), text, language) for number, (language, text) in enumerate(japanese(200))],
        Policy(script_of("ja")),
        Goal(add=256),
    )
    write_extension(learned, root / "tokenizer")
    return World(bases, as_input("tokenizer", root / "tokenizer", Kind.TOKENIZER), text)


def run(world: World, out: Path, base: str = "untied", text: bool = False, **params: Any) -> StageResult:
    out.mkdir(parents=True, exist_ok=True)
    chosen = graft.Params(base=base, tokenizer="tokenizer", text=["text"] if text else [], **params)
    feeds = {
        "base": [world.bases[base]],
        "tokenizer": [world.tokenizer],
        "text": [world.text] if text else [],
    }
    return graft.run(chosen, Inputs(feeds), out, Silent())


def rows_of(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    model = load_model(folder, dtype="auto")
    return model.get_input_embeddings().weight.data, model.get_output_embeddings().weight.data


@pytest.mark.parametrize(
    ("base", "chosen"),
    [
        *(("untied", name) for name in INITS),
        ("tied", "subword-mean"),
        ("tied", "count-bias"),
        ("tied", "focus"),
        ("half", "weighted-mean"),
        ("half", "count-bias"),
        ("half", "omp"),
    ],
)
def test_every_weight_of_the_base_keeps_its_bits(
    world: World, tmp_path: Path, base: str, chosen: Init
) -> None:
    text = METHODS[chosen].text
    result = run(world, tmp_path, base, text, init=chosen, states=400)
    before = load_model(world.bases[base].path, dtype="auto")
    after = load_model(tmp_path, dtype="auto")
    assert after.dtype is before.dtype
    grown = {"model.embed_tokens.weight", "lm_head.weight"}
    kept = dict(before.named_parameters())
    for name, weight in after.named_parameters():
        assert torch.equal(weight[:32000] if name in grown else weight, kept[name]), name
    assert torch.isfinite(after.get_output_embeddings().weight).all()
    tied = base == "tied"
    assert (after.get_output_embeddings().weight is after.get_input_embeddings().weight) == tied
    assert result.metrics["tied"] == tied
    assert result.metrics["init"] == chosen
    assert result.metrics["rows_added"] == 256
    assert result.metrics["vocabulary"] == after.config.vocab_size == 32256
    assert result.metrics["parameters"] == after.num_parameters()
    assert result.metrics["parameters"] - result.metrics["parameters_before"] == 256 * 32 * (1 if tied else 2)


def test_english_is_bit_equal_and_reloads_with_no_code_of_ours(world: World, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run(world, tmp_path, text=True)
    base_path = world.bases["untied"].path
    base, base_tokenizer = (
        AutoModelForCausalLM.from_pretrained(base_path),
        AutoTokenizer.from_pretrained(base_path),
    )
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == model.config.vocab_size
    for text in ENGLISH:
        before, after = base_tokenizer(text, return_tensors="pt"), tokenizer(text, return_tensors="pt")
        assert torch.equal(before["input_ids"], after["input_ids"])
        with torch.no_grad():
            one, two = base(**before).logits, model(**after).logits
        assert torch.equal(one, two[..., :32000])
    ids = tokenizer("山田さんは東京駅の前で", return_tensors="pt")
    assert ids["input_ids"].max() >= 32000
    model.generate(**ids, max_new_tokens=4, do_sample=False)


def test_rows_are_what_the_init_says(world: World, tmp_path: Path) -> None:
    made = read_graft(world.tokenizer.path)
    embedding, head = rows_of(world.bases["untied"].path)
    parents = made.parents[7]
    at = 32007

    run(world, tmp_path / "mean", init="mean")
    got_in, got_out = rows_of(tmp_path / "mean")
    assert torch.allclose(got_in[at], embedding[parents].mean(0), atol=1e-6)
    assert torch.allclose(got_out[at], head[parents].mean(0), atol=1e-6)

    run(world, tmp_path / "last-first", init="last-first")
    got_in, got_out = rows_of(tmp_path / "last-first")
    assert torch.equal(got_in[at], embedding[parents[-1]])
    assert torch.equal(got_out[at], head[parents[0]])

    run(world, tmp_path / "bias", text=True, init="count-bias")
    got_in, got_out = rows_of(tmp_path / "bias")
    assert torch.equal(got_in[at], embedding[parents[-1]])
    shifts = got_out[32000:] - torch.stack([head[ids[0]] for ids in made.parents])
    ratios = log_ratios(made)
    assert torch.linalg.matrix_rank(shifts, rtol=1e-3) == 1
    assert ratios.max() <= 0
    unit = shifts[ratios.argmin()] / ratios.min()
    assert torch.allclose(shifts, ratios[:, None] * unit, atol=1e-4)

    run(world, tmp_path / "random", init="random")
    got_in, got_out = rows_of(tmp_path / "random")
    assert abs(float(got_in[32000:].std()) - 0.2) < 0.02
    assert not torch.equal(got_in[32000:], got_out[32000:])


def test_defaults(world: World, tmp_path: Path) -> None:
    assert run(world, tmp_path / "a").metrics["init"] == "subword-mean"
    with_text = run(world, tmp_path / "b", text=True).metrics
    assert with_text["init"] == "count-bias-focus"
    assert run(world, tmp_path / "c", "tied", text=True).metrics["init"] == "count-bias-focus"
    # 200 documents hold more Japanese than English tokens: the other side fills up, and the sum is what was asked.
    assert sum(with_text["states"].values()) == 10_000
    assert with_text["states"]["new_language"] >= with_text["states"]["other"] > 500
    few = run(world, tmp_path / "d", text=True, states=400).metrics["states"]
    assert few == {"new_language": 200, "other": 200}


def test_mean_is_another_name(world: World, tmp_path: Path) -> None:
    assert graft.Params(base="b", tokenizer="t", init="mean").init == "subword-mean"
    run(world, tmp_path / "mean", init="mean")
    run(world, tmp_path / "subword", init="subword-mean")
    assert digest_of(list_files(tmp_path / "mean")) == digest_of(list_files(tmp_path / "subword"))


def test_documents_of_unknown_language_are_told_apart_by_the_new_pieces(world: World, tmp_path: Path) -> None:
    texts = [Text(str(number), text) for number, (_, text) in enumerate(japanese(200))]
    metrics = graft_model(
        world.bases["untied"].path, world.tokenizer.path, tmp_path / "und", text=texts, states=400
    )
    assert metrics["states"] == {"new_language": 200, "other": 200}
    told = metrics["other_language_loss"]
    assert told["after"] >= told["before"] > 0
    assert told["change_percent"] == pytest.approx(100 * (told["after"] / told["before"] - 1))
    # One file each, as the command reads them: a long document is as good as many short ones.
    long = [
        Text(name, "".join(t.text for t in texts if ("は" in t.text) == (name == "ja")))
        for name in ("ja", "en")
    ]
    metrics = graft_model(
        world.bases["untied"].path, world.tokenizer.path, tmp_path / "long", text=long, states=1500
    )
    assert metrics["states"] == {"new_language": 750, "other": 750}
    only = [text for text in texts if "は" in text.text]
    metrics = graft_model(
        world.bases["untied"].path, world.tokenizer.path, tmp_path / "one", text=only, states=400
    )
    assert metrics["states"] == {"new_language": 400, "other": 0}
    assert "other_language_loss" not in metrics


def test_same_bytes_again(world: World, tmp_path: Path) -> None:
    for name in "ab":
        run(world, tmp_path / name, text=True, states=500)
    assert digest_of(list_files(tmp_path / "a")) == digest_of(list_files(tmp_path / "b"))


def test_padding_rows_of_the_base_are_replaced(world: World, tmp_path: Path) -> None:
    import shutil

    base = load_model(world.bases["untied"].path)
    base.resize_token_embeddings(32064)
    padded = tmp_path / "padded"
    shutil.copytree(world.bases["untied"].path, padded, ignore=shutil.ignore_patterns("work", "model*"))
    base.save_pretrained(padded)
    world = World({"padded": as_input("padded", padded, Kind.MODEL)}, world.tokenizer, world.text)
    result = run(world, tmp_path / "out", "padded", init="mean")
    assert result.metrics["padding_rows_replaced"] == 64
    assert result.metrics["parameters"] == load_model(tmp_path / "out").num_parameters()
    assert load_model(tmp_path / "out").config.vocab_size == 32256


def test_mistakes_are_told_in_words(world: World, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="count-bias needs `text:`"):
        graft.Params(base="b", tokenizer="t", init="count-bias")
    for chosen in ("last-first", "zero-output", "muted-output"):
        with pytest.raises(UserError, match="ties its head"):
            run(world, tmp_path / "a", "tied", chosen == "muted-output", init=chosen)
    with pytest.raises(UserError, match=r"there is no 'best' \(one of count-bias-focus, "):
        graft_model(world.bases["untied"].path, world.tokenizer.path, tmp_path / "a", init="best")
    with pytest.raises(UserError, match=r"focus needs text in both languages \(`text:`, `--text`\)"):
        graft_model(world.bases["untied"].path, world.tokenizer.path, tmp_path / "a", init="focus")
    with pytest.raises(UserError, match="its documents are empty"):
        graft_model(world.bases["untied"].path, world.tokenizer.path, tmp_path / "a", text=[])
    assert not (tmp_path / "a" / "config.json").exists()
    other = tmp_path / "other"
    other.mkdir()
    params = init.Params(tokenizer="package://mistral-v3", hidden=16, layers=1, heads=2, context=32)
    init.run(params, Inputs(), other, Silent())
    stranger = World({"other": as_input("other", other, Kind.MODEL)}, world.tokenizer, world.text)
    with pytest.raises(UserError, match=r"32,000 pieces that is not the one of other \(32,768 pieces\)"):
        run(stranger, tmp_path / "b", "other")
    plain = World(world.bases, as_input("plain", world.bases["untied"].path, Kind.MODEL), world.text)
    with pytest.raises(UserError, match=r"was not made by tokenizer\.extend"):
        run(plain, tmp_path / "c")
    (world.tokenizer.path / "graft.json").rename(tmp_path / "kept.json")
    try:
        (world.tokenizer.path / "graft.json").write_text('{"pieces": ["a"]}')
        with pytest.raises(UserError, match="not a readable graft"):
            run(world, tmp_path / "d")
    finally:
        (tmp_path / "kept.json").rename(world.tokenizer.path / "graft.json")
