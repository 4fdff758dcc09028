"""Weights by a formula, the same in test/models/weights.ts: so that no file of weights is needed to compare models."""

import math

import torch


def weight(name, shape):
    state = 0x811C9DC5
    for byte in name.encode():
        state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    numbers = []
    for _ in range(math.prod(shape)):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        numbers.append(((state >> 8) / 2**24 - 0.5) / 2)
    # Factors of norms are around 1.
    shift = 1 if len(shape) == 1 and name.endswith("weight") else 0
    return (torch.tensor(numbers, dtype=torch.float64) + shift).float().reshape(shape)


def rounded(tensor):
    return [float(f"{x:.7g}") for x in tensor.detach().flatten().tolist()]


def waves(count, start=0):
    """The fixed direction that results are multiplied with to have one number to differentiate."""
    return torch.cos(torch.arange(start, start + count, dtype=torch.float32))
