"""Receptive fields: which pixels of the input can change a unit of a network, and how much they do.

    receptive_field(model, (1, 3, 224, 224)).table()    every layer of any network: size, jump, start, padding
    sequence([(3, 1, 1), (2, 2), ...])                  the recursion behind it, for plain numbers
    measured(model, (1, 3, 224, 224), layer="layer1")   the region that back-propagated gradients reach
    effective(model, (1, 3, 224, 224))                  how strongly each pixel acts, as a map
    fit_gaussian(map)                                   the bell that describes such a map

`receptive_field` reads the operations of the network as they were run (`utils.graph.trace`). Rows and columns
are treated apart. About each operation it asks one question: *which positions of its input does position i of
its output read?* The answer is a `Taps`. Following the taps back to the picture gives two things:

* what unit i sees in *this* run: its first and last pixel, exactly, borders included;
* what a unit sees in general, on a picture that goes on forever: its window. A window moves by `jump` pixels
  from one unit to the next, and after transposed convolutions or interpolation its size may alternate.

Only positions count, not channels: each output channel is taken to read every input channel of its
position. An operation that this module has no rule for is taken to see everything, and the table says so;
the same where positions are regrouped (the windows of a Swin transformer). What a unit sees in a run is a
rectangle, the rows that reach it times the columns. Where branches meet and one of them sees only padding
along one axis, it still counts along the other: there the rectangle may be larger than the truth, never
smaller.

Sources: Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019,
doi:10.23915/distill.00021. Luo, Li, Urtasun and Zemel, "Understanding the effective receptive field in deep
convolutional neural networks", NeurIPS 2016, arXiv:1701.04128.
"""

from utils.receptive_field.axes import Step, sequence
from utils.receptive_field.effective import Gaussian, effective, fit_gaussian, measured
from utils.receptive_field.fields import Layer, ReceptiveFields, Region, receptive_field

__all__ = [
    "Gaussian",
    "Layer",
    "ReceptiveFields",
    "Region",
    "Step",
    "effective",
    "fit_gaussian",
    "measured",
    "receptive_field",
    "sequence",
]
