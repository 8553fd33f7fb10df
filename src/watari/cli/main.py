"""The command `watari`. Heavy modules are imported inside the commands: `watari --help` answers at once."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

import watari
from watari.cli.average import AverageCommand, average
from watari.cli.chat import chat
from watari.cli.check import check
from watari.cli.convert import convert_app
from watari.cli.corpus import corpus_app
from watari.cli.doctor import doctor
from watari.cli.eval import eval_app
from watari.cli.graft import graft
from watari.cli.leakage import leakage_app
from watari.cli.ledger import ledger_app
from watari.cli.recipes import recipe_app
from watari.cli.route import route
from watari.cli.runs import clean, diff, pack, show, verify
from watari.cli.sweep import sweep
from watari.cli.tokenizer import tokenizer_app
from watari.cli.train import train_app
from watari.cli.translate import translate_app
from watari.cli.variadic import VariadicCommand
from watari.cli.work import demo, plan, run
from watari.errors import EXIT_FAILED, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_PIPE, WatariError, no_space

HELP = """Carry an open-weights language model across to a new language.

One recipe file takes an English-centric base model to a bilingual chat model: corpus, tokenizer, grafting,
pre-training, SFT, DPO, evaluation and report.

First success in minutes, offline:  watari demo

Exit codes: 0 done, 1 the user's input, 2 usage, 3 a stage failed or a check found a fault, 130 interrupted.
"""

_NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)

app = typer.Typer(
    name="watari",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"watari {watari.__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.command()(demo)
app.command()(run)
app.command()(plan)
app.command()(show)
app.command()(verify)
app.command()(diff)
app.command()(pack)
app.command()(clean)
app.command()(chat)
app.command()(doctor)
app.command()(check)
app.command()(route)
app.command()(sweep)
app.command(cls=VariadicCommand)(graft)
app.command(cls=AverageCommand)(average)
app.add_typer(recipe_app, name="recipe")
app.add_typer(corpus_app, name="corpus")
app.add_typer(eval_app, name="eval")
app.add_typer(leakage_app, name="leakage")
app.add_typer(ledger_app, name="ledger")
app.add_typer(tokenizer_app, name="tokenizer")
app.add_typer(train_app, name="train")
app.add_typer(translate_app, name="translate")
app.add_typer(convert_app, name="convert")
app.info.help = HELP


def main() -> None:
    """Run the command line; a `WatariError` becomes one line on standard error and its exit code."""
    try:
        app()
    except WatariError as error:
        for line in error.message.splitlines():
            print(f"watari: {line}", file=sys.stderr)
        if error.mend:
            print(f"        {error.mend}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        # Every command writes somewhere; whichever library met the full disk, it is no defect of ours.
        if isinstance(error, OSError) and error.errno in _NO_ACCESS and error.filename:
            print(f"watari: {error.filename}: {os.strerror(error.errno or 0).lower()}", file=sys.stderr)
            print("        check the path and its permissions", file=sys.stderr)
            sys.exit(EXIT_INPUT)
        if not no_space(error):
            raise
        print("watari: no space left on the disk that is written to", file=sys.stderr)
        print("        free some, then run the same command again", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except SystemExit as ended:
        # Click makes 1, the user's input, of a reader that has had enough (`| head`).
        if isinstance(ended.__context__, BrokenPipeError):
            sys.exit(EXIT_PIPE)
        raise
    except KeyboardInterrupt:
        print("watari: interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
