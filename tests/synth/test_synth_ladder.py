"""The ladder by itself: which rung is climbed when, with an asker that answers from a list."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from watari.endpoint.ledger import Verdict
from watari.endpoint.request import Answer, AskFailed, Choice, Request
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.synth.checks.finding import Finding, Meta, Severity
from watari.synth.ladder import Outcome, Previous, Unreadable, climb, rungs_of, with_more_tokens

FAST = Endpoint(name="fast", base_url="http://127.0.0.1:9/v1", model="f")
STRONG = Endpoint(name="strong", base_url="http://127.0.0.1:9/v1", model="s")
RUNGS = rungs_of([FAST, STRONG], 1)


@dataclass
class Notes:
    """A ledger that keeps verdicts."""

    verdicts: list[Verdict] = field(default_factory=list)

    def judge(self, verdicts: Any) -> None:
        self.verdicts += verdicts

    def verdict_of(self, attempt: int, version: str) -> Verdict | None:
        return next((one for one in self.verdicts if (one.attempt, one.version) == (attempt, version)), None)


@dataclass
class Asker:
    """Gives the answers of a list: a text, (text, finish reason), or an error."""

    answers: list[Any]
    ledger: Any = field(default_factory=Notes)
    asked: list[tuple[str, Request]] = field(default_factory=list)

    async def ask(self, endpoint: Endpoint, request: Request) -> Answer:
        said = self.answers[len(self.asked)]
        self.asked.append((endpoint.label, request))
        if isinstance(said, AskFailed):
            raise said
        text, reason = said if isinstance(said, tuple) else (said, "stop")
        number = len(self.asked)
        return Answer(
            number,
            f"key {number}",
            f"{endpoint.model}-0",
            (Choice(text, reason),),
            10,
            5,
            0.5,
            0.1,
            recorded=False,
        )


def climbed(answers: list[Any], **more: Any) -> tuple[Outcome, Asker, list[Previous | None]]:
    asker = Asker(answers)
    seen: list[Previous | None] = []

    def compose(rung: int, previous: Previous | None) -> Request:
        seen.append(previous)
        return Request(unit="", messages=[{"role": "user", "content": f"{rung}"}], settings={"max_tokens": 8})

    def read(answer: Answer) -> Any:
        return (
            Unreadable("no form", "segments")
            if answer.text == "?"
            else [{"role": "user", "content": answer.text}]
        )

    async def check(messages: Any, meta: Meta) -> list[Finding]:
        hard = (
            [Finding(messages[0]["content"], Severity.HARD, "why")]
            if messages[0]["content"] != "good"
            else []
        )
        return [*hard, Finding("finish", Severity.WARN, meta.finish_reason)]

    made = asyncio.run(climb(asker, "unit", "row", RUNGS, compose, read, check, version="v", **more))
    return made, asker, seen


def test_the_first_good_answer_ends_the_climb() -> None:
    made, asker, _ = climbed(["good"])
    assert (made.accepted, made.state, made.rung, made.reason) == (True, "accepted", 0, "")
    assert [finding.code for finding in made.findings] == ["finish"]
    request = asker.asked[0][1]
    assert (request.unit, request.row, request.rung, request.purpose) == ("unit", "row", 0, "translate")
    assert asker.ledger.verdicts == [Verdict(1, "v", True, ("finish",))]


def test_each_rung_is_told_of_the_one_before() -> None:
    made, asker, seen = climbed(["leak", "?", "loop", "good"])
    assert (made.state, made.rung) == ("escalated", 3)
    assert [label for label, _ in asker.asked] == ["fast", "fast", "strong", "strong"]
    assert [one and [f.code for f in one.hard] for one in seen] == [None, ["leak"], ["segments"], ["loop"]]
    assert seen[2] is not None
    assert (seen[2].messages, seen[2].text) == (None, "?")
    assert [note.codes for note in made.attempts] == [("leak",), ("segments",), ("loop",), ()]
    assert [verdict.accepted for verdict in asker.ledger.verdicts] == [False, False, False, True]
    assert made.attempts[3].model == "s-0"
    assert climbed(["leak", "good"])[0].state == "repaired"


def test_what_no_rung_could_do_is_dropped_with_its_last_fault_and_best_text() -> None:
    made, _, _ = climbed(["a", "b", "c", "?"])
    assert (made.accepted, made.state, made.reason, made.rung) == (False, "dropped", "segments", 3)
    assert made.messages == [{"role": "user", "content": "c"}]
    assert made.detail == "no form"


def test_where_nothing_came_back_there_is_nothing_to_mend() -> None:
    failed = AskFailed("gave up", "five times")
    made, asker, _ = climbed([failed, "good"])
    assert [label for label, _ in asker.asked] == ["fast", "strong"]
    assert (made.state, made.rung) == ("escalated", 2)
    assert made.attempts[0].codes == ("gave up",)
    made, asker, _ = climbed([failed, failed])
    assert (made.reason, made.messages, len(made.attempts)) == ("gave up", None, 2)


def test_a_cut_off_answer_is_never_taken_and_never_asked_for_in_the_same_way() -> None:
    made, asker, _ = climbed([("good", "length"), ("good", "length"), ("good", "length"), "good"], longest=32)
    assert [request.settings["max_tokens"] for _, request in asker.asked] == [8, 16, 32, 8]
    assert (made.state, made.rung) == ("repaired", 1)
    assert made.attempts[0].codes == ("truncated",)
    assert made.attempts[0].completion_tokens == 15
    assert [request.messages for _, request in asker.asked][3] != asker.asked[2][1].messages


def test_tokens_are_raised_to_the_limit_and_no_further() -> None:
    request = Request(unit="u", settings={"max_tokens": 30})
    raised = with_more_tokens(request, FAST, 50)
    assert raised is not None
    assert raised.settings["max_tokens"] == 50
    assert with_more_tokens(raised, FAST, 50) is None
    limited = FAST.model_copy(update={"sampler": EndpointSampler(max_tokens=20)})
    found = with_more_tokens(Request(unit="u"), limited, 100)
    assert found is not None
    assert found.settings == {"max_tokens": 40}
    assert with_more_tokens(Request(unit="u"), FAST, 100) is None


def test_a_verdict_that_is_on_record_is_not_written_again() -> None:
    ledger = Notes([Verdict(1, "v", True, ("finish",))])

    class Recorded(Asker):
        async def ask(self, endpoint: Endpoint, request: Request) -> Answer:
            found = await super().ask(endpoint, request)
            return Answer(found.attempt, found.key, found.model, found.choices, 1, 1, 0.0, 0.0, recorded=True)

    async def check(messages: Any, meta: Meta) -> list[Finding]:
        return [Finding("finish", Severity.WARN, "")]

    asker = Recorded(["good"], ledger)
    asyncio.run(
        climb(
            asker, "u", "r", RUNGS[:1], lambda rung, previous: Request(unit=""),
            lambda answer: [{"role": "user", "content": answer.text}], check, version="v",
        )
    )  # fmt: skip
    assert len(ledger.verdicts) == 1
