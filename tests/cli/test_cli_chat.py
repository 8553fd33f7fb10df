"""`watari chat` and `watari convert` from the outside: options, pipes, a terminal, a story."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import watari
from tiny_llama import make_folder
from watari.cli.chat import chat
from watari.cli.convert import convert_app
from watari.errors import UserError

DATA = os.environ.get("WATARI_TEST_DATA")
FAST = ["--max-tokens", "12", "--device", "cpu"]

app = typer.Typer()
app.command()(chat)
app.add_typer(convert_app, name="convert")


def ask(*arguments: str, text: str | None = None) -> str:
    result = CliRunner().invoke(app, ["chat", *arguments], input=text, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("chat") / "model", seed=3)


def test_one_answer_and_the_same_again(model: Path) -> None:
    first = ask(str(model), "--prompt", "猫は?", "--seed", "1", *FAST)
    assert first == ask(str(model), "--prompt", "猫は?", "--seed", "1", *FAST)
    assert first != ask(str(model), "--prompt", "猫は?", "--seed", "2", *FAST)
    assert first != ask(str(model), "--prompt", "猫は?", "--seed", "1", "--system", "Be kind.", *FAST)


def test_a_piped_chat_is_the_same_as_one_answer(model: Path) -> None:
    once = ask(str(model), "--prompt", "Hi", "--seed", "1", *FAST)
    piped = ask(str(model), "--seed", "1", *FAST, text="Hi\n")
    assert piped.startswith(once)
    assert "> " not in piped.removeprefix(once)


def test_the_models_own_settings_win_over_the_card_and_options_over_both(model: Path, tmp_path: Path) -> None:
    shown = ask(str(model), *FAST, text="/temp\n/top_p\n/rep\n/max\n")
    assert shown.split() == [
        "temperature",
        "0.7",
        "top_p",
        "0.95",
        "repetition_penalty",
        "1.05",
        "max_new_tokens",
        "12",
    ]
    own = make_folder(tmp_path / "own", seed=3)
    path = own / "generation_config.json"
    settings = {**json.loads(path.read_text("utf-8")), "do_sample": True, "temperature": 0.3, "top_p": 0.8}
    path.write_text(json.dumps(settings), "utf-8")
    shown = ask(str(own), "--top-p", "0.6", *FAST, text="/temp\n/top_p\n/rep\n")
    assert shown.split() == ["temperature", "0.3", "top_p", "0.6", "repetition_penalty", "1.05"]


def run_with(model: Path, root: Path) -> Path:
    """Make something that looks like a run's folder, with links into a store."""
    (root / "run" / "stages").mkdir(parents=True)
    for stage in ("sft", "dpo"):
        (root / "run" / "stages" / stage).symlink_to(model, target_is_directory=True)
    (root / "store" / "docs").mkdir(parents=True)
    (root / "run" / "stages" / "web").symlink_to(root / "store" / "docs", target_is_directory=True)
    return root / "run"


def test_a_stage_of_a_run_is_a_model(model: Path, tmp_path: Path) -> None:
    run = run_with(model, tmp_path)
    assert ask(str(run / "stages" / "dpo"), "--prompt", "Hi", *FAST)


@pytest.mark.parametrize("below", ["", "stages"])
def test_a_run_is_not_a_model_and_names_its_models(model: Path, tmp_path: Path, below: str) -> None:
    run = run_with(model, tmp_path)
    with pytest.raises(
        UserError, match=r"a run, not a model \(give one of its models: .*stages/dpo.*stages/sft\)"
    ):
        ask(str(run / below), "--prompt", "Hi")


def test_wrong_folders_are_told(model: Path, tmp_path: Path) -> None:
    run = run_with(model, tmp_path)
    with pytest.raises(UserError, match=r"no such folder \(stages with a model: dpo, sft\)"):
        ask(str(run / "stages" / "spo"))
    with pytest.raises(UserError, match="not a model folder"):
        ask(str(run / "stages" / "web"))
    with pytest.raises(UserError, match="no such folder"):
        ask(str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="a file, not a model folder"):
        ask(str(model / "config.json"))
    (run / "stages" / "gone").symlink_to(tmp_path / "store" / "gone")
    with pytest.raises(UserError, match="gone from the store"):
        ask(str(run / "stages" / "gone"))
    (tmp_path / "empty" / "stages").mkdir(parents=True)
    with pytest.raises(UserError, match="a run without a finished model"):
        ask(str(tmp_path / "empty"))


def test_pickle_only_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((model / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UserError, match="only as pickle"):
        ask(str(tmp_path), "--prompt", "Hi")


@pytest.mark.parametrize(
    ("option", "value"), [("--temperature", "-1"), ("--top-p", "2"), ("--dtype", "int3")]
)
def test_wrong_options_are_told(model: Path, option: str, value: str) -> None:
    with pytest.raises(UserError, match=option.strip("-").replace("-", "_")):
        ask(str(model), "--prompt", "Hi", option, value)


def test_a_base_model_completes_and_has_no_system_prompt(tmp_path: Path) -> None:
    base = make_folder(tmp_path, template=None)
    assert ask(str(base), "--prompt", "Once upon", *FAST).startswith("Once upon")
    with pytest.raises(UserError, match="no system prompt"):
        ask(str(base), "--prompt", "Once", "--system", "S")


@pytest.mark.skipif(DATA is None, reason="needs WATARI_TEST_DATA")
def test_stories260k_tells_a_story(tmp_path: Path) -> None:
    source, out = Path(str(DATA)) / "tinystories-llama", tmp_path / "stories"
    files = [str(source / "stories260K.bin"), str(source / "tok512.bin")]
    result = CliRunner().invoke(app, ["convert", "llama2c", *files, str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    told = ask(str(out), "--prompt", "Once upon a time", "--temperature", "0", "--repetition-penalty", "1")
    assert told.startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
    )
    told = ask(str(out), "--prompt", "Once upon a time", "--seed", "3", "--max-tokens", "100")
    assert told.startswith("Once upon a time")
    assert len(told.split()) > 50


def read_until(terminal: int, text: str, seconds: float = 90) -> str:
    """Read from a terminal until `text` comes."""
    seen, deadline = "", time.monotonic() + seconds
    while text not in seen:
        assert time.monotonic() < deadline, f"waited for {text!r}, saw {seen!r}"
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 4096).decode("utf-8", "replace")
            except OSError:
                raise AssertionError(f"left before {text!r}; saw {seen!r}") from None
    return seen


def interrupt(terminal: int, text: str) -> None:
    """Press Ctrl-C at a prompt until `text` comes.

    readline takes a signal that comes while it is busy with a key, or not yet waiting for one, for handled; Python raises
    it at the next key. A person presses again, a key and then Ctrl-C, and so does this.
    """
    deadline = time.monotonic() + 90
    while True:
        time.sleep(0.3)
        os.write(terminal, b"\x03")
        try:
            read_until(terminal, text, 5)
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            os.write(terminal, b" ")
            with suppress(AssertionError):
                read_until(terminal, text, 5)
                return


# A shell starts what runs in its background with Ctrl-C ignored, and this would inherit that.
IN_A_TERMINAL = """
import fcntl, signal, sys, termios, typer
signal.signal(signal.SIGINT, signal.default_int_handler)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from watari.cli.chat import chat
from watari.errors import WatariError
app = typer.Typer()
app.command()(chat)
try:
    app()
except WatariError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_in_a_terminal(tmp_path: Path) -> None:
    """Esc Enter is a newline, history is kept, Ctrl-C stops an answer and a second one leaves with 130."""
    # A model with a long breath: greedy, it runs into a loop that has no end token in it.
    model = make_folder(tmp_path / "model", max_position_embeddings=100_000)
    ours, theirs = pty.openpty()
    source = str(Path(watari.__file__).parents[1])
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm", "PYTHONPATH": source}
    arguments = [
        "--device",
        "cpu",
        "--max-tokens",
        "90000",
        "--temperature",
        "0",
        "--repetition-penalty",
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, str(model), *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        read_until(ours, "> ")
        os.write(ours, b"/system one\x1b\rtwo\r")
        read_until(ours, "system prompt set")
        os.write(ours, b"/system\r")
        told, _, behind = read_until(ours, "two\x1b[0m\r\n").partition("two\x1b[0m\r\n")
        assert "one\x1b[0m\r\n" in told
        if "> " not in behind:
            read_until(ours, "> ")
        os.write(ours, b"/exi")
        read_until(ours, "/exi")
        interrupt(ours, "Ctrl-C again leaves")
        os.write(ours, b"/temp\r")
        read_until(ours, "temperature 0.0")
        os.write(ours, b"Hi\r")
        read_until(ours, "Hi\r\n")
        time.sleep(1.0)
        os.write(ours, b"\x03")
        read_until(ours, "(stopped; Ctrl-C again leaves)")
        interrupt(ours, "left the chat")
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        os.close(ours)
    history = (tmp_path / "watari" / "chat_history").read_text("utf-8")
    assert "/temp" in history
    assert (tmp_path / "watari" / "chat_history").stat().st_mode & 0o077 == 0
