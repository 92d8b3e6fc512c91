"""Pictures to token shards: PIL decode and resize in DataLoader workers, VQ-VAE encoder, nearest code, msgpack.

One block is a pass over the whole tar (or folder of PNGs), from its bytes to closed shard files. `--workers 0` decodes
in the main process. (Not named tokenize.py: that would hide Python's own module.)
"""

import io
import os
import tarfile
import tempfile
import zlib
from pathlib import Path

from common import mode, parser, start
from protocol import serve


def pictures(source):
    """[(key, file, offset, bytes, caption)] of a tar with KEY.png + KEY.txt, or of a folder of PNGs."""
    if os.path.isdir(source):
        return [(p.stem, str(p), 0, p.stat().st_size, None) for p in sorted(Path(source).glob("*.png"))]
    with tarfile.open(source) as tar:
        members = {m.name: m for m in tar}
        texts = {name[:-4]: tar.extractfile(m).read().decode() for name, m in members.items() if name.endswith(".txt")}
    return [
        (name[:-4], source, m.offset_data, m.size, texts.get(name[:-4]))
        for name, m in members.items()
        if name.endswith(".png")
    ]


class Pictures:
    """uint8 [size, size, 3] and the original width and height, by index."""

    def __init__(self, entries, size):
        self.entries = entries
        self.size = size
        self.path = None  # opened in the worker that reads

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, index):
        import numpy as np
        from PIL import Image

        _, path, offset, length, _ = self.entries[index]
        if path != self.path:
            self.path, self.file = path, open(path, "rb")
        self.file.seek(offset)
        picture = Image.open(io.BytesIO(self.file.read(length)))
        width, height = picture.size
        picture = picture.convert("RGBA")
        flat = Image.new("RGB", picture.size, (255, 255, 255))
        flat.paste(picture, mask=picture)
        flat = flat.resize((self.size, self.size), Image.Resampling.LANCZOS)
        return np.asarray(flat), width, height


def collate(samples):
    import numpy as np
    import torch

    pixels, widths, heights = zip(*samples)
    return torch.from_numpy(np.stack(pixels)), widths, heights


class Shards:
    """Plain msgpack objects: a header, [payload, crc32] a sample, a footer with offsets."""

    def __init__(self, folder, grid, vocab, samples_per_part=4096):
        import msgpack

        self.pack = msgpack.Packer(use_bin_type=True).pack
        self.folder = Path(folder)
        self.grid = grid
        self.vocab = vocab
        self.limit = samples_per_part
        self.parts = 0
        self.file = None

    def add(self, key, ids, text, width, height):
        if self.file is None:
            self.file = open(self.folder / f"part-{self.parts:05d}.msgpack", "wb")
            maps = [{"name": "codes", "shape": self.grid, "vocabSize": self.vocab, "dtype": "uint16"}]
            self.file.write(self.pack({"format": "peer", "part": self.parts, "maps": maps}))
            self.offsets = []
        sample = {"key": key, "maps": [{"name": "codes", "shape": self.grid, "ids": ids}]}
        if text is not None:
            sample["text"] = text
        sample["media"] = {"kind": "image", "width": width, "height": height, "channels": 3}
        payload = self.pack(sample)
        self.offsets.append(self.file.tell())
        self.file.write(self.pack([payload, zlib.crc32(payload)]))
        if len(self.offsets) == self.limit:
            self.close()

    def close(self):
        if self.file is None:
            return
        self.file.write(self.pack({"samples": len(self.offsets), "offsets": self.offsets}))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self.file = None
        self.parts += 1


def main():
    p = parser(__doc__)
    p.add_argument("--data", required=True, help="a tar of KEY.png + KEY.txt, or a folder of PNGs")
    p.add_argument("--size", type=int, default=64)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--limit", type=int, default=0, help="only the first N pictures")
    p.add_argument("--layout", choices=["channels_last", "contiguous"], default="channels_last")
    p.add_argument("--codec", help="a Tesserae codec directory; default random weights of Sonnet's size")
    p.set_defaults(warmup=1)
    args = p.parse_args()
    torch, versions = start(args)
    from torch.utils.data import DataLoader

    from codec import create
    from weights import load_codec, read_model

    layout = torch.channels_last if args.layout == "channels_last" else torch.contiguous_format
    model = load_codec(*read_model(args.codec)) if args.codec else create("vqvae", {})
    model = model.eval().to(memory_format=layout)
    encode = torch.compile(model.encode) if args.compile else model.encode
    entries = pictures(args.data)
    entries = entries[: args.limit] if args.limit else entries
    loader = DataLoader(
        Pictures(entries, args.size),
        batch_size=args.batch,
        num_workers=args.workers,
        collate_fn=collate,
        persistent_workers=args.workers > 0,
        prefetch_factor=4 if args.workers else None,
    )

    def tokenize():
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            shards = None
            done = 0
            for pixels, widths, heights in loader:
                x = pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)  # channels_last by construction
                with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                    (ids,) = encode(x.contiguous(memory_format=layout))
                codes = ids.to(torch.uint16).numpy()
                shards = shards or Shards(folder, list(codes.shape[1:]), model.quantizer.c.codebook_size)
                for i in range(len(codes)):
                    key, _, _, _, text = entries[done + i]
                    shards.add(key, codes[i].tobytes(), text, widths[i], heights[i])
                done += len(codes)
            shards.close()

    for _ in range(args.warmup):
        tokenize()
    name = f"PyTorch + PIL {mode(args)}, {args.workers} workers, batch {args.batch}"
    serve(name, tokenize, len(entries), "images", **versions)


if __name__ == "__main__":
    main()
