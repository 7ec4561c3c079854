"""Finding out what was handed in, by whom, and when: folders and zip files as learning platforms export them.

Nothing is dropped silently: what is no notebook, comes twice, comes late or belongs to nobody on the roster
is listed in `Collection.remarks` and in the table of grades.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from utils.grading.sandbox import ROOT

MAX_FILES = 20_000  # in a zip file
MAX_UNPACKED = 8 * 2**30  # bytes
MAX_FILE = 512 * 2**20  # bytes of one file in a zip; the grader refuses notebooks long before

SKIPPED = re.compile(r"(^|/)(\.ipynb_checkpoints|__MACOSX|\.[^./][^/]*)(/|$)")
# What platforms add to a student's name. Moodle: "Ada Lovelace_123_assignsubmission_file_". Canvas:
# "lovelaceada_LATE_123_456_03_convolution_layer.ipynb". Everyone: "name (1)", "name - Copy".
_MOODLE = re.compile(r"_\d+_assignsubmission_\w+_?$")
_CANVAS = re.compile(r"^(?P<name>[^_]+)_(?P<late>LATE_)?\d+_\d+_")
_COPY = re.compile(r"( ?\(\d+\)| - Copy|-\d{1,2})$", re.IGNORECASE)
_RELEASED = sorted(re.escape(path.stem) for path in (ROOT / "exercises").glob("[0-9]*.ipynb"))
_EXERCISE = re.compile("|".join([*_RELEASED, r"(?<![a-z])ex(ercise)?[_ -]?\d\d"]), re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """One file that was handed in.

    student     the identifier under which it counts
    original    the path as it was handed in
    late        after the deadline, or marked so by the platform
    modified    when, in local time, as far as the file knows
    known       whether the roster has the student
    """

    path: Path
    student: str
    original: str
    modified: datetime.datetime
    late: bool = False
    known: bool = True


@dataclass
class Collection:
    """All submissions, and what the instructor should know about the rest."""

    submissions: list[Submission]
    remarks: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # on the roster, nothing handed in


def collect(
    source: Path,
    workspace: Path,
    roster: dict[str, str] | None = None,
    due: datetime.datetime | None = None,
) -> Collection:
    """Every notebook in a folder or zip file, with the student it belongs to.

    source      a folder of notebooks; a folder with one folder a student (nbgrader's `submitted`, Moodle's
                export); a zip file of either; a single notebook
    workspace   where a zip file is unpacked
    roster      name as handed in (in lower case) -> identifier, see `read_roster`
    due         notebooks that are newer are late

    Raises ValueError when there is nothing of the kind.
    """
    if not source.exists():
        raise ValueError(f"SUBMISSIONS: there is no file or folder {source}")
    found = Collection([])
    if source.is_dir():
        root, files = source, _in_folder(source, found)
    elif zipfile.is_zipfile(source):
        root, files = workspace, _unpack(source, workspace, found)
    elif source.suffix == ".ipynb":
        root, files = source.parent, [source]
    else:
        raise ValueError(f"SUBMISSIONS: expected a folder, a zip file or a notebook, got {source}")
    for path in files:
        relative = printable(path.relative_to(root).as_posix())
        if path.suffix.lower() != ".ipynb":
            found.remarks.append(f"{relative}: not a notebook, not graded")
            continue
        name, late = student_of(relative)
        modified = _when(path.lstat().st_mtime)
        late = late or (due is not None and modified > due)
        found.submissions.append(Submission(path, name, relative, modified, late))
    _match(found, roster)
    for submission in found.submissions:
        if submission.late:
            found.remarks.append(f"{submission.original}: late")
    return found


def printable(name: str) -> str:
    """A file name without what could mislead a reader or a terminal: line ends, directions, broken letters.

    Different names stay different.
    """
    letters = name.replace("\\", "\\\\")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in letters)


def _when(stamp: float) -> datetime.datetime:
    """A file's time; files may bear dates that no calendar has."""
    try:
        return datetime.datetime.fromtimestamp(stamp)
    except (ValueError, OverflowError, OSError):
        return datetime.datetime(1980, 1, 1)


def _in_folder(source: Path, found: Collection) -> list[Path]:
    """The files of a folder; links are not followed."""
    files = []
    for path in sorted(source.rglob("*")):
        relative = printable(path.relative_to(source).as_posix())
        if SKIPPED.search(relative):
            continue
        if path.is_symlink():
            found.remarks.append(f"{relative}: a link, not followed")
        elif path.is_file():
            files.append(path)
        elif not path.is_dir():
            found.remarks.append(f"{relative}: no regular file, not opened")
    return files


def _unpack(source: Path, workspace: Path, found: Collection) -> list[Path]:
    """The files of a zip, unpacked under names that cannot leave the workspace."""
    files: list[Path] = []
    total = 0
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ValueError(f"SUBMISSIONS: {source.name} is damaged ({error})") from error
    with archive:
        entries = archive.infolist()
        if len(entries) > MAX_FILES:
            raise ValueError(
                f"SUBMISSIONS: {source.name} holds {len(entries):,} files, more than {MAX_FILES:,}"
            )
        for entry in sorted(entries, key=lambda e: e.filename):
            name = entry.filename.replace("\\", "/")
            if name.endswith("/") or SKIPPED.search(name):
                continue
            target = workspace.joinpath(*PurePosixPath(name).parts)
            total += entry.file_size
            twice = "a name that comes twice" if target in files else ""
            if reason := _why_not(entry, name, total) or twice:
                found.remarks.append(f"{printable(name)}: {reason}, not unpacked")
            elif reason := _unpack_one(archive, entry, target):
                found.remarks.append(f"{printable(name)}: could not be unpacked ({reason})")
            else:
                files.append(target)
    return files


def _why_not(entry: zipfile.ZipInfo, name: str, total: int) -> str:
    """Why an entry of a zip is left where it is; "" for an honest one."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link, not followed"
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/") or re.match(r"^[A-Za-z]:", name) or "\0" in name:
        return "a path that leaves the zip file"
    if entry.file_size > MAX_FILE or total > MAX_UNPACKED:
        return f"too large ({entry.file_size / 2**20:,.0f} MiB)"
    return ""


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> str:
    """Unpack one entry. Returns "" or why it could not be."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as content, target.open("xb") as file:
            _copy_at_most(content, file, MAX_FILE)
        stamp = datetime.datetime(*_valid_date(entry.date_time)).timestamp()
        os.utime(target, (stamp, stamp))
    except Exception as error:  # each way of packing has errors of its own
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        return printable(f"{type(error).__name__}: {error}")[:200]
    return ""


def _copy_at_most(content, file, limit: int) -> None:
    """Copy, whatever size the zip file claims; a bomb ends here."""
    written = 0
    while part := content.read(2**20):
        written += len(part)
        if written > limit:
            raise OSError("larger than it says")
        file.write(part)


def _valid_date(date: tuple) -> tuple:
    try:
        datetime.datetime(*date)
        return date
    except ValueError:
        return (1980, 1, 1, 0, 0, 0)


def student_of(relative: str) -> tuple[str, bool]:
    """(the student's name, whether the platform marked it late) from the path of a submission.

    >>> student_of("ada/ex03/03_convolution_layer.ipynb")
    ('ada', False)
    >>> student_of("lovelaceada_LATE_12_34_03_convolution_layer.ipynb")
    ('lovelaceada', True)
    """
    *folders, file = PurePosixPath(relative).parts
    stem = file[: -len(".ipynb")]
    if named := [
        f for f in folders if not _EXERCISE.fullmatch(f) and f.lower() not in ("submitted", "submissions")
    ]:
        return _MOODLE.sub("", named[0]).strip() or named[0], "_LATE" in relative.upper()
    if canvas := _CANVAS.match(stem):
        return canvas["name"], canvas["late"] is not None
    while (shorter := _COPY.sub("", stem)) != stem:
        stem = shorter
    name = _EXERCISE.sub("", stem).strip(" _-.")
    return name or stem, False


def read_roster(path: Path) -> dict[str, str]:
    """A roster: name as handed in (in lower case) -> identifier.

    A CSV file with the headings `submission` and `student`: what the platform calls the student, and the
    identifier in the gradebook. A file with `student` alone lists the identifiers. Raises ValueError that
    names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--roster: {path} cannot be read ({error})") from error
    reader = csv.DictReader(text.splitlines())
    if "student" not in (reader.fieldnames or []):
        raise ValueError(f"--roster: expected a column `student` in {path}, found {reader.fieldnames}")
    roster: dict[str, str] = {}
    for number, row in enumerate(reader, start=2):
        student = (row.get("student") or "").strip()
        if not student:
            raise ValueError(f"--roster: line {number} of {path} names no student")
        name = (row.get("submission") or student).strip().lower()
        if roster.get(name, student) != student:
            raise ValueError(f"--roster: line {number} of {path}: {name!r} stands for two students")
        roster[name] = student
    return roster


def _match(found: Collection, roster: dict[str, str] | None) -> None:
    """Names as handed in become identifiers; strangers and missing students are remarked."""
    if roster is None:
        return
    matched = []
    for submission in found.submissions:
        student = roster.get(submission.student.lower())
        if student is None:
            found.remarks.append(f"{submission.original}: {submission.student!r} is not on the roster")
            matched.append(replace(submission, known=False))
        else:
            matched.append(replace(submission, student=student))
    found.submissions = matched
    present = {s.student for s in matched}
    found.missing = sorted(set(roster.values()) - present)
    found.remarks += [f"{student}: nothing handed in" for student in found.missing]


def duplicates(records: list[dict]) -> Iterator[list[dict]]:
    """Groups of more than one record of the same student and exercise."""
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault((record["student"], record["exercise"]), []).append(record)
    return (group for group in groups.values() if len(group) > 1)
