"""Exercise 2: convolution by hand."""

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. a window by hand -------------------------------------------------------------------------------

IMAGE = np.array(
    [
        [9, 4, 1, 6, 5, 8],
        [6, 5, 5, 6, 8, 3],
        [7, 8, 7, 7, 2, 4],
        [2, 5, 1, 1, 7, 7],
        [8, 2, 8, 9, 0, 7],
    ]
)
KERNEL = np.array([[-2, 0, 0], [0, 3, 3], [2, 0, -1]])
# Chosen so that no two of the mistakes below give the same number, nor does a slip in one product.


def _window(key):
    window = IMAGE[2:5, 1:4]
    return {
        "correlation": (window * KERNEL).sum(),
        "convolution": (window * KERNEL[::-1, ::-1]).sum(),
        "first of full": IMAGE[0, 0] * KERNEL[0, 0],
    }[key]


window = Task(
    name="ex02.window",
    title="1 · A window by hand",
    section="2.7 Into two dimensions",
    reference=_window,
    cases=lambda rng: [
        Case("cross-correlation at row 2, column 1", 0.5, ("correlation",)),
        Case("true convolution in the same window", 0.5, ("convolution",)),
        Case("top-left entry of the full convolution", 0.5, ("first of full",)),
    ],
    misconceptions={
        "exchanged": Misconception(
            lambda key: {
                "correlation": (IMAGE[2:5, 1:4] * KERNEL[::-1, ::-1]).sum(),
                "convolution": (IMAGE[2:5, 1:4] * KERNEL).sum(),
                "first of full": IMAGE[0, 0] * KERNEL[2, 2],
            }[key],
            "You have exchanged the two: the true convolution gives the kernel half a turn before it "
            "multiplies, cross-correlation takes it as it is written.",
        ),
        "flipped one way": Misconception(
            lambda key: {**_both(), "convolution": (IMAGE[2:5, 1:4] * KERNEL[:, ::-1]).sum()}[key],
            "You flipped the kernel from left to right only: in two dimensions it flips top to bottom as "
            "well.",
        ),
        "flipped upside down": Misconception(
            lambda key: {**_both(), "convolution": (IMAGE[2:5, 1:4] * KERNEL[::-1]).sum()}[key],
            "You flipped the kernel upside down only: in two dimensions it flips from left to right as well.",
        ),
        "transposed": Misconception(
            lambda key: {**_both(), "convolution": (IMAGE[2:5, 1:4] * KERNEL.T).sum()}[key],
            "You exchanged the rows and columns of the kernel. Half a turn is something else: its first row "
            "becomes the last, read backward.",
        ),
        "row and column": Misconception(
            lambda key: {
                **_both(),
                "correlation": (IMAGE[1:4, 2:5] * KERNEL).sum(),
                "convolution": (IMAGE[1:4, 2:5] * KERNEL[::-1, ::-1]).sum(),
            }[key],
            "Your window begins in the wrong place: the first number counts rows downward, the second "
            "columns to the right.",
        ),
        "one early": Misconception(
            lambda key: {
                **_both(),
                "correlation": (IMAGE[1:4, 0:3] * KERNEL).sum(),
                "convolution": (IMAGE[1:4, 0:3] * KERNEL[::-1, ::-1]).sum(),
            }[key],
            "Your window lies one row and one column too early: we count from zero, and the position names "
            "the top-left corner of the window, not its center.",
        ),
        "products lost": Misconception(
            lambda key: {
                **_both(),
                "correlation": abs(IMAGE[2:5, 1:4] * KERNEL).sum(),
                "convolution": abs(IMAGE[2:5, 1:4] * KERNEL[::-1, ::-1]).sum(),
            }[key],
            "Mind the signs: where the kernel is negative, the product is subtracted.",
        ),
        "first of valid": Misconception(
            lambda key: {**_both(), "first of full": (IMAGE[:3, :3] * KERNEL[::-1, ::-1]).sum()}[key],
            "That is the first entry of the valid result, with the kernel fully inside the picture. In full "
            "mode the first stop covers a single pixel.",
        ),
        "first of same": Misconception(
            lambda key: {**_both(), "first of full": (IMAGE[:2, :2] * KERNEL[::-1, ::-1][1:, 1:]).sum()}[key],
            'That is the first entry in the mode "same", with the kernel\'s center on the corner pixel. In '
            "full mode only the kernel's corner lies on it.",
        ),
        "first not flipped": Misconception(
            lambda key: {**_both(), "first of full": IMAGE[0, 0] * KERNEL[2, 2]}[key],
            "The right pixel, but the weight of an unflipped kernel: after half a turn another corner of the "
            "kernel touches the picture first.",
        ),
    },
)


def _both():
    return {key: _window(key) for key in ("correlation", "convolution", "first of full")}


# ---- 2. sizes ------------------------------------------------------------------------------------------

H, W, KH, KW = 28, 20, 5, 3


def _sizes(key):
    return {
        "full": (H + KH - 1, W + KW - 1),
        "same": (H, W),
        "valid": (H - KH + 1, W - KW + 1),
        "kernel": 32 - 26 + 1,
    }[key]


sizes = Task(
    name="ex02.sizes",
    title="2 · Full, same, valid",
    section="2.8 Full, same, valid",
    reference=_sizes,
    cases=lambda rng: [
        Case("height and width, full", 0.25, ("full",)),
        Case("height and width, same", 0.25, ("same",)),
        Case("height and width, valid", 0.25, ("valid",)),
        Case("side of the square kernel", 0.25, ("kernel",)),
    ],
    misconceptions={
        "no one": Misconception(
            lambda key: {
                **_all_sizes(),
                "full": (H + KH, W + KW),
                "valid": (H - KH, W - KW),
                "kernel": 32 - 26,
            }[key],
            "Off by one: a kernel of size 1 changes no size at all, so what is added or lost is the size "
            "of the kernel minus 1.",
        ),
        "kernel turned": Misconception(
            lambda key: {
                **_all_sizes(),
                "full": (H + KW - 1, W + KH - 1),
                "valid": (H - KW + 1, W - KH + 1),
            }[key],
            "You have exchanged the sides of the kernel: its height goes with the height of the picture.",
        ),
        "width first": Misconception(
            lambda key: {key: value[::-1] for key, value in _all_sizes().items() if key != "kernel"}[key],
            "Shapes are written rows first: height, then width.",
        ),
        "full and valid": Misconception(
            lambda key: {
                **_all_sizes(),
                "full": (H - KH + 1, W - KW + 1),
                "valid": (H + KH - 1, W + KW - 1),
            }[key],
            "You have exchanged the two modes: valid keeps the kernel inside the picture and shrinks it, "
            "full takes every overlap and lets it grow.",
        ),
        "same loses": Misconception(
            lambda key: {**_all_sizes(), "same": (H - KH + 1, W - KW + 1)}[key],
            "The word says it: with this mode the result is as large as the picture, because zeros are "
            "added around it.",
        ),
        "two sides": Misconception(
            lambda key: {
                "full": (H + 2 * KH - 2, W + 2 * KW - 2),
                "same": (H, W),
                "valid": (H - 2 * KH + 2, W - 2 * KW + 2),
                "kernel": 4,
            }[key],
            "You counted the border twice. With a kernel of size 3, the valid result loses one row at the "
            "top and one at the bottom: that is 3 minus 1 in all.",
        ),
    },
)


def _all_sizes():
    return {key: _sizes(key) for key in ("full", "same", "valid", "kernel")}


# ---- 3. true convolution in two dimensions -------------------------------------------------------------


def _convolve2d(image, kernel, mode="full"):
    """One shifted copy of the picture for each weight, then the part that the mode asks for."""
    (h, w), (kh, kw) = image.shape, kernel.shape
    y = np.zeros((h + kh - 1, w + kw - 1))
    for u in range(kh):
        for v in range(kw):
            y[u : u + h, v : v + w] += kernel[u, v] * image
    if mode == "same":
        top, left = (kh - 1) // 2, (kw - 1) // 2
        return y[top : top + h, left : left + w]
    if mode == "valid":
        return y[kh - 1 : h, kw - 1 : w]
    return y


def _convolve2d_windows(image, kernel, mode="full"):
    """Pad, then multiply each window with the flipped kernel."""
    kh, kw = kernel.shape
    pads = {
        "full": ((kh - 1, kh - 1), (kw - 1, kw - 1)),
        "same": ((kh // 2, (kh - 1) // 2), (kw // 2, (kw - 1) // 2)),
        "valid": ((0, 0), (0, 0)),
    }
    x = np.pad(image, pads[mode])
    y = np.empty((x.shape[0] - kh + 1, x.shape[1] - kw + 1))
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + kh, j : j + kw] * kernel[::-1, ::-1]).sum()
    return y


def _convolve2d_fft(image, kernel, mode="full"):
    (h, w), (kh, kw) = image.shape, kernel.shape
    shape = (h + kh - 1, w + kw - 1)
    y = np.fft.irfft2(np.fft.rfft2(image, shape) * np.fft.rfft2(kernel, shape), shape)
    top, left, h, w = {
        "full": (0, 0, *shape),
        "same": ((kh - 1) // 2, (kw - 1) // 2, h, w),
        "valid": (kh - 1, kw - 1, h - kh + 1, w - kw + 1),
    }[mode]
    return y[top : top + h, left : left + w]


def _pads_after(image, kernel, mode="full"):
    """Same: the larger share of the zeros comes after the picture."""
    if mode != "same":
        return _convolve2d(image, kernel, mode)
    y = _convolve2d(image, kernel)
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    return y[top : top + image.shape[0], left : left + image.shape[1]]


def _pads_evenly(image, kernel, mode="full"):
    """Same: k // 2 zeros on either side, whether k is odd or even."""
    if mode != "same":
        return _convolve2d(image, kernel, mode)
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    return _convolve2d(np.pad(image, ((top, top), (left, left))), kernel, "valid")


def _cuts_from_zero(image, kernel, mode="full"):
    """Same: the top-left part of full."""
    y = _convolve2d(image, kernel, mode if mode == "valid" else "full")
    return y[: image.shape[0], : image.shape[1]] if mode == "same" else y


def _pads_k(image, kernel, mode="full"):
    """Full: a ring of k zeros instead of k - 1."""
    y = _convolve2d(image, kernel, mode)
    return np.pad(y, 1) if mode == "full" else y


def _pads_edge(image, kernel, mode="full"):
    """The border is padded with copies of the outermost pixels."""
    (h, w), (kh, kw) = image.shape, kernel.shape
    padded = np.pad(image, ((kh - 1, kh - 1), (kw - 1, kw - 1)), mode="edge")
    y = _convolve2d(padded, kernel, "valid")
    if mode == "valid":
        return y[kh - 1 : h, kw - 1 : w]
    top, left = (0, 0) if mode == "full" else ((kh - 1) // 2, (kw - 1) // 2)
    return y if mode == "full" else y[top : top + h, left : left + w]


def _wraps(image, kernel, mode="full"):
    """Around the border comes the other side of the picture."""
    (h, w), (kh, kw) = image.shape, kernel.shape
    padded = np.pad(image, ((kh - 1, kh - 1), (kw - 1, kw - 1)), mode="wrap")
    y = _convolve2d(padded, kernel, "valid")
    if mode == "full":
        return y
    if mode == "valid":
        return y[kh - 1 : h, kw - 1 : w]
    top, left = (kh - 1) // 2, (kw - 1) // 2
    return y[top : top + h, left : left + w]


def _convolve2d_cases(rng):
    def case(label, h, w, kh, kw, *mode):
        return Case(label, 0.5, (rng.normal(size=(h, w)), rng.normal(size=(kh, kw)), *mode))

    return [
        case("valid, kernel 3×5", 7, 9, 3, 5, "valid"),
        case("full, kernel 3×5", 7, 9, 3, 5, "full"),
        case("same, kernel 5×3", 6, 8, 5, 3, "same"),
        case("same, kernel of even size 4×2", 9, 6, 4, 2, "same"),
        case("full, kernel larger than the picture", 3, 4, 5, 6, "full"),
        case("no mode given, a kernel of one row", 5, 4, 1, 3),
    ]


convolve2d = Task(
    name="ex02.convolve2d",
    title="3 · True convolution in three modes",
    section="2.8 Full, same, valid",
    reference=_convolve2d,
    cases=_convolve2d_cases,
    misconceptions={
        "not flipped": Misconception(
            lambda image, kernel, mode="full": _convolve2d(image, kernel[::-1, ::-1], mode),
            "This is cross-correlation. A true convolution turns the kernel around before it multiplies.",
        ),
        "flipped upside down": Misconception(
            lambda image, kernel, mode="full": _convolve2d(image, kernel[:, ::-1], mode),
            "You flip the rows of the kernel and not its columns: a true convolution flips both.",
        ),
        "flipped left to right": Misconception(
            lambda image, kernel, mode="full": _convolve2d(image, kernel[::-1], mode),
            "You flip the columns of the kernel and not its rows: a true convolution flips both.",
        ),
        "zeros after": Misconception(
            _pads_after,
            "Right for odd kernels. Where the size is even, same needs one more row of zeros on one side: "
            "here it comes before the picture (or, if you cut it out of full, cut one row less at the "
            "top).",
        ),
        "k // 2 twice": Misconception(
            _pads_evenly,
            "Right for odd kernels. Where the size is even, k // 2 zeros on either side are one too many: "
            "k - 1 zeros in all, and the larger half comes before the picture.",
        ),
        "ring of k": Misconception(
            _pads_k,
            "Your full result has a rim of zeros: pad with the size of the kernel minus 1, so that at "
            "least one pixel is covered at every stop.",
        ),
        "same from 0": Misconception(
            _cuts_from_zero,
            "Full and valid are right. Same is the middle of full, and you keep its top-left part: begin the "
            "cut at (kh - 1) // 2 and (kw - 1) // 2.",
        ),
        "always valid": Misconception(
            lambda image, kernel, mode="full": _convolve2d(image, kernel, "valid"),
            "You return the valid part whatever the mode: the others need zeros around the picture first.",
        ),
        "always full": Misconception(
            lambda image, kernel, mode="full": _convolve2d(image, kernel),
            "You return the full result whatever the mode: cut out the part that the mode asks for.",
        ),
        "default same": Misconception(
            lambda image, kernel, mode="same": _convolve2d(image, kernel, mode),
            "All is well except where no mode is given: then it is full, as in the signature.",
        ),
        "repeated border": Misconception(
            _pads_edge, "You pad with copies of the outermost pixels; the three modes are defined with zeros."
        ),
        "wrapped": Misconception(
            _wraps, "The other side of the picture comes in at the border: pad with zeros instead."
        ),
    },
    alternatives={"windows": _convolve2d_windows, "FFT": _convolve2d_fft},
)

# ---- 4. taking a kernel apart --------------------------------------------------------------------------


def _separate(kernel):
    u, s, vt = np.linalg.svd(kernel)
    sign = np.sign(vt[0, np.argmax(abs(vt[0]))])
    return sign * s[0] * u[:, :1], sign * vt[:1]


def _separate_pivot(kernel):
    """Without the SVD: the row and the column through the entry of largest absolute value."""
    i, j = np.unravel_index(np.argmax(abs(kernel)), kernel.shape)
    row = kernel[i : i + 1] / kernel[i, j]
    length = np.sqrt((row**2).sum())
    return kernel[:, j : j + 1] * length, row / length


def _separate_projection(kernel):
    """The row from the eigenvector of kernelᵀ · kernel, the column by projecting on it."""
    row = np.linalg.eigh(kernel.T @ kernel)[1][:, -1:].T
    row = row if row.max() == abs(row).max() else -row
    return kernel @ row.T, row


def _separate_first(kernel):
    row = kernel[:1] / np.sqrt((kernel[:1] ** 2).sum())
    row = row * np.sign(row[0, np.argmax(abs(row[0]))])
    return kernel @ row.T, row


def _separate_by_sign_of_first(kernel):
    """The sign of the row's first entry instead of its largest; where that is 0, all is lost."""
    column, row = _separate(kernel)
    sign = np.sign(row[0, 0])
    return sign * column, sign * row


def _turned(split):
    """The same mistake, with both signs turned around, as the SVD may return them."""
    return lambda kernel: tuple(-part for part in split(kernel))


def _separate_lost(kernel):
    column, row = _separate(kernel)
    return column / np.linalg.norm(kernel), row


def _separate_shared(kernel):
    column, row = _separate(kernel)
    scale = np.sqrt(np.linalg.norm(kernel))
    return column / scale, row * scale


def _separate_scaled_row(kernel):
    column, row = _separate(kernel)
    return column / np.linalg.norm(kernel), row * np.linalg.norm(kernel)


def _separate_cases(rng):
    def outer(kh, kw):
        column, row = rng.uniform(0.5, 2, (kh, 1)), rng.uniform(0.5, 2, (1, kw))
        row = np.roll(row, kw // 2 - np.argmax(row))  # the largest entry is not the first
        row[row < row.max()] *= -1  # so that the sign of no other entry can stand for that of the largest
        return column * rng.choice([-1, 1], (kh, 1)) * row

    rim = np.zeros((5, 6))
    rim[1:-1, 1:-1] = outer(3, 4)
    blur = np.exp(-(np.arange(-2, 3) ** 2) / rng.uniform(1, 4))
    return [
        Case("a blur, 5×5", 0.5, (np.outer(blur, blur),)),
        Case("weights of both signs inside a rim of zeros, 5×6", 0.5, (rim,)),
        Case("weights of both signs, 7×4", 0.5, (outer(7, 4),)),
    ]


separate = Task(
    name="ex02.separate",
    title="4 · Take a kernel apart",
    section="2.11 Kernels that come apart",
    reference=_separate,
    cases=_separate_cases,
    misconceptions={
        "singular value lost": Misconception(
            _separate_lost,
            "The directions are right, but the column has length 1 as well: the singular value is missing, "
            "so column @ row is not the kernel.",
        ),
        "shared": Misconception(
            _separate_shared,
            "Your product is the kernel, but the factor is shared between column and row. We asked for a "
            "row of length 1; the column takes the rest.",
        ),
        "scale in the row": Misconception(
            _separate_scaled_row,
            "Your product is the kernel, but you gave the factor to the row. The row shall have length 1; "
            "the column takes the rest.",
        ),
        "sign": Misconception(
            _turned(_separate),
            "Your product is the kernel, but both signs are turned around: the entry of the row that is "
            "largest in absolute value shall be positive.",
        ),
        "sign of the first": Misconception(
            _separate_by_sign_of_first,
            "You make the first entry of the row positive. We asked for the one that is largest in absolute "
            "value; the first may be 0, and a factor of 0 wipes out everything.",
        ),
        "singular value lost, turned": Misconception(
            _turned(_separate_lost),
            "Two things: the singular value is missing, so column @ row is not the kernel, and both signs "
            "are turned around.",
        ),
        "shared, turned": Misconception(
            _turned(_separate_shared),
            "Your product is the kernel. Two things remain: the row shall have length 1, so the factor goes "
            "to the column alone; and here both signs are turned around.",
        ),
        "scale in the row, turned": Misconception(
            _turned(_separate_scaled_row),
            "Your product is the kernel. Two things remain: the factor belongs to the column, not to the "
            "row, and both signs are turned around.",
        ),
        "column of vt": Misconception(
            lambda kernel: (_separate(kernel)[0], np.linalg.svd(kernel)[2][:, :1].T),
            "Check what `np.linalg.svd` returns: the third array is already transposed, so its first row "
            "is what you need, not its first column.",
        ),
        "first row": Misconception(
            _separate_first,
            "This takes the first row of the kernel as the row. That row may be all zeros, and then it is "
            "lost.",
        ),
        "exchanged": Misconception(
            lambda kernel: _separate(kernel)[::-1],
            "You return row and column in the wrong order: the column comes first.",
        ),
        "flat": Misconception(
            lambda kernel: (_separate(kernel)[0].ravel(), _separate(kernel)[1].ravel()),
            "The numbers are right, the shapes are not: the column shall be (kh, 1) and the row (1, kw), "
            "so that column @ row is a table.",
        ),
    },
    alternatives={"pivot": _separate_pivot, "projection": _separate_projection},
)

# ---- 5. find the bug -----------------------------------------------------------------------------------


def _fft_same(image, kernel):
    (h, w), (kh, kw) = image.shape, kernel.shape
    shape = (h + kh - 1, w + kw - 1)
    full = np.fft.irfft2(np.fft.rfft2(image, shape) * np.fft.rfft2(kernel, shape), shape)
    top, left = (shape[0] - h) // 2, (shape[1] - w) // 2
    return full[top : top + h, left : left + w]


def _direct_same(image, kernel):
    kh, kw = kernel.shape
    padded = np.pad(image, ((kh // 2, (kh - 1) // 2), (kw // 2, (kw - 1) // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
    return np.einsum("ijuv,uv->ij", windows, kernel[::-1, ::-1])


def _fft_roomier(image, kernel):
    """More room than needed does no harm: a side of 64 is fast."""
    full = np.fft.ifft2(np.fft.fft2(image, (64, 64)) * np.fft.fft2(kernel, (64, 64))).real
    top, left = (np.array(kernel.shape) - 1) // 2
    return full[top : top + image.shape[0], left : left + image.shape[1]]


def _fft_circular(image, kernel):
    return np.fft.irfft2(np.fft.rfft2(image) * np.fft.rfft2(kernel, image.shape), image.shape)


def _fft_no_shape(image, kernel):
    """The inverse does not know whether the width was even or odd, and takes it for even."""
    (h, w), (kh, kw) = image.shape, kernel.shape
    shape = (h + kh - 1, w + kw - 1)
    full = np.fft.irfft2(np.fft.rfft2(image, shape) * np.fft.rfft2(kernel, shape))
    top, left = (kh - 1) // 2, (kw - 1) // 2
    return full[top : top + h, left : left + w]


def _fft_conjugate(image, kernel):
    """The conjugate of a transform belongs to the list read backward."""
    (h, w), (kh, kw) = image.shape, kernel.shape
    shape = (h + kh - 1, w + kw - 1)
    full = np.fft.irfft2(np.fft.rfft2(image, shape) * np.conj(np.fft.rfft2(kernel, shape)), shape)
    top, left = (kh - 1) // 2, (kw - 1) // 2
    return full[top : top + h, left : left + w]


def _fft_cut(image, kernel, top, left):
    h, w = image.shape
    return _convolve2d(image, kernel)[top : top + h, left : left + w]


def _fft_cases(rng):
    def case(label, h, w, kh, kw):
        return Case(label, 0.5, (rng.normal(size=(h, w)), rng.normal(size=(kh, kw))))

    return [
        case("kernel 5×3", 8, 11, 5, 3),
        case("kernel 3×7, a picture of odd width", 10, 13, 3, 7),
        case("kernel of even size 2×4", 7, 9, 2, 4),
    ]


fft_same = Task(
    name="ex02.fft_same",
    title="5 · Find the bug: the photograph that moved",
    section="2.13 The detour through frequencies",
    reference=_fft_same,
    cases=_fft_cases,
    misconceptions={
        "as it was": Misconception(
            _fft_circular,
            "Nothing has changed yet: the result is still computed on a circle as large as the picture, so "
            "its end falls on its beginning. Give both transforms more room.",
        ),
        "rolled": Misconception(
            lambda image, kernel: np.roll(
                _fft_circular(image, kernel),
                (-((kernel.shape[0] - 1) // 2), -((kernel.shape[1] - 1) // 2)),
                axis=(0, 1),
            ),
            "The picture stands in the right place again, but its border still holds what came around from "
            "the other side. Rolling moves the mistake; padding with zeros removes it.",
        ),
        "top left": Misconception(
            lambda image, kernel: _fft_cut(image, kernel, 0, 0),
            "The wraparound is gone, but the picture has still moved down and to the right: you keep the "
            "top-left part of the full result, and same is its middle.",
        ),
        "bottom right": Misconception(
            lambda image, kernel: _fft_cut(image, kernel, kernel.shape[0] - 1, kernel.shape[1] - 1),
            "The wraparound is gone, but you cut too much at the top and left: same is the middle of the "
            "full result, so half of the extra rows go on either side.",
        ),
        "full": Misconception(
            _convolve2d,
            "Padding is right, and this is the full result. Now cut out its middle, as large as the picture.",
        ),
        "even kernels": Misconception(
            lambda image, kernel: _fft_cut(image, kernel, kernel.shape[0] // 2, kernel.shape[1] // 2),
            "Right for odd kernels. For even ones the cut begins one too late: the rule that `convolve` "
            "uses is (k - 1) // 2.",
        ),
        "not flipped": Misconception(
            lambda image, kernel: _fft_same(image, kernel[::-1, ::-1]),
            "You flipped the kernel in addition: the product of transforms is a true convolution already.",
        ),
        "no shape for the inverse": Misconception(
            _fft_no_shape,
            "Your `irfft2` has to guess the width, and takes an even one: `rfft2` keeps only one half of the "
            "mirrored shares, so even and odd widths look alike. Give `irfft2` the padded shape as well.",
        ),
        "conjugate": Misconception(
            _fft_conjugate,
            "With the conjugate the product belongs to the cross-correlation. For a true convolution "
            "multiply the transforms as they are.",
        ),
        "conjugate on the circle": Misconception(
            lambda image, kernel: np.fft.irfft2(
                np.fft.rfft2(image) * np.conj(np.fft.rfft2(kernel, image.shape)), image.shape
            ),
            "The conjugate turns this into a cross-correlation, and it still runs on a circle as large as "
            "the picture. Take the conjugate out and give both transforms more room.",
        ),
    },
    alternatives={"direct": _direct_same, "roomier": _fft_roomier},
)

# ---- 6. what two passes cost ---------------------------------------------------------------------------


def _one_piece(k, h=64, w=48):
    return (h - k + 1) * (w - k + 1) * k * k


def _column_first(k, h=64, w=48):
    return (h - k + 1) * w * k + (h - k + 1) * (w - k + 1) * k


def _row_first(k, h=64, w=48):
    return h * (w - k + 1) * k + (h - k + 1) * (w - k + 1) * k


def _cost(key):
    if key == "cheaper first pass":
        return "b"
    k = int(key.split()[1])
    return _one_piece(k) / _column_first(k)


def _cost_with(ratio, letter="b"):
    """An answer that computes the ratios in some other way."""
    return lambda key: letter if key == "cheaper first pass" else ratio(int(key.split()[1]))


cost = Task(
    name="ex02.cost",
    title="6 · Experiment: what do two passes save?",
    section="2.11 Kernels that come apart",
    reference=_cost,
    cases=lambda rng: [
        Case("ratio for 5×5", 0.25, ("ratio 5",)),
        Case("ratio for 9×9", 0.25, ("ratio 9",)),
        Case("ratio for 15×15", 0.5, ("ratio 15",)),
        Case("which pass first", 0.5, ("cheaper first pass",)),
    ],
    misconceptions={
        "by formula": Misconception(
            _cost_with(lambda k: k / 2),
            "That is the promise of the formula, half the side of the kernel. Measure it: near the border "
            "two passes cost a little more.",
        ),
        "upside down": Misconception(
            _cost_with(lambda k: _column_first(k) / _one_piece(k)),
            "Your ratio is upside down: divide the count in one piece by the count in two passes.",
        ),
        "row first": Misconception(
            _cost_with(lambda k: _one_piece(k) / _row_first(k)),
            "These ratios have the row pass first; we asked for the column first.",
        ),
        "share saved": Misconception(
            _cost_with(lambda k: 1 - _column_first(k) / _one_piece(k)),
            "That is the share of multiplications saved. We asked how many times as many the one piece "
            "needs.",
        ),
        "page's picture": Misconception(
            _cost_with(lambda k: _one_piece(k, 40, 40) / _column_first(k, 40, 40)),
            "These ratios belong to the square picture of the chapter. Count on `tall`.",
        ),
        "one pass": Misconception(
            _cost_with(lambda k: _one_piece(k) / ((64 - k + 1) * 48 * k)),
            "You counted one of the two passes: the second one multiplies, too.",
        ),
        "order": Misconception(
            _cost_with(lambda k: _one_piece(k) / _column_first(k), "a"),
            "Measure both orders. The second pass costs the same either way, and cuts off some of what the "
            "first has computed: columns at the sides if the column goes first, rows at top and bottom if "
            "the row does. Which are longer in this picture?",
        ),
        "no difference": Misconception(
            _cost_with(lambda k: _one_piece(k) / _column_first(k), "c"),
            "The results agree, but the counts do not: the picture is taller than wide. Count both orders.",
        ),
    },
    rtol=5e-3,
)

TASKS = (window, sizes, convolve2d, separate, fft_same, cost)
