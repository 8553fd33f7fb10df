"""A judge of one answer, against a scripted server over real HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachers import Body, last, teacher
from watari.artifact.stage import Silent
from watari.endpoint.asking import open_asking
from watari.endpoint.params import AskingParams, EndpointRef
from watari.endpoint.replay import Reply
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.errors import UserError
from watari.judge.rating import rating_of
from watari.judge.single import Opinion, Read, SingleJudge, judgment_id


class JudgeParams(AskingParams):
    judge: EndpointRef


def read(text: str) -> Read:
    rating = rating_of("fastchat", text)
    return Read(rating, "" if rating is not None else "no rating in it")


def rate(
    folder: Path, endpoint: Endpoint, texts: list[str], **settings: Any
) -> tuple[list[tuple[Opinion, ...]], dict[str, Any]]:
    async def work() -> tuple[list[tuple[Opinion, ...]], dict[str, Any]]:
        params = JudgeParams(judge=endpoint, ledger=str(folder / "ledger.sqlite"), label="t")
        async with open_asking(params, Silent()) as asking:
            judge = SingleJudge(asking, endpoint, read, **settings)
            found = [
                await judge.rate([{"role": "user", "content": text}], unit=text, row=text) for text in texts
            ]
            return found, asking.spending()

    return asyncio.run(work())


def test_a_rating_is_read_and_settings_are_sent(tmp_path: Path) -> None:
    seen: list[Body] = []

    def judge(body: Body) -> str:
        seen.append(body)
        return "Good. Rating: [[8.5]]"

    with teacher(judge, "judge") as endpoint:
        (((one,),), _) = rate(tmp_path, endpoint, ["a"], settings={"temperature": 0.0, "max_tokens": 2048})
    assert (one.rating, one.problem, one.text, one.id) == (8.5, "", "Good. Rating: [[8.5]]", "a")
    assert one.model == "judge-1"
    assert one.completion_tokens > 0
    assert (seen[0]["temperature"], seen[0]["max_tokens"]) == (0.0, 2048)


def test_what_the_endpoint_says_goes_before_the_spec(tmp_path: Path) -> None:
    """Some judges refuse temperature 0, or need room to think."""
    seen: list[Body] = []

    def judge(body: Body) -> str:
        seen.append(body)
        return "[[5]]"

    with teacher(judge, "judge", sampler=EndpointSampler(temperature=1.0)) as endpoint:
        rate(tmp_path, endpoint, ["a"], settings={"temperature": 0.0, "max_tokens": 9})
    assert (seen[0]["temperature"], seen[0]["max_tokens"]) == (1.0, 9)


def test_unreadable_ratings_are_null_with_the_reason(tmp_path: Path) -> None:
    said = {
        "empty": Reply(" "),
        "none": Reply("A fine answer."),
        "cut": Reply("The answer is", finish_reason="length"),
        "cut but rated": Reply("[[4]] because", finish_reason="length"),
        "refused": Reply("I will not judge that.", status=400),
    }
    with teacher(lambda body: said[last(body)], "judge") as endpoint:
        found, _ = rate(tmp_path, endpoint, list(said))
    assert [(one[-1].rating, one[-1].problem) for one in found] == [
        (None, "no rating in it"),
        (None, "no rating in it"),
        (None, "cut off"),
        (4, ""),
        (None, "refused by the server"),
    ]
    assert not any(one[-1].failed for one in found)


def test_an_outage_is_no_opinion_and_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    up: list[int] = []

    def judge(body: Body) -> str | Reply:
        return "[[6]]" if up else Reply("busy", status=500)

    with teacher(judge, "judge", attempts=1) as endpoint:
        (((down,),), _) = rate(tmp_path, endpoint, ["a"])
        up.append(1)
        (((again,),), _) = rate(tmp_path, endpoint, ["a"])
    assert (down.rating, down.problem, down.failed) == (None, "gave up", True)
    assert (again.rating, again.failed) == (6, False)


def test_reask_asks_as_often_as_told_and_records_each(tmp_path: Path) -> None:
    asked: list[str] = []

    def judge(body: Body) -> str:
        asked.append(last(body))
        return "[[7]]" if last(body) == "third time" and asked.count("third time") == 3 else "hm"

    texts = ["third time", "never"]
    with teacher(judge, "judge") as endpoint:
        found, _ = rate(tmp_path, endpoint, texts, reask=2)
        assert [[one.rating for one in row] for row in found] == [[None, None, 7], [None, None, None]]
        assert len({one.id for row in found for one in row}) == 6
        assert asked == ["third time"] * 3 + ["never"] * 3
        again, spending = rate(tmp_path, endpoint, texts, reask=2)
    assert again == found
    assert len(asked) == 6
    assert spending["judge"]["recorded"] == 6


def test_nothing_is_asked_twice_and_the_ledger_knows_whose_it_is(tmp_path: Path) -> None:
    count: list[int] = []

    def judge(body: Body) -> str:
        count.append(1)
        return "[[3]]"

    with teacher(judge, "judge") as endpoint:
        first, _ = rate(tmp_path, endpoint, ["a", "a", "b"])
        second, spending = rate(tmp_path, endpoint, ["b", "a"])
    assert len(count) == 2
    assert second == [first[2], first[0]]
    assert spending["judge"]["requests"] == 0


def test_an_endpoint_that_only_completes_is_refused(tmp_path: Path) -> None:
    with (
        teacher(lambda body: "[[3]]", "judge", api="completions") as endpoint,
        pytest.raises(UserError, match="answers no conversations"),
    ):
        rate(tmp_path, endpoint, ["a"])


BASE: dict[str, Any] = {
    "question": ["q1", "q2"],
    "turn": 2,
    "answer": ["a1", "a2"],
    "judge": "gpt-4",
    "prompt": "p",
    "reference": ["r1", "r2"],
}


@given(
    st.sampled_from(sorted(BASE)).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.lists(st.text(), min_size=1, max_size=2)
            if isinstance(BASE[name], list)
            else (st.integers(1, 9) if name == "turn" else st.text()),
        )
    )
)
def test_a_judgment_is_another_if_any_part_of_it_is(change: tuple[str, Any]) -> None:
    name, value = change
    assert (judgment_id(**BASE) == judgment_id(**(BASE | {name: value}))) == (BASE[name] == value)
