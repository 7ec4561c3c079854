"""What all networks of `utils.models` have in common."""

import pytest
import torch
from torch import nn

from utils.models import MODELS, build
from utils.receptive_field import receptive_field

LONG = ("resnet1202", "preact_resnet1001", "pyramidnet272", "densenet_bc250_k24")  # shorter ones are alike


def run(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, list[str]]:
    """The scores, and the layers, in the order in which they ran, that made a map (N, C, H, W) of x."""
    made = []
    for path, layer in model.named_modules():
        if not list(layer.children()) and not isinstance(layer, nn.Identity):
            layer.register_forward_hook(
                lambda layer, inputs, output, path=path: made.append(path) if output.ndim == 4 else None
            )
    with torch.no_grad():
        return model.eval()(x), made


@pytest.mark.parametrize("name", [name for name in MODELS if name not in LONG])
def test_scores_and_the_last_map(name):
    """Seven classes where seven are asked for; and `receptive_field(...).last` is the last map that looks at a
    neighborhood: not its flattened form, nor scores, a map of one unit included.
    """
    with torch.device("meta"):
        model, x = build(name, num_classes=7, in_channels=1, small=True), torch.empty(2, 1, 28, 28)
    fields = receptive_field(model, tuple(x.shape))
    scores, made = run(model, x)
    assert scores.shape == (2, 7)
    path = fields.last.name.partition(" (")[0]
    if path not in made:  # a block ends with an operation that is no layer of its own
        assert fields.last.kind in ("add", "cat")
        path = [p for p in made if p.startswith(path.removesuffix(fields.last.kind))][-1]
    behind = made[len(made) - made[::-1].index(path) :]
    assert all(fields[p].local is None for p in behind), "a mean over the whole map, and what uses it"
    assert fields.last.local[0] >= fields.last.smallest[0] > 1
    assert len(fields.last.output) == 2


def test_lenet_5_ends_with_the_map_that_sees_the_whole_picture():
    """Its dense layers stand behind a map of one unit, and its scores are a difference: no layer of a map."""
    fields = receptive_field(build("lenet5"), (1, 1, 32, 32))
    assert (fields.last.name, fields.last.output) == ("squash (5)", (1, 1))
    assert fields.last.size == fields["c5"].size == (32, 32)
    assert receptive_field(build("lenet"), (1, 1, 32, 32)).last.name == "features.5"
    with pytest.raises(ValueError, match="has no layer that looks at a neighborhood"):
        _ = receptive_field(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (1, 1, 2, 2)).last
