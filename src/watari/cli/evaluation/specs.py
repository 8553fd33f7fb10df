"""`watari eval specs`."""

from __future__ import annotations

import json

import typer

from watari.evals.spec import load_spec, spec_names


def specs_command(*, as_json: bool) -> None:
    """Print every spec with its version, family and sources."""
    found = [load_spec(name) for name in spec_names()]
    if as_json:
        typer.echo(
            json.dumps({spec.name: spec.model_dump(mode="json") for spec in found}, ensure_ascii=False)
        )
        return
    for spec in found:
        typer.echo(f"{spec.label:28} {spec.title.get('en', '')}")
        for source in spec.sources:
            typer.echo(f"{'':28} {source}")
