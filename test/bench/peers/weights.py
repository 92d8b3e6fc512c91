"""Tesserae's files in PyTorch's terms: presets, model directories, weights, layouts."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from codec import create

PRESETS = Path(__file__).parents[3] / "presets" / "codec"


def read_preset(name):
    return json.loads((PRESETS / f"{name}.json").read_text())


def read_model(path):
    """A model directory -> (name, config, tensors)."""
    card = json.loads((Path(path) / "model.json").read_text())
    return card["name"], card["config"], load_file(Path(path) / "model.safetensors")


def torch_layout(name, tensor):
    """Kernels [kh, kw, in, out], transposed ones [kh, kw, out, in], both become PyTorch's by the same permutation; matrices turn."""
    if tensor.dim() == 4:
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor.t().contiguous() if is_matrix(name, tensor) else tensor


def tesserae_layout(name, tensor):
    """The inverse of `torch_layout`."""
    if tensor.dim() == 4:
        return tensor.permute(2, 3, 1, 0).contiguous()
    return tensor.t().contiguous() if is_matrix(name, tensor) else tensor


def is_matrix(name, tensor):
    return tensor.dim() == 2 and name.endswith(".weight")


def load_weights(model, tensors):
    """Every tensor must be used and every parameter filled."""
    model.load_state_dict({name: torch_layout(name, t) for name, t in tensors.items()}, strict=True)
    return model


def load_codec(name, config, tensors):
    return load_weights(create(name, config), tensors)


def gpt_prefix(config):
    return 1 + (config.get("text") or {}).get("length", 0)


def load_gpt2(config, tensors):
    """A GPT prior in Hugging Face's own GPT2LMHeadModel, dropout off. Strict but for the head, which is tied."""
    from transformers import GPT2Config, GPT2LMHeadModel

    hugging_face = GPT2Config(
        vocab_size=tensors["wte.weight"].shape[0],
        n_positions=tensors["wpe.weight"].shape[0],
        n_embd=config["nEmbd"],
        n_layer=config["nLayer"],
        n_head=config["nHead"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(hugging_face).eval()
    missing, unexpected = model.transformer.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not name.endswith((".attn.bias", ".attn.masked_bias"))]
    if missing or unexpected:
        raise SystemExit(f"weights do not fit GPT2LMHeadModel: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model
