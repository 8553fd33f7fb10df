"""What a judge of the family shaberi is asked with: our own words, or those of a file that the user gives.

Upstream's prompts stand in its code and are not ours to copy. A file of them is YAML or JSON:

    system: a system message for the judge           (may be missing)
    datasets:
      Rakuda: "... {question} ... {answer} ..."      a user's message, or a list of {role, content}
      Tengu: [{role: user, content: ...}, {role: assistant, content: ...}, {role: user, content: "... {answer} ..."}]
    default: for benchmarks that are not named        (may be missing)
    second: asks for the number alone, with {review}  (may be missing: ours)

Filled in are {question}, {answer}, {reference}, {criteria}, {low}, {high}, {example}, in `second` also {review}. Other braces
stay as they are; what is filled in is not looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.evals.shaberi.questions import Question
from watari.evals.shaberi.spec import ShaberiSpec
from watari.generate.answerer import Messages

_FIELDS = ("question", "answer", "reference", "criteria", "low", "high", "example", "review")
_PLACE = re.compile(r"\{(" + "|".join(_FIELDS) + r")\}")
_FRAME = re.compile(r"<(/?)(question|answer|reference|criteria|review)>")
_OWN = "ja"


@dataclass(frozen=True)
class JudgePrompts:
    """The prompts of a run.

    Args:
        name: `watari-shaberi-ja/1` for our own; the path of the user's file.
        own: True for ours.
        system: The judge's system message; "" sends none.
        default: Of benchmarks that are not named; () where each must be.
        datasets: By short name.
        second: Asks for the number alone.
        frames: {reference} and {criteria} stand in these where there is one; they are empty otherwise.
    """

    name: str
    own: bool
    system: str
    default: tuple[Mapping[str, str], ...]
    datasets: Mapping[str, tuple[Mapping[str, str], ...]]
    second: str
    frames: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Hash of all words."""
        shown = {name: [dict(one) for one in turns] for name, turns in self.datasets.items()}
        default = [dict(one) for one in self.default]
        return hash_json([self.system, default, shown, self.second, dict(self.frames)])

    def messages(self, question: Question, answer: str) -> Messages:
        """Return what the judge is sent about an answer.

        Raises:
            UserError: if there is no prompt for the question's benchmark.
        """
        turns = self.datasets.get(question.dataset.short, self.default)
        if not turns:
            raise UserError(
                f"{self.name}: no prompt for {question.dataset.short}",
                "give it one under `datasets:`, or a `default:`",
            )
        values = self._values(question, answer)
        made = [{"role": one["role"], "content": _filled(one["content"], values)} for one in turns]
        return [{"role": "system", "content": self.system}, *made] if self.system else made

    def second_messages(self, question: Question, answer: str, review: str) -> Messages:
        """Return what the judge is sent when its review gives no rating."""
        values = self._values(question, answer) | {"review": self._framed(review)}
        return [{"role": "user", "content": _filled(self.second, values)}]

    def _values(self, question: Question, answer: str) -> dict[str, str]:
        low, high = question.dataset.scale
        shown = {"reference": question.reference, "criteria": question.criteria}
        values = {
            name: self.frames.get(name, "{text}").replace("{text}", self._framed(text)) if text else ""
            for name, text in shown.items()
        }
        return values | {
            "question": self._framed(question.text),
            "answer": self._framed(answer),
            "low": f"{low:g}",
            "high": f"{high:g}",
            "example": f"{round((low + high) / 2):g}",
        }

    def _framed(self, text: str) -> str:
        """Return a text that cannot close the tags of our own prompts."""
        return _FRAME.sub(r"<\1 \2>", text) if self.own else text


@cache
def own_prompts() -> JudgePrompts:
    """Return our own prompts."""
    import yaml

    file = resources.files("watari.evals.shaberi") / "judge_prompts" / f"{_OWN}.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    return JudgePrompts(
        name=f"watari-shaberi-{_OWN}/{content['version']}",
        own=True,
        system=content["system"],
        default=({"role": "user", "content": content["request"]},),
        datasets={},
        second=content["second"],
        frames={name: content[name] for name in ("reference", "criteria")},
    )


def read_prompts(location: str, spec: ShaberiSpec) -> JudgePrompts:
    """Return the prompts of a user's file.

    Raises:
        UserError: if it cannot be read, names a benchmark that there is not, or a prompt does not show the answer.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(location).read_text("utf-8-sig"))
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"{location}: cannot be read: {error}", "a local YAML or JSON file is wanted"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{location}: neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not content.get("datasets", content.get("default")):
        raise UserError(
            f"{location}: no judge prompts", "`datasets:` {name: prompt}, or `default:`, is wanted"
        )
    if unknown := set(content) - {"system", "datasets", "default", "second"}:
        raise UserError(f"{location}: `{sorted(map(str, unknown))[0]}` means nothing here")
    named = content.get("datasets") or {}
    if not isinstance(named, dict):
        raise UserError(f"{location}: `datasets` is no map of benchmarks to prompts")
    datasets = {}
    for name, given in named.items():
        found = spec.dataset(str(name))
        datasets[found.short if found else str(name)] = _turns(given, f"{location}: datasets: {name}")
    default = _turns(content["default"], f"{location}: default") if content.get("default") else ()
    second, system = content.get("second", own_prompts().second), content.get("system") or ""
    if not isinstance(second, str) or "{review}" not in second:
        raise UserError(f"{location}: second: does not show the review", "write {review}")
    if not isinstance(system, str):
        raise UserError(f"{location}: system: no text")
    return JudgePrompts(location, False, system, default, datasets, second, {})


def _turns(given: Any, place: str) -> tuple[Mapping[str, str], ...]:
    turns = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(turns, list) or not turns:
        raise UserError(f"{place}: neither a text nor a list of messages")
    for one in turns:
        if (
            not isinstance(one, dict)
            or set(one) != {"role", "content"}
            or not all(isinstance(value, str) for value in one.values())
        ):
            raise UserError(f"{place}: messages are {{role, content}}, both texts")
    for name in ("answer", "question"):
        if f"{{{name}}}" not in turns[-1]["content"]:
            raise UserError(f"{place}: its last message does not show the {name}", f"write {{{name}}}")
    return tuple(turns)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda match: values.get(match[1], match[0]), template)
