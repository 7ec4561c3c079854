"""Figures that the reader moves: custom elements without dependencies, shown from a cell.

    from utils import figures
    figures.conv_explorer(stride=2, padding=1)

A figure is the value of the last line of its cell. It carries all it needs (at most 20 KB of script), so
that it works on the website, in JupyterLab, in VS Code and in Colab, without a network; where scripts do not
run (GitHub, print), its picture and its alternative text stand in. The scripts lie in `scripts/`: the
mathematics of each figure in a module of its own, which the tests run in Node beside PyTorch.
"""

from utils.figures._figure import HERE, Figure, script
from utils.figures.convolution import CHANNELS, MODES, conv_explorer

__all__ = ["CHANNELS", "HERE", "MODES", "Figure", "conv_explorer", "script"]
