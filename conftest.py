"""Let tests and notebooks find the course's packages, wherever they run from."""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys([ROOT, *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
)
os.environ.setdefault("PYTHONHASHSEED", "0")


def pytest_terminal_summary(terminalreporter):
    """Print the worst relative error of every gradient check, as `tests/test_gradcheck.py` records them."""
    worst = {
        report.nodeid.split("[")[-1].rstrip("]"): dict(report.user_properties)["worst relative error"]
        for report in terminalreporter.stats.get("passed", [])
        if "worst relative error" in dict(report.user_properties)
    }
    if worst:
        terminalreporter.section("gradients against finite differences: worst relative error")
        for name, error in sorted(worst.items(), key=lambda item: -item[1]):
            terminalreporter.write_line(f"{error:8.1e}  {name}")
        terminalreporter.write_line(f"worst of {len(worst)} backward passes: {max(worst.values()):.1e}")
    _report_site(terminalreporter)


def _report_site(terminalreporter):
    """Print what the pages of the website weigh and what Lighthouse says (`tests/test_site.py`)."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    known = [dict(report.user_properties) for report in reports]
    weights = sorted((p["weight"]["sent"], p["page"], p["weight"]) for p in known if "weight" in p)
    if weights:
        terminalreporter.section("pages before any Run, lazily loaded pictures apart")
        for sent, page, weight in weights[len(weights) // 2 :: max(1, len(weights) // 8)] + weights[-1:]:
            terminalreporter.write_line(
                f"{sent / 1024:6.0f} KiB sent {weight['unpacked'] / 1024:6.0f} KiB unpacked "
                f"{weight['requests']:3d} requests  {page}"
            )
    for entry in known:
        if "lighthouse" in entry:
            said = ", ".join(f"{key} {value}" for key, value in entry["lighthouse"].items())
            terminalreporter.write_line(f"lighthouse {entry['page']}: {said}")
