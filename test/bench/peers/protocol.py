"""The line protocol by which a driver alternates contestants in one run.

A peer prints one JSON line when it is ready, then answers each line of stdin with one line of stdout:

    run N   ->  {"ms": [t1, ..., tN]}      wall time of N blocks (a step, a generation, a pass), milliseconds
    quit    ->  the process ends (so does end of file)

Everything else a library prints goes to stderr: stdout belongs to the protocol.
"""

import json
import os
import sys
import time

from common import mode

_out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def emit(record):
    _out.write(json.dumps(record) + "\n")
    _out.flush()


def serve(name, block, work, unit, **details):
    """Announces the peer, then times `block()` on demand.

    `work` is how many `unit`s (steps, tokens, images) one block does.
    """
    emit({"ready": name, "work": work, "unit": unit, **details})
    for line in sys.stdin:
        words = line.split()
        if not words:
            continue
        if words[0] == "quit":
            return
        if words[0] != "run" or len(words) != 2 or not words[1].isdigit():
            emit({"error": f"expected 'run N' or 'quit', received {line.strip()!r}"})
            continue
        times = []
        for _ in range(int(words[1])):
            start = time.perf_counter()
            block()
            times.append((time.perf_counter() - start) * 1000)
        emit({"ms": times})


def serve_step(args, model, step, versions):
    """Warms a training step up and serves it. `step` returns its loss."""
    losses = [step() for _ in range(args.warmup)]
    parameters = sum(p.numel() for p in model.parameters())
    serve(f"PyTorch {mode(args)}", step, 1, "step", parameters=parameters, loss=losses[-1], **versions)
