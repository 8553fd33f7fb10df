"""Mining: every leak of a response is mended and nothing else touched, the detector agrees, the spans say where."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.rows import write_rows
from watari.endpoint.request import AskFailed
from watari.generate.answerer import Question, Said
from watari.generate.local import LocalModel
from watari.leakage import mining
from watari.leakage.mining import Teacher, mend, mine, read_words, teacher_prompt
from watari.leakage.redecoding import Mend, Redecoder
from watari.leakage.rows import Row
from watari.leakage.scan import Scanned, scan_row
from watari.text.leakage import Event, find_events

ASKED = ({"role": "user", "content": "What did she see?"},)
RESPONSES = [
    "The red 高校生の ball was too high.",
    "She asked the 女の子 and they played, まで all day.",
    "ボール was too high, so she asked her mother.",
    "The red ball was привет high. Hello 고양이 and she asked.",
    "They played all day ボール",
]


def row(text: str, **given: Any) -> Row:
    return Row(
        **{"id": "r", "prompt_id": "p", "messages": ASKED, "response": text, "expected": "en", **given}
    )


def kept(made: dict[str, Any]) -> tuple[str, str]:
    """Return what stands outside of the spans of both replies."""
    spans = json.loads(made["spans"])
    outside = []
    for side in ("rejected", "chosen"):
        edges = [0, *(place for span in spans[side] for place in span), len(made[side])]
        outside.append("".join(made[side][a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)))
    return outside[0], outside[1]


class Fixed:
    """Mends every leak with the same texts."""

    label = "fixed"

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    async def mends(
        self, messages: Sequence[Mapping[str, str]], response: str, event: Event, language: str
    ) -> list[Mend]:
        return [Mend(event.start, text) for text in self.texts]


@pytest.fixture(scope="module")
def redecoder(tmp_path_factory: pytest.TempPathFactory) -> Redecoder:
    return Redecoder(LocalModel(make_folder(tmp_path_factory.mktemp("m")), device="cpu"))


@pytest.mark.parametrize("text", RESPONSES)
def test_the_model_mends_its_own_leaks(redecoder: Redecoder, text: str) -> None:
    scanned = scan_row(row(text))
    assert scanned.events
    (found,) = mine([scanned], redecoder)
    assert found.row is not None, found
    made = found.row
    assert made["rejected"] == text
    assert not find_events(made["chosen"], "en", prompt=scanned.row.prompt)
    before, after = kept(made)
    # Blanks before a leak may go with it.
    assert before.replace(" ", "") == after.replace(" ", "")
    assert json.loads(made["spans"])["rejected"] == [[event.start, event.end] for event in scanned.events]
    assert len(json.loads(made["spans"])["chosen"]) == len(scanned.events)
    assert made["parents"] == ["r"]
    (again,) = mine([scanned], redecoder)
    assert again == found


def test_candidates_are_sorted_and_hold_no_banned_token(redecoder: Redecoder) -> None:
    text = RESPONSES[0]
    (event,) = find_events(text, "en")
    found = redecoder.candidates(ASKED, text, event, "en")
    assert len(found) > 2
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(char.isascii() or not char.isalpha() for one in found for char in one.text)
    assert {one.start for one in found} == {7}
    assert "" in {one.text for one in found}


def test_a_mend_that_leaks_is_not_taken() -> None:
    scanned = scan_row(row(RESPONSES[0]))
    for texts, reason in (
        (("ボール",), "every mend leaks"),
        ((), "no mend was found"),
        (("long " * 60,), "the mend changes more than the leak"),
    ):
        (found,) = mine([scanned], Fixed(*texts))
        assert (found.row, found.reason) == (None, reason)
    (found,) = mine([scanned], Fixed("ボール", "big"))
    assert found.row is not None
    assert found.row["chosen"] == "The red big ball was too high."
    assert json.loads(found.row["spans"]) == {"rejected": [[8, 12]], "chosen": [[8, 11]]}
    assert kept(found.row)[0] == kept(found.row)[1]


def test_responses_that_give_no_row_say_why() -> None:
    clean = scan_row(row("The red ball."))
    assert list(mine([clean], Fixed("x"))) == []
    assert asyncio.run(mend(clean, Fixed("x"))).reason == mining.CLEAN
    alone = scan_row(row(RESPONSES[0], messages=()))
    assert asyncio.run(mend(alone, Fixed("x"))).reason == mining.NO_PROMPT
    many = Scanned(
        row("x"), "en", "row", tuple(Event("token", "ja", i, i + 1, "x", "low", "") for i in range(30))
    )
    assert asyncio.run(mend(many, Fixed("x"))).reason == mining.MANY


class Answers:
    """Answers every question with one text."""

    label = model = "teacher"

    def __init__(self, text: str | None) -> None:
        self.text = text
        self.asked: list[Question] = []

    async def answers(self, questions: Sequence[Question]) -> list[Said | AskFailed]:
        self.asked += questions
        if self.text is None:
            return [AskFailed("refused", "no") for _ in questions]
        return [Said(self.text, "stop", "teacher") for _ in questions]


def test_a_teacher_gives_the_words() -> None:
    scanned = scan_row(row(RESPONSES[0]))
    teacher = Answers("<words>student's</words>")
    (found,) = mine([scanned], Teacher(teacher))
    assert found.row is not None
    assert found.row["chosen"] == "The red student's ball was too high."
    assert found.row["chosen_by"] == "teacher"
    assert "red <leak>高校生の</leak> ball" in teacher.asked[0].messages[0]["content"]
    (gone,) = mine([scanned], Teacher(Answers("<words></words>")))
    assert gone.row is not None
    assert gone.row["chosen"] == "The red ball was too high."
    for text in ("student's", "<words>a</words><words>b</words>", None):
        (none,) = mine([scanned], Teacher(Answers(text)))
        assert none.reason == mining.UNMENDED


def test_a_teachers_answer_is_read_strictly() -> None:
    assert read_words("Sure: <words> a b </words>") == "a b"
    assert read_words("<words><leak>a</leak></words>") is None
    assert read_words("") is None
    event = Event("token", "ja", 3, 4, "高", "high", "")
    assert "abc<leak>高</leak>def" in teacher_prompt([], "abc高def", event, "en")


def test_rows_are_what_train_repair_reads(redecoder: Redecoder, tmp_path: Path) -> None:
    from made_artifacts import as_input
    from watari.artifact.stage import Inputs, Silent
    from watari.train import repair

    rows = [one.row for text in RESPONSES for one in mine([scan_row(row(text))], redecoder) if one.row]
    write_rows(tmp_path / "rows" / "rows.parquet", Kind.PREFERENCES, rows)
    data = as_input("data", tmp_path / "rows", Kind.PREFERENCES)
    model = as_input("model", redecoder._model.folder, Kind.MODEL)
    (tmp_path / "out").mkdir()
    params = repair.Params(
        model="model", data="data", threads=1, sequence=256, holdout=0, epochs=3, lr=1e-3, precision="fp32"
    )
    metrics = repair.run(
        params, Inputs({"model": [model], "data": [data]}), tmp_path / "out", Silent()
    ).metrics
    assert metrics["kept"] == len(RESPONSES)
    assert metrics["after"]["train"]["wrong_mass"] < metrics["before"]["train"]["wrong_mass"]
