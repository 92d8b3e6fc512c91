"""Reads what Tesserae writes with the field's own Python libraries. Each command prints one JSON line; exit 1 on a mismatch.

    load_ours.py weights FILE.safetensors
    load_ours.py gpt     PRIOR_DIR --dump D.safetensors [--tolerance 1e-4]
                         D: `condition` int32 [B, P], `codes` int32 [B, N], `logits` float32 [B, N, K] computed by Tesserae
    load_ours.py shards  TOKENS_DIR
    load_ours.py onnx    ENCODER.onnx --codec CODEC_DIR --dump D.safetensors [--tie 1e-4]
                         D: `images` float32 [B, H, W, C], `ids` int32 [B, h, w] computed by Tesserae
"""

import argparse
import hashlib
import json
import sys
import zlib
from pathlib import Path


def weights(args):
    from safetensors import safe_open

    tensors, scalars, finite = {}, 0, True
    with safe_open(args.path, framework="np") as f:
        for name in f.keys():
            value = f.get_tensor(name)
            tensors[name] = [str(value.dtype), list(value.shape)]
            scalars += value.size
            finite = finite and bool(abs(value).max() < float("inf")) if value.size else finite
        metadata = f.metadata()
    return finite, {"tensors": len(tensors), "scalars": scalars, "finite": finite, "metadata": metadata, "names": tensors}


def gpt(args):
    import torch
    from safetensors.torch import load_file

    from weights import gpt_prefix, load_gpt2, read_model

    _, config, tensors = read_model(args.path)
    dump = load_file(args.dump)
    with torch.inference_mode():
        ids = torch.cat([dump["condition"].long(), dump["codes"][:, :-1].long()], 1)
        logits = load_gpt2(config, tensors)(ids).logits[:, gpt_prefix(config) - 1 :, : config["codes"]["vocabSize"]]
    worst = (logits - dump["logits"]).abs().max().item()
    return worst <= args.tolerance, {"logits": list(logits.shape), "largest": logits.abs().max().item(), "worst": worst}


def read_part(path, manifest):
    """Checks one part against FORMAT.md; returns (samples, what is wrong)."""
    import msgpack
    import numpy as np

    raw = path.read_bytes()
    unpacker = msgpack.Unpacker(max_buffer_size=0, raw=False, strict_map_key=True)
    unpacker.feed(raw)
    objects, starts = [], []
    while unpacker.tell() < len(raw):
        starts.append(unpacker.tell())
        objects.append(unpacker.unpack())
    header, *records, footer = objects
    wrong = []
    if header["crc32"] != zlib.crc32(raw[: starts[1] - 4]):
        wrong.append("header crc32")
    if footer["crc32"] != zlib.crc32(raw[starts[-1] : -4]):
        wrong.append("footer crc32")
    if footer["samples"] != len(records) or list(np.frombuffer(footer["offsets"], "<u4")) != starts[1:]:
        wrong.append("offsets")
    if header["codec"]["fingerprint"] != manifest["codec"]["fingerprint"]:
        wrong.append("codec")
    for i, (payload, crc32) in enumerate(records):
        if zlib.crc32(payload) != crc32:
            wrong.append(f"record {i} crc32")
        for expected, found in zip(header["maps"], msgpack.unpackb(payload)["maps"], strict=True):
            ids = np.frombuffer(found["ids"], np.dtype(expected["dtype"]).newbyteorder("<")).reshape(found["shape"])
            if ids.max(initial=0) >= expected["vocabSize"]:
                wrong.append(f"record {i} id {ids.max()}")
    return len(records), wrong


def shards(args):
    folder = Path(args.path)
    manifest = json.loads((folder / "manifest.json").read_text())
    samples, wrong = 0, []
    for part in manifest["parts"]:
        path = folder / part["file"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != part["sha256"] or path.stat().st_size != part["bytes"]:
            wrong.append(f"{part['file']} sha256")
        count, faults = read_part(path, manifest)
        samples += count
        wrong += [f"{part['file']} {fault}" for fault in faults]
    if samples != sum(manifest["counts"].values()):
        wrong.append("counts")
    return not wrong, {"parts": len(manifest["parts"]), "samples": samples, "wrong": wrong[:20]}


def run_onnx(args):
    import numpy as np
    import onnx
    import onnxruntime
    import torch
    from safetensors.torch import load_file

    from quantizers import rows
    from weights import load_codec, read_model

    onnx.checker.check_model(args.path, full_check=True)
    domains = sorted({o.domain or "ai.onnx" for o in onnx.load(args.path).opset_import})
    session = onnxruntime.InferenceSession(args.path, providers=["CPUExecutionProvider"])
    dump = load_file(args.dump)
    first = session.get_inputs()[0]
    fixed = first.shape[0] if isinstance(first.shape[0], int) else len(dump["images"])
    batches = dump["images"].numpy().reshape(-1, fixed, *dump["images"].shape[1:])
    ids = np.concatenate([session.run(None, {first.name: batch})[0] for batch in batches]).astype(np.int64)
    ours = dump["ids"].numpy().astype(np.int64)

    model = load_codec(*read_model(args.codec)).double().eval()
    with torch.inference_mode():
        z = model.encoder(dump["images"].double().permute(0, 3, 1, 2))
        scores = model.quantizer.scores(rows(z)).numpy()
    twin = scores.argmax(1)
    every = np.arange(len(twin))

    def against(a, b):
        """How many ids differ, and how many of them are not ties: codes whose scores differ by more than rounding."""
        a, b = a.reshape(-1), b.reshape(-1)
        differ = a != b
        gap = np.abs(scores[every, a] - scores[every, b])
        scale = np.abs(scores[every, b]) + 1
        return {"differ": int(differ.sum()), "notTies": int((differ & (gap > args.tie * scale)).sum())}

    result = {
        "ids": int(ours.size),
        "domains": domains,
        "onnxruntimeAgainstTesserae": against(ids, ours),
        "float64AgainstTesserae": against(twin, ours),
    }
    good = all(result[k]["notTies"] == 0 for k in ["onnxruntimeAgainstTesserae", "float64AgainstTesserae"])
    return good, result


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"weights": weights, "gpt": gpt, "shards": shards, "onnx": run_onnx}
    p.add_argument("command", choices=commands)
    p.add_argument("path")
    p.add_argument("--dump")
    p.add_argument("--codec")
    p.add_argument("--tolerance", type=float, default=1e-4)
    p.add_argument("--tie", type=float, default=1e-4)
    args = p.parse_args()
    good, result = commands[args.command](args)
    print(json.dumps({"ok": good, **result}))
    sys.exit(0 if good else 1)


main()
