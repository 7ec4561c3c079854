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
