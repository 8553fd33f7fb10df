"""What a table of the page is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from watari.report.figures import Figure


@dataclass(frozen=True)
class Cell:
    """One cell: a figure (`detail` shows its interval, n and invalid answers below it), or markup."""

    figure: Figure | None = None
    markup: Markup = field(default_factory=Markup)
    detail: bool = False


@dataclass(frozen=True)
class Column:
    """A column's heading, and the anchor of the stage that it is about."""

    label: Markup
    anchor: str = ""
    words: bool = False


@dataclass(frozen=True)
class Row:
    """A row's heading, and the anchor of the stage that it is about."""

    label: Markup
    cells: list[Cell]
    anchor: str = ""
    indent: bool = False


@dataclass(frozen=True)
class Table:
    """One table; `corner` stands over the row headings."""

    id: str
    title: Markup
    note: Markup
    corner: Markup
    columns: list[Column]
    rows: list[Row]


def trimmed(table: Table) -> Table:
    """Return the table without the columns that no row fills."""
    used = [
        place
        for place in range(len(table.columns))
        if any(row.cells[place].figure or row.cells[place].markup for row in table.rows)
    ]
    return Table(
        table.id,
        table.title,
        table.note,
        table.corner,
        [table.columns[place] for place in used],
        [Row(row.label, [row.cells[place] for place in used], row.anchor, row.indent) for row in table.rows],
    )


def two_lines(name: str) -> Markup:
    """Return a stage's name with its variant on a line of its own."""
    base, _, variant = name.partition("@")
    return Markup("{}<small>{}</small>").format(base, variant) if variant else Markup.escape(base)
