"""Picture codecs from Tesserae's configs: VQ-VAE, dVAE, VQ-VAE-2 and VAE.

Each has `encode(x)` (a list of ids, or the VAE's means), `decode(maps)`, and `forward(x, variance, progress)`, which
returns the loss and the reconstruction (the VAE's: the means of its pixels). Pictures are [B, C, H, W] in [-1, 1].
"""

import math
import re
from dataclasses import fields, replace

import torch
import torch.nn.functional as F
from torch import nn

from networks import Decoder, DVaeNetwork, Encoder, Network, dvae_decoder, dvae_encoder, same
from quantizers import EmaVq, EmaVqConfig, Fsq, FsqConfig, Gumbel, GumbelConfig


class OneMap(nn.Module):
    """VQ-VAE and dVAE."""

    def __init__(self, encoder, quantizer, decoder):
        super().__init__()
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder

    def encode(self, x):
        return [self.quantizer.encode(self.encoder(x))]

    def decode(self, maps):
        return self.decoder(self.quantizer.decode(maps[0]))

    def forward(self, x, variance, progress=0.0):
        codes, of_quantizer = self.quantizer(self.encoder(x), progress)
        reconstruction = self.decoder(codes).to(x.dtype)
        return F.mse_loss(reconstruction, x) / variance + of_quantizer, reconstruction


class VqVae2(nn.Module):
    """A coarse map, and a fine one of what it leaves over."""

    def __init__(self, n: Network, channels, top, bottom):
        super().__init__()
        between = replace(n, downsample=2, strides=None, multipliers=None)
        self.bottomEncoder = Encoder(n, channels, n.hidden)
        self.topEncoder = Encoder(between, n.hidden, top.c.code_dim)
        self.topQuantizer = top
        self.topDecoder = Decoder(between, top.c.code_dim, bottom.c.code_dim)
        self.bottomProject = same(n.hidden, bottom.c.code_dim, 1)
        self.bottomQuantizer = bottom
        self.decoder = Decoder(n, bottom.c.code_dim, channels)

    def encode(self, x):
        features = F.relu(self.bottomEncoder(x))
        top = self.topQuantizer.encode(self.topEncoder(features))
        base = self.topDecoder(self.topQuantizer.decode(top))
        return [top, self.bottomQuantizer.encode(self.bottomProject(features) - base)]

    def decode(self, maps):
        top, bottom = maps
        base = self.topDecoder(self.topQuantizer.decode(top))
        return self.decoder(base + self.bottomQuantizer.decode(bottom))

    def forward(self, x, variance, progress=0.0):
        features = F.relu(self.bottomEncoder(x))
        top, of_top = self.topQuantizer(self.topEncoder(features), progress)
        base = self.topDecoder(top)
        bottom, of_bottom = self.bottomQuantizer(self.bottomProject(features) - base, progress)
        reconstruction = self.decoder(base + bottom).to(x.dtype)
        return F.mse_loss(reconstruction, x) / variance + of_top + of_bottom, reconstruction


class Vae(nn.Module):
    """A vector of Gaussian latents; pixels are intervals of a logistic distribution."""

    def __init__(self, n: Network, height, width, channels, latents):
        super().__init__()
        inner = max(1, n.hidden // 2)
        self.grid = (height // n.downsample, width // n.downsample, inner)
        self.encoder = Encoder(n, channels, inner)
        self.posterior = nn.Linear(math.prod(self.grid), 2 * latents)
        self.latents = nn.Linear(latents, math.prod(self.grid))
        self.decoder = Decoder(n, inner, 2 * channels)

    def encode(self, x):
        return [self.moments(x)[0]]

    def decode(self, maps):
        return expected_pictures(*self.pixels(maps[0]))

    def moments(self, x):
        """Means and log variances of the latents, [B, D]."""
        h = F.relu(self.encoder(x)).permute(0, 2, 3, 1).flatten(1)
        means, log_variances = self.posterior(h).chunk(2, 1)
        return means, log_variances.clamp(-12, 12)

    def pixels(self, z):
        """[B, D] -> means and log scales of the pixels, [B, C, H, W]."""
        h = F.relu(self.latents(z)).unflatten(1, self.grid).permute(0, 3, 1, 2)
        means, raw = self.decoder(h).chunk(2, 1)
        return means, F.softplus(raw + 7) - 7

    def drawn(self, x):
        """`pixels` of one sample of the latents, and the latents' nats, [B]."""
        means, log_variances = self.moments(x)
        z = means + torch.exp(0.5 * log_variances) * self.noise(means)
        return self.pixels(z), 0.5 * (means.square() + log_variances.exp() - 1 - log_variances).sum(1)

    def forward(self, x, variance, progress=0.0):
        """The bound in bits per dimension."""
        (means, log_scales), kl = self.drawn(x)
        nats = pixel_nats(x, means, log_scales) + kl
        return nats.mean() / x[0].numel() / math.log(2), means

    def noise(self, means):
        return torch.randn_like(means)


def pixel_nats(x, means, log_scales):
    """-log P of pictures of k / 127.5 - 1, [B]. The tails count for black and white."""
    half = 1 / 255
    inverse = torch.exp(-log_scales)
    upper, lower = (x - means + half) * inverse, (x - means - half) * inverse
    below, above = F.logsigmoid(upper), F.logsigmoid(-lower)
    # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u))
    between = below + above + torch.log(-torch.expm1(-2 * half * inverse))
    log_p = torch.where(x < half - 1, below, torch.where(x > 1 - half, above, between))
    return -log_p.flatten(1).sum(1)


def expected_pictures(means, log_scales):
    scales = log_scales.exp()
    return scales * (F.softplus((means + 1) / scales) - F.softplus((means - 1) / scales)) - 1


def settings(cls, config, **fixed):
    """A dataclass from a config's fields. `fixed`: fields of which the twin has one value."""
    for name, value in fixed.items():
        if config.get(name, value) != value:
            raise SystemExit(f"{name}: the twin has {value!r} alone, received {config[name]!r}")
    values = {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name): value for name, value in config.items()}
    return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


def network(config):
    return settings(Network, config, stem=0, upsample="transposed", reconstruction={"kind": "mse"})


def quantizer(config):
    if config.get("name") == "gumbel":
        temperature = {"start": 1, "end": 1 / 16, "schedule": "cosine", "until": 0.8}
        return Gumbel(settings(GumbelConfig, config, hard=False, klWeight=0, temperature=temperature))
    if config.get("name") == "fsq":
        return Fsq(settings(FsqConfig, config, width=None))
    return EmaVq(settings(EmaVqConfig, config, name="ema-vq", width=None, normalize=False, gradient="straight-through"))


def vqvae(config):
    n, q, channels = network(config), quantizer(config.get("quantizer", {})), config.get("channels", 3)
    return OneMap(Encoder(n, channels, q.c.code_dim), q, Decoder(n, q.c.code_dim, channels))


def dvae(config):
    n = settings(DVaeNetwork, config, reconstruction={"kind": "mse"})
    q, channels = quantizer({"name": "gumbel", **config["quantizer"]}), config.get("channels", 3)
    return OneMap(dvae_encoder(n, channels, q.c.code_dim), q, dvae_decoder(n, q.c.code_dim, channels))


def vqvae2(config):
    both = config.get("quantizer", {})
    top, bottom = (quantizer(config.get(f"{level}Quantizer", both)) for level in ("top", "bottom"))
    return VqVae2(network(config), config.get("channels", 3), top, bottom)


def vae(config):
    latent = {"kind": "vector", "size": 32, **config.get("latent", {})}
    n = settings(Network, config, stem=0, upsample="transposed", scale="pixel", beta=1, warmup=0, latent={**latent, "kind": "vector"})
    return Vae(n, config["height"], config["width"], config.get("channels", 3), latent["size"])


FAMILIES = {"vqvae": vqvae, "dvae": dvae, "vqvae2": vqvae2, "vae": vae}


def create(name, config):
    return FAMILIES[name](config)


def last_layer(model):
    """The kernel that makes the pictures."""
    return model.decoder.up[-1].weight


def random_pictures(config, batch):
    """float32 [B, C, H, W] of k / 127.5 - 1, channels_last."""
    pixels = torch.randint(256, (batch, config.get("channels", 3), config["height"], config["width"]))
    return (pixels / 127.5 - 1).to(memory_format=torch.channels_last)
