"""`train.repair`: take a model's leaks back, token by token.

Preferences over whole replies are a noisy way to mend one word: nearly all of a reply's tokens are right in both. Here
only the tokens of the leak are made unlikely and those that mend it likely, in the context in which the model said them:

    α_ul · mean over leak tokens of -log(1 - p)  +  α_rf · mean over mending tokens of -log p

Defaults are those of Shisa V2.1's repair (CLTL, facts/seed-systems.md §2): 1.0, 0.1, 5e-6, two epochs. `train.dpo` takes
the same rows, for comparison. Rows: see `repair_rows`; `watari.leakage.mining` makes them from a model's own responses.

Nothing behind the last token of the spans is computed, and what both replies begin with is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from watari.artifact.draws import draw_uniform, shuffled
from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Model, OneOrMore, OutsidePath, Preferences
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import UserError
from watari.train.settings import TrainingParams

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.language_model import LanguageModel
    from watari.train.pairs import Pair
    from watari.train.repair_tuning import RepairTuning, SpanScore

KIND = "train.repair"


class Params(TrainingParams):
    """Parameters of `train.repair`."""

    model: Model = Field(description="the model to go on from: the one that leaks")
    data: Annotated[list[Preferences], OneOrMore] = Field(
        min_length=1,
        description="preferences with a column `spans`: the leaking reply is `rejected`, the mended one `chosen`",
    )
    alpha_ul: float = Field(
        1.0,
        ge=0,
        description="weight of -log(1 - p), averaged over the leaks' tokens (Shisa V2.1: 1.0; used: 2.0)",
    )
    alpha_rf: float = Field(
        0.1, ge=0, description="weight of -log p, averaged over the tokens that mend them (Shisa V2.1: 0.1)"
    )
    holdout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the rows, drawn by id, that is only measured, before and after",
    )
    measured: Count = Field(
        1_000,
        ge=0,
        description="training rows measured before and after, drawn by id; those held out all are",
    )
    share_prompts: bool = Field(
        True,
        description="compute what both replies begin with once where the model's attention allows it exactly and it is "
        "worth while; the same numbers up to rounding",
    )
    template: Literal["model", "shisa", "swallow"] = Field(
        default="model", description="chat template: the one that the model has (it should), or a preset"
    )
    template_file: OutsidePath | None = Field(
        default=None, description="a .jinja chat template to use instead"
    )
    neftune_alpha: float | None = Field(
        default=None, description="refused: noise would be trained into single tokens; see train.sft"
    )
    epochs: Count = Field(2, ge=1, description="passes over the rows (Shisa V2.1: 2; used: 5)")
    lr: float = Field(5e-6, gt=0, description="peak learning rate (Shisa V2.1: 5e-6)")
    schedule: Literal["cosine", "linear", "constant", "wsd"] = Field(
        "constant", description="see TrainingParams; as train.dpo, so that the two compare"
    )
    warmup: float = Field(0.1, ge=0, description="share of the steps, or steps if 1 or more")
    weight_decay: float = Field(0.0, ge=0, description="none: the model shall stay what it is elsewhere")
    batch: Count = Field(64, ge=1, description="rows in a step; as train.dpo, so that the two compare")
    sequence: Count = Field(
        2048,
        ge=8,
        description="longest prompt with a reply, up to the last token of its spans; longer ones are dropped",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.neftune_alpha is not None:
            raise ValueError("neftune_alpha: noise has no place in a repair of single tokens: leave it out")
        if self.z_loss:
            raise ValueError("z_loss: the losses of single tokens have no z-loss: leave it out")
        if not (self.alpha_ul or self.alpha_rf):
            raise ValueError("alpha_ul, alpha_rf: with both at 0 nothing is trained")
        return self


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Repair the model on the rows and write it.

    Metrics `before` and `after` hold, for `measured` training rows and for those held out, the figures of
    `repair_tuning.SpanFigures`: how probable the leaks and their mends are. With `evaluate`, `bits_per_character` says
    what it cost elsewhere. Rows that cannot be trained on are in `dropped.parquet`.

    Raises:
        UserError: if no row is left, or the template is unfit.
        StageFailed: if training diverges.
        Interrupted: if asked to stop.
    """
    from watari.pretrained import load_tokenizer
    from watari.train.chat import chosen_template
    from watari.train.distributed import delegated
    from watari.train.facts import facts_of_samples
    from watari.train.preference_rows import can_share_prompts
    from watari.train.repair_rows import read_repairs
    from watari.train.repair_tuning import RepairTuning, score_spans, span_figures
    from watari.train.session import run_training

    if (done := delegated(KIND, params, inputs, out, progress)) is not None:
        return done
    folder = inputs.one("model").path
    tokenizer = load_tokenizer(folder)
    chat = chosen_template(tokenizer, params.template, params.template_file, folder)
    found = read_repairs(
        inputs.many("data"), tokenizer, chat.template, sequence=params.sequence, seed=params.seed, stage=KIND
    )
    counts = found.ledger.close(out, rows_in=found.rows_in, kept=len(found.pairs))
    held = [p for p in found.pairs if draw_uniform(params.seed, f"{KIND} holdout", p.id) < params.holdout]
    apart = {id(pair) for pair in held}
    train_pairs = [pair for pair in found.pairs if id(pair) not in apart]
    if not train_pairs:
        raise UserError(
            f"none of {found.rows_in} rows can be trained on: {counts['dropped_by_reason']}",
            "the leaking reply is `rejected`, the mended one `chosen`, and `spans` says where it leaks: "
            '{"rejected": [[first, last + 1]]} in characters',
        )
    drawn = shuffled([pair.id for pair in train_pairs], params.seed, f"{KIND} measured")
    sample = [train_pairs[index] for index in sorted(drawn[: params.measured])]
    before: dict[str, SpanScore] = {}
    after: dict[str, SpanScore] = {}
    plans: list[RepairTuning] = []

    def scored(model: LanguageModel, world: World, note: str) -> dict[str, SpanScore]:
        passes = plans[0].split([*sample, *held], world.size)
        return score_spans(model, passes, progress=progress, note=note, world=world)

    def objective(model: LanguageModel, world: World) -> RepairTuning:
        joint = params.share_prompts and can_share_prompts(model, params.sequence, world)
        plans.append(RepairTuning(train_pairs, params, joint=joint))
        before.update(scored(model, world, "before"))
        return plans[0]

    def finish(model: LanguageModel, world: World) -> None:
        after.update(scored(model, world, "after"))

    trained = run_training(
        KIND,
        params,
        inputs,
        out,
        progress,
        packed=False,
        facts=facts_of_samples(
            [side for pair in train_pairs for side in (pair.chosen, pair.rejected)],
            tokenizer,
            unit="rows",
            rows_in=found.rows_in,
            rows_kept=len(found.pairs),
            dropped=counts["dropped_by_reason"],
            epochs=params.epochs,
            per="span",
        ),
        objective=objective,
        finish=finish,
        tokenizer_settings=chat.tokenizer_settings,
        generation=chat.generation,
    )

    def figures(scores: dict[str, SpanScore]) -> dict[str, Any]:
        parts: dict[str, Sequence[Pair]] = {"train": sample, "holdout": held}
        measured = {name: span_figures(pairs, scores) for name, pairs in parts.items()}
        return {name: asdict(value) for name, value in measured.items() if value is not None}

    told = {
        "bad_tokens": found.bad_tokens,
        "good_tokens": found.good_tokens,
        "shared_tokens": found.shared_tokens,
        "before": figures(before),
        "after": figures(after),
    }
    return StageResult({**trained.metrics, **counts, **told}, trained.performance)


def _memory(params: Params, inputs: Inputs) -> int:
    from watari.train.memory import training_bytes

    return training_bytes(
        inputs.one("model").path,
        pass_tokens=params.pass_tokens,
        sequence=2 * params.sequence,
        batch=params.batch,
        params=params,
    )


STAGE = Stage(kind=KIND, version=1, output=Kind.MODEL, params=Params, run=run, resumes=True, memory=_memory)
