"""What the PyTorch peers share: arguments, threads, versions."""

import argparse
import platform


def parser(description):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--threads", type=int, default=2, help="intra-op threads (default 2)")
    p.add_argument("--compile", action="store_true", help="torch.compile the model")
    p.add_argument("--bf16", action="store_true", help="autocast (or weights, for generation) in bfloat16")
    p.add_argument("--warmup", type=int, default=3, help="blocks run before the peer reports ready")
    p.add_argument("--seed", type=int, default=0)
    return p


def start(args):
    """Sets threads and seed; returns torch and the versions that describe this run."""
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    versions = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
    return torch, versions


def mode(args):
    """The suffix of a peer's name: how it was run."""
    return " ".join(["compiled" if args.compile else "eager"] + (["bf16"] if args.bf16 else []))
