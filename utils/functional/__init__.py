"""Convolution on NumPy arrays, named and shaped like `torch.nn.functional`.

Pictures are (N, C, H, W): batch, channels, rows, columns. Filters are (K, C/groups, kh, kw).

| module        | holds                                                                                |
|---------------|--------------------------------------------------------------------------------------|
| `shapes`      | output sizes, padding, how arguments are read                                        |
| `arrays`      | checks of shapes and dtypes                                                          |
| `unfold`      | padding and windows: `pad2d`, `windows`, `im2col`, `row_strips`                      |
| `convolution` | the layer, four ways: `conv2d` and its readable forms; `conv1d`; `conv_matrix`       |
| `signals`     | one signal or picture and one kernel: `convolve`, `correlate`, `fft_convolve`        |
| `convolution_backward` | `conv2d_backward`: the gradients at input, weight and bias                  |
| `transposed`  | `conv_transpose2d`, the gradient used as a layer                                     |
| `variants`    | `conv3d`, locally connected, tiled, separable, deformable; shuffles; `interpolate`   |
| `activations` | ReLU and its family, sigmoid, tanh, GELU, softmax                                    |
| `pooling`     | max, min, sum, average, L_p, stochastic                                              |
| `pooling_adaptive` | global, adaptive, spatial pyramid                                               |
| `vlad`        | `netvlad`                                                                            |
| `dense`       | `linear`                                                                             |
| `losses`      | `cross_entropy`, `squared_error`                                                     |
| `normalization`, `dropout` | `batch_norm`, `dropout`                                                 |

Every layer `X` has its `X_backward(grad_output, ...)`: the gradients in the order of the inputs.
"""

from utils.functional.activations import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from utils.functional.convolution import (
    conv1d,
    conv2d,
    conv2d_im2col,
    conv2d_naive,
    conv2d_shifted,
    conv_matrix,
)
from utils.functional.convolution_backward import (
    conv2d_backward,
    conv2d_backward_naive,
    conv2d_grad_input,
    conv2d_grad_weight,
)
from utils.functional.dense import linear, linear_backward
from utils.functional.dropout import dropout, dropout_backward
from utils.functional.losses import (
    cross_entropy,
    cross_entropy_backward,
    squared_error,
    squared_error_backward,
)
from utils.functional.normalization import batch_norm, batch_norm_backward
from utils.functional.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    lp_pool2d,
    lp_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_indices,
    min_pool2d,
    min_pool2d_backward,
    pool_geometry,
    stochastic_pool2d,
    stochastic_pool2d_backward,
    sum_pool2d,
    sum_pool2d_backward,
)
from utils.functional.pooling_adaptive import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
    spatial_pyramid_pool,
    spatial_pyramid_pool_backward,
)
from utils.functional.shapes import (
    conv_geometry,
    conv_output_size,
    conv_output_size_ceil,
    same_padding,
    window_extent,
)
from utils.functional.signals import convolve, correlate, fft_convolve
from utils.functional.transposed import (
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose_output_size,
)
from utils.functional.unfold import im2col, pad2d, row_strips, windows
from utils.functional.variants import (
    channel_shuffle,
    channel_shuffle_backward,
    conv3d,
    conv3d_backward,
    deform_conv2d,
    deform_conv2d_backward,
    interpolate,
    interpolate_backward,
    locally_connected2d,
    locally_connected2d_backward,
    pixel_shuffle,
    pixel_shuffle_backward,
    resize_matrix,
    separable_conv2d,
    separable_conv2d_backward,
    tiled_conv2d,
    tiled_conv2d_backward,
)
from utils.functional.vlad import netvlad, netvlad_backward

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "channel_shuffle",
    "channel_shuffle_backward",
    "conv1d",
    "conv2d",
    "conv2d_backward",
    "conv2d_backward_naive",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "conv2d_im2col",
    "conv2d_naive",
    "conv2d_shifted",
    "conv3d",
    "conv3d_backward",
    "conv_geometry",
    "conv_matrix",
    "conv_output_size",
    "conv_output_size_ceil",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose_output_size",
    "convolve",
    "correlate",
    "cross_entropy",
    "cross_entropy_backward",
    "deform_conv2d",
    "deform_conv2d_backward",
    "dropout",
    "dropout_backward",
    "elu",
    "elu_backward",
    "fft_convolve",
    "gelu",
    "gelu_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "im2col",
    "interpolate",
    "interpolate_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "locally_connected2d",
    "locally_connected2d_backward",
    "log_softmax",
    "log_softmax_backward",
    "lp_pool2d",
    "lp_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_indices",
    "min_pool2d",
    "min_pool2d_backward",
    "netvlad",
    "netvlad_backward",
    "pad2d",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "pool_geometry",
    "relu",
    "relu_backward",
    "resize_matrix",
    "row_strips",
    "same_padding",
    "separable_conv2d",
    "separable_conv2d_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "spatial_pyramid_pool",
    "spatial_pyramid_pool_backward",
    "squared_error",
    "squared_error_backward",
    "stochastic_pool2d",
    "stochastic_pool2d_backward",
    "sum_pool2d",
    "sum_pool2d_backward",
    "tanh",
    "tanh_backward",
    "tiled_conv2d",
    "tiled_conv2d_backward",
    "window_extent",
    "windows",
]
