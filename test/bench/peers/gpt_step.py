"""One GPT training step: 4 layers, d=256, 8 heads, T=256, batch 8, vocabulary 1024, AdamW, clip 1.0."""

from common import parser, start
from protocol import serve_step


def main():
    p = parser(__doc__)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--length", type=int, default=256)
    p.add_argument("--vocab", type=int, default=1024)
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--width", type=int, default=256)
    p.add_argument("--heads", type=int, default=8)
    args = p.parse_args()
    torch, versions = start(args)
    from gpt import Config, Gpt

    model = Gpt(Config(args.vocab, args.length, args.layers, args.heads, args.width)).train()
    sequence = torch.randint(args.vocab, (args.batch, args.length + 1))
    ids, targets = sequence[:, :-1].contiguous(), sequence[:, 1:].contiguous()
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.045},
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.96), fused=True)
    forward = torch.compile(model) if args.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss = forward(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    serve_step(args, model, step, versions)


main()
