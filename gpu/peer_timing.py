"""Time of PyTorch's work on a device: medians of samples that each take long enough for their ends to weigh little."""

import statistics
import time

import torch


def _clock_of(device, run):
    """Gives a function that takes the milliseconds of so many runs."""
    if device == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

        def elapsed(runs):
            start.record()
            for _ in range(runs):
                run()
            end.record()
            end.synchronize()
            return start.elapsed_time(end)

    else:

        def elapsed(runs):
            begin = time.perf_counter()
            for _ in range(runs):
                run()
            return (time.perf_counter() - begin) * 1e3

    return elapsed


def _sampled(elapsed, copies, sample_ms, samples):
    elapsed(3)
    runs = 1
    took = elapsed(runs)
    while took < sample_ms:
        runs = max(runs + 1, min(runs * 8, round(runs * sample_ms * 1.1 / max(took, 1e-3))))
        took = elapsed(runs)
    times = [elapsed(runs) / runs / copies for _ in range(samples)]
    return {
        "ms": statistics.median(times),
        "leastMs": min(times),
        "mostMs": max(times),
        "runs": runs,
        "samples": samples,
    }


def _captured(calls):
    """All calls as one CUDA graph; their results are kept, so that each has memory of its own. None where that fails."""
    stream = torch.cuda.current_stream()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            kept = [call() for call in calls]
    except RuntimeError:
        torch.cuda.synchronize()
        return None, None
    return graph, kept


def kernel_timing(device, calls, sample_ms=200, samples=5):
    """
    Milliseconds of one call: the median over replays of a CUDA graph of all calls, or where they can not be captured,
    over the calls themselves, queued back to back. The current stream must be none that others use.
    """
    for _ in range(3):
        for call in calls:
            call()
    if device == "cuda":
        torch.cuda.synchronize()
        graph, kept = _captured(calls)
    else:
        graph, kept = None, None

    def one_by_one():
        for call in calls:
            call()

    timing = _sampled(_clock_of(device, graph.replay if graph else one_by_one), len(calls), sample_ms, samples)
    del kept
    return {**timing, "copies": len(calls), "replayed": graph is not None}


def step_timing(device, step, sample_ms=1000, samples=5):
    """Milliseconds of a training step by the host's clock, from an idle device to an idle device; the median."""

    def elapsed(runs):
        begin = time.perf_counter()
        for _ in range(runs):
            step()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) * 1e3

    elapsed(3)
    return _sampled(elapsed, 1, sample_ms, samples)
