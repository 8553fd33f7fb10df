"""What was asked, answered and said about it: texts by item, model, judge, run and turn."""

from __future__ import annotations

from dataclasses import dataclass, field

Key = tuple[str, str]
"""Dataset ("" where questions are not in datasets) and item."""


@dataclass(slots=True)
class Question:
    """What was asked."""

    turns: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    gold: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer to one turn; `read` is what was read out of it, None where it counts as it is."""

    text: str
    cut: bool = False
    read: str | None = None


@dataclass(frozen=True, slots=True)
class Rated:
    """What a judge said of one turn, and what it had been sent."""

    text: str
    sent: str = ""


@dataclass
class Texts:
    """Texts by item; answers by model, run and turn; judgments by judge, model, run and turn."""

    questions: dict[Key, Question] = field(default_factory=dict)
    answers: dict[Key, dict[str, dict[tuple[int, int], Said]]] = field(default_factory=dict)
    judgments: dict[Key, dict[tuple[str, str], dict[tuple[int, int], list[Rated]]]] = field(
        default_factory=dict
    )

    def __bool__(self) -> bool:
        """Return whether there is anything to read."""
        return bool(self.questions or self.answers or self.judgments)

    def question(self, key: Key) -> Question:
        """Return what is known of a question; where its dataset is not told, by its item alone."""
        return self.questions.get(key) or self.questions.get(("", key[1])) or Question()

    def answers_of(self, key: Key, model: str) -> dict[tuple[int, int], Said]:
        """Return a model's answers to an item by (run, turn)."""
        for place in (key, ("", key[1])):
            if found := self.answers.get(place, {}).get(plain(model)):
                return found
        return {}

    def judgments_of(self, key: Key, judge: str, model: str) -> dict[tuple[int, int], list[Rated]]:
        """Return all that a judge said of a model's answers to an item by (run, turn).

        A file of texts may call its judge by the beginning of its name: gpt-5.1 of gpt-5.1-2025-11-13.
        """
        for place in (key, ("", key[1])):
            known = self.judgments.get(place, {})
            if found := known.get((plain(judge), plain(model))):
                return found
            for (name, whose), rated in known.items():
                if whose == plain(model) and name and plain(judge).startswith(f"{name}-"):
                    return rated
        return {}

    def add_answer(self, key: Key, model: str, run: int, turn: int, said: Said) -> None:
        """Keep an answer; the first that is given of a run and turn stays."""
        self.answers.setdefault(key, {}).setdefault(plain(model), {}).setdefault((run, turn), said)

    def add_judgment(self, key: Key, judge: str, model: str, place: tuple[int, int], rated: Rated) -> None:
        """Keep a judgment of a (run, turn): there may be several."""
        of_model = self.judgments.setdefault(key, {}).setdefault((plain(judge), plain(model)), {})
        of_model.setdefault(place, []).append(rated)


def plain(name: str) -> str:
    """Return a model's name as it is compared: upstream files write `org/name` also as `org__name`."""
    return name.replace("/", "__").casefold()
