"""One training step of a codec preset on random pictures: its batch, its optimizer, its adversary; without a perceptual term."""

from common import parser, start
from protocol import serve_step


def main():
    p = parser(__doc__)
    p.add_argument("--preset", default="sonnet", help="a name in presets/codec")
    args = p.parse_args()
    torch, versions = start(args)
    from codec import create, last_layer, random_pictures
    from patchgan import PatchGan, backward, discriminator_loss
    from weights import read_preset

    preset = read_preset(args.preset)
    training, rival = preset["training"], preset["training"].get("adversarial")
    betas = (training.get("beta1", 0.9), training.get("beta2", 0.999))
    clip = training.get("clip", 0)

    def prepared(model, learning_rate, betas):
        """The model, a function that runs it, and its optimizer."""
        model = model.to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=betas, fused=True)
        return model, torch.compile(model) if args.compile else model, optimizer

    model, forward, optimizer = prepared(create(preset["codec"], preset["config"]), training["learningRate"], betas)
    x = random_pictures(preset["config"], training["batchSize"])
    variance = x.var().item()
    if rival:
        judge = PatchGan(x.shape[1], rival["channels"], rival["layers"])
        _, discriminator, its_optimizer = prepared(judge, rival["learningRate"], (0.5, 0.9))

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss, reconstruction = forward(x, variance)
            if rival:
                loss = backward(loss, reconstruction, discriminator, last_layer(model), rival["weight"])
            else:
                loss.backward()
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if rival:
            its_optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                its_loss = discriminator_loss(discriminator, x, reconstruction.detach())
            its_loss.backward()
            its_optimizer.step()
        return loss.item()

    serve_step(args, model, step, versions)


main()
