"""The adversary of a codec (PatchGAN), and what it adds to the codec's loss, as in VQGAN."""

import torch
import torch.nn.functional as F
from torch import nn

from networks import group_norm


class PatchGan(nn.Module):
    """Pictures [B, C, H, W] -> verdicts [B, 1, h, w], positive for real."""

    def __init__(self, channels, width=64, layers=2):
        super().__init__()
        widths = [channels, *(width * 2 ** min(i, 3) for i in range(layers + 1))]
        halving = [nn.Conv2d(a, b, 4, 2, padding=1) for a, b in zip(widths, widths[1:-1])]
        self.layers = nn.ModuleList([*halving, nn.Conv2d(widths[-2], widths[-1], 4, padding="same")])
        self.norms = nn.ModuleList([nn.Identity(), *map(group_norm, widths[2:])])
        self.verdict = nn.Conv2d(widths[-1], 1, 4, padding="same")

    def forward(self, x):
        for conv, norm in zip(self.layers, self.norms):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return self.verdict(x)


def backward(loss, reconstruction, discriminator, last, weight, largest=1e4):
    """Gradients of the codec's loss and the adversary's, the latter weighed at the last layer; returns their sum. One pass through the adversary."""
    made = reconstruction.detach().requires_grad_()
    of_adversary = -discriminator(made).mean()
    (pull,) = torch.autograd.grad(of_adversary, made)
    ours = torch.autograd.grad(loss, last, retain_graph=True)[0].norm()
    theirs = torch.autograd.grad(reconstruction, last, pull, retain_graph=True)[0].norm()
    factor = weight * (ours / (theirs + 1e-4)).clamp(max=largest)
    torch.autograd.backward([loss, reconstruction], [None, factor * pull])
    return (loss + factor * of_adversary).detach()


def discriminator_loss(discriminator, real, made):
    return 0.5 * (F.relu(1 - discriminator(real)).mean() + F.relu(1 + discriminator(made)).mean())
