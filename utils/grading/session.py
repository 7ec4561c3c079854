"""The trusted side of one submission: starts the worker, asks, waits no longer than the limits, cleans up."""

from __future__ import annotations

import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from utils.grading import sandbox, wire
from utils.grading.sandbox import Limits

LOOK_EVERY = 0.2  # seconds between two looks at the memory and processes that a submission holds
OURS = 8  # processes of the sandbox itself, and what ends in the moment of the look


class Dead(Exception):
    """The worker ended, was ended, or stopped making sense; the message is for the student."""


class TimedOut(Dead):
    """No answer within the time that the question allowed."""


class Session:
    """One running worker. Use as a context manager, so that nothing is left running."""

    def __init__(self, kind: str, limits: Limits):
        self.kind, self.limits = kind, limits
        self.folder = Path(tempfile.mkdtemp(prefix="grading-"))
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        with sandbox.call_filter(kind, self.folder) as calls:
            self.process = subprocess.Popen(
                sandbox.command(kind, limits, self.folder, calls),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd=work,
                env=sandbox.outside_environment(kind),
                pass_fds=[calls] if calls else [],
            )
        self.send_to, self.read_from = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.send_to, False)
        self.asked = 0  # questions so far; a reply repeats the number of its question
        self.next_look = 0.0  # when to look at memory and processes again
        self.cpu_seconds = 0.0  # taken by the submission, as far as it is known when it ends

    def ask(self, message: dict, buffers: list[bytes] = (), seconds: float = 10) -> tuple[dict, list[bytes]]:
        """Send a message and wait for the reply. Raises TimedOut or Dead; the worker is gone then."""
        end = time.monotonic() + seconds
        self.asked += 1
        try:
            self._write(wire.pack(message | {"id": self.asked}, buffers), end)
            (length,) = struct.unpack("<Q", self._read(8, end))
            if length > wire.MAX_FRAME:
                raise wire.WireError("a frame that is too large")
            reply, parts = wire.unpack(self._read(length, end), wire.MAX_TEXT)
            if not isinstance(reply, dict) or reply.get("id") != self.asked:
                raise wire.WireError("not the reply to the question")
            return reply, parts
        except TimedOut as error:
            self.close()
            raise TimedOut(f"No answer after {seconds:.0f} s: does a loop never end?") from error
        except wire.WireError as error:
            self.close()
            raise Dead(f"The answer could not be read ({error}).") from error
        except (BrokenPipeError, OSError) as error:
            self.close()
            raise Dead("The process ended: out of memory, too many processes, or it exited.") from error
        except BaseException:
            self.close()
            raise

    def _write(self, data: bytes, end: float) -> None:
        view = memoryview(data)
        while view:
            self._wait([], [self.send_to], end)
            view = view[os.write(self.send_to, view[: 2**16]) :]

    def _read(self, count: int, end: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            self._wait([self.read_from], [], end)
            part = os.read(self.read_from, min(count - len(data), 2**20))
            if not part:
                raise BrokenPipeError
            data += part
        return bytes(data)

    def _wait(self, reading: list[int], writing: list[int], end: float) -> None:
        """Until a pipe is ready. Look again and again what the submission holds, even while it sends."""
        while True:
            now = time.monotonic()
            if now >= end:
                raise TimedOut
            if now >= self.next_look:
                self.next_look = now + LOOK_EVERY
                self._look()
            if any(select.select(reading, writing, [], min(LOOK_EVERY, end - now))[:2]):
                return

    def _look(self) -> None:
        """Raise Dead where the submission holds more memory or processes than allowed."""
        megabytes, processes = sandbox.held(self.process.pid)
        if megabytes > self.limits.memory:
            raise Dead(f"More memory than allowed: {megabytes:,.0f} MiB of {self.limits.memory:,} MiB.")
        if processes > self.limits.processes + OURS:
            raise Dead(f"More processes than allowed: {processes} of {self.limits.processes}.")

    def close(self) -> None:
        """End the worker and everything that it started; remove its folder."""
        if self.process.returncode is None:
            self.cpu_seconds = max(self.cpu_seconds, sandbox.cpu_used(self.process.pid))
        processes = list(sandbox.descendants(self.process.pid)) if self.process.poll() is None else []
        for kill in (
            lambda: os.killpg(self.process.pid, signal.SIGKILL),
            *(lambda pid=pid: os.kill(pid, signal.SIGKILL) for pid in processes),
        ):
            try:
                kill()
            except (ProcessLookupError, PermissionError):
                continue
        sandbox.stop(self.kind, self.folder)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except OSError:
                continue
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
