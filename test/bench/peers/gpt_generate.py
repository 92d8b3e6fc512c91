"""Token-by-token sampling with a cache: d=512, 8 layers, 8 heads, 320 positions, prompt 64, 256 new tokens, top-k 100.

`--engine hf` is Hugging Face's GPT2LMHeadModel.generate; `--engine static` a hand-written loop over a preallocated cache.
"""

from common import mode, parser, start
from protocol import serve


def main():
    p = parser(__doc__)
    p.add_argument("--engine", choices=["hf", "static"], default="hf")
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--prompt", type=int, default=64)
    p.add_argument("--new", type=int, default=256)
    p.add_argument("--vocab", type=int, default=1024)
    p.add_argument("--layers", type=int, default=8)
    p.add_argument("--width", type=int, default=512)
    p.add_argument("--heads", type=int, default=8)
    p.add_argument("--top-k", type=int, default=100)
    p.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    p.set_defaults(warmup=1)
    args = p.parse_args()
    torch, versions = start(args)
    generate, parameters = (hugging_face if args.engine == "hf" else static_cache)(torch, args)
    for _ in range(args.warmup):
        generate()
    label = "Hugging Face" if args.engine == "hf" else "PyTorch static cache"
    serve(
        f"{label} {mode(args)} batch {args.batch}",
        generate,
        args.batch * args.new,
        "tokens",
        parameters=parameters,
        **versions,
    )


def hugging_face(torch, args):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=args.vocab,
        n_positions=args.prompt + args.new,
        n_embd=args.width,
        n_layer=args.layers,
        n_head=args.heads,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation=args.attention,
    )
    model = GPT2LMHeadModel(config).eval()
    if args.bf16:
        model = model.to(torch.bfloat16)
    options = {"cache_implementation": "static"} if args.compile else {}
    if args.compile:
        model.forward = torch.compile(model.forward)
    prompt = torch.randint(args.vocab, (args.batch, args.prompt))
    mask = torch.ones_like(prompt)

    def generate():
        out = model.generate(
            prompt,
            attention_mask=mask,
            max_new_tokens=args.new,
            min_new_tokens=args.new,
            do_sample=True,
            temperature=1.0,
            top_k=args.top_k,
            use_cache=True,
            pad_token_id=0,
            **options,
        )
        assert out.shape == (args.batch, args.prompt + args.new), out.shape

    return generate, model.num_parameters()


def static_cache(torch, args):
    from gpt import CachedGpt, Config, Gpt

    model = Gpt(Config(args.vocab, args.prompt + args.new, args.layers, args.heads, args.width)).eval()
    if args.bf16:
        model = model.to(torch.bfloat16)
    cached = CachedGpt(model, args.batch)
    if args.compile:
        cached.feed = torch.compile(cached.feed, dynamic=True)
    prompt = torch.randint(args.vocab, (args.batch, args.prompt))

    def generate():
        out = cached.generate(prompt, args.new, args.top_k)
        assert out.shape == (args.batch, args.prompt + args.new), out.shape

    return generate, sum(p.numel() for p in model.parameters())


main()
