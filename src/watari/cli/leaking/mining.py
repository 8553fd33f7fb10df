"""`watari leakage mine` and `watari leakage mass`: what a local model makes of its own leaks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from watari.cli.evaluation.piped import readable
from watari.cli.leaking.options import Settle, language, licence, stopping
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.leakage.mass import Mass
    from watari.leakage.scan import Scanned
    from watari.text.leakage import Licensed

_SHOWN = 20


def mine_command(
    files: Sequence[str],
    model: Path,
    out: Path,
    *,
    expected: str | None,
    licensed: str,
    prompts: str | None,
    on_error: str,
    device: str,
    as_json: bool,
) -> None:
    """Write a row for every leaking response that can be mended, and say what became of the others.

    Raises:
        UserError: for options, files, rows or a model that cannot be used, or where no row comes about.
    """
    from watari.artifact import atomic
    from watari.generate.local import LocalModel
    from watari.leakage.mining import mine
    from watari.leakage.redecoding import Redecoder

    if out.is_dir():
        raise UserError(f"--out: {out} is a folder", "give a file: --out mended.jsonl")
    allowed = licence(licensed)
    reasons: Counter[str] = Counter()
    lines: list[str] = []
    redecoder = Redecoder(LocalModel(_folder(model), device=device))
    with readable(files) as paths:
        scanned = _scanned(paths, language(expected), allowed, prompts, Settle(stopping(on_error)), reasons)
        for found in mine(scanned, redecoder, licensed=allowed):
            if found.row is None:
                reasons[found.reason] += 1
            else:
                lines.append(json.dumps(found.row, ensure_ascii=False) + "\n")
    if not lines:
        raise UserError(
            f"no row: {', '.join(f'{count:,} {reason}' for reason, count in reasons.items()) or 'no responses'}",
            "scan them first: watari leakage scan FILE...",
        )
    atomic.write_text(out, "".join(lines))
    told = {"rows": len(lines), "left_out": dict(sorted(reasons.items())), "out": str(out)}
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    typer.echo(f"{len(lines):,} rows: {out}")
    for reason, count in reasons.most_common():
        typer.echo(f"{count:>8,} {reason}")


def mass_command(
    files: Sequence[str],
    model: Path,
    *,
    expected: str,
    prompts: str | None,
    on_error: str,
    latin: bool,
    added_from: int | None,
    bias: Path | None,
    strength: float,
    device: str,
    as_json: bool,
) -> None:
    """Print the probability that a model gives to wrong-script tokens on responses in one language.

    Raises:
        UserError: for options, files, rows or a model that cannot be used, or where there is nothing to measure.
    """
    from watari.generate.local import LocalModel
    from watari.leakage.bias import LIMIT, logit_bias
    from watari.leakage.mass import Response, script_mass

    code = language(expected)
    if code is None:
        raise UserError("--expected: which language should the responses be in?", "write --expected ja")
    reasons: Counter[str] = Counter()
    folder = _folder(model)
    local = LocalModel(folder, device=device)
    with readable(files) as paths:
        scanned = _scanned(paths, None, "none", prompts, Settle(stopping(on_error)), reasons, default=code)
        responses = (
            Response(one.row.id, one.row.messages, one.row.response)
            for one in scanned
            if one.expected == code and one.row.messages
        )
        found = script_mass(
            local,
            responses,
            code,
            latin=latin,
            added_from=added_from if added_from is not None else first_added(folder),
            most=LIMIT,
        )
    if not found.positions:
        raise UserError(f"no response in {code} that stands with its prompt", "rows have {prompt, response}")
    if bias is not None:
        logit_bias(found, strength=strength).write(bias)
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    typer.echo(_text(found))
    if bias is not None:
        typer.echo(f"{bias}")


def _scanned(
    paths: Sequence[Path],
    expected: str | None,
    licensed: Licensed,
    prompts: str | None,
    settle: Settle,
    reasons: Counter[str],
    *,
    default: str | None = None,
) -> Iterator[Scanned]:
    """Yield responses that can be judged; with a default language those, too, whose prompt does not tell."""
    from watari.artifact.records import Fault
    from watari.leakage.mine_stage import UNKNOWN
    from watari.leakage.reading import read
    from watari.leakage.scan import scan_row

    for row in read([str(path) for path in paths], prompts=prompts):
        if isinstance(row, Fault):
            settle(row)
            reasons["cannot be read"] += 1
            continue
        scanned = scan_row(row, expected=expected, licensed=licensed)
        if not scanned.judged and default is not None and row.response:
            scanned = scan_row(row, expected=default, licensed=licensed)
        if not scanned.judged:
            reasons[UNKNOWN] += 1
            continue
        if not scanned.events and default is None:
            reasons["does not leak"] += 1
            continue
        yield scanned


def _folder(model: Path) -> Path:
    from watari.pretrained import check_model_folder, find_model

    folder = find_model(model)
    check_model_folder(folder)
    return folder


def first_added(folder: Path) -> int | None:
    """Return the first id of a grown vocabulary: as the graft says that the model, or one that it was trained from, came from.

    The models before it are looked for beside it, where a store has them; None: nothing says it.
    """
    from watari.artifact.manifest import MANIFEST, read_manifest

    place, seen = folder.resolve(), set[Path]()
    while place not in seen and (place / MANIFEST).is_file():
        seen.add(place)
        manifest = read_manifest(place)
        found, now = (manifest.metrics.get(name) for name in ("vocabulary_before", "vocabulary"))
        if isinstance(found, int) and isinstance(now, int):
            return found if found < now else None  # one that was cut down has other ids
        before = next((one.key for one in manifest.inputs if one.parameter == "model"), None)
        if before is None:
            break
        place = place.parent / before
    return None


def _text(found: Mass) -> str:
    """Return the figures for people, at most 80 columns wide."""
    lines = [
        f"{found.positions:,} positions of {found.responses:,} responses in {found.language}"
        + (f" ({found.skipped:,} could not be placed)" if found.skipped else ""),
        f"wrong-script mass      {found.mass:.3%} of a position, {found.per_1000:.3f} tokens per 1,000 characters",
        f"positions above 1 %    {found.notable:.2%}",
    ]
    if found.added is not None:
        lines.append(f"on added tokens        {found.added:.1%} of the mass")
    scripts = sorted(found.by_script.items(), key=lambda item: -item[1])
    lines.append("by script              " + ", ".join(f"{name} {value:.3%}" for name, value in scripts[:4]))
    if found.added is None:
        lines.append("on added tokens        not known: say --added-from ID")
    lines += ["", f"{'token':<24}{'script':<12}{'added':<8}{'share':>8}"]
    for token in found.tokens[:_SHOWN]:
        added = "?" if token.added is None else "yes" if token.added else "no"
        lines.append(f"{token.text[:20]!r:<24}{token.script:<12}{added:<8}{token.share:>8.1%}")
    if found.places:
        lines += ["", "nearest to leaking"]
        lines += [
            f"{place.mass:>6.1%}  …{place.before.replace(chr(10), ' ')}|{place.token}"
            for place in found.places[:5]
        ]
    return "\n".join(lines)
