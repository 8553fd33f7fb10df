"""The bodies of `watari corpus explain`, `sample`, `report` and `profiles`: they show what is there."""

from __future__ import annotations

import json
from pathlib import Path

import typer


def explain_command(folder: Path, doc_id: str, *, as_json: bool) -> None:
    """Print what became of a row."""
    from watari.cli.options import print_json
    from watari.corpus.report.explain import explain

    found = explain(folder, doc_id)
    if as_json:
        print_json(found.as_json())
    else:
        typer.echo(found.as_text())


def sample_command(folder: Path, dropped: str | None, *, count: int, seed: int | None, as_json: bool) -> None:
    """Print rows that were kept, or dropped for a reason."""
    from watari.cli.options import print_json
    from watari.corpus.ledger import KEPT
    from watari.corpus.report.examples import as_text, sample

    found = sample(folder, dropped or KEPT, count, seed)
    if as_json:
        print_json([example.as_json() for example in found])
    else:
        typer.echo(as_text(found))


def report_command(folder: Path, *, name: str, contact: str, hub_id: str, as_json: bool) -> None:
    """Write the report and the cards again, and print the account."""
    from watari.cli.options import print_json
    from watari.corpus.report import card
    from watari.corpus.report.page import report

    page = report(folder)
    cards = card.write(folder, name=name, contact=contact, hub_id=hub_id)
    record = json.loads((folder / "corpus.json").read_text("utf-8"))
    if as_json:
        print_json({"report": str(page), "cards": [str(path) for path in cards], "totals": record["totals"]})
        return
    totals = record["totals"]
    rows = [("read", totals["in"]), ("kept", totals["kept"]), *sorted(totals["dropped"].items())]
    width = max(len(name) for name, _ in rows)
    for name, sums in rows:
        typer.echo(
            f"{name:<{width}}  {sums['documents']:>11,}  {sums['bytes']:>15,} bytes  {sums['hash_sum']}"
        )
    typer.echo(f"report: {page}")


def profiles_command(name: str | None, *, as_json: bool) -> None:
    """Print the profiles, or one's rules."""
    from watari.cli.options import print_json
    from watari.corpus.rules.profile import load_profile, profiles

    if name is None:
        found = [load_profile(each) for each in profiles()]
        if as_json:
            print_json(
                [{"name": one.name, "language": one.language, "rules": len(one.rules)} for one in found]
            )
            return
        width = max(len(one.name) for one in found)
        for one in found:
            typer.echo(f"{one.name:<{width}}  {one.language:<3}  {len(one.rules):>2} rules")
        typer.echo("watari corpus profiles NAME shows one's rules and thresholds")
        return
    profile = load_profile(name)
    if as_json:
        print_json(profile.model_dump(mode="json"))
        return
    typer.echo(f"{profile.name} ({profile.language}): {profile.description}")
    typer.echo(f"source: {profile.source}")
    width = max(len(rule.name) for rule in profile.rules)
    for rule in profile.rules:
        limits = ", ".join(f"{side} {limit:g}" for side, limit in rule.limits.items())
        typer.echo(f"  {rule.name:<{width}}  {limits}")
