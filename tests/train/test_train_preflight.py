"""The preflight: right counts, refusals and warnings, a trial pass that leaves no trace."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from made_artifacts import as_input
from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.artifact.tokens import TokensInfo
from watari.errors import EXIT_OK, DryRun, Interrupted, UserError
from watari.pretrained import load_tokenizer
from watari.train import dpo, preflight, pretrain, session, sft
from watari.train.batches import Sample, lay_out
from watari.train.device import Compute
from watari.train.distributed import World
from watari.train.facts import facts_of_samples, facts_of_windows, shown
from watari.train.language_model import LanguageModel
from watari.train.memory import Machine
from watari.train.objective import Part
from watari.train.preflight import refuse, warnings_of
from watari.train.preflight_probe import batch_in, heaviest, probe
from watari.train.preflight_rows import row_norms
from watari.train.windows import Source, mix

COMMON: dict[str, Any] = {"model": "base", "threads": 1, "sequence": 200, "batch": 6, "lr": 3e-3}


def sample(name: str, ids: list[int], trained: list[int]) -> Sample:
    mask = np.zeros(len(ids), np.bool_)
    mask[trained] = True
    return Sample(name, np.asarray(ids, np.int32), mask)


def facts_of(tokenizer: Any, *samples: Sample, **given: Any) -> Any:
    count = len(samples)
    return facts_of_samples(
        samples,
        tokenizer,
        **{"unit": "conversations", "rows_in": count, "rows_kept": count, "dropped": {}, **given},
    )


@pytest.fixture(scope="module")
def tokenizer(tiny: InputArtifact) -> Any:
    return load_tokenizer(tiny.path)


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append(message)


def read(out: Path, *, machine: bool = False) -> dict[str, Any]:
    folder = out / "logs" if machine else out
    return json.loads((folder / "preflight.json").read_text("utf-8"))


# Facts


def test_what_is_counted(tokenizer: Any) -> None:
    facts = facts_of(
        tokenizer,
        sample("a", [1, 10, 11, 12, 2], [3, 4]),
        sample("b", [1, 10, 1, 11, 12], [4]),
        sample("c", [1, 1, 9, 2], [0, 3]),
        rows_in=5,
        dropped={"longer than the sequence": 2},
        epochs=3,
    )
    assert facts.lengths.tolist() == [5, 5, 4]
    # The first token is never predicted.
    assert facts.supervised.tolist() == [2, 1, 1]
    assert (facts.planned_tokens, facts.longest) == (42, 5)
    marks = facts.marks
    assert (marks.bos, marks.bos_wanted, marks.eos) == ("<s>", True, "</s>")
    assert (marks.bos_missing, marks.bos_doubled, marks.bos_inside) == (0, 1, 2)
    assert (marks.end_trained, marks.eos_trained, marks.first_bad) == (2, 2, "c")


def test_a_sequence_is_shown_with_its_trained_part(tokenizer: Any) -> None:
    ids = tokenizer("あるところに。Hello! How are you?")["input_ids"]
    half = len(ids) // 2
    found = shown(sample("x", [*ids, 2], list(range(half, len(ids) + 1))), tokenizer)
    assert [passage.trained for passage in found.passages] == [False, True]
    assert "".join(passage.text for passage in found.passages) == tokenizer.decode([*ids, 2])
    assert found.passages[1].text.endswith("</s>")


def test_the_first_token_is_never_shown_as_trained(tokenizer: Any) -> None:
    found = shown(sample("x", [1, 300, 2], [0, 2]), tokenizer)
    assert [passage.trained for passage in found.passages] == [False, True]


def test_a_long_sequence_is_shown_from_both_ends(tokenizer: Any) -> None:
    found = shown(sample("x", [1, *[300] * 400, 2], [401]), tokenizer)
    assert found.tokens == 402
    assert [passage.text for passage in found.passages if passage.text == "…"] == ["…"]
    assert found.passages[-1] == type(found.passages[0])("</s>", True)
    assert sum(len(passage.text) for passage in found.passages) < 400 * len(tokenizer.decode([300]))


# Refusals


def test_no_bos_is_refused_by_row(tokenizer: Any) -> None:
    facts = facts_of(tokenizer, sample("a", [1, 9, 2], [2]), sample("bad", [9, 9, 2], [2]))
    with pytest.raises(UserError, match=r"1 of 2 sequences do not begin with <s>.*first: bad"):
        refuse(facts)


def test_double_bos_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match=r"begin with <s> twice \(first: bad\)"):
        refuse(facts_of(tokenizer, sample("bad", [1, 1, 9, 2], [3])))


def test_bos_later_on_is_only_counted(tokenizer: Any) -> None:
    facts = facts_of(tokenizer, sample("a", [1, 9, 2, 1, 9, 2], [2, 5]))
    refuse(facts)
    assert (facts.marks.bos_inside, warnings_of(facts)) == (1, [])


def test_nothing_to_train_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="none of 1 conversations has a token to train"):
        refuse(facts_of(tokenizer, sample("a", [1, 9, 2], [])))


def test_an_end_that_is_never_trained_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="the model would never stop"):
        refuse(facts_of(tokenizer, sample("a", [1, 9, 10, 2], [1, 2])))


def test_a_tokenizer_without_bos_needs_none(tmp_path: Path) -> None:
    from tiny_llama import make_tokenizer

    make_tokenizer(tmp_path, bos=False)
    facts = facts_of(load_tokenizer(tmp_path), sample("a", [9, 9, 2], [2]))
    assert not facts.marks.bos_wanted
    refuse(facts)


def shard_facts(shard: InputArtifact, tokenizer: Any) -> Any:
    source = Source(shard, 16, seed=0, stage="t")
    mixture = mix([source], [source.windows], seed=0, stage="t")
    return facts_of_windows([source], mixture, tokenizer, respect_documents=False)


def test_shards_without_bos_are_refused(shard_of: Callable[..., InputArtifact], tokenizer: Any) -> None:
    shard = shard_of("d", [[9, 9, 9, 2]] * 8, info=TokensInfo(420, "t", None, 2))
    with pytest.raises(UserError, match=r"8 of 8 documents do not begin with <s>.*d, document 0"):
        refuse(shard_facts(shard, tokenizer))


def test_a_part_of_the_documents_without_marks_is_told(
    shard_of: Callable[..., InputArtifact], tokenizer: Any
) -> None:
    facts = shard_facts(shard_of("d", [[1, 9, 9, 2]] * 6 + [[9, 9], [1, 9, 8]]), tokenizer)
    refuse(facts)
    assert warnings_of(facts) == [
        "1 of 8 documents do not begin with <s>",
        "2 of 8 documents do not end with </s>",
    ]
    assert (facts.unit, facts.longest, facts.planned_tokens) == ("documents", 4, 28)


def test_documents_that_begin_twice_are_refused(
    shard_of: Callable[..., InputArtifact], tokenizer: Any
) -> None:
    with pytest.raises(UserError, match=r"1 of 3 documents begin with <s> twice \(first: d, document 1\)"):
        refuse(shard_facts(shard_of("d", [[1, 9, 2], [1, 1, 9, 2], [1]]), tokenizer))


def test_losses_of_rows_are_told(tokenizer: Any) -> None:
    facts = facts_of(
        tokenizer,
        sample("a", [1] + [9] * 999 + [2], [1000]),
        rows_in=10,
        rows_kept=1,
        dropped={"malformed": 2, "longer than the sequence": 7},
        packed=(1, 2000),
    )
    dropped, few, waste = warnings_of(facts)
    assert dropped == "9 of 10 conversations are not trained on, 7 of them: longer than the sequence"
    assert "only 0.10%" in few
    assert "50.0%" in waste or "49.9%" in waste


# The trial pass


class Recorded:
    """An objective over given rows; a step is a list of rows. It draws from every generator that there is."""

    def __init__(self, *steps: list[Sample]) -> None:
        self._steps = steps

    @property
    def steps(self) -> int:
        return len(self._steps)

    def passes(self, step: int, ranks: int = 1) -> list[Any]:
        rows = self._steps[step]
        total = sum(row.supervised for row in rows)
        return [SimpleBatch(lay_out([[row]]), total) for row in rows]

    def part(self, model: LanguageModel, step: int, batch: Any) -> Part:
        from watari.train.head import cross_entropy

        torch.rand(1), random.random(), np.random.random()
        loss = cross_entropy(model.hidden(batch.laid), model.head.weight, batch.laid.targets, torch.float32)
        return Part(loss / batch.total, batch.laid.tokens, {})


class SimpleBatch(tuple):  # type: ignore[type-arg]
    """(laid, total): how stages keep what a pass takes."""

    def __new__(cls, laid: Any, total: int) -> Any:
        return super().__new__(cls, (laid, total))

    laid = property(lambda self: self[0])
    total = property(lambda self: self[1])


def model_of(folder: Path) -> LanguageModel:
    from watari.pretrained import load_model

    return LanguageModel(load_model(folder), Compute(torch.device("cpu"), torch.float32))


def long_rows() -> list[list[Sample]]:
    draw = np.random.Generator(np.random.PCG64(3))
    lengths = [[9, 12], [11, 40, 8], [20, 20]]
    return [
        [
            sample(f"{step}-{n}", [1, *draw.integers(3, 400, n - 1).tolist()], list(range(n // 2, n)))
            for n in numbers
        ]
        for step, numbers in enumerate(lengths)
    ]


def test_the_trial_is_the_mean_loss_of_the_longest_batch(tiny: InputArtifact, tokenizer: Any) -> None:
    steps = long_rows()
    objective, world = Recorded(*steps), World.single()
    model = model_of(tiny.path)
    facts = facts_of(tokenizer, *[row for rows in steps for row in rows])
    chosen = heaviest(objective, sft.Params(**COMMON, data="d"), facts, world)
    assert (chosen.step, chosen.laid.tokens) == (1, 40)
    tried = probe(model, objective, chosen, facts, world)
    row = steps[1][1]
    ids = torch.from_numpy(row.ids.astype(np.int64))[None]
    with torch.no_grad():
        logits = model.model(input_ids=ids).logits[0].float()
    wanted = torch.nn.functional.cross_entropy(logits[:-1][row.trained[1:]], ids[0, 1:][row.trained[1:]])
    assert tried.loss == pytest.approx(float(wanted), rel=1e-5)
    assert tried.expected == pytest.approx(math.log(420), rel=1e-5)
    assert (tried.step, tried.sequences, tried.tokens, tried.positions) == (2, 1, 40, 39)


def test_the_trial_leaves_nothing_behind(tiny: InputArtifact, tokenizer: Any) -> None:
    steps = long_rows()
    objective, world = Recorded(*steps), World.single()
    model = model_of(tiny.path)
    facts = facts_of(tokenizer, *[row for rows in steps for row in rows])
    before = {name: p.detach().clone() for name, p in model.model.named_parameters()}
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    probe(model, objective, heaviest(objective, sft.Params(**COMMON, data="d"), facts, world), facts, world)
    after = (random.random(), np.random.random(), float(torch.rand(1)))
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert after == (random.random(), np.random.random(), float(torch.rand(1)))
    for name, parameter in model.model.named_parameters():
        assert parameter.grad is None, name
        assert torch.equal(parameter, before[name]), name


def test_a_batch_is_found_wherever_it_stands() -> None:
    laid = lay_out([[sample("a", [1, 2, 3], [2])]])
    assert batch_in(laid) is laid
    assert batch_in((7, ("x", laid))) is laid
    with pytest.raises(TypeError, match="no Batch"):
        batch_in((1, 2))


# Whole stages


@pytest.fixture(params=["pretrain", "sft", "dpo"])
def case(
    request: pytest.FixtureRequest,
    tiny: InputArtifact,
    rows_of: Callable[..., InputArtifact],
    shard_of: Callable[..., InputArtifact],
    talks: list[dict[str, Any]],
    choices: list[dict[str, Any]],
    stories: list[list[int]],
) -> Callable[..., Any]:
    if request.param == "pretrain":
        data, module = shard_of("d", stories), pretrain
        params: dict[str, Any] = {**COMMON, "sequence": 32, "data": "d", "epochs": 1}
    elif request.param == "sft":
        data, module = rows_of("d", Kind.CONVERSATIONS, talks), sft
        params = {**COMMON, "data": "d", "epochs": 1, "neftune_alpha": 5}
    else:
        data, module = rows_of("d", Kind.PREFERENCES, choices), dpo
        params = {**COMMON, "data": "d"}

    def run(out: Path, progress: Any = None, **more: Any) -> Any:
        out.mkdir(parents=True, exist_ok=True)
        inputs = Inputs({"model": [tiny], "data": [data]})
        return module.run(module.Params(**{**params, **more}), inputs, out, progress or Silent())

    return run


def test_training_is_the_same_without_it(
    case: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case(tmp_path / "with")
    monkeypatch.setattr(session, "preflight", lambda *given, **named: None)
    case(tmp_path / "without")
    (tmp_path / "with/preflight.json").unlink()
    assert digest_of(list_files(tmp_path / "with")) == digest_of(list_files(tmp_path / "without"))


def test_what_it_says_of_a_run(case: Callable[..., Any], tmp_path: Path) -> None:
    metrics = case(tmp_path).metrics
    report, machine = read(tmp_path), read(tmp_path, machine=True)
    lines = [json.loads(line) for line in (tmp_path / "train_log.jsonl").read_text().splitlines()]
    assert report["plan"]["steps"] == metrics["steps"] == len(lines)
    assert report["plan"]["tokens"] == lines[-1]["tokens"]
    assert {rate["step"]: rate["lr"] for rate in report["plan"]["rates"]} == {
        rate["step"]: lines[rate["step"] - 1]["lr"] for rate in report["plan"]["rates"]
    }
    assert report["data"]["rows_kept"] == report["data"]["rows_in"] - sum(report["data"]["dropped"].values())
    assert report["marks"]["bos_missing"] == 0
    assert report["marks"]["end_trained"] == report["marks"]["sequences"]
    trial = report["trial"]
    assert trial["loss"] == pytest.approx(trial["expected"], rel=0.05)
    assert machine["memory"]["weights"] == 4 * metrics["parameters"]
    assert machine["estimated_seconds"] > 0
    assert machine["shown"][0]["passages"]
    assert metrics["parameters"] == machine["memory"]["parameters"]


def test_the_report_is_the_same_again(case: Callable[..., Any], tmp_path: Path) -> None:
    case(tmp_path / "a")
    case(tmp_path / "b", checkpoint_keep=5, checkpoint_steps=1)
    ours = [(tmp_path / name / "preflight.json").read_bytes() for name in "ab"]
    assert ours[0] == ours[1]
    assert str(tmp_path).encode() not in ours[0]


def test_a_dry_run_stops_before_the_first_step(case: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(DryRun) as stopped:
        case(tmp_path, dry_run=True)
    assert isinstance(stopped.value, Interrupted)
    assert stopped.value.exit_code == EXIT_OK
    assert read(tmp_path)["trial"]["loss"] > 0
    assert not (tmp_path / "train_log.jsonl").exists()
    assert not (tmp_path / "model.safetensors").exists()


class StopAfterOne(Told):
    """Ask to stop as soon as a step is done."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.steps += unit == "steps"

    def stop_requested(self) -> bool:
        return self.steps > 0


def test_a_resumed_run_keeps_the_report_and_tries_nothing(case: Callable[..., Any], tmp_path: Path) -> None:
    case(tmp_path / "whole")
    with pytest.raises(Interrupted):
        case(tmp_path / "cut", StopAfterOne())
    told = Told()
    case(tmp_path / "cut", told)
    assert any("trial pass is left out" in line for line in told.lines)
    assert read(tmp_path / "cut", machine=True)["trial_seconds"] is None
    whole, cut = ((tmp_path / name / "preflight.json").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def test_too_little_memory_is_refused(
    case: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "of", lambda device, processes=1: Machine("this machine", 300_000, 100_000))
    with pytest.raises(UserError, match=r"weights, gradients and AdamW's moments need 728 kB.*400 kB"):
        case(tmp_path)


def test_too_little_for_a_pass_is_only_told(
    case: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "of", lambda device, processes=1: Machine("a shoe box", 10_000_000, 0))
    told = Told()
    case(tmp_path, told)
    assert any("training is expected to need" in line and "a shoe box" in line for line in told.lines)
    # What depends on the machine stays out of the content.
    assert "shoe box" not in (tmp_path / "preflight.json").read_text("utf-8")


def test_a_full_disk_is_refused(
    case: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=1, used=1, free=500_000)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="the model and a checkpoint need 728 kB, the disk has 500 kB left"):
        case(tmp_path)


def test_a_loss_worse_than_a_guess_is_told(tmp_path: Path, shard_of: Any, stories: list[list[int]]) -> None:
    folder = make_folder(tmp_path / "base", initializer_range=0.05)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"][400] = 5.0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    told = Told()
    (tmp_path / "out").mkdir()
    params = pretrain.Params(**{**COMMON, "sequence": 32, "data": "d", "epochs": 1, "spike": "note"})
    inputs = Inputs({"model": [as_input("base", folder, Kind.MODEL)], "data": [shard_of("d", stories)]})
    pretrain.run(params, inputs, tmp_path / "out", told)
    assert any("do the tokens belong to this model" in line for line in told.lines)


# New rows


def grafted(folder: Path, *, tied: bool = False) -> Path:
    make_folder(folder, tied=tied)
    return folder


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_norms_are_those_of_the_rows(tmp_path: Path) -> None:
    folder = grafted(tmp_path / "m")
    embedding, head = row_norms(folder, 400)
    weights = load_file(folder / "model.safetensors")
    norms = np.linalg.norm(weights["model.embed_tokens.weight"].numpy().astype(np.float64), axis=1)
    assert (embedding.table, head.table) == ("embedding", "head")
    assert (embedding.old.rows, embedding.new.rows) == (400, 20)
    assert embedding.old.mean == pytest.approx(norms[:400].mean(), rel=1e-5)
    assert embedding.new.p95 == pytest.approx(np.percentile(norms[400:], 95), rel=1e-5)
    assert head.new.greatest == pytest.approx(
        float(weights["lm_head.weight"][400:].norm(dim=1).max()), rel=1e-5
    )


def test_a_tied_table_stands_once(tmp_path: Path) -> None:
    assert [norm.table for norm in row_norms(grafted(tmp_path / "m", tied=True), 400)] == [
        "embedding and head"
    ]


def test_good_rows_give_no_warning(tmp_path: Path) -> None:
    assert [w for norm in row_norms(grafted(tmp_path / "m"), 400) for w in norm.warnings()] == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "20 of 20 new rows are zero"),
        (1.0, "the same norm"),
        (50.0, "outside those of the old"),
        (0.01, "outside those of the old"),
    ],
)
def test_rows_without_sense_are_told(tmp_path: Path, value: float, words: str) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        rows = weights["lm_head.weight"][400:]
        rows[:] = value * torch.linspace(1, 2, 20)[:, None] if value in (50.0, 0.01) else value

    found = row_norms(changed(grafted(tmp_path / "m"), change), 400)
    told = [warning for norm in found for warning in norm.warnings()]
    assert told
    assert told[0].startswith("head: ")
    assert words in " ".join(told)


def test_a_run_tells_of_its_new_rows(
    tmp_path: Path, rows_of: Callable[..., InputArtifact], talks: list[dict[str, Any]]
) -> None:
    folder = changed(
        make_folder(tmp_path / "m", initializer_range=0.05),
        lambda weights: weights["model.embed_tokens.weight"][410:].zero_(),
    )
    told = Told()
    out = tmp_path / "out"
    out.mkdir()
    params = sft.Params(**COMMON, data="d", epochs=1, new_rows_from=410, dry_run=True)
    inputs = {
        "model": [as_input("base", folder, Kind.MODEL)],
        "data": [rows_of("d", Kind.CONVERSATIONS, talks)],
    }
    with pytest.raises(DryRun):
        sft.run(params, Inputs(inputs), out, told)
    assert any("embedding: 10 of 10 new rows are zero" in line for line in told.lines)
    assert [table["new"]["rows"] for table in read(out)["new_rows"]] == [10, 10]
