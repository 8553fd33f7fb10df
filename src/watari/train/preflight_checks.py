"""What a preflight refuses, and what it warns of: pure functions of what was found."""

from __future__ import annotations

from watari.errors import UserError
from watari.train.facts import DataFacts
from watari.train.memory import Machine, Memory, size_words
from watari.train.preflight_probe import Probe

_MANY_DROPPED = 0.2
_FEW_TRAINED = 0.005
"""Below this share of trained tokens something is more likely wrong than not (the facts page's conversations: 3-5 %)."""
_WASTE = 0.1
_WORSE_THAN_GUESSING = 1.2


def refuse(facts: DataFacts) -> None:
    """Make sure that the data can teach what it is meant to.

    Raises:
        UserError: if nothing is trained, BOS is missing or doubled, or no reply's end is trained.
    """
    marks = facts.marks
    if not len(facts.lengths) or not int(facts.supervised.sum()):
        raise UserError(
            f"none of {facts.rows_in:,} {facts.unit} has a token to train",
            "look at one with `watari train show-mask`",
        )
    documents = facts.unit == "documents"
    # A shard made elsewhere may hold pieces of documents, so there only a shard without any BOS is refused.
    if marks.bos_wanted and marks.bos_missing and (not documents or marks.bos_missing == marks.sequences):
        raise UserError(
            f"{marks.bos_missing:,} of {marks.sequences:,} {_sequences(facts)} do not begin with {marks.bos}, with which "
            f"the tokenizer begins every text (first: {marks.first_bad})",
            "pack the documents again, with BOS"
            if documents
            else "begin the chat template with {{- bos_token -}}",
        )
    if marks.bos_doubled:
        raise UserError(
            f"{marks.bos_doubled:,} of {marks.sequences:,} {_sequences(facts)} begin with {marks.bos} twice "
            f"(first: {marks.first_bad})",
            "the text or the template holds one already: leave one of the two out",
        )
    if not documents and facts.per != "span" and not marks.end_trained:
        raise UserError(
            f"in none of {marks.sequences:,} sequences the token that ends a reply is trained: the model would never stop",
            "end the assistant's turn with {{ eos_token }} in the chat template",
        )


def check_memory(memory: Memory, there: Machine) -> None:
    """Make sure that what is needed whatever a pass holds is there.

    Raises:
        UserError: if weights, gradients and AdamW's moments alone do not fit.
    """
    if memory.known > there.available + there.held:
        raise UserError(
            f"weights, gradients and AdamW's moments need {size_words(memory.known)}; "
            f"{there.place} has {size_words(there.available + there.held)} for it",
            "set `lora: {}`, divide the model (`processes`, `sharding: fsdp`), or take a larger machine",
        )


def check_disk(disk: dict[str, int]) -> None:
    """Make sure that the model and one checkpoint can be written.

    Raises:
        UserError: if not.
    """
    least = disk["model"] + disk["checkpoint"]
    if least > disk["free"]:
        raise UserError(
            f"the model and a checkpoint need {size_words(least)}, the disk has {size_words(disk['free'])} left",
            "free some, or give a folder on another disk",
        )


def warnings_of(facts: DataFacts) -> list[str]:
    """Return what may be wrong with the data, in words."""
    marks, found = facts.marks, []
    dropped = facts.rows_in - facts.rows_kept
    if dropped > _MANY_DROPPED * facts.rows_in:
        reason, count = max(
            facts.dropped.items(), key=lambda item: (item[1], item[0]), default=("?", dropped)
        )
        found.append(
            f"{dropped:,} of {facts.rows_in:,} {facts.unit} are not trained on, {count:,} of them: {reason}"
        )
    share = int(facts.supervised.sum()) / int(facts.lengths.sum())
    if share < _FEW_TRAINED and facts.per != "span":
        found.append(f"only {share:.2%} of the tokens are trained")
    if facts.unit == "documents":
        if marks.bos_wanted and marks.bos_missing:
            found.append(
                f"{marks.bos_missing:,} of {marks.sequences:,} documents do not begin with {marks.bos}"
            )
        if marks.eos is not None and marks.end_trained < marks.sequences:
            missing = marks.sequences - marks.end_trained
            found.append(f"{missing:,} of {marks.sequences:,} documents do not end with {marks.eos}")
    elif marks.end_trained < marks.sequences and facts.per != "span":
        missing = marks.sequences - marks.end_trained
        found.append(f"in {missing:,} of {marks.sequences:,} sequences the end of the reply is not trained")
    if facts.packed is not None and waste(facts) > _WASTE:
        found.append(f"{waste(facts):.1%} of the packed positions are empty; a longer `sequence` wastes less")
    return found


def probe_warnings(tried: Probe, facts: DataFacts) -> list[str]:
    """Return what is odd about the first loss, in words; that of spans may be anything (a leak can be certain)."""
    if facts.per != "span" and tried.loss > _WORSE_THAN_GUESSING * tried.expected:
        return [
            f"the first loss is {tried.loss:.3f}, a guess would have {tried.expected:.3f}: "
            "do the tokens belong to this model, and have its new rows been given values?"
        ]
    return []


def _sequences(facts: DataFacts) -> str:
    return "documents" if facts.unit == "documents" else "sequences"


def waste(facts: DataFacts) -> float:
    assert facts.packed is not None
    return 1 - int(facts.lengths.sum()) / facts.packed[1]
