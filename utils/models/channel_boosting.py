"""Channel boosting: A. Khan, A. Sohail, A. Ali, "A new channel boosted convolutional neural network using
transfer learning", 2018, arXiv:1804.08528.

A network need not start from three color channels. An auxiliary learner, trained before on something else
(an autoencoder, a classifier), turns the same picture into further channels, and the network learns from
all of them together.

The paper trains deep autoencoders and a deep network on its own data. Left out: those networks. This is the
idea as a module: any auxiliary network that gives maps, any body that takes them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelBoosting"]


class ChannelBoosting(nn.Module):
    """body(x with the maps of auxiliary(x) stacked on its channels).

    The maps are brought to the size of x. With freeze=True (transfer learning) the auxiliary network stays in
    evaluation mode, gets no gradient and is not changed by training.
    """

    def __init__(self, auxiliary: nn.Module, body: nn.Module, freeze: bool = True):
        super().__init__()
        self.auxiliary, self.body, self.freeze = auxiliary, body, freeze
        self.auxiliary.requires_grad_(not freeze)
        self.train(self.training)

    def train(self, mode: bool = True) -> ChannelBoosting:
        super().train(mode)
        if self.freeze:
            self.auxiliary.eval()
        return self

    def boost(self, x: Tensor) -> Tensor:
        """x with the auxiliary channels: (N, C + C', H, W)."""
        maps = self.auxiliary(x)
        if maps.ndim != 4:
            raise ValueError(f"auxiliary must return maps (N, C, H, W), got the shape {tuple(maps.shape)}")
        if maps.shape[2:] != x.shape[2:]:
            maps = F.interpolate(maps, size=x.shape[2:], mode="bilinear", align_corners=False)
        return torch.cat([x, maps], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.boost(x))
