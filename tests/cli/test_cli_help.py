"""Help: quick, with an example everywhere, and nothing heavy imported on the way."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer

import watari
from watari.cli.main import app

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
HEAVY = [
    "torch",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "mistral_common",
    "numpy",
    "pyarrow",
    "duckdb",
    "pydantic",
    "yaml",
    "rich",
    "jinja2",
    "fsspec",
    "huggingface_hub",
    "safetensors",
    "multiprocessing",
]


def environment() -> dict[str, str]:
    source = str(Path(watari.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": source, "COLUMNS": "80", "TERM": "dumb"}


def watari_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "watari", *arguments],
        env=environment(),
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


def commands() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}

    def walk(command, path: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", None)
        if inner is None:
            found[" ".join(path)] = command
            return
        for name, child in inner.items():
            walk(child, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from watari.cli.main import app\n"
        "try:\n"
        "    app(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        f"heavy = sorted(set({HEAVY!r}) & {{name.split('.')[0] for name in sys.modules}})\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "First success in minutes" in done.stdout


@pytest.mark.parametrize("path", sorted(commands()))
def test_every_command_has_a_short_line_and_an_example(path):
    text = commands()[path].help
    assert f"Example: watari {path}" in text
    first = text.strip().splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 64, "it would be cut short in the list of commands"


def test_the_list_of_commands_is_not_cut_short():
    text = watari_command("--help").stdout
    assert not re.search(r"^  .*\.\.\.$", text, re.M)
    for path in commands():
        assert f"  {path.split()[0]}" in text
    assert all(
        code in text for code in ("0 done", "1 the user's input", "2 usage", "3 a stage failed", "130")
    )


def test_every_command_is_documented_with_an_example():
    text = DOCS.read_text("utf-8")
    for path in commands():
        assert f"\n    watari {path} " in text or f"\n    watari {path}\n" in text, path


def test_version_and_module():
    done = watari_command("--version")
    assert (done.returncode, done.stdout) == (0, f"watari {watari.__version__}\n")


@pytest.mark.parametrize(
    "arguments", [("nothing",), ("run",), ("run", "demo", "--nothing"), ("plan", "demo", "--jobs", "x")]
)
def test_wrong_usage_is_2(arguments):
    done = watari_command(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Usage:" in done.stderr


def test_completion_is_offered():
    """Bash asks the program itself; the answer to `watari ve` is the one command that begins so."""
    code = "import sys; sys.argv = ['watari']; from watari.cli.main import main; main()"
    asked = {"_WATARI_COMPLETE": "complete_bash", "COMP_WORDS": "watari ve", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(), **asked},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["verify"], done.stderr
    assert "--install-completion" in watari_command("--help").stdout
