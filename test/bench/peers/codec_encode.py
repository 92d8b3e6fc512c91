"""Encoding with a codec preset, random weights: pictures in memory, float32, to ids; to means for the VAE."""

from common import mode, parser, start
from protocol import serve


def main():
    p = parser(__doc__)
    p.add_argument("--preset", default="sonnet", help="a name in presets/codec")
    p.add_argument("--batch", type=int, default=16)
    args = p.parse_args()
    torch, versions = start(args)
    from codec import create, random_pictures
    from weights import read_preset

    preset = read_preset(args.preset)
    model = create(preset["codec"], preset["config"]).eval().to(memory_format=torch.channels_last)
    run = torch.compile(model.encode) if args.compile else model.encode
    x = random_pictures(preset["config"], args.batch)

    @torch.inference_mode()
    def encode():
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            return run(x)

    for _ in range(args.warmup):
        encode()
    serve(f"PyTorch {mode(args)}", encode, args.batch, "images", **versions)


main()
