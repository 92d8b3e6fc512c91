"""VQ-VAE (van den Oord et al., arXiv:1711.00937) with the layout of Sonnet's CIFAR-10 example.

Pictures are [B, C, H, W] in [-1, 1]; flattened latents are [B * h * w, D]. Modules are named as the tensors of a Tesserae
codec, so that its weights load by name (see weights.py).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    channels: int = 3
    hidden: int = 128
    residual_hidden: int = 32
    residual_layers: int = 2
    halvings: int = 2
    codebook_size: int = 512
    code_dim: int = 64
    commitment: float = 0.25
    ema: bool = True  # False: the codebook is trained by its own loss
    decay: float = 0.99
    epsilon: float = 1e-5
    entropy_price: float = 0.0


def same(channels_in, channels_out, size, stride=1):
    """A convolution padded as TensorFlow's "same" pads even sizes."""
    return nn.Conv2d(channels_in, channels_out, size, stride, padding=(size - 1) // 2)


def stride_widths(c: Config):
    """Channels after each halving; the first has half the hidden width."""
    return [c.hidden // 2 if i == 0 and c.halvings > 1 else c.hidden for i in range(c.halvings)]


class ResidualStack(nn.ModuleList):
    def __init__(self, c: Config):
        super().__init__(
            nn.ModuleDict({"conv3": same(c.hidden, c.residual_hidden, 3), "conv1": same(c.residual_hidden, c.hidden, 1)})
            for _ in range(c.residual_layers)
        )

    def forward(self, h):
        for block in self:
            h = h + block["conv1"](F.relu(block["conv3"](F.relu(h))))
        return F.relu(h)


class Encoder(nn.Module):
    """[B, C, H, W] -> [B, D, H / 2^n, W / 2^n]."""

    def __init__(self, c: Config):
        super().__init__()
        widths = [c.channels, *stride_widths(c)]
        self.down = nn.ModuleList(same(a, b, 4, 2) for a, b in zip(widths, widths[1:]))
        self.conv = same(c.hidden, c.hidden, 3)
        self.residual = ResidualStack(c)
        self.project = same(c.hidden, c.code_dim, 1)

    def forward(self, x):
        for conv in self.down:
            x = F.relu(conv(x))
        return self.project(self.residual(self.conv(x)))


class Decoder(nn.Module):
    """[B, D, h, w] -> [B, C, h * 2^n, w * 2^n]."""

    def __init__(self, c: Config):
        super().__init__()
        self.conv = same(c.code_dim, c.hidden, 3)
        self.residual = ResidualStack(c)
        widths = [*reversed(stride_widths(c)), c.channels]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        x = self.residual(self.conv(x))
        for conv in self.up[:-1]:
            x = F.relu(conv(x))
        return self.up[-1](x)


class Quantizer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        codebook = torch.randn(c.codebook_size, c.code_dim) / c.code_dim**0.5
        if c.ema:
            self.register_buffer("codebook", codebook)
            self.register_buffer("emaCount", torch.ones(c.codebook_size))
            self.register_buffer("emaSum", codebook.clone())
            self.register_buffer("emaDistance", torch.zeros(1))
        else:
            self.codebook = nn.Parameter(codebook)

    def distances(self, z):
        """[N, D] -> [N, K]: |z - e|^2 less |z|^2, plus the price of each code."""
        offset = self.codebook.square().sum(1)
        if self.c.entropy_price > 0:
            smoothed = self.emaCount + 1e-2
            offset = offset - self.c.entropy_price * self.emaDistance * torch.log(smoothed / smoothed.sum())
        return torch.addmm(offset, z, self.codebook.t(), alpha=-2)

    def nearest(self, z):
        """[N, D] -> ids [N]."""
        return self.distances(z).argmin(1)

    def forward(self, z):
        """[B, D, h, w] -> straight-through codes, auxiliary loss, ids [B * h * w]."""
        z = z.float()  # autocast ends here: distances want float32
        flat = z.permute(0, 2, 3, 1).reshape(-1, self.c.code_dim)  # a view in channels_last
        with torch.no_grad():
            ids = self.nearest(flat)
        codes = F.embedding(ids, self.codebook)
        grid = codes.view(z.shape[0], z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
        loss = self.c.commitment * F.mse_loss(z, grid.detach())
        if not self.c.ema:
            loss = loss + F.mse_loss(grid, z.detach())
        elif self.training:
            self.update(flat.detach(), ids)
        return z + (grid - z).detach(), loss, ids

    @torch.no_grad()
    def update(self, flat, ids):
        """Moving averages of counts and sums with Laplace smoothing."""
        c = self.c
        counts = torch.zeros_like(self.emaCount).index_add_(0, ids, torch.ones_like(flat[:, 0]))
        sums = torch.zeros_like(self.emaSum).index_add_(0, ids, flat)
        self.emaCount.lerp_(counts, 1 - c.decay)
        self.emaSum.lerp_(sums, 1 - c.decay)
        total = self.emaCount.sum()
        smoothed = (self.emaCount + c.epsilon) / (total + c.codebook_size * c.epsilon) * total
        self.codebook.copy_(self.emaSum / smoothed.unsqueeze(1))


def perplexity(ids, codebook_size):
    p = torch.bincount(ids, minlength=codebook_size).float() / ids.numel()
    return torch.exp(-(p * torch.log(p + 1e-10)).sum())


class VqVae(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.encoder = Encoder(c)
        self.quantizer = Quantizer(c)
        self.decoder = Decoder(c)

    def encode(self, x):
        """[B, C, H, W] -> ids [B, h, w]."""
        z = self.encoder(x)
        ids = self.quantizer.nearest(z.permute(0, 2, 3, 1).reshape(-1, self.c.code_dim))
        return ids.view(z.shape[0], z.shape[2], z.shape[3])

    def decode(self, ids):
        """ids [B, h, w] -> [B, C, H, W]."""
        return self.decoder(F.embedding(ids, self.quantizer.codebook).permute(0, 3, 1, 2))

    def forward(self, x, variance):
        """Returns loss, reconstruction, ids."""
        codes, auxiliary, ids = self.quantizer(self.encoder(x))
        reconstruction = self.decoder(codes)
        return F.mse_loss(reconstruction.float(), x) / variance + auxiliary, reconstruction, ids
