"""Tesserae's files in PyTorch's terms: model directories, weights, layouts."""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file

from vqvae import Config, VqVae


def read_model(path):
    """A model directory, or a weights file with its config beside it -> (config, tensors)."""
    path = Path(path)
    directory = path if path.is_dir() else path.parent
    file = path / "model.safetensors" if path.is_dir() else path
    card = json.loads((directory / "model.json").read_text())
    return card["config"], load_file(file)


def read_config(path):
    """`model.json`, or a bare config."""
    card = json.loads(Path(path).read_text())
    return card.get("config", card)


def torch_layout(tensor):
    """Kernels [kh, kw, in, out], transposed ones [kh, kw, out, in], both become PyTorch's by the same permutation."""
    return tensor.permute(3, 2, 0, 1).contiguous() if tensor.dim() == 4 else tensor


def tesserae_layout(tensor):
    """The inverse of `torch_layout`."""
    return tensor.permute(2, 3, 1, 0).contiguous() if tensor.dim() == 4 else tensor


def vqvae_config(config):
    q = config.get("quantizer", {})
    return Config(
        channels=config.get("channels", 3),
        hidden=config.get("hidden", 128),
        residual_hidden=config.get("residualHidden", 32),
        residual_layers=config.get("residualLayers", 2),
        halvings=int(math.log2(config.get("downsample", 4))),
        codebook_size=q.get("codebookSize", 512),
        code_dim=q.get("codeDim", 64),
        commitment=q.get("commitment", 0.25),
        decay=q.get("emaDecay", 0.99),
        entropy_price=q.get("entropyPrice", 0.0),
    )


def load_vqvae(config, tensors):
    """Every tensor must be used and every parameter filled."""
    model = VqVae(vqvae_config(config))
    model.load_state_dict({name: torch_layout(t) for name, t in tensors.items()}, strict=True)
    return model


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
