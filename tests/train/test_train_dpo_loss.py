"""The losses over pairs and their gradients are TRL's, on a small batch in fp32, with a reference that is another model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny_llama import TEXT, make_folder
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Silent
from watari.generate.templates import PRESETS
from watari.pretrained import load_model, load_tokenizer
from watari.train import dpo
from watari.train.device import Compute
from watari.train.language_model import LanguageModel
from watari.train.pairs import Pair, read_preferences
from watari.train.preference import PairLoss
from watari.train.preference_score import score
from watari.train.preference_tuning import PreferenceTuning

CPU = Compute(torch.device("cpu"), torch.float32)
ROWS = [
    {
        "id": f"p{index}",
        "prompt": [{"role": "user", "content": f"{TEXT[index][: 30 + 9 * index]}?"}],
        "chosen": TEXT[(index + 1) % 4][: 4 + 11 * index],
        "rejected": TEXT[(index + 2) % 4][: 40 - 8 * index],
        "source": "made",
    }
    for index in range(4)
]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference with other weights."""
    return make_folder(tmp_path_factory.mktemp("judge"), seed=9, initializer_range=0.05)


@pytest.fixture(scope="module")
def trainer(tiny: InputArtifact, judge: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """TRL's trainer over all rows at once, with a live reference."""
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    tokenizer = load_tokenizer(tiny.path)
    tokenizer.chat_template = PRESETS["swallow"]
    tokenizer.pad_token = tokenizer.eos_token
    config = trl.DPOConfig(
        output_dir=str(tmp_path_factory.mktemp("trl")),
        per_device_train_batch_size=len(ROWS),
        bf16=False,
        use_cpu=True,
        activation_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        max_length=None,
    )
    rows = datasets.Dataset.from_list(
        [
            {
                "prompt": row["prompt"],
                "chosen": [{"role": "assistant", "content": row["chosen"]}],
                "rejected": [{"role": "assistant", "content": row["rejected"]}],
            }
            for row in ROWS
        ]
    )
    return trl.DPOTrainer(
        load_model(tiny.path),
        ref_model=load_model(judge),
        args=config,
        train_dataset=rows,
        processing_class=tokenizer,
    )


@pytest.fixture
def pairs(tiny: InputArtifact, rows_of: Callable[..., InputArtifact]) -> list[Pair]:
    """The same rows as pairs."""
    data = rows_of("d", Kind.PREFERENCES, ROWS)
    tokenizer = load_tokenizer(tiny.path)
    return read_preferences([data], tokenizer, PRESETS["swallow"], sequence=256, seed=0, stage="s").pairs


def theirs(trainer: Any, rows: list[int], **settings: Any) -> tuple[float, dict[str, torch.Tensor]]:
    """Return TRL's loss of some rows, and its gradients."""
    named = {"loss_types": ["sigmoid"], "loss_weights": [1.0], "label_smoothing": 0.0, "beta": 0.3}
    for name, value in {**named, **settings}.items():
        setattr(trainer, name, value)
    trainer.model.zero_grad()
    batch = trainer.data_collator([trainer.train_dataset[index] for index in rows])
    loss = trainer.compute_loss(trainer.model.eval(), batch)
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    return float(loss.detach()), gradients


def ours(
    tiny: InputArtifact, judge: Path, pairs: list[Pair], pass_tokens: int, **given: Any
) -> tuple[float, dict[str, torch.Tensor]]:
    """Return our loss of a step over these pairs, and its gradients."""
    params = dpo.Params(
        **{"model": "m", "data": "d", "beta": 0.3, "batch": 8, "pass_tokens": pass_tokens, **given}
    )
    reference: dict[str, Any] = {}
    tuning = PreferenceTuning(pairs, params, joint=True, reference=reference)
    other = LanguageModel(load_model(judge), CPU)
    reference |= score(other, tuning.first_epoch(), progress=Silent(), note="")
    model = LanguageModel(load_model(tiny.path), CPU)
    loss = 0.0
    for batch in tuning.passes(0):
        part = tuning.part(model, 0, batch)
        part.loss.backward()  # type: ignore[no-untyped-call]
        loss += float(part.loss.detach())
    gradients = {name: p.grad.clone() for name, p in model.model.named_parameters() if p.grad is not None}
    return loss, gradients


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sigmoid": ({}, {}),
    "beta": ({"beta": 2.5}, {"beta": 2.5}),
    "sigmoid_norm": ({"loss": "sigmoid_norm", "beta": 5}, {"loss_types": ["sigmoid_norm"], "beta": 5}),
    "ipo": ({"loss": "ipo"}, {"loss_types": ["ipo"]}),
    "robust": (
        {"loss": "robust", "label_smoothing": 0.2},
        {"loss_types": ["robust"], "label_smoothing": 0.2},
    ),
    "rpo": ({"rpo_alpha": 0.7}, {"loss_types": ["sigmoid", "sft"], "loss_weights": [1.0, 0.7]}),
    "rpo_norm": (
        {"rpo_alpha": 1.0, "loss": "sigmoid_norm"},
        {"loss_types": ["sigmoid_norm", "sft"], "loss_weights": [1.0, 1.0]},
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("pass_tokens", [10_000, 1])
def test_losses_and_gradients_are_those_of_trl(
    tiny: InputArtifact, judge: Path, trainer: Any, pairs: list[Pair], case: str, pass_tokens: int
) -> None:
    """Loss to 1e-5, every gradient to 1e-4 of its norm; in one pass and in one pass a pair."""
    mine, stock = CASES[case]
    expected, gradients = theirs(trainer, [0, 1, 2, 3], **stock)
    loss, found = ours(tiny, judge, pairs, pass_tokens, **mine)
    assert loss == pytest.approx(expected, abs=1e-5)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert float((found[name] - gradient).norm()) < 1e-4 * float(gradient.norm()) + 1e-8, name


def test_label_smoothing_is_conservative_dpo_as_trl_has_it_in_aot(
    tiny: InputArtifact, judge: Path, trainer: Any, pairs: list[Pair]
) -> None:
    """TRL smooths only in losses that sort a batch (`aot`); over a single pair sorting does nothing."""
    for index in (0, 2):
        expected, gradients = theirs(trainer, [index], loss_types=["aot"], label_smoothing=0.2)
        loss, found = ours(tiny, judge, [pairs[index]], 10_000, label_smoothing=0.2)
        assert loss == pytest.approx(expected, abs=1e-5)
        for name, gradient in gradients.items():
            assert float((found[name] - gradient).norm()) < 1e-4 * float(gradient.norm()) + 1e-8, name


def test_losses_by_hand() -> None:
    ratios = torch.tensor([[-3.0, 1.0], [2.0, 2.0], [4.0, -1.0]], dtype=torch.float64)
    tokens = torch.tensor([[2.0, 4.0], [5.0, 10.0], [8.0, 1.0]], dtype=torch.float64)
    beta, share = 0.3, 0.2
    margins = torch.tensor([-4.0, 0.0, 5.0], dtype=torch.float64)
    right, wrong = torch.sigmoid(beta * margins), torch.sigmoid(-beta * margins)
    plain = PairLoss("sigmoid", beta)
    torch.testing.assert_close(plain.of(plain.rewards(ratios, tokens)), -right.log())
    smooth = PairLoss("sigmoid", beta, share)
    torch.testing.assert_close(
        smooth.of(smooth.rewards(ratios, tokens)), -(1 - share) * right.log() - share * wrong.log()
    )
    robust = PairLoss("robust", beta, share)
    expected = (-(1 - share) * right.log() + share * wrong.log()) / (1 - 2 * share)
    torch.testing.assert_close(robust.of(robust.rewards(ratios, tokens)), expected)
    each = torch.tensor([-1.5 - 0.25, 0.4 - 0.2, 0.5 + 1.0], dtype=torch.float64)
    norm = PairLoss("sigmoid_norm", beta)
    torch.testing.assert_close(norm.of(norm.rewards(ratios, tokens)), -torch.sigmoid(beta * each).log())
    ipo = PairLoss("ipo", beta)
    torch.testing.assert_close(ipo.of(ipo.rewards(ratios, tokens)), (each - 1 / (2 * beta)) ** 2)


@pytest.mark.parametrize("name", ["sigmoid", "sigmoid_norm", "robust", "ipo"])
def test_swapping_the_replies_mirrors_the_rewards(name: Any) -> None:
    draw = torch.Generator().manual_seed(0)
    ratios = torch.randn(20, 2, dtype=torch.float64, generator=draw)
    tokens = torch.randint(1, 50, (20, 2), generator=draw).double()
    loss = PairLoss(name, 0.4, 0.0 if name == "ipo" else 0.1)
    rewards = loss.rewards(ratios, tokens)
    torch.testing.assert_close(loss.rewards(ratios.flip(1), tokens.flip(1)), rewards.flip(1))
    if name.startswith("sigmoid"):
        # What a label the wrong way round costs more is what the margin says.
        gap = loss.of(rewards.flip(1)) - loss.of(rewards)
        torch.testing.assert_close(gap, (1 - 2 * 0.1) * (rewards[:, 0] - rewards[:, 1]))
