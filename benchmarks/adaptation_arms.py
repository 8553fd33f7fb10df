"""The arms of the adaptation benchmark: ours, transformers' own way, and the base's tokenizer left as it is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adaptation_base import Shape, packed, training
from adaptation_curve import Course, Meter
from adaptation_data import Corpus, artifact
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from watari.artifact.kinds import Kind
from watari.artifact.stage import Inputs, Silent
from watari.model.graft import graft_model
from watari.pretrained import load_tokenizer
from watari.pretrained.graft import read_graft
from watari.pretrained.sentencepiece import SPACE
from watari.tokenizer.build import extend_tokenizer, write_extension
from watari.tokenizer.goal import Goal
from watari.tokenizer.opening import open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of
from watari.tokenizer.texts import Text
from watari.train.distributed import World
from watari.train.facts import facts_of_windows
from watari.train.language_model import LanguageModel
from watari.train.pretrain import KIND, Pretraining
from watari.train.session import run_training
from watari.train.windows import Source, mix, quotas


@dataclass(frozen=True)
class Setting:
    """What all arms have in common.

    Args:
        shape: The base's.
        pieces: New pieces, the same ones for ours and the stock arm.
        batch: Windows of a step.
        replay: Share of English among the tokens.
        init: Of our new rows; None: the library's default.
        ours: Parameters of `train.pretrain` for the expanded model beside the common ones.
    """

    shape: Shape
    pieces: int = 4000
    batch: int = 4
    replay: float = 0.25
    init: str | None = None
    ours: dict[str, Any] = field(default_factory=lambda: {"lr_new_rows": 2.4e-3})

    @property
    def step_tokens(self) -> int:
        """Tokens of a step."""
        return self.batch * self.shape.sequence


class Watari:
    """A model of ours with its tokenizer, and the training text as its tokens.

    Args:
        setting: The common one.
        model: The model's folder.
        corpus: The training text.
        work: Where its files go.
        first_new: First id that the base has not; None: the model is the base.
    """

    def __init__(
        self, setting: Setting, model: Path, corpus: Corpus, work: Path, *, first_new: int | None = None
    ) -> None:
        self.setting = setting
        self.tokenizer = load_tokenizer(model)
        self._model = artifact("model", model, Kind.MODEL)
        self._japanese = packed(corpus.japanese, "japanese", self._model, work / "japanese")
        self._english = packed(corpus.english, "english", self._model, work / "english")
        self._first_new = first_new
        self._work = work

    def train(self, steps: int, lr: float, seed: int, meter: Meter | None) -> Course:
        """Train through the library's session, as `train.pretrain` does, and return the course."""
        shape, setting = self.setting.shape, self.setting
        course = Course(meter, steps, setting.step_tokens)
        more: dict[str, Any] = {}
        if self._first_new is not None:
            more = setting.ours | {"new_rows_from": self._first_new}
        params = training(
            shape,
            setting.batch,
            tokens=steps * setting.step_tokens,
            lr=lr,
            seed=seed,
            replay=["replay"],
            replay_ratio=setting.replay,
            **more,
        )
        japanese, english = (
            Source(data, shape.sequence, seed=seed, stage=KIND) for data in (self._japanese, self._english)
        )
        counts = quotas(
            [japanese],
            shape.sequence,
            tokens=params.tokens,
            epochs=None,
            replayed=[english],
            replay_ratio=params.replay_ratio,
        )
        sources = [japanese, english]
        mixture = mix(sources, counts, seed=seed, stage=KIND)
        out = self._work / f"trained-{seed}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

        def observe(model: LanguageModel, world: World, done: int, steps: int) -> None:
            course.model = model.model
            if done:
                course.step(done)
            else:
                course.begin()

        run_training(
            KIND,
            params,
            Inputs({"model": [self._model], "data": [self._japanese], "replay": [self._english]}),
            out,
            Silent(),
            packed=False,
            facts=facts_of_windows(sources, mixture, self.tokenizer, respect_documents=False),
            objective=lambda model, world: Pretraining(sources, mixture, params),
            new_rows_alone=lambda steps: round(params.new_rows_first * steps),
            observe=observe,
        )
        return course


def expanded(setting: Setting, base: Path, corpus: Corpus, out: Path) -> dict[str, float]:
    """Write the base with our new pieces and rows; return the CPU seconds that both took."""
    seconds = {}
    began = time.process_time()
    if not (out.parent / "tokenizer" / "graft.json").is_file():
        learned = extend_tokenizer(
            open_base(str(base)), corpus.japanese, Policy(script_of("ja")), Goal(add=setting.pieces)
        )
        write_extension(learned, out.parent / "tokenizer", templates=base)
    seconds["tokenizer"] = time.process_time() - began
    began = time.process_time()
    text = [*corpus.japanese, *corpus.english]
    graft_model(base, out.parent / "tokenizer", out, init=setting.init, text=text)
    seconds["rows"] = time.process_time() - began
    return seconds


class Stock:
    """transformers as its documentation says: `add_tokens`, `resize_token_embeddings`, `Trainer` with bf16.

    Args:
        setting: The common ones.
        base: The base's folder.
        pieces: Strings to add; none for a base as it is.
        corpus: The training text.
        attention: Implementation of attention.
        normalized: As `AddedToken` has it; True is what a plain string gives.
        texts: Tokenise the training text as well.

    `setup` holds the CPU seconds that the tokenizer and, once a model was made, the rows have taken.
    """

    def __init__(
        self,
        setting: Setting,
        base: Path,
        pieces: Sequence[str],
        corpus: Corpus,
        *,
        attention: str = "eager",
        normalized: bool = True,
        texts: bool = True,
    ) -> None:
        from tokenizers import AddedToken

        self.setting = setting
        self._base = base
        self._attention = attention
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(base))
        self.setup: dict[str, float] = {}
        if pieces:
            given: Any = (
                list(pieces) if normalized else [AddedToken(text, normalized=False) for text in pieces]
            )
            began = time.process_time()
            self.tokenizer.add_tokens(given)
            self.setup["tokenizer"] = time.process_time() - began
        self._blocks = [self._windows(found) for found in (corpus.japanese, corpus.english)] if texts else []

    def _windows(self, texts: Sequence[Text]) -> torch.Tensor:
        """Return the texts one after the other, each between BOS and EOS, in windows; the rest is dropped."""
        length = self.setting.shape.sequence
        order = np.random.Generator(np.random.PCG64(0)).permutation(len(texts))
        found = self.tokenizer([texts[place].text for place in order], add_special_tokens=False)["input_ids"]
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        flat = np.concatenate([np.array([bos, *ids, eos], dtype=np.int64) for ids in found])
        count = len(flat) // length
        return torch.from_numpy(flat[: count * length].reshape(count, length))

    def model(self) -> PreTrainedModel:
        """Return the base, resized to the tokenizer with transformers' defaults."""
        model = AutoModelForCausalLM.from_pretrained(
            str(self._base), dtype=torch.float32, attn_implementation=self._attention
        )
        began = time.process_time()
        model.resize_token_embeddings(len(self.tokenizer))
        self.setup["rows"] = time.process_time() - began
        return model

    def train(self, steps: int, lr: float, seed: int, meter: Meter | None) -> Course:
        """Train with `Trainer` and return the course."""
        setting = self.setting
        course = Course(meter, steps, setting.step_tokens)
        torch.manual_seed(seed)
        model = course.model = self.model()
        arguments = TrainingArguments(
            output_dir=str(self._base.parent / "stock"),
            per_device_train_batch_size=setting.batch,
            max_steps=steps,
            learning_rate=lr,
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr_rate": 0.1},
            warmup_steps=round(0.02 * steps),
            weight_decay=0.1,
            adam_beta1=0.9,
            adam_beta2=0.95,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            bf16=True,
            use_cpu=True,
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=self._mixture(steps * setting.batch, seed),
            callbacks=[_Callback(course)],
        )
        # It prints a summary where the claims go.
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return course

    def _mixture(self, count: int, seed: int) -> torch.utils.data.Dataset[Any]:
        """Return `count` windows drawn without repetition, the share of each language exact."""
        draw = np.random.Generator(np.random.PCG64(seed))
        english = round(count * self.setting.replay)
        rows = []
        for blocks, wanted in zip(self._blocks, (count - english, english), strict=True):
            passes = -(-wanted // len(blocks))
            order = np.concatenate([draw.permutation(len(blocks)) for _ in range(passes)])[:wanted]
            rows.append(blocks[torch.from_numpy(order)])
        return _Rows(torch.cat(rows))


class _Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    def __init__(self, rows: torch.Tensor) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self._rows[index], "labels": self._rows[index]}


class _Callback(TrainerCallback):
    def __init__(self, course: Course) -> None:
        self._course = course

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == 0:
            self._course.begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self._course.step(state.global_step)


def pieces_of(tokenizer: Path) -> list[str]:
    """Return the strings that the extension in `tokenizer` added, as text."""
    return [piece.replace(SPACE, " ") for piece in read_graft(tokenizer).pieces]
