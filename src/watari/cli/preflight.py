"""The preflight's report on a terminal, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

_WIDTH = 80
_LABEL = 16


def show_preflight(stage: str, report: dict[str, Any], machine: dict[str, Any]) -> None:
    """Print a report.

    Args:
        stage: The stage's kind.
        report: What stands in `preflight.json`.
        machine: What stands in `logs/preflight.json`.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    width = min(_WIDTH, console.width)
    console.print(Text(f"{stage}: preflight", style="bold"))
    for title, lines in (
        ("Data", _data(report)),
        ("Rows of the graft", _rows(report)),
        ("Plan", _plan(report, machine)),
        ("Trial pass", _trial(report, machine)),
        ("Memory and disk", _memory(report, machine)),
    ):
        told = list(lines)
        if told:
            console.print(Text(f"\n{title}", style="bold"))
        for label, text in told:
            for number, line in enumerate(textwrap.wrap(text, width - _LABEL - 2) or [""]):
                console.print(Text.assemble(((label if not number else "").ljust(_LABEL), "dim"), "  ", line))
    _show_samples(console, machine["shown"], width)
    warnings = [*report["warnings"], *machine["warnings"]]
    for warning in warnings:
        for number, line in enumerate(textwrap.wrap(warning, width - 9)):
            console.print(
                Text(
                    ("" if number else "\n") + ("warning: " if not number else " " * 9) + line, style="yellow"
                )
            )
    if not warnings:
        console.print(Text("\nNothing speaks against this run.", style="green"))


def _data(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    data, marks = report["data"], report["marks"]
    unit = data["unit"]
    kept, read = data["rows_kept"], data["rows_in"]
    dropped = f", {read - kept:,} dropped ({(read - kept) / max(read, 1):.1%})" if read > kept else ""
    yield unit, f"{read:,} read, {kept:,} kept{dropped}"
    for reason, count in sorted(data["dropped"].items(), key=lambda item: (-item[1], item[0])):
        yield "", f"{count:,} {reason}"
    yield "tokens", f"{data['tokens']:,}; trained {data['trained_tokens']:,} ({data['trained_share']:.1%})"
    shown = {5: "5 %", 50: "half", 95: "95 %"}
    below = ", ".join(f"{name} ≤ {data['percentiles'][str(p)]:,}" for p, name in shown.items())
    yield "length", f"{below}; longest {data['longest']:,}"
    if data["packing"] is not None:
        packing = data["packing"]
        yield "packed", f"into {packing['rows']:,} rows, {packing['waste']:.1%} of their positions empty"
    number, things = marks["sequences"], "documents" if unit == "documents" else "sequences"
    if marks["bos"] is not None:
        begins = number - marks["bos_missing"]
        again = f"; {marks['bos_inside']:,} hold it again later" if marks["bos_inside"] else ""
        wanted = "" if marks["bos_wanted"] else " (the tokenizer does not ask for it)"
        yield (
            marks["bos"],
            f"begins {_of(begins, number)} {things}, doubled in {marks['bos_doubled']:,}{again}{wanted}",
        )
    if unit == "documents":
        if marks["eos"] is not None:
            yield marks["eos"], f"ends {_of(marks['end_trained'], number)} documents"
    else:
        yield "end of reply", f"trained in {_of(marks['end_trained'], number)} sequences"
        if marks["eos"] is not None and marks["eos_trained"] != marks["end_trained"]:
            yield marks["eos"], f"itself is trained in {_of(marks['eos_trained'], number)}"


def _of(count: int, number: int) -> str:
    return f"all {number:,}" if count == number else f"{count:,} of {number:,}"


def _rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for table in report["new_rows"]:
        for which in ("old", "new"):
            norms = table[which]
            yield (
                table["table"] if which == "old" else "",
                f"{which} {norms['rows']:>7,}: norm {norms['mean']:.3g} on average, "
                f"{norms['p5']:.3g} to {norms['p95']:.3g} (5 to 95 %)",
            )


def _plan(report: dict[str, Any], machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from watari.flow.display import duration, size

    plan = report["plan"]
    yield "steps", f"{plan['steps']:,} of {plan['batch']:,} rows; {plan['tokens']:,} tokens in all"
    changes = [
        rate
        for before, rate in zip([None, *plan["rates"]], plan["rates"], strict=False)
        if before is None or before["lr"] != rate["lr"]
    ]
    rates = ", ".join(f"{rate['lr']:.3g} at step {rate['step']:,}" for rate in changes)
    yield "learning rate", f"{plan['schedule']}: {rates}"
    if plan["lr_new_rows"] is not None:
        yield "", f"new rows: {plan['lr_new_rows']:.3g} at the peak"
    every = [
        f"every {machine['checkpoints']['steps']:,} steps" if machine["checkpoints"]["steps"] else "",
        f"every {duration(machine['checkpoints']['seconds'])}" if machine["checkpoints"]["seconds"] else "",
    ]
    when = " and ".join(part for part in every if part) or "only when asked to stop"
    yield (
        "checkpoints",
        f"{when}, {size(machine['disk']['checkpoint'])} each, {machine['checkpoints']['keep']} kept",
    )
    if plan["snapshots"]:
        yield "snapshots", f"{plan['snapshots']:,} of {size(machine['disk']['model'])}"


def _trial(report: dict[str, Any], machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from watari.flow.display import duration

    trial = report["trial"]
    if trial is None:
        return
    yield (
        "heaviest batch",
        f"{trial['sequences']:,} sequences of step {trial['step']:,}: {trial['tokens']:,} tokens in "
        f"{trial['positions']:,} positions",
    )
    known = "ln 2" if report["data"]["unit"] == "pairs" else "ln(vocabulary)"
    yield "first loss", f"{trial['loss']:.4f}; {known} is {trial['expected']:.4f}"
    if machine["trial_seconds"] is not None:
        whole = machine["estimated_seconds"]
        about = f"; the whole run about {duration(whole)}" if whole is not None else ""
        yield "time", f"{duration(machine['trial_seconds'])} forward and backward{about}"


def _memory(report: dict[str, Any], machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from watari.flow.display import size

    memory, disk = machine["memory"], machine["disk"]
    yield (
        "parameters",
        f"{memory['parameters']:,}, {memory['trainable']:,} of them trained"
        if memory["trainable"] < memory["parameters"]
        else f"{memory['parameters']:,}, all trained",
    )
    if memory["peak_of_trial"] is not None:
        yield (
            "measured",
            f"{size(memory['peak_of_trial'])} at the trial's peak, {size(memory['expected'])} expected in training",
        )
    parts = ", ".join(
        f"{name} {size(memory[name])}" for name in ("weights", "gradients", "optimizer", "activations")
    )
    yield "estimated", f"{size(memory['total'])}: {parts}"
    each = f", by each of {machine['processes']} processes" if machine["processes"] > 1 else ""
    yield "there", f"{size(memory['available'] + memory['held'])} on {machine['place']}{each}"
    yield "disk", f"{size(disk['needed'])} needed, {size(disk['free'])} free"


def _show_samples(console: Any, shown: list[dict[str, Any]], width: int) -> None:
    """Print sequences with what is trained in green, or in ⟦ ⟧ where there are no colours."""
    from rich.text import Text

    coloured = console.is_terminal and console.color_system is not None and not console.no_color
    for sample in shown:
        console.print(Text(f"\nSample {sample['id']}, {sample['tokens']:,} tokens", style="bold"), end="")
        console.print(Text("; trained: green" if coloured else "; trained: ⟦ ⟧", style="dim"))
        text = Text()
        for passage in sample["passages"]:
            body = _printable(passage["text"])
            if passage["trained"]:
                text.append(body if coloured else f"⟦{body}⟧", style="green")
            else:
                text.append(body, style="dim")
        for line in _folded(console, text, width - 2):
            console.print(Text("  ").append(line), no_wrap=True)


def _printable(text: str) -> str:
    """Return a text whose control characters can be seen, but for line ends."""
    return "".join(c if c == "\n" or (ord(c) >= 32 and ord(c) != 127) else f"⟨{ord(c):02X}⟩" for c in text)


def _folded(console: Any, text: Text, width: int) -> Iterator[Text]:
    for line in text.split("\n", allow_blank=True):
        yield from line.wrap(console, width, overflow="fold") or [line]
