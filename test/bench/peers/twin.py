"""The same model in PyTorch: outputs and gradients for given weights and inputs, to check ours against.

    twin.py vqvae --weights W.safetensors --config C.json --input I.safetensors --out O.safetensors
    twin.py gpt   --weights W.safetensors --config C.json --input I.safetensors --out O.safetensors

Input, vqvae: `images` float32 [B, H, W, C] in [-1, 1], `variance` float32 [1] (optional, default 1).
Input, gpt:   `condition` int32 [B, P], `codes` int32 [B, N].
Output, vqvae: `latents` [B, h, w, D], `ids` int32 [B, h, w], `margins` [B, h, w] (distance of the second code less that of
the first), `reconstruction` [B, H, W, C], `loss`, `nmse`, `grad.NAME`, and `after.quantizer.*`: the codebook after one
moving-average update without restarts. Output, gpt: `logits` [B, N, K], `nats` [B, N], `loss`, `natsPerCode`, `grad.NAME`.
Layouts are those of the weights file. One JSON line with the scalars goes to stdout. `--float64` computes in double.
"""

import argparse
import json

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from weights import gpt_prefix, load_gpt2, load_vqvae, read_config, tesserae_layout


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def gradients(model):
    return {f"grad.{name}": tesserae_layout(p.grad) for name, p in model.named_parameters() if p.grad is not None}


def vqvae(config, tensors, inputs, dtype):
    model = load_vqvae(config, tensors).to(dtype).eval()
    x = inputs["images"].permute(0, 3, 1, 2).to(dtype)
    variance = inputs.get("variance", torch.ones(1)).to(dtype).item()
    z = model.encoder(x)
    flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
    distances = model.quantizer.distances(flat.detach())
    nearest = distances.topk(2, largest=False).values
    ids = distances.argmin(1)
    codes = F.embedding(ids, model.quantizer.codebook)
    grid = codes.view(z.shape[0], z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
    reconstruction = model.decoder(z + (grid - z).detach())
    nmse = F.mse_loss(reconstruction, x) / variance
    loss = nmse + model.c.commitment * F.mse_loss(z, grid.detach())
    loss.backward()
    model.quantizer.update(flat.detach(), ids)
    shape = (z.shape[0], z.shape[2], z.shape[3])
    out = {
        "latents": nhwc(z.detach()),
        "ids": ids.view(shape).int(),
        "margins": (nearest[:, 1] - nearest[:, 0]).view(shape),
        "reconstruction": nhwc(reconstruction.detach()),
        **gradients(model),
        **{f"after.quantizer.{name}": t for name, t in model.quantizer.state_dict().items()},
    }
    return out, {"loss": loss.item(), "nmse": nmse.item()}


def gpt(config, tensors, inputs, dtype):
    model = load_gpt2(config, tensors).to(dtype)
    condition, codes = inputs["condition"].long(), inputs["codes"].long()
    prefix, vocab = gpt_prefix(config), config["codes"]["vocabSize"]
    scores = model(torch.cat([condition, codes[:, :-1]], 1)).logits
    logits = scores[:, prefix - 1 :, :vocab]
    nats = F.cross_entropy(logits.transpose(1, 2), codes, reduction="none")
    scalars = {"natsPerCode": nats.mean()}
    loss = nats.mean()
    text = config.get("text")
    text_weight = config.get("textLossWeight", 1)
    if text and text_weight > 0:
        first = vocab + 1
        targets = condition[:, 1:] - first
        targets = torch.where(targets < text["vocabSize"], targets, -100)  # padding is not predicted
        caption = scores[:, : text["length"], first : first + text["vocabSize"]]
        scalars["natsPerText"] = F.cross_entropy(caption.transpose(1, 2), targets)
        weight = config.get("codeLossWeight", 7)
        loss = (weight * nats.mean() + text_weight * scalars["natsPerText"]) / (weight + text_weight)
    loss.backward()
    scalars["loss"] = loss
    return {"logits": logits.detach().contiguous(), "nats": nats.detach(), **gradients(model.transformer)}, {
        name: value.item() for name, value in scalars.items()
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", choices=["vqvae", "gpt"])
    for name in ["weights", "config", "input", "out"]:
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--float64", action="store_true")
    args = p.parse_args()
    twin = {"vqvae": vqvae, "gpt": gpt}[args.model]
    dtype = torch.float64 if args.float64 else torch.float32
    out, scalars = twin(read_config(args.config), load_file(args.weights), load_file(args.input), dtype)
    out |= {name: torch.tensor([value]) for name, value in scalars.items()}
    save_file({name: (t.float() if t.is_floating_point() else t).contiguous() for name, t in out.items()}, args.out)
    norms = {name: t.double().norm().item() for name, t in out.items() if name.startswith("grad.")}
    print(json.dumps({**scalars, "gradientNorm": sum(n * n for n in norms.values()) ** 0.5, "tensors": len(out)}))


main()
