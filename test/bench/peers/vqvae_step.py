"""One VQ-VAE training step: batch 32 of 32x32x3, Adam 3e-4, fixed random data."""

from common import mode, parser, start
from protocol import serve


def main():
    p = parser(__doc__)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--codebook", choices=["ema", "loss"], default="ema")
    p.add_argument("--layout", choices=["channels_last", "contiguous"], default="channels_last")
    args = p.parse_args()
    torch, versions = start(args)
    from vqvae import Config, VqVae, perplexity

    config = Config(ema=args.codebook == "ema")
    layout = torch.channels_last if args.layout == "channels_last" else torch.contiguous_format
    model = VqVae(config).to(memory_format=layout).train()
    x = (torch.rand(args.batch, 3, args.size, args.size) * 2 - 1).to(memory_format=layout)
    variance = x.var().item()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, fused=True)
    forward = torch.compile(model) if args.compile else model
    last = {}

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss, _, ids = forward(x, variance)
        loss.backward()
        optimizer.step()
        last["loss"] = loss.item()
        last["perplexity"] = perplexity(ids, config.codebook_size).item()

    for _ in range(args.warmup):
        step()
    parameters = sum(p.numel() for p in model.parameters())
    name = f"PyTorch {mode(args)} {args.layout} {args.codebook}"
    serve(name, step, 1, "step", parameters=parameters, loss=last["loss"], **versions)


main()
