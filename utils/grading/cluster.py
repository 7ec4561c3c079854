"""Grading on many machines: the same stateless `grade_one`, mapped over the workers of a Dask cluster.

Each worker needs the course, its packages and the sandbox; it gets the notebooks with the task, so no shared
file system is needed. A worker that dies loses nothing: Dask gives its submissions to another one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.grading.grade import Settings, grade_one
from utils.grading.notebook import MAX_BYTES
from utils.grading.submissions import Submission

RETRIES = 3


def grade_content(name: str, content: bytes, settings: Settings) -> dict[str, Any]:
    """The record of a notebook that came as bytes; `name` is its file name."""
    with tempfile.TemporaryDirectory(prefix="grading-") as folder:
        path = Path(folder) / (Path(name).name or "submission.ipynb")
        path.write_bytes(content)
        return grade_one(path, settings)


def completed_on(
    address: str, todo: list[Submission], settings: Settings
) -> Iterator[tuple[Submission, dict[str, Any]]]:
    """Grade on the workers of the scheduler at `address`; yield each record when it is there.

    Raises ValueError when Dask is not installed or no scheduler answers.
    """
    try:
        from dask.distributed import Client, as_completed
    except ImportError as error:
        raise ValueError("--dask: Dask is not installed (pip install dask distributed)") from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError, TimeoutError) as error:
        raise ValueError(f"--dask: no scheduler answers at {address}") from error
    with client:
        handed = {}
        for submission in todo:
            if submission.path.stat().st_size > MAX_BYTES:  # refused without being sent
                yield submission, grade_one(submission.path, settings)
                continue
            # The bytes travel with the task. Data scattered to a worker would die with it.
            task = (grade_content, submission.path.name, submission.path.read_bytes(), settings)
            future = client.submit(*task, pure=False, retries=RETRIES)
            handed[future] = submission
        for future in as_completed(handed):
            submission = handed[future]
            if future.status == "finished":
                yield submission, future.result()
            else:
                from utils.grading.run import failed

                yield submission, failed(f"The grading process failed: {future.exception()!r:.200}")
            future.release()
