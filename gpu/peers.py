"""
The peers' side of the benchmarks: PyTorch, eager and compiled, and cuBLASLt and cuDNN called bare, on the cases that
heddle's programs list (`node dist/bench/cuda/kernels.js --group rows --list`, `.../steps.js --list`).

  python3 gpu/peers.py --cases FILE [--results FOLDER] [--until SECONDS] [--device cuda] [--quick] [--only TEXT] [--dry-run]

Rows of {case, peer, ms, ...} go to FOLDER/peers.json, one by one; those that are there are not measured again. Ends with
0 when all is measured, 1 where something failed, 75 where time was up. --dry-run prints what would be measured.
"""

import argparse
import gc
import json
import os
import sys
import time

from peer_results import Results

COMPLETE, FAILED, UNFINISHED = 0, 1, 75
# What a peer needs at least for one case, in seconds: training steps are compiled for minutes.
KERNEL_SECONDS, STEP_SECONDS = 20, 100


def peers_of(case):
    """Whom a case is measured with."""
    kind = case.get("kind", "step")
    if kind == "step":
        recipes = ["torch.compile", "torch.compile max-autotune"]
        return [f"{recipe}, autocast" for recipe in recipes] if case["autocast"] else recipes
    if kind == "copy":
        return ["torch"]
    if kind == "adamw":
        # PyTorch's fused AdamW keeps the moments of bf16 parameters in bf16: other work.
        return ["torch.compile"] + (["torch"] if case["dtype"] == "f32" else [])
    if kind == "matmul":
        return ["torch", "cublasLt"]
    if kind.startswith("conv"):
        return ["torch"]
    if kind.startswith("attention"):
        # cuDNN and flash attention take 16-bit floats alone.
        return ["torch flash", "torch cudnn"]
    if kind.startswith("crossEntropy"):
        return ["torch", "torch.compile"]
    return ["torch", "torch.compile", "cudnn"]


def rates(case, ms):
    found = {"ms": ms}
    if case.get("bytes"):
        found["gbPerS"] = case["bytes"] / ms / 1e6
    if case.get("flops"):
        found["tflops"] = case["flops"] / ms / 1e9
    return found


def prepare(device):
    """f32 is f32 on both sides; algorithms are chosen by timing; a stream of its own, which can be captured."""
    import torch

    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    if device == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream())


def measure(case, peer, device, quick):
    if peer in ("cublasLt", "cudnn"):
        import peer_bare

        return peer_bare.measure(case)
    import torch
    from peer_timing import kernel_timing, step_timing

    if "kind" in case:
        from peer_kernels import kernel_calls

        options = {"sample_ms": 2, "samples": 3} if quick else {}
        return kernel_timing(device, kernel_calls(case, peer, device), **options)
    from peer_models import training_step

    mode = "max-autotune" if "max-autotune" in peer else "default"
    begin = time.perf_counter()
    step = training_step(case, device, mode, autocast="autocast" in peer)
    step()
    compile_ms = (time.perf_counter() - begin) * 1e3
    timing = step_timing(device, step, **({"sample_ms": 20, "samples": 3} if quick else {}))
    loss = step().item()
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else None
    return {**timing, "compileMs": compile_ms, "loss": loss, "peakBytes": peak}


def clean_up(device):
    """What one case held is not in the way of the next."""
    import torch

    torch._dynamo.reset()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--results", default="results")
    parser.add_argument("--until", type=float, default=float("inf"))
    parser.add_argument("--build", default="unknown")
    parser.add_argument("--session", default="")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    given = parser.parse_args()
    with open(given.cases) as file:
        cases = json.load(file)
    wanted = [(case, peer) for case in cases if given.only in case["case"] for peer in peers_of(case)]
    if given.dry_run:
        for case, peer in wanted:
            print(f"{case['case']}: {peer}")
        return COMPLETE

    name = "peers.quick.json" if given.quick else "peers.json"
    results = Results(os.path.join(given.results, name), given.build, given.session)
    left = [(case, peer) for case, peer in wanted if not results.has(case["case"], peer)]
    if left:
        prepare(given.device)
    for position, (case, peer) in enumerate(left):
        if given.until - time.time() < (KERNEL_SECONDS if "kind" in case else STEP_SECONDS):
            print(f"time is up: {len(left) - position} of {len(wanted)} measurements are left")
            return UNFINISHED
        row = {"case": case["case"], "peer": peer}
        try:
            timing = measure(case, peer, given.device, given.quick)
            row = {**row, **timing, **rates(case, timing["ms"])}
            print(f"{case['case']}: {peer}: {timing['ms']:.4g} ms", flush=True)
        # Whatever a compiler, a library or the device throws is what this row says; the next one may do better.
        except Exception as error:  # noqa: BLE001
            row["error"] = f"{type(error).__name__}: {error}"[:600]
            print(f"{case['case']}: {peer}: failed: {row['error']}", flush=True)
        results.add(row)
        clean_up(given.device)
    mine = {(case["case"], peer) for case, peer in wanted}
    failed = [row for row in results.rows if "error" in row and (row["case"], row["peer"]) in mine]
    return FAILED if failed else COMPLETE


if __name__ == "__main__":
    sys.exit(main())
