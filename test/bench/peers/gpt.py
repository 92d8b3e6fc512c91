"""GPT-2 in the manner of nanoGPT: pre-norm, fused qkv, scaled_dot_product_attention, tied head."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int = 1024
    positions: int = 256
    layers: int = 4
    heads: int = 8
    width: int = 256


class Block(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.heads = c.heads
        self.ln_1 = nn.LayerNorm(c.width)
        self.qkv = nn.Linear(c.width, 3 * c.width)
        self.proj = nn.Linear(c.width, c.width)
        self.ln_2 = nn.LayerNorm(c.width)
        self.fc = nn.Linear(c.width, 4 * c.width)
        self.out = nn.Linear(4 * c.width, c.width)

    def split(self, x):
        """[B, T, E] -> q, k, v, each [B, heads, T, E / heads]."""
        b, t, _ = x.shape
        return self.qkv(self.ln_1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def finish(self, x, attended):
        """Adds attention [B, heads, T, E / heads] and the MLP to the residual stream [B, T, E]."""
        x = x + self.proj(attended.transpose(1, 2).reshape(x.shape))
        return x + self.out(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))

    def forward(self, x):
        q, k, v = self.split(x)
        return self.finish(x, F.scaled_dot_product_attention(q, k, v, is_causal=True))


class Gpt(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.wte = nn.Embedding(c.vocab, c.width)
        self.wpe = nn.Embedding(c.positions, c.width)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.ln_f = nn.LayerNorm(c.width)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def logits(self, ids):
        """[B, T] -> [B, T, vocab]."""
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)

    def forward(self, ids, targets):
        """Mean cross entropy, nats."""
        return F.cross_entropy(self.logits(ids).view(-1, self.c.vocab), targets.view(-1))


class CachedGpt:
    """Token by token with a preallocated cache: keys and values are written in place and read as a slice."""

    def __init__(self, model: Gpt, batch: int):
        c = model.c
        dtype = model.wte.weight.dtype
        self.model = model
        shape = (c.layers, 2, batch, c.heads, c.positions, c.width // c.heads)
        self.cache = torch.zeros(shape, dtype=dtype)

    def feed(self, ids, past: int):
        """ids [B, t] at positions past..past+t -> logits [B, vocab] of the last one."""
        m = self.model
        end = past + ids.shape[1]
        x = m.wte(ids) + m.wpe.weight[past:end]
        for layer, block in enumerate(m.blocks):
            q, k, v = block.split(x)
            keys, values = self.cache[layer]
            keys[:, :, past:end] = k
            values[:, :, past:end] = v
            causal = past == 0 and end > 1
            attended = F.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end], is_causal=causal)
            x = block.finish(x, attended)
        return F.linear(m.ln_f(x[:, -1]), m.wte.weight)

    @torch.inference_mode()
    def generate(self, prompt, new_tokens: int, top_k: int):
        """[B, P] -> [B, P + new_tokens], temperature 1, by the exponential race (equal to multinomial, one pass)."""
        ids = [prompt]
        token = prompt
        past = 0
        for _ in range(new_tokens):
            logits = self.feed(token, past)
            past += token.shape[1]
            values, candidates = logits.float().topk(top_k)
            race = torch.softmax(values, -1) / torch.empty_like(values).exponential_()
            token = candidates.gather(1, race.argmax(-1, keepdim=True))
            ids.append(token)
        return torch.cat(ids, 1)
