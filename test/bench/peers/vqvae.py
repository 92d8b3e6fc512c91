"""VQ-VAE (van den Oord et al., arXiv:1711.00937) with the layout of Sonnet's CIFAR-10 example.

Pictures are [B, C, H, W] in [-1, 1]; latents are [B * h * w, D]. Convolutions pad as TensorFlow's "same" does for even sizes.
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
    downsamples: int = 2
    codebook_size: int = 512
    code_dim: int = 64
    commitment: float = 0.25
    ema: bool = True  # False: the codebook is trained by its own loss
    decay: float = 0.99
    epsilon: float = 1e-5


class ResidualStack(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "conv3": nn.Conv2d(c.hidden, c.residual_hidden, 3, padding=1),
                    "conv1": nn.Conv2d(c.residual_hidden, c.hidden, 1),
                }
            )
            for _ in range(c.residual_layers)
        )

    def forward(self, h):
        for block in self.blocks:
            h = h + block["conv1"](F.relu(block["conv3"](F.relu(h))))
        return F.relu(h)


class Encoder(nn.Module):
    """[B, C, H, W] -> [B, hidden, H / 2^n, W / 2^n]."""

    def __init__(self, c: Config):
        super().__init__()
        widths = [c.channels] + [c.hidden // 2] * (c.downsamples - 1) + [c.hidden]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in zip(widths, widths[1:]))
        self.conv = nn.Conv2d(c.hidden, c.hidden, 3, padding=1)
        self.residual = ResidualStack(c)

    def forward(self, x):
        for conv in self.down:
            x = F.relu(conv(x))
        return self.residual(self.conv(x))


class Decoder(nn.Module):
    """[B, D, h, w] -> [B, C, h * 2^n, w * 2^n]."""

    def __init__(self, c: Config):
        super().__init__()
        self.conv = nn.Conv2d(c.code_dim, c.hidden, 3, padding=1)
        self.residual = ResidualStack(c)
        widths = [c.hidden] + [c.hidden // 2] * (c.downsamples - 1) + [c.channels]
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
        codebook = torch.randn(c.codebook_size, c.code_dim)
        if c.ema:
            self.register_buffer("codebook", codebook)
            self.register_buffer("counts", torch.zeros(c.codebook_size))
            self.register_buffer("sums", torch.zeros_like(codebook))
        else:
            self.codebook = nn.Parameter(codebook)

    def nearest(self, z):
        """[N, D] -> ids [N]: |z - e|^2 without the term that is the same for every code."""
        return torch.addmm(self.codebook.square().sum(1), z, self.codebook.t(), beta=0.5, alpha=-1).argmin(1)

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
        counts = torch.zeros_like(self.counts).index_add_(0, ids, torch.ones_like(flat[:, 0]))
        sums = torch.zeros_like(self.sums).index_add_(0, ids, flat)
        self.counts.lerp_(counts, 1 - c.decay)
        self.sums.lerp_(sums, 1 - c.decay)
        total = self.counts.sum()
        smoothed = (self.counts + c.epsilon) / (total + c.codebook_size * c.epsilon) * total
        self.codebook.copy_(self.sums / smoothed.unsqueeze(1))


def perplexity(ids, codebook_size):
    p = torch.bincount(ids, minlength=codebook_size).float() / ids.numel()
    return torch.exp(-(p * torch.log(p + 1e-10)).sum())


class VqVae(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.encoder = Encoder(c)
        self.pre = nn.Conv2d(c.hidden, c.code_dim, 1)
        self.quantizer = Quantizer(c)
        self.decoder = Decoder(c)

    def latents(self, x):
        """[B, C, H, W] -> [B, D, h, w]."""
        return self.pre(self.encoder(x))

    def encode(self, x):
        """[B, C, H, W] -> ids [B, h, w]."""
        z = self.latents(x)
        ids = self.quantizer.nearest(z.permute(0, 2, 3, 1).reshape(-1, self.c.code_dim))
        return ids.view(z.shape[0], z.shape[2], z.shape[3])

    def forward(self, x, variance):
        """Returns loss, reconstruction, ids."""
        codes, auxiliary, ids = self.quantizer(self.latents(x))
        reconstruction = self.decoder(codes)
        return F.mse_loss(reconstruction, x) / variance + auxiliary, reconstruction, ids
