"""`train.repair`: take a model's leaks back, token by token.

Preferences over whole replies are a noisy way to mend one word: nearly all of a reply's tokens are right in both. Here
the tokens that leak are made unlikely in the context in which the model said them, and nothing else is to change:

    α_script · mean over tokens of the mended replies of -log(1 - M),  M: probability of all wrong scripts' tokens
    α_hold   · mean over the same of KL(what the model said of all other tokens || what it says)
    α_ul     · mean over leak tokens of -log(1 - p)
    α_rf     · mean over mending tokens of -log p

The last two are Shisa V2.1's repair (CLTL, facts/seed-systems.md §2: 1.0, 0.1, 5e-6, two epochs) and train what leaked. Where
leaks come from a broad tail that says little: each leaked token has a p below 1 %, its gradient is as small, and the tail
keeps its mass (`span_loss`). The first two train what might leak (`script_loss`): together, the distance to the model with the
wrong tokens forbidden. They alone are on by default. docs/benchmarks.md has both beside `train.dpo`, which takes the same
rows. Rows: see `repair_rows`; `watari.leakage.mining` makes them from a model's own responses.

Of pairs, nothing behind the last token of the spans is computed, and what both replies begin with is computed once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Model, OneOrMore, Preferences
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import UserError
from watari.train.pair_params import PairParams, pair_memory, parted

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.language_model import LanguageModel
    from watari.train.repair_figures import RepairScores
    from watari.train.repair_tuning import RepairTuning
    from watari.train.script_loss import Held

KIND = "train.repair"


class Params(PairParams):
    """Parameters of `train.repair`."""

    model: Model = Field(description="the model to go on from: the one that leaks")
    data: Annotated[list[Preferences], OneOrMore] = Field(
        min_length=1,
        description="preferences with a column `spans`: the leaking reply is `rejected`, the mended one `chosen`",
    )
    alpha_ul: float = Field(
        0.0,
        ge=0,
        description="weight of -log(1 - p), averaged over the leaks' tokens (Shisa V2.1: 1.0; used: 2.0). None by default: "
        "on the demo it worked against alpha_script (docs/benchmarks.md)",
    )
    alpha_rf: float = Field(
        0.0, ge=0, description="weight of -log p, averaged over the tokens that mend them (Shisa V2.1: 0.1)"
    )
    alpha_script: float = Field(
        1.0,
        ge=0,
        description="weight of -log(1 - M), averaged over all tokens of the mended replies: M is the probability of all "
        "tokens of scripts that the row's language is not written with",
    )
    alpha_hold: float = Field(
        1.0,
        ge=0,
        description="weight of what holds all else, at the same places: KL of what the model said before among the other "
        "tokens to what it says now. With alpha_script the same, both are the distance to the model with the wrong tokens forbidden",
    )
    share_prompts: bool = Field(
        True,
        description="compute what both replies begin with once where the model's attention allows it exactly and it is "
        "worth while; the same numbers up to rounding",
    )
    neftune_alpha: float | None = Field(
        default=None, description="refused: noise would be trained into single tokens; see train.sft"
    )
    epochs: Count = Field(
        8, ge=1, description="passes over the rows (Shisa V2.1: 2, used: 5, with the spans' losses alone)"
    )
    lr: float = Field(5e-6, gt=0, description="peak learning rate (Shisa V2.1: 5e-6)")
    weight_decay: float = Field(0.0, ge=0, description="none: the model shall stay what it is elsewhere")
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
        if not (self.alpha_ul or self.alpha_rf or self.alpha_script):
            raise ValueError("alpha_ul, alpha_rf, alpha_script: with all at 0 nothing is trained")
        return self

    @property
    def whole_replies(self) -> bool:
        """Whether anything is trained, or held, at all tokens of the mended replies."""
        return bool(self.alpha_script or self.alpha_hold)


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Repair the model on the rows and write it.

    Metrics `before` and `after` hold, for `measured` training rows and for those held out, the figures of
    `repair_figures`: how probable the leaks and their mends are, wrong scripts at all, and how far the rest has moved. With `evaluate`, `bits_per_character` says
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
    from watari.train.repair_figures import repair_figures
    from watari.train.repair_rows import read_repairs
    from watari.train.repair_tuning import RepairTuning
    from watari.train.script_rows import say_before
    from watari.train.session import run_training

    if (done := delegated(KIND, params, inputs, out, progress)) is not None:
        return done
    folder = inputs.one("model").path
    tokenizer = load_tokenizer(folder)
    chat = chosen_template(tokenizer, params.template, params.template_file, folder)
    found = read_repairs(
        inputs.many("data"), tokenizer, chat.template, sequence=params.sequence, seed=params.seed, stage=KIND
    )
    counts = found.ledger.close(out, rows_in=found.rows_in, kept=len(found.rows))
    parts = parted(found.rows, params, KIND)
    if not parts.train:
        raise UserError(
            f"none of {found.rows_in} rows can be trained on: {counts['dropped_by_reason']}",
            "the leaking reply is `rejected`, the mended one `chosen`, and `spans` says where it leaks: "
            '{"rejected": [[first, last + 1]]} in characters',
        )
    said: dict[str, Held] = {}
    before: dict[str, RepairScores] = {}
    after: dict[str, RepairScores] = {}
    plans: list[RepairTuning] = []

    def objective(model: LanguageModel, world: World) -> RepairTuning:
        joint = params.share_prompts and can_share_prompts(model, params.sequence, world)
        plan = RepairTuning(parts.train, params, joint=joint, before=said)
        plans.append(plan)
        if params.whole_replies:
            replies = plan.replies([*parts.train, *parts.held], world.size)
            said.update(say_before(model, replies, progress=progress, world=world))
        before["all"] = plan.scored(model, [*parts.sample, *parts.held], progress, "before", world)
        return plan

    def finish(model: LanguageModel, world: World) -> None:
        after["all"] = plans[0].scored(model, [*parts.sample, *parts.held], progress, "after", world)

    trained = run_training(
        KIND,
        params,
        inputs,
        out,
        progress,
        packed=False,
        facts=facts_of_samples(
            [side for row in parts.train for side in (row.pair.chosen, row.pair.rejected)],
            tokenizer,
            unit="rows",
            rows_in=found.rows_in,
            rows_kept=len(found.rows),
            dropped=counts["dropped_by_reason"],
            epochs=params.epochs,
            per="span",
        ),
        objective=objective,
        finish=finish,
        tokenizer_settings=chat.tokenizer_settings,
        generation=chat.generation,
    )

    def figures(scores: RepairScores) -> dict[str, Any]:
        groups = {"train": parts.sample, "holdout": parts.held}
        return {name: repair_figures(rows, scores) for name, rows in groups.items() if rows}

    told = {
        "bad_tokens": found.bad_tokens,
        "good_tokens": found.good_tokens,
        "shared_tokens": found.shared_tokens,
        "before": figures(before["all"]),
        "after": figures(after["all"]),
    }
    return StageResult({**trained.metrics, **counts, **told}, trained.performance)


STAGE = Stage(
    kind=KIND, version=2, output=Kind.MODEL, params=Params, run=run, resumes=True, memory=pair_memory
)
