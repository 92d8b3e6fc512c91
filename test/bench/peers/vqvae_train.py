"""Trains the twin of Sonnet's VQ-VAE on given pictures in a given order, with Sonnet's initialization.

    vqvae_train.py --data D.safetensors --report 1000,2000,5000,10000

The data file holds `pixels` uint8 [N, H, W, C] and `order` int32 [steps, batch]. One JSON line a report: the mean of
NMSE and of the batch's perplexity over the last 100 steps, and the seconds of training so far.
"""

import json
import time

import torch
from codec import create
from common import parser, start
from safetensors.torch import load_file
from torch import nn


def sonnet_initialization(model):
    """Truncated normal with standard deviation 1 / sqrt(fan in), zero biases: the defaults of Sonnet's convolutions."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            kernel = module.weight
            inputs = kernel.shape[1] if isinstance(module, nn.Conv2d) else kernel.shape[0]
            std = (inputs * kernel.shape[2] * kernel.shape[3]) ** -0.5
            nn.init.trunc_normal_(kernel, std=std, a=-2 * std, b=2 * std)
            nn.init.zeros_(module.bias)


def perplexity(ids, codebook_size):
    p = torch.bincount(ids.flatten(), minlength=codebook_size).float() / ids.numel()
    return torch.exp(-(p * torch.log(p + 1e-10)).sum())


def main():
    p = parser(__doc__)
    p.add_argument("--data", required=True)
    p.add_argument("--report", required=True, help="steps, separated by commas")
    p.add_argument("--learning-rate", type=float, default=3e-4)
    args = p.parse_args()
    start(args)
    data = load_file(args.data)
    pictures = data["pixels"].permute(0, 3, 1, 2).float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
    order = data["order"].long()
    variance = pictures.var(unbiased=False).item()
    model = create("vqvae", {"channels": pictures.shape[1], "quantizer": {"restartBelow": 0}}).to(memory_format=torch.channels_last)
    sonnet_initialization(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    reports = [int(step) for step in args.report.split(",")]
    nmse, perplexities = [], []
    seconds = 0.0
    for step in range(1, reports[-1] + 1):
        began = time.perf_counter()
        x = pictures[order[step - 1]]
        loss, reconstruction = model(x, variance)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        seconds += time.perf_counter() - began
        if not any(0 <= report - step < 100 for report in reports):
            continue
        with torch.no_grad():
            nmse.append(nn.functional.mse_loss(reconstruction, x).item() / variance)
            perplexities.append(perplexity(model.encode(x)[0], model.quantizer.c.codebook_size).item())
        if step in reports:
            recent = slice(-100, None)
            report = {"step": step, "nmse": sum(nmse[recent]) / len(nmse[recent]), "perplexity": sum(perplexities[recent]) / len(perplexities[recent])}
            print(json.dumps({**report, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
