"""Draws the sample, has every translator do it, writes what came of it."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from watari.artifact import atomic
from watari.artifact.draws import draw_uint64
from watari.artifact.rows import Row
from watari.artifact.stage import Progress
from watari.errors import UserError
from watari.synth.comparison.blind import blind_items, write_sheet
from watari.synth.comparison.figures import Compared, Comparison, figures, pairings
from watari.synth.comparison.page import page
from watari.synth.glossary import Glossary, read_glossary
from watari.synth.ladder import Messages, Outcome
from watari.synth.translate_params import Params
from watari.synth.translate_work import readable, routed_away
from watari.synth.translator import Translator

KIND = "translate compare"


def compare(params: Params, rows: Iterable[Row], sample: int, out: Path, progress: Progress) -> Comparison:
    """Have every teacher of `params` translate the same rows, and write what tells them apart into `out`.

    Args:
        params: As for `synth.translate`; repairs do not count, each teacher is asked once a row.
        rows: All are read; which are drawn is keyed by seed and id. Those that would not be translated are passed over.
        sample: Rows to draw.
        out: A folder; what is there of an earlier comparison is written over.
        progress: Told how many translations are done.

    Raises:
        UserError: if there is no row to draw, or as asking does.
    """
    single = params.model_copy(update={"repairs": 0})
    chosen, passed = drawn(single, rows, sample)
    if not chosen:
        raise UserError(
            "no row can be translated", f"{sum(passed.values())} were passed over: {dict(passed)}"
        )
    compared, versions = asyncio.run(_translated(single, chosen, progress))
    names = [teacher.label for teacher in params.teachers]
    found = Comparison(
        source_language=params.source_language,
        language=params.language,
        rows=len(compared),
        passed_over=dict(sorted(passed.items())),
        checks=versions[0],
        prompt=versions[1],
        seed=params.seed,
        translators=[
            figures(place, names[place], teacher.model, compared)
            for place, teacher in enumerate(params.teachers)
        ],
        pairs=pairings(names, compared),
    )
    atomic.write_json(out / "comparison.json", found.as_json())
    atomic.write_text(out / "compare.html", page(found, compared))
    write_sheet(out, blind_items(names, compared, params.seed), params)
    return found


def drawn(
    params: Params, rows: Iterable[Row], sample: int
) -> tuple[list[tuple[Row, Messages]], Counter[str]]:
    """Return the rows with the smallest draws, in the order of their draws, and why others were passed over."""
    translator = Translator.without_asking(params, Glossary({}))
    kept: list[tuple[int, str, Row, Messages]] = []
    passed: Counter[str] = Counter()
    for row in rows:
        done = readable(row, params)
        if not done.drop and routed_away(done.source, params) is not None:
            done.drop = "not to be translated"
        if not done.drop and not translator.segmented(done.source).segments:
            done.drop = "nothing to translate"
        if done.drop:
            passed[done.drop] += 1
            continue
        # A heap gives its smallest first: what goes is the largest draw.
        draw = -draw_uint64(params.seed, KIND, str(row["id"]))
        if len(kept) < sample:
            heapq.heappush(kept, (draw, str(row["id"]), row, done.source))
        elif draw > kept[0][0]:
            heapq.heapreplace(kept, (draw, str(row["id"]), row, done.source))
    kept.sort(key=lambda item: (-item[0], item[1]))
    return [(row, source) for _, _, row, source in kept], passed


async def _translated(
    params: Params, chosen: list[tuple[Row, Messages]], progress: Progress
) -> tuple[list[Compared], tuple[str, str]]:
    from watari.endpoint.asking import open_asking, work_through
    from watari.synth.checking import open_checks, workers_for

    workers = workers_for(params.check_workers, len(chosen) * len(params.teachers))
    glossary = Glossary({**read_glossary(params.glossary).terms, **params.terms})
    async with open_asking(params, progress) as asking, open_checks(workers) as checks:
        translators = [
            Translator(params.model_copy(update={"teachers": [teacher]}), glossary, checks, asking)
            for teacher in params.teachers
        ]

        async def one(item: tuple[int, Row, Messages]) -> Outcome:
            place, row, source = item
            translator = translators[place]
            return await translator.translate(str(row["id"]), source, translator.segmented(source))

        items = [(place, row, source) for row, source in chosen for place in range(len(translators))]
        outcomes = [
            outcome
            async for outcome in work_through(
                items, one, window=asking.window, progress=progress, total=len(items)
            )
        ]
        version = (checks.version, translators[0].prompts.version)
    count = len(params.teachers)
    return [
        Compared(row, source, outcomes[count * number : count * (number + 1)])
        for number, (row, source) in enumerate(chosen)
    ], version
