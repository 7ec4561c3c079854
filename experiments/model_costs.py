"""What the classification networks of torchvision cost, beside what torchvision itself records.

    python -m experiments.model_costs              count and print, some minutes of CPU time
    python -m experiments.model_costs --record     and write experiments/results/model_costs.json

Counted by `utils.cost`, one row a network, for one picture in float32 of the size its first weights take.
No weights are loaded: only their description is read, with torchvision's own numbers of parameters and
multiply-adds (it calls them GFLOPS). `load()` gives the record as a Table.
"""

from __future__ import annotations

import argparse
import json

from torchvision import models

from experiments.provenance import RESULTS, provenance, write
from utils.cost import cost, format_bytes, format_count, make_model
from utils.table import Table

FORMATS = {
    "parameters": format_count,
    "multiply-adds": format_count,
    "activations": format_bytes,
    "peak": format_bytes,
    "stored": format_bytes,
    "moved": format_bytes,
    "intensity": ".1f",
    "recorded multiply-adds": format_count,
    "recorded parameters": format_count,
    "top 1": ".1f",
}
COLUMNS = ("model", "side", *FORMATS)


def count(name: str) -> list:
    """One row of the table."""
    weights = next(iter(models.get_model_weights(name)))
    side = weights.transforms.keywords["crop_size"]
    options = {"image_size": side} if name.startswith("vit") else {}  # the only ones that must be told
    costs = cost(make_model(name, **options), (1, 3, side, side))
    total, meta = costs.total, weights.meta
    (top1,) = (metrics["acc@1"] for metrics in meta["_metrics"].values())
    return [
        *(name, side, total.parameters, total.multiply_adds, total.activations, costs.peak, total.stored),
        *(total.moved, round(total.intensity, 3), round(meta["_ops"] * 1e9), meta["num_params"], top1),
    ]


def load() -> Table:
    """The recorded table."""
    record = json.loads((RESULTS / "model_costs.json").read_text(encoding="utf-8"))
    return Table(record["columns"], record["rows"], formats=FORMATS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write experiments/results/model_costs.json")
    options = parser.parse_args()
    rows = []
    for name in models.list_models(module=models):
        rows.append(count(name))
        print(str(Table(COLUMNS, rows[-1:], formats=FORMATS)).splitlines()[-1], flush=True)
    if options.record:
        watched = ("utils", "experiments/*.py")
        facts = provenance("python -m experiments.model_costs --record", ("torch", "torchvision"), watched)
        print(write("model_costs", {**facts, "columns": COLUMNS, "rows": rows}))


if __name__ == "__main__":
    main()
