"""The bodies of `watari ledger ...`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from watari.endpoint.ledger import Ledger
    from watari.endpoint.ledger.listing import Entry
    from watari.endpoint.ledger.summary import Account, Asked, Summary, Sums

_WIDTH = 80
_LOOK = 0.5
"""Seconds between two looks of `tail --follow`."""


def found_place(place: str) -> str:
    """Return the address of the ledger that is meant: a file, a base, or the ledger of a folder.

    Raises:
        UserError: if there is none.
    """
    if "://" in place:
        return place
    from watari.endpoint.ledger import LEDGER_FILE

    path = Path(place)
    if not path.is_dir():
        return place
    for inside in (path / LEDGER_FILE, path / "work" / LEDGER_FILE):
        if inside.is_file():
            return str(inside)
    named = _named_in_recipe(path)
    if named is not None:
        return named
    raise UserError(
        f"{place}: no ledger is there (no {LEDGER_FILE})", "nothing was asked yet, or another folder is meant"
    )


def _named_in_recipe(run: Path) -> str | None:
    """Return the ledger that a run's stages were given, if it is another than the run's own."""
    from watari.flow.folder import LOCK_FILE, read_lock

    if not (run / LOCK_FILE).is_file():
        return None
    for stage in read_lock(run)["stages"].values():
        named = (stage.get("parameters") or {}).get("ledger")
        if isinstance(named, str):
            return named
    return None


def _opened(place: str, *, readonly: bool = True) -> Ledger:
    from watari.endpoint.ledger import open_ledger

    found = found_place(place)
    if not readonly and "://" not in found and not Path(found).is_file():
        raise UserError(f"{found}: no ledger is there")
    return open_ledger(found, readonly=readonly)


def status_command(place: str, *, as_json: bool) -> None:
    """Show what a ledger holds."""
    from watari.cli.options import print_json
    from watari.endpoint.ledger.summary import summary

    with _opened(place) as ledger:
        found = summary(ledger)
    if as_json:
        print_json(asdict(found))
        return
    from rich.console import Console

    console = Console(width=_WIDTH, highlight=False, soft_wrap=False)
    _show(console, found)


def _show(console: Console, found: Summary) -> None:
    from rich.markup import escape

    console.print(escape(found.ledger), style="bold", soft_wrap=True)
    if not found.attempts:
        console.print("nothing was sent yet")
    else:
        rows = ", ".join(f"{count:,} {name}" for name, count in found.rows.items())
        console.print(f"rows: {sum(found.rows.values()):,} ({rows})")
        attempts = ", ".join(f"{count:,} {escape(name)}" for name, count in found.attempts.items())
        console.print(f"attempts: {sum(found.attempts.values()):,} ({attempts})")
    console.print(_now(found))
    if found.endpoints:
        _show_endpoints(console, found.endpoints)
    _show_accounts(console, found.accounts)
    for batch in found.batches:
        from watari.flow.display import duration

        console.print(
            f"batch {escape(batch.batch_id or batch.token)} ({escape(batch.endpoint)}): {batch.state},"
            f" {batch.requests:,} requests, {duration(batch.age)} old"
        )


def _now(found: Summary) -> str:
    from watari.flow.display import duration

    ended = found.last_minute["attempts"]
    age = "no answer yet" if found.answer_age is None else f"last answer {duration(found.answer_age)} ago"
    return f"in flight: {found.in_flight:,}; last minute: {ended:,} ({ended / 60:.1f}/s); {age}"


def _show_endpoints(console: Console, endpoints: Iterable[Asked]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from watari.flow.display import amount

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("stage", "rung", "endpoint"):
        table.add_column(name, overflow="fold")
    for name in ("asked", "answered", "accepted", "429", "tokens", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    faults: list[str] = []
    for one in endpoints:
        accepted = f"{one.accepted:,}" if one.judged else "-"
        tokens = amount(one.prompt_tokens + one.completion_tokens)
        table.add_row(
            escape(one.label or "-"), str(one.rung), escape(one.endpoint), f"{one.asked:,}", f"{one.answered:,}",
            accepted, f"{one.limited:,}", tokens, _money(one.cost),
        )  # fmt: skip
        if one.faults:
            told = ", ".join(f"{count:,} {escape(code)}" for code, count in one.faults.items())
            faults.append(
                f"findings of {escape(one.label or '-')}, rung {one.rung}, {escape(one.endpoint)}: {told}"
            )
    console.print()
    console.print(table)
    for line in faults:
        console.print(line)


def _show_accounts(console: Console, accounts: Iterable[Account]) -> None:
    from rich.markup import escape

    told = []
    for account in accounts:
        if not account.spent.requests and not account.held.requests and account.budget is None:
            continue
        line = f"{escape(account.label) or 'the run'}: spent {_sums(account.spent, account.budget)}"
        if account.held.requests or account.held.money or account.held.tokens:
            line += f"; held {_sums(account.held, None)}"
        if account.lost.requests or account.lost.money or account.lost.tokens:
            line += f"; of it in flight when a process was killed: {_sums(account.lost, None)}"
        told.append(line)
    if told:
        console.print()
    for line in told:
        console.print(line)


def _sums(sums: Sums, budget: Sums | None) -> str:
    def of(text: str, limit: str | None) -> str:
        return text if limit is None else f"{text} of {limit}"

    money = _money(budget.money) if budget is not None and budget.money is not None else None
    tokens = f"{budget.tokens:,}" if budget is not None and budget.tokens is not None else None
    requests = f"{budget.requests:,}" if budget is not None and budget.requests is not None else None
    return (
        f"{of(_money(sums.money or 0.0), money)}, {of(f'{sums.tokens or 0:,}', tokens)} tokens,"
        f" {of(f'{sums.requests or 0:,}', requests)} requests"
    )


def _money(money: float) -> str:
    """Return an amount of whatever currency: two decimals, more where they would show nothing."""
    if money == 0:
        return "0"
    return (
        f"{money:,.2f}"
        if money >= 1
        else f"{money:.6f}".rstrip("0").rstrip(".")
        if money >= 1e-6
        else "<0.000001"
    )


def tail_command(place: str, *, count: int, follow: bool, as_json: bool) -> None:
    """Show the newest attempts, and with `follow` those to come."""
    import orjson

    from watari.endpoint.ledger.listing import record

    with _opened(place) as ledger:
        shown = 0
        for entry in _newest(ledger, count, follow):
            typer.echo(orjson.dumps(record(entry)).decode() if as_json else _line(entry))
            shown += 1
        if not shown and not as_json:
            typer.echo("nothing was sent yet")


def _newest(ledger: Ledger, count: int, follow: bool) -> Iterator[Entry]:
    from watari.endpoint.ledger.listing import entries, last_attempt

    last = last_attempt(ledger)
    yield from entries(ledger, max(last - count, 0), last)
    while follow:
        time.sleep(_LOOK)
        newest = last_attempt(ledger)
        yield from entries(ledger, last, newest)
        last = newest


def _line(entry: Entry) -> str:
    when = time.strftime("%H:%M:%S", time.localtime(entry.sent + entry.seconds))
    verdict = ""
    if entry.verdicts:
        latest = entry.verdicts[-1]
        verdict = f" {'accepted' if latest.accepted else 'faulty'} {','.join(latest.codes)}".rstrip()
    if entry.voided:
        verdict += " (asked again)"
    told = entry.text if entry.status == "answered" else entry.detail
    head = f"{entry.attempt} {when} {entry.label or '-'} {entry.row or '-'} r{entry.rung} {entry.endpoint} {entry.status}"
    line = f"{head}{verdict} {entry.seconds:.1f} s  {told}"
    return _printable(line)


def _printable(text: str) -> str:
    """Return a line that a terminal shows and does not obey, no wider than it."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    columns = 0
    for place, char in enumerate(shown):
        columns += 2 if ord(char) >= 0x1100 else 1
        if columns > _WIDTH:
            return shown[: place - 1] + "…"
    return shown


def export_command(place: str, out: Path, *, as_json: bool) -> None:
    """Write all attempts to a file."""
    from watari.artifact.hashing import hash_file
    from watari.cli.options import print_json
    from watari.endpoint.ledger.listing import export

    with _opened(place) as ledger:
        count = export(ledger, out)
    if as_json:
        print_json({"out": str(out), "attempts": count, "hash": hash_file(out)})
    else:
        typer.echo(f"{count:,} attempts: {out}")


def retry_command(
    place: str, *, check: str | None, status: str | None, label: str | None, as_json: bool
) -> None:
    """Have rows asked again by the next run."""
    from watari.cli.options import print_json

    if check is None and status is None and label is None:
        raise UserError("retry: which rows?", "give --check CODE, --status WORD or --label STAGE")
    with _opened(place, readonly=False) as ledger:
        count = ledger.retry(check=check, status=status, label=label)
        known = _known(ledger) if not count else None
    if as_json:
        print_json({"rows": count})
        return
    if count:
        typer.echo(
            f"{'1 row' if count == 1 else f'{count:,} rows'} will be asked again by the next run (finished stage: watari run RECIPE --force STAGE)"
        )
    else:
        typer.echo("no row's last attempt is of this kind; on record are: " + _told(known or {}))


def _known(ledger: Ledger) -> dict[str, list[str]]:
    """Return the codes, words and stages that a ledger knows."""
    from watari.endpoint.ledger.summary import summary

    found = summary(ledger)
    codes = {code for one in found.endpoints for code in one.faults}
    labels = {one.label for one in found.endpoints}
    return {"codes": sorted(codes), "status": sorted(found.attempts), "stages": sorted(labels)}


def _told(known: dict[str, Any]) -> str:
    told = "; ".join(f"{name} {', '.join(values) or 'none'}" for name, values in known.items())
    return "".join(char if char.isprintable() else " " for char in told)
