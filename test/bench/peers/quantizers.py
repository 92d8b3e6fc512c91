"""Quantizers: latents [B, D, h, w] to ids [B, h, w] and back, and a way to train."""

import math
from dataclasses import dataclass, field
from functools import reduce

import torch
import torch.nn.functional as F
from torch import nn


class Quantizer(nn.Module):
    """A codebook [K, D], and scores [N, K] of which the largest is chosen."""

    def nearest(self, flat):
        """[N, D] -> ids [N]."""
        return self.scores(flat).argmax(1)

    def encode(self, z):
        return self.nearest(rows(z)).view(z.shape[0], *z.shape[2:])

    def decode(self, ids):
        return F.embedding(ids, self.codebook).permute(0, 3, 1, 2)


def rows(z):
    """[B, D, h, w] -> [B * h * w, D]: a view of channels_last."""
    return z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])


@dataclass
class EmaVqConfig:
    codebook_size: int = 512
    code_dim: int = 64
    commitment: float = 0.25
    ema_decay: float = 0.99
    restart_below: float = 0.05
    entropy_price: float = 0.0


class EmaVq(Quantizer):
    """A codebook that follows the encoder by moving averages, dead codes restarted from the batch."""

    def __init__(self, c: EmaVqConfig):
        super().__init__()
        self.c = c
        codebook = torch.randn(c.codebook_size, c.code_dim) / c.code_dim**0.5
        self.register_buffer("codebook", codebook)
        self.register_buffer("emaCount", torch.ones(c.codebook_size))
        self.register_buffer("emaSum", codebook.clone())
        self.register_buffer("emaDistance", torch.zeros(1))

    def scores(self, flat):
        """[N, D] -> [N, K]: |z|^2 less |z - e|^2 and the price of each code."""
        offset = self.codebook.square().sum(1)
        if self.c.entropy_price > 0:
            smoothed = self.emaCount + 1e-2
            offset = offset - self.c.entropy_price * self.emaDistance * torch.log(smoothed / smoothed.sum())
        return torch.addmm(-offset, flat, self.codebook.t(), alpha=2)

    def forward(self, z, progress):
        """Straight-through codes like z, and the commitment loss."""
        z = z.to(self.codebook.dtype)  # autocast ends here: distances want float32
        flat = rows(z)
        with torch.no_grad():
            ids = self.nearest(flat)
        codes = F.embedding(ids, self.codebook)
        grid = codes.view(z.shape[0], *z.shape[2:], -1).permute(0, 3, 1, 2)
        error = F.mse_loss(z, grid)
        if self.training:
            self.update(flat.detach(), ids, error.detach() * self.c.code_dim)
        return z + (grid - z).detach(), self.c.commitment * error

    @torch.no_grad()
    def update(self, flat, ids, distance):
        """Moving averages of counts, sums and squared distance; Laplace smoothing."""
        c = self.c
        size, share = c.codebook_size, len(flat) / c.codebook_size
        counts = torch.zeros_like(self.emaCount).index_add_(0, ids, torch.ones_like(flat[:, 0]))
        sums = torch.zeros_like(self.emaSum).index_add_(0, ids, flat)
        self.emaCount.lerp_(counts, 1 - c.ema_decay)
        self.emaSum.lerp_(sums, 1 - c.ema_decay)
        self.emaDistance.lerp_(distance, 1 - c.ema_decay)
        if c.restart_below > 0:
            dead = self.emaCount < c.restart_below * share
            fresh = flat[self.random_rows(size, len(flat))]
            self.emaCount.masked_fill_(dead, share)
            self.emaSum.copy_(torch.where(dead.unsqueeze(1), fresh * share, self.emaSum))
        total = self.emaCount.sum()
        smoothed = (self.emaCount + 1e-5) / (total + size * 1e-5) * total
        self.codebook.copy_(self.emaSum / smoothed.unsqueeze(1))

    def random_rows(self, count, rows):
        return torch.randint(rows, (count,))


@dataclass
class GumbelConfig:
    codebook_size: int = 512
    code_dim: int = 64
    diversity: float = 0.05


class Gumbel(Quantizer):
    """Relaxed draws from odds over the codes, their temperature falling from 1 to 1/16 in 0.8 of the training."""

    def __init__(self, c: GumbelConfig):
        super().__init__()
        self.c = c
        self.logits = nn.Linear(c.code_dim, c.codebook_size)
        self.codebook = nn.Parameter(torch.randn(c.codebook_size, c.code_dim))

    def scores(self, flat):
        return self.logits(flat)

    def forward(self, z, progress):
        """Mixtures of codes like z, and what the mean odds lack of even ones."""
        logits = self.logits(rows(z)).to(self.codebook.dtype)
        odds = ((logits + self.noise(logits)) / self.temperature(progress)).softmax(1)
        grid = (odds @ self.codebook).view(z.shape[0], *z.shape[2:], -1).permute(0, 3, 1, 2)
        mean = logits.softmax(1).mean(0)
        lack = (mean * torch.log(mean + 1e-10)).sum() + math.log(self.c.codebook_size)
        return grid, self.c.diversity * lack

    def temperature(self, progress):
        return 1 + 0.5 * (1 - math.cos(math.pi * min(progress / 0.8, 1))) * (1 / 16 - 1)

    def noise(self, logits):
        return -torch.empty_like(logits).exponential_().log()


@dataclass
class FsqConfig:
    levels: list[int] = field(default_factory=lambda: [8, 5, 5, 5])
    entropy_weight: float = 0.0
    diversity: float = 1.0
    temperature: float = 0.25

    @property
    def code_dim(self):
        return len(self.levels)

    @property
    def codebook_size(self):
        return math.prod(self.levels)


class Fsq(Quantizer):
    """The points of a grid: each dimension bounded and rounded."""

    def __init__(self, c: FsqConfig):
        super().__init__()
        if c.codebook_size > 2**16:
            raise SystemExit(f"levels: the twin has 65536 codes at most, received {c.codebook_size}")
        self.c = c
        levels = torch.tensor(c.levels)
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        reach = (levels - 1) * (1 - 1e-3) / 2
        radices = torch.tensor([math.prod(c.levels[:i]) for i in range(len(c.levels))])
        constants = {"levels": levels, "zero": levels // 2, "radices": radices, "offset": offset, "reach": reach, "shift": (offset / reach).atanh()}
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def bound(self, flat):
        """[N, D] -> [N, D], each dimension within half a step of its levels, which are integers about 0."""
        return torch.tanh(flat + self.shift) * self.reach - self.offset

    def nearest(self, flat):
        return ((self.bound(flat).round().long() + self.zero) * self.radices).sum(1)

    def decode(self, ids):
        digits = ids.unsqueeze(-1) // self.radices % self.levels
        return ((digits - self.zero) / self.zero).permute(0, 3, 1, 2)

    def forward(self, z, progress):
        """Straight-through codes like z, and the entropy loss."""
        bounded = self.bound(rows(z).to(self.shift.dtype))
        codes = (bounded + (bounded.round() - bounded).detach()) / self.zero
        loss = self.c.entropy_weight * self.entropy_loss(bounded) if self.c.entropy_weight > 0 else 0
        return codes.view(z.shape[0], *z.shape[2:], -1).permute(0, 3, 1, 2), loss

    def entropy_loss(self, bounded):
        """How unsure positions are of their code, less how evenly the batch uses all; nats per bit."""
        values = [torch.arange(-(n // 2), n - n // 2, device=bounded.device) for n in self.c.levels]
        distances = [(bounded[:, i : i + 1] - value).square() for i, value in enumerate(values)]
        logs = [F.log_softmax(-d / self.c.temperature, 1) for d in distances]
        odds = [log.exp() for log in logs]
        choice = -sum((p * log).sum(1).mean() for p, log in zip(odds, logs))
        # Dimensions are independent at a position: the mean of all their joint odds is one product of two halves.
        cut = min(range(len(odds)), key=lambda i: max(math.prod(self.c.levels[:i]), math.prod(self.c.levels[i:])))
        use = jointly(odds[:cut]).t() @ jointly(odds[cut:]) / len(bounded)
        evenness = -(use * use.clamp(min=1e-9).log()).sum()
        return (choice - self.c.diversity * evenness) / math.log2(self.c.codebook_size)


def jointly(odds):
    """Odds of independent choices [N, A], [N, B], .. -> of all of them together [N, A * B * ..]."""
    return reduce(lambda a, b: (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1), odds)
