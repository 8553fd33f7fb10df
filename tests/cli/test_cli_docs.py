"""Every command in the documentation exists with those options, and every recipe in it is sound.

The commands of the README are also run for real, on the demo, in tests/e2e.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from watari.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.ja.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def commands() -> list[str]:
    found = []
    for page in PAGES:
        lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
        lines += re.findall(r"`(watari [^`\n]+)`", page.read_text("utf-8"))
        lines += re.findall(r"^ {4}(watari .*)$", page.read_text("utf-8"), re.M)
        found += [line.split("#")[0].strip() for line in lines if line.strip().startswith("watari ")]
    return sorted({line.split(" > ")[0].split(" | ")[0] for line in found})


@pytest.mark.parametrize("line", commands())
def test_a_documented_command_exists_with_its_options(line: str) -> None:
    words = shlex.split(line.replace("...", "").replace("[", "").replace("]", ""))[1:]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{line}: no command {words[0]}"
        command = command.commands[words.pop(0)]
    names = {
        option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]
    }
    names |= {"--help", "-h", "--install-completion", "--show-completion"}
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in names, f"{line}: no option {word}"


def recipes() -> list[tuple[str, str]]:
    return [
        (f"{page.name}-{number}", block)
        for page in PAGES
        for number, block in enumerate(blocks(page, "yaml"))
        if block.startswith("name:")
    ]


@pytest.mark.parametrize(("where", "text"), recipes(), ids=[name for name, _ in recipes()])
def test_a_documented_recipe_is_sound(where: str, text: str, tmp_path: Path) -> None:
    from watari.flow.stages import TABLE
    from watari.recipe.graph import load

    (tmp_path / "recipe.yaml").write_text(text, "utf-8")
    (tmp_path / "models" / "base").mkdir(parents=True)
    assert len(load("recipe.yaml", TABLE, folder=tmp_path).nodes) > 3


def test_the_readme_names_both_make_targets() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\S+)", "\n".join(blocks(ROOT / "README.md", "sh")), re.M):
        assert f"\n{target}:" in makefile
    assert "make demo" in text
    assert "make test" in text
