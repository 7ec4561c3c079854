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
