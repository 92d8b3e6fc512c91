"""The same model in PyTorch: outputs and gradients for given weights and inputs, to check ours against.

    twin.py codec --model MODEL_DIR --input I.safetensors --out O.safetensors
    twin.py gpt   --model MODEL_DIR --input I.safetensors --out O.safetensors

Input, codec: `images` float32 [B, H, W, C] in [-1, 1]. Optional: `variance` and `progress` float32 [1] (1 and 0); what is
drawn at random, `gumbel` uniform [N, K], `restart` uniform [K], `latents` normal [B, D]; `map.I`, decoded in place of the
twin's own ids; weights of an adversary, `discriminator.*`, which joins with `adversarialWeight` [1].
Input, gpt: `condition` int32 [B, P], `codes` int32 [B, N].
Output, codec: `map.I` ids int32 [B, h, w] (the VAE's means [B, D]), `margin.I` [B * h * w] (score of the second code less
that of the first), `pictures` decoded from them [B, H, W, C], `loss` of a training step, `grad.NAME`, and `after.NAME`: the
codebook's state after that step. Output, gpt: `logits` [B, N, K], `nats` [B, N], `loss`, `natsPerCode`, `grad.NAME`.
Layouts are those of the weights file. One JSON line with the scalars goes to stdout. `--float64` computes in double.
"""

import argparse
import json

import torch
import torch.nn.functional as F
from codec import last_layer
from patchgan import PatchGan, backward, discriminator_loss
from quantizers import Fsq, Quantizer
from safetensors.torch import load_file, save_file
from weights import gpt_prefix, load_codec, load_gpt2, load_weights, read_model, tesserae_layout


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def gradients(model, prefix=""):
    return {f"grad.{prefix}{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}


def ours(tensors):
    return {name: tesserae_layout(name, t) for name, t in tensors.items()}


def replace_draws(model, inputs):
    """Gives a codec the random numbers that ours had."""
    if "latents" in inputs:
        model.noise = lambda means: inputs["latents"].to(means.dtype)
    for q in model.modules():
        if isinstance(q, Quantizer):
            q.noise = lambda logits: -torch.log(-torch.log(inputs["gumbel"].to(logits.dtype)))
            q.random_rows = lambda count, rows: (inputs[f"restart.{count}"] * rows).long()


def margins_of(q, flat):
    """[N, D] -> how far the code is from being another: the best score less the second, or the distance to the border."""
    if isinstance(q, Fsq):
        bounded = q.bound(flat)
        return 0.5 - (bounded - bounded.round()).abs().amax(1)
    first, second = q.scores(flat).topk(2).values.unbind(1)
    return first - second


def record_margins(model):
    """A list that gets the margins of each look-up, [N]."""
    margins = []
    for q in model.modules():
        if isinstance(q, Quantizer):

            def recorded(flat, q=q, nearest=q.nearest):
                margins.append(margins_of(q, flat).detach())
                return nearest(flat)

            q.nearest = recorded
    return margins


def codec(name, config, tensors, inputs, dtype):
    model = load_codec(name, config, tensors).to(dtype)
    x = inputs["images"].permute(0, 3, 1, 2).to(dtype)
    variance, progress = (inputs.get(name, torch.tensor([other])).item() for name, other in [("variance", 1.0), ("progress", 0.0)])
    margins = record_margins(model.eval())
    with torch.no_grad():
        maps = model.encode(x)
        pictures = model.decode([inputs.get(f"map.{i}", ids).to(ids.dtype) for i, ids in enumerate(maps)])
    out = {f"margin.{i}": margin for i, margin in enumerate(margins)}
    replace_draws(model.train(), inputs)
    loss, reconstruction = model(x, variance, progress)
    if "adversarialWeight" in inputs:
        weights = {key.removeprefix("discriminator."): t for key, t in inputs.items() if key.startswith("discriminator.")}
        layers = sum(key.startswith("layers.") and key.endswith(".weight") for key in weights) - 1
        judge = load_weights(PatchGan(x.shape[1], weights["layers.0.bias"].numel(), layers), weights).to(dtype)
        loss = backward(loss, reconstruction, judge, last_layer(model), inputs["adversarialWeight"].item())
        discriminator_loss(judge, x, reconstruction.detach()).backward()
        out |= ours(gradients(judge, "discriminator."))
    else:
        loss.backward()
    state = {f"after.{key}": t for key, t in model.state_dict().items() if key not in dict(model.named_parameters())}
    out |= {f"map.{i}": ids.int() if not ids.is_floating_point() else ids for i, ids in enumerate(maps)}
    out |= {"pictures": nhwc(pictures), **ours(gradients(model)), **ours(state)}
    return out, {"loss": loss, "parameters": torch.tensor(sum(p.numel() for p in model.parameters()))}


def gpt(name, config, tensors, inputs, dtype):
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
    return {"logits": logits, "nats": nats, **gradients(model.transformer)}, scalars


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("kind", choices=["codec", "gpt"])
    for name in ["model", "input", "out"]:
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--float64", action="store_true")
    args = p.parse_args()
    twin = {"codec": codec, "gpt": gpt}[args.kind]
    dtype = torch.float64 if args.float64 else torch.float32
    out, scalars = twin(*read_model(args.model), load_file(args.input), dtype)
    norms = {name: t.double().norm().item() for name, t in out.items() if name.startswith("grad.")}
    scalars = {name: value.item() for name, value in scalars.items()}
    out |= {name: torch.tensor([value]) for name, value in scalars.items()}
    save_file({name: (t.detach().float() if t.is_floating_point() else t).contiguous() for name, t in out.items()}, args.out)
    print(json.dumps({**scalars, "gradientNorm": sum(n * n for n in norms.values()) ** 0.5, "tensors": len(out)}))


main()
