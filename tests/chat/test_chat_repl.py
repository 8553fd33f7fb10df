"""The chat loop with a made-up model: commands, turns, Ctrl-C, files; no terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from watari.chat import COMMANDS, Chat, Conversation, Screen, answer_once
from watari.chat.editing import history_path, read_message
from watari.chat.screen import printable
from watari.errors import Interrupted, UserError
from watari.generate.local import Prompt, Response
from watari.generate.sampler import SHISA_CARD, Sampler

CTRL_C = KeyboardInterrupt


class Parrot:
    """Answers with the number of the answer and the last text, piece by piece; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Prompt, Sampler, int, int]] = []
        self.trouble: BaseException | None = None
        self.finish = "stop"

    def stream(
        self, prompt: Prompt, sampler: Sampler, *, seed: int = 0, attempt: int = 0
    ) -> Generator[str, None, Response]:
        self.asked.append((prompt, sampler, seed, attempt))
        last = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        yield f"re{len(self.asked)}:"
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble
        yield last.upper()
        return Response(f"re{len(self.asked)}:{last.upper()}", self.finish, 1, 2, "")  # type: ignore[arg-type]


def talk(
    lines: Iterable[str | type[BaseException]], *, model: Parrot | None = None, **state: Any
) -> tuple[Chat, Parrot, str]:
    """Run a chat over these lines and return it, the model and what stood on the screen (80 columns, no colour)."""
    parrot, out, rest = model or Parrot(), io.StringIO(), iter(lines)

    def read(prompt: str) -> str:
        line = next(rest, EOFError)
        if isinstance(line, str):
            return line
        raise line

    conversation = Conversation(SHISA_CARD, **state)
    chat = Chat(parrot, conversation, Screen(Console(file=out, width=80)), read, prompt="")
    try:
        chat.run()
    finally:
        chat.shown = out.getvalue()  # type: ignore[attr-defined]
    return chat, parrot, out.getvalue()


def test_turns_and_system_prompt_reach_the_model() -> None:
    chat, parrot, shown = talk(["hello", "  ", "and you?"], system="Be kind.", seed=4)
    assert "re1:HELLO\nre2:AND YOU?\n" in shown
    prompt, sampler, seed, attempt = parrot.asked[1]
    assert prompt == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "re1:HELLO"},
        {"role": "user", "content": "and you?"},
    ]
    assert (sampler, seed, attempt) == (SHISA_CARD, 4, 0)
    assert len(chat.conversation.messages) == 4


def test_a_base_model_goes_on_with_the_text() -> None:
    chat, parrot, shown = talk(["", "Once", "", "Anew"], chats=False)
    assert [asked[0] for asked in parrot.asked] == ["Once", "Oncere1:ONCE", "Anew"]
    assert "re1:ONCE\nre2:ONCERE1:ONCE\n" in shown
    assert chat.conversation.messages[1]["content"] == "re1:ONCEre2:ONCERE1:ONCE"


def test_settings() -> None:
    lines = [
        "/temp 0.2",
        "/top_p 0.5",
        "/top_k 7",
        "/min_p 0.1",
        "/rep 1.2",
        "/max 9",
        "/seed 12",
        "hi",
        "/temp",
    ]
    chat, parrot, shown = talk(lines)
    sampler = chat.conversation.sampler
    assert (sampler.temperature, sampler.top_p, sampler.top_k, sampler.min_p) == (0.2, 0.5, 7, 0.1)
    assert (sampler.repetition_penalty, sampler.max_new_tokens) == (1.2, 9)
    assert parrot.asked[0][1:3] == (sampler, 12)
    assert shown.rstrip().endswith("temperature 0.2")


@pytest.mark.parametrize(
    "line", ["/temp warm", "/temp -1", "/top_p 3", "/max 0", "/max 1.5", "/seed x", "/rep 0"]
)
def test_a_wrong_value_is_told_and_changes_nothing(line: str) -> None:
    chat, parrot, shown = talk([line])
    assert chat.conversation.sampler == SHISA_CARD
    assert chat.conversation.seed == 0
    assert len(shown.strip()) > 5
    assert not parrot.asked


def test_an_unknown_command_is_told_with_a_neighbour() -> None:
    _, parrot, shown = talk(["/histroy", "/zzz", "//etc is a folder"])
    assert "did you mean /history" in shown
    assert "see /help" in shown
    assert parrot.asked[0][0][-1]["content"] == "/etc is a folder"  # type: ignore[index]


def test_undo_retry_reset() -> None:
    chat, parrot, _ = talk(["a", "b", "/undo", "c", "/retry", "/retry", "/reset", "d"])
    assert [asked[3] for asked in parrot.asked] == [0, 0, 0, 1, 2, 0]
    assert [m["content"] for m in parrot.asked[4][0]] == ["a", "re1:A", "c"]  # type: ignore[index]
    assert [m["content"] for m in chat.conversation.messages] == ["d", "re6:D"]
    assert "nothing was asked yet" in talk(["/retry"])[2]
    assert "nothing to take back" in talk(["/undo"])[2]


def test_system_command() -> None:
    chat, parrot, shown = talk(["/system Be brief.", "hi", "/system", "/system none", "/system"])
    assert parrot.asked[0][0][0] == {"role": "system", "content": "Be brief."}  # type: ignore[index]
    assert chat.conversation.system is None
    assert "Be brief." in shown
    assert "no chat template" in talk(["/system x"], chats=False)[2]


def test_help_names_every_command_within_80_columns() -> None:
    shown = talk(["/help"])[2]
    assert all(f"/{name}" in shown for name in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 80


def test_exit_leaves() -> None:
    assert not talk(["/exit", "hi"])[1].asked


def test_history_shows_every_turn() -> None:
    shown = talk(["一つ目", "/history"], system="S")[2]
    assert shown.index("system\nS\n") < shown.index("user\n一つ目\n") < shown.index("assistant\nre1:一つ目\n")


def test_save_and_load(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    chat, _, _ = talk(["猫は?", "/temp 0.1", "/seed 3", f"/save {file}"], system="S")
    body = json.loads(file.read_text("utf-8"))
    assert body["messages"][0] == {"role": "system", "content": "S"}
    again, _, shown = talk([f"/load {file}"])
    assert again.conversation == chat.conversation
    assert "2 turns" in shown


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"messages": 3}',
        '{"messages": [{"role": "user"}]}',
        '{"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}',
        '{"messages": [], "seed": "x"}',
        '{"messages": [], "sampler": {"temperature": -3}}',
        '{"messages": [], "sampler": 3}',
    ],
)
def test_a_wrong_file_is_told_and_changes_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "c.json"
    file.write_text(content, "utf-8")
    chat, _, shown = talk(
        ["hi", f"/load {file}", "/load", f"/load {tmp_path / 'none'}", f"/save {tmp_path}/no/dir\0"][:4]
    )
    assert [m["content"] for m in chat.conversation.messages] == ["hi", "re1:HI"]
    assert chat.conversation.sampler == SHISA_CARD
    assert shown.count("/load FILE: no file given") == 1
    assert "cannot read" in shown


def test_ctrl_c_stops_the_answer_and_keeps_what_came() -> None:
    model = Parrot()
    model.trouble = KeyboardInterrupt()
    chat, _, shown = talk(["hello", "more"], model=model)
    assert chat.conversation.messages[1]["content"] == "re1:"
    assert "stopped" in shown
    assert "re2:MORE" in shown


def test_a_second_ctrl_c_leaves() -> None:
    model = Parrot()
    model.trouble = KeyboardInterrupt()
    with pytest.raises(Interrupted) as stopped:
        talk(["hello", CTRL_C, "never"], model=model)
    assert stopped.value.exit_code == 130
    with pytest.raises(Interrupted):
        talk([CTRL_C, CTRL_C])


def test_typing_in_between_forgives_a_ctrl_c() -> None:
    assert len(talk([CTRL_C, "hi", CTRL_C])[1].asked) == 1


def test_an_answer_that_cannot_be_given_is_told_and_taken_back() -> None:
    model = Parrot()
    model.trouble = UserError("no room", "shorter")
    chat, _, shown = talk(["long", "short"], model=model)
    assert "no room (shorter)" in shown
    assert [m["content"] for m in chat.conversation.messages] == ["short", "re2:SHORT"]


def test_a_cut_answer_is_told() -> None:
    model = Parrot()
    model.finish = "length"
    assert "cut at 2 tokens" in talk(["hi"], model=model)[2]


def test_a_model_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07\x9b\r\n\t猫") == "a[2Jb\n\t猫"
    assert "\x1b" not in talk(["\x1b[31mred"])[2]


def reader(lines: list[str]) -> Callable[[str], str]:
    rest = iter(lines)

    def read(prompt: str) -> str:
        line = next(rest, None)
        if line is None:
            raise EOFError
        return line

    return read


def test_a_backslash_goes_on_with_the_next_line() -> None:
    assert read_message(reader(["one\\", "two\\", "three", "x"]), "> ") == "one\ntwo\nthree"
    assert read_message(reader(["one\\"]), "> ") == "one"
    with pytest.raises(EOFError):
        read_message(reader([]), "> ")


def test_history_lies_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_path() == tmp_path / "watari" / "chat_history"


def test_answer_once() -> None:
    out = io.StringIO()
    answer_once(Parrot(), Conversation(SHISA_CARD), "hi", Screen(Console(file=out)))
    assert out.getvalue() == "re1:HI\n"
    out = io.StringIO()
    answer_once(Parrot(), Conversation(SHISA_CARD, chats=False), "Once", Screen(Console(file=out)))
    assert out.getvalue() == "Oncere1:ONCE\n"
    model = Parrot()
    model.trouble = KeyboardInterrupt()
    with pytest.raises(Interrupted):
        answer_once(model, Conversation(SHISA_CARD), "hi", Screen(Console(file=io.StringIO())))
