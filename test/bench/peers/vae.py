"""The VAE of the preset `vae-gray-28` in PyTorch, on Fashion-MNIST: bits per dimension of the test split, one JSON line.

    vae.py --data FOLDER [--steps 5000] [--batch 64] [--learning-rate 1e-3]   trains from scratch, then measures
    vae.py --data FOLDER --model MODEL_DIR                                    measures weights that Tesserae trained

FOLDER holds `train-images-idx3-ubyte(.gz)` and `t10k-images-idx3-ubyte(.gz)`. Same layers, initial scales, optimizer and
schedule; the order of the data and the noise are PyTorch's own. Bits are those of the evidence lower bound with one sample
of the latents, pixels being intervals of a logistic distribution with the tails in black and white (PixelCNN++'s, one
component), written in float64 from the definition.
"""

import gzip
import json
import math
import time
from dataclasses import replace
from pathlib import Path

from common import parser, start

LATENTS = 32


def read_pictures(folder, name):
    """uint8 [N, 1, 28, 28]."""
    import numpy as np

    path = Path(folder) / name
    data = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(name + ".gz").read_bytes())
    count, height, width = (int.from_bytes(data[i : i + 4], "big") for i in (4, 8, 12))
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, 1, height, width)


def build(torch):
    from torch import nn
    from torch.nn import functional as F
    from vqvae import Config, Decoder, Encoder

    class Vae(nn.Module):
        def __init__(self, side=28, latents=LATENTS):
            super().__init__()
            c = Config(channels=1, hidden=64, residual_hidden=32, residual_layers=2, halvings=2, code_dim=32)
            self.grid = side >> c.halvings
            inner = self.grid**2 * c.code_dim
            self.encoder = Encoder(c)
            self.posterior = nn.Linear(inner, 2 * latents)
            self.latents = nn.Linear(latents, inner)
            self.decoder = Decoder(replace(c, channels=2))

        def encode(self, x):
            """[B, 1, H, W] -> means and log variances [B, D]."""
            h = F.relu(self.encoder(x)).permute(0, 2, 3, 1).flatten(1)
            means, log_variances = self.posterior(h).chunk(2, 1)
            return means, log_variances.clamp(-12, 12)

        def decode(self, z):
            """[B, D] -> means and log scales of the pixels, [B, 1, H, W]."""
            h = F.relu(self.latents(z)).view(len(z), self.grid, self.grid, -1).permute(0, 3, 1, 2)
            means, raw = self.decoder(h).chunk(2, 1)
            return means, F.softplus(raw + 7) - 7

        def forward(self, x):
            """Nats of the pixels and of the latents, [B] each."""
            means, log_variances = self.encode(x)
            z = means + torch.exp(0.5 * log_variances) * torch.randn_like(means)
            kl = 0.5 * (means.square() + log_variances.exp() - 1 - log_variances).sum(1)
            return pixel_nats(torch, x, *self.decode(z)), kl

    return Vae()


def pixel_nats(torch, x, means, log_scales):
    """-log P of each picture, [B]: differences of sigmoids where they have digits, the density's where they have none."""
    x, means, log_scales = x.double(), means.double(), log_scales.double()
    half = 1 / 255
    inverse = torch.exp(-log_scales)
    upper, lower = (x - means + half) * inverse, (x - means - half) * inverse
    difference = torch.sigmoid(upper) - torch.sigmoid(lower)
    middle = (x - means) * inverse
    density = middle - log_scales - 2 * torch.nn.functional.softplus(middle) + math.log(2 * half)
    inside = torch.where(difference > 1e-9, torch.log(difference.clamp(min=1e-12)), density)
    log_p = torch.where(x < -1 + half, torch.nn.functional.logsigmoid(upper), torch.where(x > 1 - half, torch.nn.functional.logsigmoid(-lower), inside))
    return -log_p.flatten(1).sum(1)


def initialize(torch, model):
    """Uniform weights of He's variance times a gain, biases 0."""
    gains = {"posterior": 0.1, "latents": math.sqrt(0.5), "decoder.up.1": 0.1}
    for name, module in model.named_modules():
        if not hasattr(module, "weight"):
            continue
        weight = module.weight
        transposed = isinstance(module, torch.nn.ConvTranspose2d)
        fan_in = 4 * weight.shape[0] if transposed else weight[0].numel()
        bound = gains.get(name, 0.3 if name.endswith("conv1") else 1) * math.sqrt(6 / fan_in)
        torch.nn.init.uniform_(weight, -bound, bound)
        torch.nn.init.zeros_(module.bias)


def load(model, directory):
    from safetensors.torch import load_file
    from weights import torch_layout

    tensors = load_file(Path(directory) / "model.safetensors")
    model.load_state_dict({name: t.t() if t.dim() == 2 else torch_layout(t) for name, t in tensors.items()}, strict=True)


def batches(torch, pictures, size):
    """float32 in [-1, 1], shuffled, without end."""
    while True:
        order = torch.randperm(len(pictures))
        for i in range(0, len(order) - size + 1, size):
            yield pictures[order[i : i + size]].float() / 127.5 - 1


def train(torch, model, pictures, args):
    rate = args.learning_rate
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    source = batches(torch, pictures, args.batch)
    for step in range(1, args.steps + 1):
        progress = max(0, step - 100) / max(1, args.steps - 100)
        factor = step / 100 if step <= 100 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
        optimizer.param_groups[0]["lr"] = rate * factor
        x = next(source)
        pixels, kl = model(x)
        loss = (pixels + kl).mean() / x[0].numel() / math.log(2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def measure(torch, model, pictures):
    """Means over the pictures: bits per dimension, bits of the latents per picture."""
    pixels, kl = 0.0, 0.0
    with torch.no_grad():
        for chunk in pictures.split(250):
            a, b = model(chunk.float() / 127.5 - 1)
            pixels += a.sum().item()
            kl += b.sum().item()
    dimensions = pictures[0].numel()
    count = len(pictures)
    return {"bitsPerDim": (pixels + kl) / count / dimensions / math.log(2), "klBits": kl / count / math.log(2)}


def main():
    p = parser(__doc__)
    p.add_argument("--data", required=True, help="folder of the IDX files")
    p.add_argument("--model", help="directory of a model trained by Tesserae: measured, not trained")
    p.add_argument("--steps", type=int, default=5000)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--learning-rate", type=float, default=1e-3)
    p.add_argument("--limit", type=int, help="only the first pictures of each split")
    args = p.parse_args()
    torch, versions = start(args)
    pictures, held_out = (torch.from_numpy(read_pictures(args.data, f"{split}-images-idx3-ubyte")[: args.limit].copy()) for split in ("train", "t10k"))
    model = build(torch)
    begun = time.perf_counter()
    if args.model:
        load(model, args.model)
    else:
        initialize(torch, model)
        train(torch, model, pictures, args)
    seconds = time.perf_counter() - begun
    parameters = sum(t.numel() for t in model.parameters())
    settings = {"model": args.model} if args.model else {"steps": args.steps, "batch": args.batch, "seconds": round(seconds, 1)}
    print(json.dumps({**settings, "parameters": parameters, "samples": len(held_out), **measure(torch, model, held_out), **versions}))


main()
