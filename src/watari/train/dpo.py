"""`train.dpo`: direct preference optimisation, with the reference's log-probabilities computed once.

Defaults: β 0.1, one epoch, a constant rate after warm-up, 1.25e-7 and 64 pairs a step for 8B parameters
(facts/seed-systems.md §2: Shisa V2; the rate scales with 1/√N). NEFTune has no place here: a policy with noise against a
reference without starts away from ln 2 (facts/training.md §1).

Files below `out` beside the model: `reference.parquet` (content: the reference's log-probabilities, which another run
can take), `holdout_log.jsonl` (content, if asked for: a line {step, ...} of `preference_figures.Agreement`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from watari.artifact.kinds import Kind
from watari.artifact.manifest import WORK
from watari.artifact.params import Count, Model, OneOrMore, Preferences
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.errors import UserError
from watari.train.pair_params import PairParams, pair_memory, parted

if TYPE_CHECKING:
    from watari.train.distributed import World
    from watari.train.language_model import LanguageModel
    from watari.train.preference import PairLoss
    from watari.train.preference_rows import PairPass
    from watari.train.preference_score import LogProbs

KIND = "train.dpo"
HOLDOUT_LOG = "holdout_log.jsonl"


class Params(PairParams):
    """Parameters of `train.dpo`."""

    model: Model = Field(description="the model to go on from")
    data: Annotated[list[Preferences], OneOrMore] = Field(
        min_length=1, description="preferences; several are joined, each through its selection"
    )
    reference: Model | None = Field(
        default=None, description="the model that the policy is held to; by default the starting weights"
    )
    reference_scores: Model | None = Field(
        default=None,
        description="a model that train.dpo has made against the same reference: the log-probabilities in its "
        "reference.parquet are taken for the pairs that it holds, the others are computed",
    )
    loss: Literal["sigmoid", "sigmoid_norm", "robust", "ipo"] = Field(
        "sigmoid",
        description="sigmoid: DPO; sigmoid_norm: with log-probabilities averaged per token, so that length alone brings "
        "no reward (Tülu 3; it wants a β of about 5); robust: DPO made unbiased for the share of wrong labels that "
        "label_smoothing says; ipo: the squared form, averaged per token",
    )
    beta: float = Field(0.1, gt=0, description="strength of the hold (Shisa V2: 0.1); τ of ipo")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="share of pairs believed to be labelled the wrong way round"
    )
    rpo_alpha: float = Field(
        0.0,
        ge=0,
        description="weight of the chosen replies' negative log-likelihood, averaged over all their tokens in a step, "
        "which keeps them likely (RPO, arXiv:2404.19733: 1)",
    )
    neftune_alpha: float | None = Field(
        default=None, description="refused: NEFTune does not go with a reference computed once; see train.sft"
    )
    holdout_steps: Count = Field(
        0, ge=0, description="also measure them every so many steps, into holdout_log.jsonl; 0: do not"
    )
    share_prompts: bool = Field(
        True,
        description="compute the prompt once for both replies where the model's attention allows it exactly and it is "
        "worth while; the same numbers up to rounding",
    )
    epochs: Count = Field(1, ge=1, description="passes over the pairs (Shisa V2: 1)")
    lr: float = Field(1.25e-7, gt=0, description="peak learning rate (Shisa V2 at 8B: 1.25e-7)")
    weight_decay: float = Field(0.0, ge=0, description="none: the reference is what the policy is held to")
    sequence: Count = Field(2048, ge=8, description="longest prompt with a reply (Shisa V2: 2048 to 4096)")
    too_long: Literal["drop", "cut"] = Field(
        "drop",
        description="a pair of which a side is longer: drop it, or cut both sides alike: the prompt from its left down "
        "to half of the sequence, then both replies to one length, short of the shorter one's end",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.neftune_alpha is not None:
            raise ValueError(
                "neftune_alpha: the reference's log-probabilities are computed once, without noise, so that a policy "
                "with noise would not start from them (its first loss is not ln 2): use NEFTune in train.sft, leave it "
                "out here"
            )
        if self.z_loss:
            raise ValueError("z_loss: preferences compare log-probabilities and have no z-loss: leave it out")
        if self.loss == "ipo" and self.label_smoothing:
            raise ValueError("label_smoothing: ipo has none: leave it out, or set `loss: robust`")
        if self.holdout_steps and not self.holdout:
            raise ValueError("holdout_steps: nothing is held out: set `holdout`")
        return self

    def pair_loss(self) -> PairLoss:
        """Return the loss that these parameters mean."""
        from watari.train.preference import PairLoss

        return PairLoss(self.loss, self.beta, self.label_smoothing)


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Tune the model on the preferences and write it.

    Metrics `before` and `after` hold, for `measured` training pairs and for those held out, the figures of
    `preference_figures.Agreement`; `cut` and `leaking` count pairs that were cut and replies that leak; rows that cannot
    be trained on are in `dropped.parquet`.

    Raises:
        UserError: if no pair is left, the template is unfit, or a given reference does not fit.
        StageFailed: if training diverges.
        Interrupted: if asked to stop.
    """
    from watari.pretrained import load_tokenizer
    from watari.train.chat import chosen_template
    from watari.train.device import choose
    from watari.train.distributed import World, delegated
    from watari.train.facts import facts_of_samples
    from watari.train.pairs import read_preferences
    from watari.train.preference_figures import add_line, agreement, leaking
    from watari.train.preference_rows import can_share_prompts
    from watari.train.preference_score import REFERENCE, read_reference, score, write_reference
    from watari.train.preference_tuning import PreferenceTuning
    from watari.train.session import reading, run_training

    if (done := delegated(KIND, params, inputs, out, progress)) is not None:
        return done
    folder = inputs.one("model").path
    tokenizer = load_tokenizer(folder)
    chat = chosen_template(tokenizer, params.template, params.template_file, folder)
    found = read_preferences(
        inputs.many("data"),
        tokenizer,
        chat.template,
        sequence=params.sequence,
        too_long=params.too_long,
        seed=params.seed,
        stage=KIND,
    )
    counts = found.ledger.close(out, rows_in=found.rows_in, kept=len(found.pairs))
    parts = parted(found.pairs, params, KIND)
    train_pairs, held, sample = parts.train, parts.held, parts.sample
    if not train_pairs:
        raise UserError(
            f"none of {found.rows_in} preferences can be trained on: {counts['dropped_by_reason']}",
            "raise `sequence`, or give more pairs",
        )
    other = inputs.optional("reference")
    compute = choose(params.device, params.precision)
    held_to = (other or inputs.one("model")).manifest.digest
    taken = inputs.optional("reference_scores")
    known = read_reference(taken, model=held_to, precision=compute.name) if taken is not None else {}
    work = out / WORK
    reference: dict[str, LogProbs] = {}
    before: dict[str, LogProbs] = {}
    after: dict[str, LogProbs] = {}
    plans: list[PreferenceTuning] = []

    def planned(model: LanguageModel, world: World) -> PreferenceTuning:
        joint = params.share_prompts and can_share_prompts(model, params.sequence, world)
        if params.share_prompts and not joint:
            progress.log(
                "prompts cannot be shared under this model's attention: each reply has a row of its own"
            )
        return PreferenceTuning(train_pairs, params, joint=joint, reference=reference)

    def scored(
        model: LanguageModel, world: World, passes: Sequence[PairPass], note: str
    ) -> dict[str, LogProbs]:
        return score(model, passes, progress=progress, note=note, kept_in=work / f"{note}.jsonl", world=world)

    def of_reference(
        model: LanguageModel, world: World, plan: PreferenceTuning, note: str
    ) -> dict[str, LogProbs]:
        """Return what is known and the rest, computed just as training will compute it if nothing is known."""
        passes = [*plan.first_epoch(world.size), *plan.split(held, world.size)]
        if known:
            passes = plan.split([pair for pair in found.pairs if pair.key not in known], world.size)
        return {**known, **scored(model, world, passes, note)}

    if other is not None:
        world = World.from_environment(compute.device, sharding=params.sharding)
        with reading(params, other.path, out, world) as judge:
            check_same_vocabulary(judge, folder, other.name)
            reference.update(of_reference(judge, world, planned(judge, world), "reference"))

    def objective(model: LanguageModel, world: World) -> PreferenceTuning:
        plans.append(planned(model, world))
        if other is None:
            # The policy as it stands is its own reference.
            reference.update(of_reference(model, world, plans[0], "before"))
            before.update(reference)
        else:
            measured = plans[0].split([*sample, *held], world.size)
            before.update(scored(model, world, measured, "before"))
        return plans[0]

    def observe(model: LanguageModel, world: World, step: int, steps: int) -> None:
        every = params.holdout_steps
        if not (every and held and (step % every == 0 or step == steps)):
            return
        passes = plans[0].split(held, world.size)
        now = score(model, passes, progress=progress, note=f"held out, step {step}", world=world)
        line = agreement(held, now, reference, params.pair_loss())
        if world.is_main and line is not None:
            add_line(out / HOLDOUT_LOG, step, asdict(line))

    def finish(model: LanguageModel, world: World) -> None:
        passes = plans[0].split([*sample, *held], world.size)
        after.update(scored(model, world, passes, "after"))

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
            unit="pairs",
            rows_in=found.rows_in,
            rows_kept=len(found.pairs),
            dropped=counts["dropped_by_reason"],
            epochs=params.epochs,
            per="pair",
        ),
        objective=objective,
        observe=observe,
        finish=finish,
        tokenizer_settings=chat.tokenizer_settings,
        generation=chat.generation,
    )
    write_reference(out / REFERENCE, found.pairs, reference, model=held_to, precision=compute.name)

    def figures(policy: dict[str, LogProbs]) -> dict[str, Any]:
        groups = {"train": sample, "holdout": held}
        measured = {
            name: agreement(pairs, policy, reference, params.pair_loss()) for name, pairs in groups.items()
        }
        return {name: asdict(value) for name, value in measured.items() if value is not None}

    told = {
        "cut": {"prompts": found.cut_prompts, "replies": found.cut_replies},
        "leaking": leaking(found.pairs),
        "reference_taken": sum(key in known for key in {pair.key for pair in found.pairs}),
        "before": figures(before),
        "after": figures(after),
    }
    return StageResult({**trained.metrics, **counts, **told}, trained.performance)


def check_same_vocabulary(judge: LanguageModel, folder: Path, name: str) -> None:
    """Make sure that the reference scores the same ids as the policy.

    Raises:
        UserError: if its vocabulary has another size.
    """
    import json

    rows = int(json.loads((folder / "config.json").read_text("utf-8"))["vocab_size"])
    own = int(judge.head.weight.shape[0])
    if own != rows:
        raise UserError(
            f"reference: '{name}' has a vocabulary of {own}, the model one of {rows}",
            "take a reference with the same tokenizer, such as the model before DPO",
        )


STAGE = Stage(
    kind=KIND, version=2, output=Kind.MODEL, params=Params, run=run, resumes=True, memory=pair_memory
)
