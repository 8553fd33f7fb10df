"""The messages of a request: translate these segments, mend what was wrong, write a task of your own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from watari.languages.prompts import PromptTexts, Register, language_name, prompt_texts
from watari.synth.ladder import Message, Messages
from watari.synth.segments import Exchange, Segment, written

PROBLEMS = 12
"""Problems that a repair names at most: what comes after them mostly follows from the first."""
_SHOWN = 3
"""A faulty answer is shown up to so many times the length of the source; a loop is not shown whole."""


class Prompts:
    """The wordings of one translation.

    Args:
        source, target: ISO codes of the languages.
        register: How it shall speak.
        style: Notes of the recipe, after those of the language.
    """

    def __init__(self, source: str, target: str, register: Register, style: Sequence[str] = ()) -> None:
        self._names = {"source": language_name(source), "target": language_name(target)}
        self._texts: PromptTexts = prompt_texts(target)
        self._register: Register = register
        self._style = tuple(style)

    @property
    def version(self) -> str:
        """Hash of the words that the recipe does not give."""
        return self._texts.version

    def translate(
        self, segments: Sequence[Segment], before: Exchange, glossary: Mapping[str, str]
    ) -> Messages:
        """Return what asks for the translation of `segments`, which follow on what was translated before."""
        return [*self._opening(before, glossary), _user(self._request(segments))]

    def repair(
        self,
        segments: Sequence[Segment],
        before: Exchange,
        glossary: Mapping[str, str],
        answer: str,
        problems: Iterable[str],
    ) -> Messages:
        """Return what asks for `segments` again: it shows the faulty answer and names what is wrong with it."""
        texts = self._texts.translate
        sent = written(segments)
        mend = texts.repair.format(problems=_listed(problems), **self._names)
        return [
            *self._opening(before, glossary),
            _user(self._request(segments)),
            {"role": "assistant", "content": _cut(answer, _SHOWN * len(sent) + 200)},
            _user(f"{mend}\n\n{sent}"),
        ]

    def native(self, original: Sequence[Mapping[str, str]], category: str, roles: Sequence[str]) -> Messages:
        """Return what asks for a task of the same kind in the target language; the answer has a segment for each role."""
        texts = self._texts.native
        shown = "\n\n".join(f"<{one['role']}>\n{one['content']}\n</{one['role']}>" for one in original)
        system = texts.system.format(
            turns=len(roles), speakers=self._speakers(enumerate(roles, 1)), **self._names
        )
        request = texts.request.format(
            category=category, original=shown, numbers=_numbers(len(roles)), **self._names
        )
        return [{"role": "system", "content": f"{system}\n{self._manner({})}"}, _user(request)]

    def native_repair(
        self,
        original: Sequence[Mapping[str, str]],
        category: str,
        roles: Sequence[str],
        answer: str,
        problems: Iterable[str],
    ) -> Messages:
        """Return what asks for it again."""
        mend = self._texts.native.repair.format(
            problems=_listed(problems), numbers=_numbers(len(roles)), **self._names
        )
        shown = {"role": "assistant", "content": _cut(answer, 4000)}
        return [*self.native(original, category, roles), shown, _user(mend)]

    @property
    def cut_off(self) -> str:
        """What a repair says of an answer that was cut off."""
        return self._texts.translate.truncated

    def _opening(self, before: Exchange, glossary: Mapping[str, str]) -> Messages:
        # Most rows hold no term: they share one text, of which thousands may be in work.
        told = f"{self._system}\n{self._manner(glossary)}" if glossary else self._plain
        opening: list[Message] = [{"role": "system", "content": told}]
        if before.segments:
            opening += [
                _user(self._request(before.segments)),
                {"role": "assistant", "content": written(before.segments, before.translations)},
            ]
        return opening

    @cached_property
    def _system(self) -> str:
        return self._texts.translate.system.format(**self._names)

    @cached_property
    def _plain(self) -> str:
        return f"{self._system}\n{self._manner({})}"

    def _manner(self, glossary: Mapping[str, str]) -> str:
        texts = self._texts.translate
        told = [
            "",
            texts.register_head.format(register=texts.register_[self._register].format(**self._names)),
        ]
        notes = [note.format(**self._names) for note in texts.style] + list(self._style)
        if notes:
            told += ["", texts.style_head, *(f"- {note}" for note in notes)]
        if glossary:
            told += ["", texts.glossary_head]
            told += [
                texts.glossary_entry.format(term=term, translation=translation)
                for term, translation in sorted(glossary.items())
            ]
        return "\n".join(told)

    def _request(self, segments: Sequence[Segment]) -> str:
        texts = self._texts.translate
        head = texts.request.format(**self._names)
        speakers = texts.speakers.format(speakers=self._speakers((one.number, one.role) for one in segments))
        return f"{head} {speakers}\n\n{written(segments)}"

    def _speakers(self, numbered: Iterable[tuple[int, str]]) -> str:
        """Return `1 user, 2-3 assistant`."""
        roles = self._texts.translate.roles
        runs: list[tuple[int, int, str]] = []
        for number, role in numbered:
            if runs and runs[-1][2] == role and runs[-1][1] == number - 1:
                runs[-1] = (runs[-1][0], number, role)
            else:
                runs.append((number, number, role))
        return ", ".join(
            f"{first if first == last else f'{first}-{last}'} {roles.get(role, role)}"
            for first, last, role in runs
        )


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _numbers(count: int) -> str:
    return ", ".join(f"[[{number}]]" for number in range(1, count + 1))


def _listed(problems: Iterable[str]) -> str:
    lines = list(dict.fromkeys(problems))
    more = [f"- and {len(lines) - PROBLEMS} more"] if len(lines) > PROBLEMS else []
    return "\n".join([*(f"- {line}" for line in lines[:PROBLEMS]), *more])


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} …"
