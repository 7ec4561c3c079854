"""A table that reads well as text, as HTML and as CSV: what the instruments of the course return."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Table"]

Format = str | Callable[[Any], str]


class Table:
    """Named columns and rows; numbers are aligned to the right.

    columns     their headings
    rows        one sequence of values a row, as many as there are columns
    caption     a sentence above the table
    formats     heading -> format specification such as ",", ".1%", or a function from a value to its text
    foot        a last row that stands apart, for instance the totals

    `str(table)` is plain text, a notebook shows HTML; `table[i]` is a row as a dict, `table.column(name)` a
    list of values.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        caption: str = "",
        formats: Mapping[str, Format] | None = None,
        foot: Sequence[Any] | None = None,
    ):
        self.columns, self.rows = list(columns), [list(row) for row in rows]
        self.caption, self.formats = caption, dict(formats or {})
        self.foot = None if foot is None else list(foot)
        for row in self.rows + ([self.foot] if self.foot else []):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows: expected {len(self.columns)} values in each, got {len(row)}: {row!r}"
                )
        if unknown := set(self.formats) - set(self.columns):
            raise ValueError(f"formats: no column is called {sorted(unknown)}; columns are {self.columns}")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(zip(self.columns, self.rows[index], strict=True))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    def column(self, name: str) -> list[Any]:
        """All values of one column."""
        if name not in self.columns:
            raise ValueError(f"name: expected one of {self.columns}, got {name!r}")
        return [row[self.columns.index(name)] for row in self.rows]

    def to_csv(self) -> str:
        """The values, without formats, as comma-separated text with a line of headings."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([self.columns, *self.rows])
        return out.getvalue()

    def _text(self, column: str, value: Any) -> str:
        """One value as the page shows it; None is an empty cell."""
        if value is None:
            return ""
        form = self.formats.get(column)
        if callable(form):
            return form(value)
        if form and not isinstance(value, str):
            return format(value, form)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int):
            return f"{value:,}"
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    def _cells(self) -> tuple[list[list[str]], list[str] | None, list[bool]]:
        """The texts of all rows and of the foot, and which columns hold numbers."""
        texts = [[self._text(c, v) for c, v in zip(self.columns, row, strict=True)] for row in self.rows]
        foot = [self._text(c, v) for c, v in zip(self.columns, self.foot, strict=True)] if self.foot else None
        numeric = [
            any(v is not None for v in self.column(c))
            and all(v is None or isinstance(v, (int, float)) for v in self.column(c))
            for c in self.columns
        ]
        return texts, foot, numeric

    def __str__(self) -> str:
        texts, foot, numeric = self._cells()
        every = [self.columns, *texts, *([foot] if foot else [])]
        widths = [max(len(row[j]) for row in every) for j in range(len(self.columns))]

        def line(row: list[str]) -> str:
            cells = [
                t.rjust(w) if right else t.ljust(w) for t, w, right in zip(row, widths, numeric, strict=True)
            ]
            return "  ".join(cells).rstrip()

        rule = "  ".join("-" * w for w in widths)
        lines = [*([self.caption] if self.caption else []), line(self.columns), rule, *map(line, texts)]
        return "\n".join(lines + ([rule, line(foot)] if foot else []))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        texts, foot, numeric = self._cells()

        def row(cells: list[str], tag: str) -> str:
            aligned = (
                f'<{tag} style="text-align:{"right" if right else "left"}">{html.escape(cell)}</{tag}>'
                for cell, right in zip(cells, numeric, strict=True)
            )
            return f"<tr>{''.join(aligned)}</tr>"

        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        end = f"<tfoot>{row(foot, 'th')}</tfoot>" if foot else ""
        body = "\n".join(row(cells, "td") for cells in texts)
        return (
            f'<table class="course-table">{caption}<thead>{row(self.columns, "th")}</thead>\n'
            f"<tbody>\n{body}\n</tbody>{end}</table>"
        )
