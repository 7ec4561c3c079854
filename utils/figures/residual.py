"""Plain against residual networks: a slider over recorded depths."""

from __future__ import annotations

import functools
import json

from utils.figures._arguments import one_of
from utils.figures._data import packed
from utils.figures._figure import HERE, Figure

RESULTS = HERE.parent.parent / "experiments" / "results"
KINDS = ("plain", "resnet")
ERRORS = ("training error", "test error")


def depth_slider(depth: int = 56, *, epoch: int = 0, error: str = "training error") -> Figure:
    """Gradients through depth and curves of training, plain beside residual: the reader moves the depth.

    depth is one of those in `depth_records()["norms"]`; epoch is 0 (before training) or, for the depths that
    were trained, one of those after which the gradients were measured; error is one of ERRORS.

    Everything shown is read from experiments/results/gradient_depth.json and degradation.json when the figure
    is made. Raises ValueError for anything else.
    """
    records = depth_records()
    depths = list(records["norms"])
    if isinstance(depth, bool) or depth not in depths:
        raise ValueError(f"depth: got {depth!r}, expected one of {', '.join(map(str, depths))}")
    measured = [0, *(int(e) for e in records["trained"].get(depth, {}).get("norms", {}))]
    if isinstance(epoch, bool) or epoch not in measured:
        known = ", ".join(map(str, measured))
        raise ValueError(f"epoch: got {epoch!r}, expected one of {known} for {depth} layers")
    one_of("error", error, ERRORS)
    return Figure(
        "depth-slider",
        "A slider for the depth of two networks, plain and residual: the norm of the gradient in every "
        "layer, its growth from the last layers to the first by depth, and the recorded errors by epoch, "
        "with the spread over seeds; the words below say what changes.",
        data=packed({}, **records),
        depth=depth,
        epoch=epoch,
        error=error,
    )


@functools.cache
def depth_records() -> dict[str, dict]:
    """The recorded numbers by depth, one list a seed.

    norms       depth -> kind -> seeds × layers: gradient norms before the first step
    trained     depth -> "norms": epoch -> kind -> seeds × layers; "curves": error -> kind -> seeds × epochs;
                "final": error -> kind -> seeds, over all pictures at the end
    """
    norms: dict[int, dict] = {}
    for run in _record("gradient_depth")["runs"]:
        kind, depth = _kind_and_depth(run["network"])
        norms.setdefault(depth, {}).setdefault(kind, []).append(run["gradient"])
    trained: dict[int, dict] = {}
    for run in _record("degradation")["runs"]:
        kind, depth = _kind_and_depth(run["network"])
        found = trained.setdefault(depth, {"norms": {}, "curves": {}, "final": {}})
        for epoch, measured in run["norms"].items():
            if epoch != "0":  # in the other record, equal
                found["norms"].setdefault(epoch, {}).setdefault(kind, []).append(measured["gradient"])
        for error, key in zip(ERRORS, ("train error", "test error"), strict=True):
            found["curves"].setdefault(error, {}).setdefault(kind, []).append(run["curves"][key])
            found["final"].setdefault(error, {}).setdefault(kind, []).append(run[key])
    return {"norms": dict(sorted(norms.items())), "trained": dict(sorted(trained.items()))}


def _record(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _kind_and_depth(network: str) -> tuple[str, int]:
    """The parts of a name: "plain56" -> ("plain", 56)."""
    kind = next(kind for kind in KINDS if network.startswith(kind))
    return kind, int(network.removeprefix(kind))
