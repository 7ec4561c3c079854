"""Figures that the reader moves: custom elements without dependencies, shown from a cell.

    from utils import figures
    figures.conv_explorer(stride=2, padding=1)

A figure is the value of the last line of its cell. It carries all it needs (at most 20 KB of script), so
that it works on the website, in JupyterLab, in VS Code and in Colab, without a network; where scripts do not
run (GitHub, print), its picture and its alternative text stand in. The scripts are written in `scripts/`, the
mathematics of each figure in a module of its own, which the tests run in Node beside PyTorch; from there
`python -m tools.build_figures` makes those in `built/`, one a figure, which are shown.
"""

from utils.figures._figure import HERE, Figure, script
from utils.figures.architectures import architecture_explorer, architectures
from utils.figures.backpropagation import backprop_explorer
from utils.figures.confusion import confusion_browser
from utils.figures.convolution import CHANNELS, MODES, conv_explorer
from utils.figures.costs import WAYS, cost_calculator
from utils.figures.fields import STACKS, receptive_field_explorer
from utils.figures.kernels import kernel_playground
from utils.figures.lenet import lenet_explorer
from utils.figures.pooling import pooling_explorer
from utils.figures.residual import depth_records, depth_slider
from utils.figures.transposed import transposed_explorer

__all__ = [
    "CHANNELS",
    "HERE",
    "MODES",
    "STACKS",
    "WAYS",
    "Figure",
    "architecture_explorer",
    "architectures",
    "backprop_explorer",
    "confusion_browser",
    "conv_explorer",
    "cost_calculator",
    "depth_records",
    "depth_slider",
    "kernel_playground",
    "lenet_explorer",
    "pooling_explorer",
    "receptive_field_explorer",
    "script",
    "transposed_explorer",
]
