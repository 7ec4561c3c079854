"""What comes out of a grading run: a record and a feedback page for each submission, one table of grades."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path
from typing import Any

COLUMNS = (
    "student", "exercise", "points", "max_points", "counts", "late", "status", "original", "modified",
    "seconds",
)  # fmt: skip

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.points { float: right; font-variant-numeric: tabular-nums; font-weight: 600; }
li { margin: .3rem 0; } .ok::marker { content: "✓  "; } .no::marker { content: "✗  "; }
.hint { display: block; } .small { opacity: .8; font-size: .9rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def file_name(record: dict[str, Any]) -> str:
    """A name for the files of a record that is safe on every system and unlike any other record's."""
    words = f"{record['student']}_{record['exercise'] or 'unknown'}"
    safe = re.sub(r"[^\w.-]+", "-", words, flags=re.ASCII).strip("-.")[:80] or "submission"
    return f"{safe}_{record['key']}"


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write a record so that a kill leaves either the old file or the new one."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def feedback(record: dict[str, Any]) -> str:
    """The page for the student: points, hints, what failed. It holds no expected values."""
    e = lambda text: html.escape(str(text))  # noqa: E731 - it is used in every line
    title = f"Exercise {int(record['exercise'][2:])}" if record["exercise"] else "Exercise"
    parts = [
        f"<h1>{title}: {record['points']:g} of {record['max_points']:g} points</h1>",
        f'<p class="small">{e(record["student"])} · {e(record["original"])}</p>',
    ]
    if record["status"] != "graded":
        parts.append(f"<p>{e(record['status'])}</p>")
    if record["cells"]:
        parts.append("<h2>Cells that did not run</h2><ul>")
        for cell in record["cells"]:
            parts.append(f"<li>Cell {cell['cell'] + 1}: {e(cell['message'])}</li>")
        parts.append("</ul>")
    for task in record["tasks"] if record["status"] == "graded" else []:
        points = f'<span class="points">{task["points"]:g} of {task["max_points"]:g}</span>'
        parts.append(f"<h2>{e(task['title'])} {points}</h2><ul>")
        previous = ""
        for item in task["items"]:
            mark = "no" if item["message"] else "ok"
            hint = "As above." if item["message"] and item["message"] == previous else item["message"]
            previous = item["message"] or previous
            note = f'<span class="hint">{e(hint)}</span>' if hint else ""
            got = f"{item['points']:g} of {item['max_points']:g}"
            parts.append(f'<li class="{mark}">{e(item["label"])}: {got}{note}</li>')
        parts.append("</ul>")
        if task["points"] < task["max_points"]:
            parts.append(f"<p>To reread: {e(task['section'])}</p>")
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def write_grades(path: Path, records: list[dict[str, Any]], missing: list[str]) -> None:
    """One line a submission, and one for each student of the roster who handed in nothing."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)  # quoted: safe where ";" separates columns
        names = sorted({task["name"] for record in records for task in record["tasks"]})
        writer.writerow([*COLUMNS, *names])
        for record in records:
            points = {task["name"]: task["points"] for task in record["tasks"]}
            values = [_harmless(record.get(column, "")) for column in COLUMNS]
            writer.writerow([*values, *(points.get(name, "") for name in names)])
        for student in missing:
            row = {"student": student, "points": 0, "status": "nothing handed in"}
            writer.writerow([_harmless(row.get(column, "")) for column in COLUMNS] + [""] * len(names))


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "|", "%")  # the wide ones too


def _harmless(value: Any) -> Any:
    """A spreadsheet runs texts that begin with these as formulas; an apostrophe stops it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        value = " ".join(value.split())
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value


def table(records: list[dict[str, Any]]) -> str:
    """The grades for the console."""
    width = max([len("student"), *(min(len(r["student"]), 32) for r in records)])
    lines = [f"{'student':<{width}}  exercise  points     seconds  remarks"]
    for r in records:
        remarks = [] if r["status"] == "graded" else [r["status"]]
        remarks += ["late"] * r["late"] + ["does not count: a newer copy does"] * (not r["counts"])
        remarks += [f"{len(r['flags'])} to look at"] * bool(r["flags"])
        name = r["student"][:32]
        lines.append(
            f"{name:<{width}}  {r['exercise'] or '?':<8}  {r['points']:5.2f}/{r['max_points']:<4g} "
            f"{r['seconds']:8.1f}  {'; '.join(remarks)[:100]}".rstrip()
        )
    return "\n".join(lines)
