"""Encoders and decoders of picture codecs: those of VQ-VAE and VQGAN, and the dVAE's.

Pictures and maps are [B, C, H, W]. Modules are named as the tensors of a Tesserae codec, so that its weights load by name
(see weights.py).
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn


@dataclass
class Network:
    """The fields of a codec's config that set up its networks."""

    downsample: int = 4
    hidden: int = 128
    residual_layers: int = 2
    residual_hidden: int = 32
    strides: list[int] | None = None
    multipliers: list[float] | None = None
    blocks_per_stage: int = 0
    norm: str = "none"
    activation: str = "relu"
    attention_heads: int = 0

    def stages(self):
        """Stride, channels and residual blocks of each resolution, from the picture to the codes."""
        strides = self.strides or [2] * int(math.log2(self.downsample))
        finer = len(strides) - 1
        multipliers = self.multipliers or ([0.5] + [1] * finer)[:finer]
        widths = [*(rounded(self.hidden * m) for m in multipliers), self.hidden]
        return [(stride, width, self.blocks_per_stage if i < finer else 0) for i, (stride, width) in enumerate(zip(strides, widths))]


def rounded(x):
    return int(x + 0.5)


def same(inputs, outputs, size, stride=1):
    """A convolution padded as TensorFlow's "same" pads, where it pads both sides alike."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=(size - stride) // 2)


def group_norm(channels):
    groups = next((g for g in (8, 4, 2) if channels % g == 0 and channels // g >= 2), 1)
    return nn.GroupNorm(groups, channels)


def norm(n: Network, channels):
    return group_norm(channels) if n.norm == "group" else nn.Identity()


def activation(n: Network):
    return nn.SiLU() if n.activation == "silu" else nn.ReLU()


class ResidualBlock(nn.Module):
    def __init__(self, n: Network, channels):
        super().__init__()
        inner = max(4, rounded(n.residual_hidden * channels / n.hidden))
        self.norm3, self.conv3 = norm(n, channels), same(channels, inner, 3)
        self.norm1, self.conv1 = norm(n, inner), same(inner, channels, 1)
        self.activation = activation(n)

    def forward(self, x):
        h = self.conv3(self.activation(self.norm3(x)))
        return x + self.conv1(self.activation(self.norm1(h)))


class ResidualStack(nn.Sequential):
    """Pre-activation blocks, closed by an activation."""

    def __init__(self, n: Network, blocks, channels):
        layers = [(f"{i}", ResidualBlock(n, channels)) for i in range(blocks)]
        super().__init__(OrderedDict([*layers, ("norm", norm(n, channels)), ("activation", activation(n))]))


class GridAttention(nn.Module):
    """Self-attention of every cell over all others, as a residual block."""

    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.project = same(channels, channels, 1)

    def forward(self, x):
        cells = x.permute(0, 2, 3, 1).flatten(1, 2)  # [B, H * W, C]
        queries, keys, values = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm(cells)).chunk(3, 2))
        mixed = F.scaled_dot_product_attention(queries, keys, values)  # [B, heads, H * W, C / heads]
        grid = mixed.transpose(1, 2).flatten(2).unflatten(1, x.shape[2:])  # [B, H, W, C]
        return x + self.project(grid.permute(0, 3, 1, 2))


class Down(nn.Conv2d):
    def __init__(self, n: Network, inputs, outputs, stride, blocks):
        super().__init__(inputs, outputs, 2 * stride, stride, padding=stride // 2)
        self.stack = ResidualStack(n, blocks, outputs)

    def forward(self, x):
        return self.stack(super().forward(x))


class Up(nn.ConvTranspose2d):
    def __init__(self, inputs, outputs, stride, stack):
        super().__init__(inputs, outputs, 2 * stride, stride, padding=stride // 2)
        self.stack = stack

    def forward(self, x):
        return self.stack(super().forward(x))


class Middle(nn.Module):
    """What encoder and decoder have at the resolution of the codes."""

    def __init__(self, n: Network, inputs):
        super().__init__()
        self.conv = same(inputs, n.hidden, 3)
        self.attention = GridAttention(n.hidden, n.attention_heads) if n.attention_heads else nn.Identity()
        self.residual = ResidualStack(n, n.residual_layers, n.hidden)

    def middle(self, x):
        return self.residual(self.attention(self.conv(x)))


class Encoder(Middle):
    """[B, C, H, W] -> [B, D, H / f, W / f]."""

    def __init__(self, n: Network, inputs, outputs):
        super().__init__(n, n.hidden)
        stages = n.stages()
        widths = [inputs, *(width for _, width, _ in stages)]
        self.down = nn.Sequential(*(Down(n, widths[i], width, stride, blocks) for i, (stride, width, blocks) in enumerate(stages)))
        self.project = same(n.hidden, outputs, 1)

    def forward(self, x):
        return self.project(self.middle(self.down(x)))


class Decoder(Middle):
    """[B, D, h, w] -> [B, C, h * f, w * f]."""

    def __init__(self, n: Network, inputs, outputs):
        super().__init__(n, inputs)
        stages = n.stages()
        finer = [(width, ResidualStack(n, blocks, width)) for _, width, blocks in stages[:-1]]
        ends = [(outputs, nn.Identity()), *finer]
        self.up = nn.Sequential(*(Up(width, ends[i][0], stride, ends[i][1]) for i, (stride, width, _) in reversed([*enumerate(stages)])))

    def forward(self, x):
        return self.up(self.middle(x))


@dataclass
class DVaeNetwork:
    downsample: int = 8
    hidden: int = 64
    blocks_per_group: int = 2

    def widths(self):
        """Channels of each group, from the picture to the codes."""
        return [self.hidden * 2**i for i in range(int(math.log2(self.downsample)) + 1)]


class DVaeBlock(nn.Module):
    def __init__(self, kernels, inputs, outputs, gain):
        super().__init__()
        widths = [inputs, *[max(1, outputs // 4)] * 3, outputs]
        self.gain = gain
        self.skip = same(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.conv = nn.ModuleList(same(a, b, size) for size, a, b in zip(kernels, widths, widths[1:]))

    def forward(self, x):
        h = x
        for conv in self.conv:
            h = conv(F.relu(h))
        return self.skip(x).add(h, alpha=self.gain)


class DVaeSide(nn.Module):
    """Groups of blocks between an input and an output layer; `between` changes the resolution from one group to the next."""

    def __init__(self, n: DVaeNetwork, kernels, input, widths, outputs, between):
        super().__init__()
        gain = 1 / (len(widths) * n.blocks_per_group) ** 2
        starts = [widths[0], *widths]
        self.input = input
        self.group = nn.ModuleList(
            nn.Sequential(*(DVaeBlock(kernels, starts[g] if b == 0 else width, width, gain) for b in range(n.blocks_per_group)))
            for g, width in enumerate(widths)
        )
        self.output = same(widths[-1], outputs, 1)
        self.between = between

    def forward(self, x):
        x = self.input(x)
        for g, group in enumerate(self.group):
            x = group(self.between(x) if g > 0 else x)
        return self.output(F.relu(x))


def dvae_encoder(n: DVaeNetwork, inputs, outputs):
    return DVaeSide(n, [3, 3, 3, 1], same(inputs, n.hidden, 7), n.widths(), outputs, nn.MaxPool2d(2))


def dvae_decoder(n: DVaeNetwork, inputs, outputs):
    widths = n.widths()[::-1]
    return DVaeSide(n, [1, 3, 3, 3], same(inputs, widths[0], 1), widths, outputs, nn.Upsample(scale_factor=2, mode="nearest"))
