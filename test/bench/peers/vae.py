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
from pathlib import Path

from common import parser, start


def read_pictures(folder, name):
    """uint8 [N, 1, 28, 28]."""
    import numpy as np

    path = Path(folder) / name
    data = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(name + ".gz").read_bytes())
    count, height, width = (int.from_bytes(data[i : i + 4], "big") for i in (4, 8, 12))
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, 1, height, width)


def nats(torch, model, x):
    """Of the pixels and of the latents, [B] each."""
    decoded, kl = model.drawn(x)
    return pixel_nats(torch, x, *decoded), kl


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
        pixels, kl = nats(torch, model, x)
        loss = (pixels + kl).mean() / x[0].numel() / math.log(2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def measure(torch, model, pictures):
    """Means over the pictures: bits per dimension, bits of the latents per picture."""
    pixels, kl = 0.0, 0.0
    with torch.no_grad():
        for chunk in pictures.split(250):
            a, b = nats(torch, model, chunk.float() / 127.5 - 1)
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
    from codec import create
    from weights import load_codec, read_model, read_preset

    model = load_codec(*read_model(args.model)) if args.model else create("vae", read_preset("vae-gray-28")["config"])
    begun = time.perf_counter()
    if not args.model:
        initialize(torch, model)
        train(torch, model, pictures, args)
    seconds = time.perf_counter() - begun
    parameters = sum(t.numel() for t in model.parameters())
    settings = {"model": args.model} if args.model else {"steps": args.steps, "batch": args.batch, "seconds": round(seconds, 1)}
    print(json.dumps({**settings, "parameters": parameters, "samples": len(held_out), **measure(torch, model, held_out), **versions}))


main()
