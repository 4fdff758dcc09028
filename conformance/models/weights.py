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
    # Factors of norms, and variances, are around 1.
    shift = 1 if len(shape) == 1 and name.endswith(("weight", "running_var")) else 0
    return (torch.tensor(numbers, dtype=torch.float64) + shift).float().reshape(shape)


def images(shape):
    """Pixels in [-1, 1)."""
    return weight("images", shape) * 4


def fill(model):
    """Gives every parameter and every buffer that is saved its weight; counts of batches stay 0."""
    saved = model.state_dict()
    with torch.no_grad():
        for name, cell in [*model.named_parameters(), *model.named_buffers()]:
            if name in saved and cell.is_floating_point():
                cell.copy_(weight(name, cell.shape))


def rounded(tensor):
    return [float(f"{x:.7g}") for x in tensor.detach().flatten().tolist()]


def waves(count, start=0):
    """The fixed direction that results are multiplied with to have one number to differentiate."""
    return torch.cos(torch.arange(start, start + count, dtype=torch.float32))


def differentiated(model, found):
    """Outputs, and of each parameter the gradient's length and its product with cos(1), cos(2), ..."""
    sum((x.flatten() * waves(x.numel())).sum() for x in found.values()).backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad.flatten()
        gradients[name] = rounded(torch.stack([gradient.norm(), (gradient * waves(gradient.numel(), 1)).sum()]))
    return {"outputs": {name: rounded(x) for name, x in found.items()}, "gradients": gradients}
