"""A built site for the tests of the live pages, with Pyodide from npm in place of its public address."""

import functools
import http.server
import json
import threading
from contextlib import contextmanager
from pathlib import Path

from tools import live


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the site; `_pyodide/` from the runtime and the wheels; every request is noted down."""

    site: Path
    runtime: Path | None  # None: the site has Pyodide itself
    wheels: Path | None
    more: dict[str, str]  # headers sent with every file
    pyodide: str | None  # where pages look for Pyodide; None: where the site says
    missing: set[str]  # files are not there whose names begin with one of these
    seen: list[str]

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0].lstrip("/")
        if not name.startswith("_pyodide/") or not self.runtime:
            return super().translate_path(path)
        name = Path(name).name
        places = [folder / name for folder in (self.runtime, self.wheels) if folder]
        return str(next((place for place in places if place.is_file()), places[0]))

    def do_GET(self):
        self.seen.append(self.path)
        if Path(self.path.partition("?")[0]).name.startswith(tuple(self.missing)):
            return self.send_error(404)
        if self.path.partition("?")[0] != "/_course/live.json" or not self.pyodide:
            return super().do_GET()
        facts = json.loads((self.site / "_course/live.json").read_text())
        body = json.dumps({**facts, "pyodide": self.pyodide}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self):
        for name, value in self.more.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *args):
        pass


ISOLATED = {  # let a page share memory with its worker
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


@contextmanager
def serve(
    site: Path,
    runtime: Path | None,
    wheels: Path | None,
    headers: dict[str, str] | None = None,
    pyodide: str | None = "../_pyodide/",
    missing: set[str] | None = None,
):
    """The site on this machine: gives its address, and the list of requested paths."""
    seen: list[str] = []
    facts = {"site": site, "runtime": runtime, "wheels": wheels, "pyodide": pyodide, "seen": seen}
    facts |= {"more": headers or {}, "missing": set() if missing is None else missing}
    handler = type("SiteHandler", (Handler,), facts)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(site))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def checked_wheels(runtime: Path) -> Path | None:
    """The folder with the wheels, if there is one and each is what Pyodide's lock file describes."""
    folder = live.wheel_folder()
    if folder is None:
        return None
    live.wheels(folder, json.loads((runtime / "pyodide-lock.json").read_text(encoding="utf-8")))
    return folder
