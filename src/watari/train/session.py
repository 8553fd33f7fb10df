"""A training stage's common course: load the model, train it under an objective, write it as a Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from watari.artifact import atomic
from watari.artifact.manifest import WORK
from watari.artifact.stage import InputArtifact, Inputs, Progress
from watari.errors import UserError
from watari.pretrained import load_model, load_tokenizer, save_model
from watari.train import checkpoint, lora
from watari.train.device import available_threads, choose, exact
from watari.train.distributed import World
from watari.train.language_model import LanguageModel
from watari.train.loop import Course, Trained, train
from watari.train.objective import Objective
from watari.train.optimizer import NewRows
from watari.train.preflight import DataFacts, preflight
from watari.train.settings import TrainingParams
from watari.train.trackers import check, start
from watari.train.watch import HeldBack, Watch, held_back

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SNAPSHOTS = "snapshots"


def run_training(
    kind: str,
    params: TrainingParams,
    inputs: Inputs,
    out: Path,
    progress: Progress,
    *,
    packed: bool,
    facts: DataFacts,
    objective: Callable[[LanguageModel, World], Objective],
    new_rows_alone: Callable[[int], int] | None = None,
    observe: Callable[[LanguageModel, World, int, int], None] | None = None,
    finish: Callable[[LanguageModel, World], None] | None = None,
    tokenizer_settings: dict[str, Any] | None = None,
    generation: dict[str, Any] | None = None,
) -> Trained:
    """Train the stage's model and write it to `out`.

    Args:
        kind: The stage's: `train.sft`.
        params: Its parameters.
        inputs: Its artifacts; `model` is trained, `evaluate` is measured on the way.
        out: Its folder.
        progress: Told of every step.
        packed: True if rows hold several sequences.
        facts: What the preflight says of the data.
        objective: Makes the objective, given the model before its first step.
        new_rows_alone: Returns, from the number of all steps, how many of the first train only the rows of a graft.
        observe: Called with the model before the first step and after each, and the number of steps done and of all.
        finish: Called with the trained model before it is written.
        tokenizer_settings: Keys to set in the tokenizer's configuration, e.g. its chat template.
        generation: Keys to set in the generation configuration.

    Raises:
        UserError, StageFailed, Interrupted: as the preflight, `loop.train` and the objective do.
    """
    artifact = inputs.one("model")
    folder = artifact.path
    check_context(params.sequence, folder)
    check(params.trackers)
    first_new = new_rows_from(params, artifact)
    compute = choose(params.device, params.precision)
    tokenizer = load_tokenizer(folder)
    texts = (
        held_back(
            inputs.many("evaluate"),
            tokenizer,
            characters=params.evaluate_characters,
            sequence=params.sequence,
            seed=params.seed,
            stage=kind,
        )
        if inputs.many("evaluate")
        else []
    )
    world = World.from_environment(compute.device, sharding=params.sharding)
    with exact(resumed_threads(params, world.home or out, world)):
        attention = compute.attention(params.sequence, packed=packed)
        plain = load_model(folder, attention=attention)
        tables = tables_of(plain, first_new)
        if params.lora is not None:
            tables = lora.attach(plain, params.lora, new_rows_from=first_new, seed=params.seed, stage=kind)
        model = LanguageModel(
            plain, compute, compile=params.compile, checkpoint_activations=params.activation_checkpointing
        )
        if model.uncompiled is not None:
            progress.log(f"compile: {model.uncompiled}")
        world.shard(model)
        made = objective(model, world)
        alone = new_rows_alone(made.steps) if new_rows_alone is not None else 0
        if alone and not tables:
            raise UserError(
                "new_rows_first: this model has no rows of a graft to train alone",
                "set `new_rows_from` to the first new id, or leave it out",
            )
        new_rows = NewRows(tables, alone)
        home = world.home or out
        preflight(
            model,
            made,
            params,
            out,
            progress,
            facts=facts,
            folder=folder,
            world=world,
            new_rows_from=first_new,
            resumed=checkpoint.latest(home / WORK, world=world) is not None,
        )

        def write(target: Path, *, last: bool) -> None:
            whole = plain
            # What is trained on stays fp32, unmerged and divided; only at the end of a lone process nothing is.
            if world.size > 1 or not last:
                state = world.full_state(model)
                if not world.is_main:
                    return
                whole = _refilled(folder, params, state, first_new, kind)
            if params.lora is not None:
                lora.save_adapter(whole, target / lora.ADAPTER)
                lora.merge(whole)
            typed: Any = whole
            save_model(
                typed.cpu().to(getattr(torch, params.save_dtype)),
                target,
                tokenizer_from=folder,
                tokenizer_settings=tokenizer_settings,
                generation=generation,
            )

        def snapshot(step: int) -> None:
            target = out / SNAPSHOTS / f"step-{step}"
            temporary = out / SNAPSHOTS / f".writing-{step}"
            for leftover in (temporary, target):
                if leftover.exists():
                    atomic.remove_tree(leftover)
            write(temporary, last=False)
            if world.is_main:
                atomic.publish_folder(temporary, target)

        course = Course(
            world=world,
            new_rows=new_rows,
            watch=_watch(params, texts, made.steps),
            snapshot=snapshot if params.snapshot_steps else None,
            observe=partial(observe, model, world) if observe is not None else None,
            trackers=start(params.trackers, kind, params, out, progress.log) if world.is_main else None,
        )
        try:
            trained = train(model, made, params, out, progress, course)
        finally:
            if course.trackers is not None:
                course.trackers.close()
        if finish is not None:
            finish(model, world)
        write(out, last=True)
    return trained


def resumed_threads(params: TrainingParams, out: Path, world: World | None = None) -> int:
    """Return the number of threads to use: as given, else as the interrupted run had it, else this process's cores."""
    if params.threads is not None:
        return params.threads
    found = checkpoint.latest(out / WORK, world=world)
    share = max(1, available_threads() // (world.here if world else 1))
    return (checkpoint.read_position(found).threads if found else 0) or share


def _refilled(
    folder: Path, params: TrainingParams, state: dict[str, torch.Tensor], first_new: int | None, kind: str
) -> PreTrainedModel:
    """Return the model in `folder` with the trained weights that its processes have put together."""
    whole = load_model(folder)
    if params.lora is not None:
        lora.attach(whole, params.lora, new_rows_from=first_new, seed=params.seed, stage=kind)
    # A tied table stands under one of its names only.
    there = {name for name, _ in whole.named_parameters()}
    if there != state.keys():
        raise RuntimeError(f"weights that are lacking or not known: {sorted(there ^ state.keys())}")
    whole.load_state_dict(state, strict=False)
    return whole


def _watch(params: TrainingParams, texts: list[HeldBack], steps: int) -> Watch | None:
    if not texts:
        return None
    return Watch(
        texts, every=params.evaluate_steps or max(1, -(-steps // 10)), pass_tokens=params.pass_tokens
    )


def tables_of(model: PreTrainedModel, first_new: int | None) -> dict[str, int]:
    """Return the first new row of each table of token rows, by the name of its parameter; tied ones stand once."""
    untyped: Any = model
    if first_new is None:
        return {}
    weights = {
        id(module.weight) for module in (untyped.get_input_embeddings(), untyped.get_output_embeddings())
    }
    return {name: first_new for name, parameter in model.named_parameters() if id(parameter) in weights}


def new_rows_from(params: TrainingParams, artifact: InputArtifact) -> int | None:
    """Return the first id of the rows that a graft added: as told, else as the graft that made this model says.

    Raises:
        UserError: if it lies beyond the model's vocabulary, or rows are to have a rate of their own and none are known.
    """
    found = params.new_rows_from
    if found is None and artifact.manifest.uses == "model.graft":
        found = int(artifact.manifest.metrics["vocabulary_before"])
    rows = int(json.loads((artifact.path / "config.json").read_text("utf-8"))["vocab_size"])
    if found is not None and found >= rows:
        raise UserError(
            f"new_rows_from: {found} is not below the {rows} rows of '{artifact.name}'",
            "give the size of the base's vocabulary",
        )
    if found is None and params.lr_new_rows is not None:
        raise UserError(
            f"lr_new_rows: nothing says which rows of '{artifact.name}' are new",
            "set `new_rows_from` to the first new id (a model straight from model.graft says it itself)",
        )
    return found


def check_context(sequence: int, folder: Path) -> None:
    """Make sure that the model in `folder` has positions for sequences of this length.

    Raises:
        UserError: if it has not.
    """
    context = json.loads((folder / "config.json").read_text("utf-8")).get("max_position_embeddings")
    if context is not None and sequence > context:
        raise UserError(
            f"sequence: {sequence} tokens are more than the model's context of {context}",
            f"set `sequence: {context}` or less",
        )


@contextmanager
def reading(params: TrainingParams, folder: Path, out: Path, world: World) -> Iterator[LanguageModel]:
    """Yield the model in `folder` for scoring only, computed as the stage computes, and let go of it afterwards."""
    with exact(resumed_threads(params, world.home or out, world)):
        compute = choose(params.device, params.precision)
        attention = compute.attention(params.sequence, packed=False)
        model = LanguageModel(load_model(folder, attention=attention), compute)
        world.shard(model)
        yield model
