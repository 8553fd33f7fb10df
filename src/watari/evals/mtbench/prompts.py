"""What a judge is asked with: upstream's prompts from the file that the user gives, or our own.

Upstream's words are not ours to copy. `--set prompts=judge_prompts.jsonl` reads them in FastChat's form; a spec knows the
published files by their hash. Without such a file our own words are used, and the scores are marked as ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.evals.mtbench.questions import Question, file_sha256
from watari.evals.mtbench.spec import Kind, MTBenchSpec
from watari.generate.answerer import Messages

_PLACE = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_FRAME = re.compile(r"<(/?)(question|answer|reference)(_[12])?>")
_KINDS: tuple[Kind, ...] = ("general", "math")
_GENERAL = {1: ("question", "answer"), 2: ("question_1", "answer_1", "question_2", "answer_2")}
_MATH = {1: ("ref_answer_1",), 2: ("ref_answer_1", "ref_answer_2")}


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """How one kind of judgment is asked for.

    Args:
        name: `single-v1`, ...
        turn: Which turn it rates, from 1.
        system: The system message; "" sends none.
        template: The user's message, in Python's format with FastChat's names: {question}, {answer}, {ref_answer_1},
            and for turn 2 {question_1}, {answer_1}, {question_2}, {answer_2}, {ref_answer_2}.
        reference: Whether it shows a reference answer.
        framed: Whether answers stand between tags that they must not close: our own prompts.
    """

    name: str
    turn: int
    system: str
    template: str
    reference: bool
    framed: bool = False

    @property
    def digest(self) -> str:
        """Hash of its words."""
        return hash_json([self.system, self.template])

    def user(self, question: Question, answers: Sequence[str]) -> str:
        """Return the user's message: what stands in the template is filled in once, whatever an answer holds."""
        values = {"question": question.turns[self.turn - 1], "answer": answers[self.turn - 1]}
        for place in range(self.turn):
            values[f"question_{place + 1}"] = question.turns[place]
            values[f"answer_{place + 1}"] = answers[place]
        for place, reference in enumerate(question.reference):
            values[f"ref_answer_{place + 1}"] = reference
        if self.framed:
            values = {name: _FRAME.sub(r"<\1 \2\3>", value) for name, value in values.items()}

        def filled(match: re.Match[str]) -> str:
            return values[match[1]] if match[1] else match[0][0]

        return _PLACE.sub(filled, self.template)

    def messages(self, question: Question, answers: Sequence[str]) -> Messages:
        """Return what the judge is sent."""
        user = {"role": "user", "content": self.user(question, answers)}
        return [{"role": "system", "content": self.system}, user] if self.system else [user]

    def references(self, question: Question) -> tuple[str, ...]:
        """Return the reference answers that it shows."""
        return question.reference[: self.turn] if self.reference else ()


@dataclass(frozen=True)
class JudgePrompts:
    """The prompts of a run.

    Args:
        name: Of the file's vintage; `watari-mt-bench-ja/1` for our own; the path of a file that no spec knows.
        known: True if it is upstream's file, as the spec pins it.
        own: True for ours.
        prompts: By kind of category and turn.
    """

    name: str
    known: bool
    own: bool
    prompts: Mapping[tuple[Kind, int], JudgePrompt]

    @property
    def digest(self) -> str:
        """Hash of all words."""
        return hash_json({f"{kind} {turn}": prompt.digest for (kind, turn), prompt in self.prompts.items()})

    def of(self, kind: Kind, turn: int) -> JudgePrompt:
        """Return the prompt for a kind of category and a turn."""
        return self.prompts[kind, turn]


def read_prompts(location: str, spec: MTBenchSpec) -> JudgePrompts:
    """Return the prompts that a spec names out of a file in FastChat's form.

    Args:
        location: Rows {name, system_prompt, prompt_template}.
        spec: Names them, and knows the published files.

    Raises:
        UserError: if one is missing, or wants something that cannot be filled in.
    """
    from watari.artifact.reading import ReadOptions, read_records
    from watari.artifact.records import Fault

    found: dict[str, dict[str, Any]] = {}
    for record in read_records(location, ReadOptions()):
        if isinstance(record, Fault):
            raise UserError(str(record))
        name = record.row.get("name")
        if not isinstance(name, str) or not isinstance(record.row.get("prompt_template"), str):
            raise UserError(
                f"{record.place}: no judge prompt", "rows have name, system_prompt and prompt_template"
            )
        found[name] = record.row
    prompts: dict[tuple[Kind, int], JudgePrompt] = {}
    for kind in _KINDS:
        for turn in spec.turns:
            wanted = spec.judge.prompt_name(kind, turn)
            if wanted is None:
                continue
            if wanted not in found:
                raise UserError(
                    f"{location}: no prompt {wanted}, which {spec.name} judges turn {turn} with",
                    f"it has {', '.join(sorted(found)) or 'none'}",
                )
            row = found[wanted]
            system = row.get("system_prompt") or ""
            prompt = JudgePrompt(wanted, turn, str(system), row["prompt_template"], kind == "math")
            _check(prompt, location)
            prompts[kind, turn] = prompt
    vintage = spec.vintage("prompts", file_sha256(location) or "")
    return JudgePrompts(vintage.name if vintage else location, vintage is not None, False, prompts)


@cache
def own_prompts(language: str) -> JudgePrompts:
    """Return our own prompts for answers in a language; English where there are none for it.

    Raises:
        UserError: if their file is broken.
    """
    import yaml

    folder = resources.files("watari.evals.mtbench") / "judge_prompts"
    code = language if (folder / f"{language}.yaml").is_file() else "en"
    file = folder / f"{code}.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    prompts: dict[tuple[Kind, int], JudgePrompt] = {}
    for kind in _KINDS:
        for turn, row in content[kind].items():
            prompts[kind, turn] = JudgePrompt(
                row["name"], turn, row["system"], row["template"], kind == "math", framed=True
            )
            _check(prompts[kind, turn], file.name)
    return JudgePrompts(f"watari-mt-bench-{code}/{content['version']}", False, True, prompts)


def _check(prompt: JudgePrompt, location: str) -> None:
    """Make sure that a template shows the answer, and wants nothing that there is not."""
    known = {*_GENERAL[1], *(_GENERAL[2] if prompt.turn == 2 else ("question_1", "answer_1"))}
    if prompt.reference:
        known |= {*_MATH[prompt.turn]}
    wanted = {match[1] for match in _PLACE.finditer(prompt.template) if match[1]}
    strange = sorted(wanted - known)
    if strange:
        raise UserError(
            f"{location}: prompt {prompt.name}: {{{strange[0]}}} is nothing that can be filled in",
            f"known: {', '.join(sorted(known))}",
        )
    if not wanted & {"answer", f"answer_{prompt.turn}"}:
        raise UserError(f"{location}: prompt {prompt.name} does not show the answer", "write {answer}")
    if prompt.reference and not any(name.startswith("ref_answer") for name in wanted):
        raise UserError(
            f"{location}: prompt {prompt.name} does not show the reference answer", "write {ref_answer_1}"
        )
