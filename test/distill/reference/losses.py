# Losses of distillation and their gradients by the student's operand, in PyTorch: python3 losses.py > losses.json
import json
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def values(shape, phase):
    n = 1
    for extent in shape:
        n *= extent
    return torch.cos(torch.arange(n) * 0.7 + phase).reshape(shape) * 2


def at(x):
    return F.normalize(x.pow(2).mean(1).view(x.size(0), -1))


def relation(x, heads):
    b, t, w = x.shape
    parts = x.view(b, t, heads, w // heads).transpose(1, 2)
    return parts @ parts.transpose(2, 3) / (w // heads) ** 0.5


def relations(s, t, heads, mask=None):
    a, b = relation(s, heads), relation(t, heads)
    if mask is not None:
        gone = mask[:, None, None, :] == 0
        a, b = a.masked_fill(gone, -1e9), b.masked_fill(gone, -1e9)
    rows = F.kl_div(a.log_softmax(-1), b.softmax(-1), reduction="none").sum(-1).mean(1)
    return rows.mean() if mask is None else (rows * mask).sum() / mask.sum()


def pdist(e):
    # RKD's own code: https://github.com/lenscloth/RKD
    square = e.pow(2).sum(dim=1)
    prod = e @ e.t()
    res = (square.unsqueeze(1) + square.unsqueeze(0) - 2 * prod).clamp(min=1e-12).sqrt()
    res = res.clone()
    res[range(len(e)), range(len(e))] = 0
    return res


def rkd_distance(s, t):
    with torch.no_grad():
        d = pdist(t)
        d = d / d[d > 0].mean()
    e = pdist(s)
    return F.smooth_l1_loss(e / e[e > 0].mean(), d)


def rkd_angle(s, t):
    def angle(x):
        n = F.normalize(x.unsqueeze(0) - x.unsqueeze(1), p=2, dim=2)
        return torch.bmm(n, n.transpose(1, 2)).view(-1)

    with torch.no_grad():
        wanted = angle(t)
    return F.smooth_l1_loss(angle(s), wanted)


def similarity(s, t):
    g = lambda x: F.normalize(x.flatten(1) @ x.flatten(1).t())
    return (g(t) - g(s)).pow(2).sum() / len(s) ** 2


def info_nce(s, t, temperature, negatives=None):
    keys = t if negatives is None else torch.cat([t, negatives])
    logits = F.normalize(s) @ F.normalize(keys).t() / temperature
    return F.cross_entropy(logits, torch.arange(len(s)))


def crd(s, t, temperature, samples):
    e = torch.exp(F.normalize(s) @ F.normalize(t).t() / temperature)
    n = len(s) - 1
    h = e / (e + n / samples)
    own = torch.eye(len(s), dtype=torch.bool)
    return (-torch.log(h[own]).sum() - torch.log(1 - h[~own]).sum()) / len(s)


def hinton(s, t, temperature):
    return F.kl_div((s / temperature).log_softmax(1), (t / temperature).softmax(1), reduction="batchmean") * temperature ** 2


def mixture(s, t, beta):
    p, q = t.softmax(-1), s.softmax(-1)
    m = beta * p + (1 - beta) * q
    kl = lambda a, b: (a * (a / b).log()).sum(-1).mean()
    return beta * kl(p, m) + (1 - beta) * kl(q, m)


S, T, U = values((4, 5), 0.3), values((4, 5), 1.9), values((4, 5), 2.6)
MASK = torch.tensor([[1.0, 1, 1], [1, 1, 0]])
LABELS = torch.tensor([0, 3, 1, 4])
CASES = {
    "softTargets": (S, lambda s: hinton(s, T, 3.0)),
    "softTargets, two teachers by probabilities": (
        S,
        lambda s: F.kl_div((s / 2).log_softmax(1), 0.75 * (T / 2).softmax(1) + 0.25 * (U / 2).softmax(1), reduction="batchmean") * 4,
    ),
    "softTargets, two teachers by losses": (S, lambda s: 0.75 * hinton(s, T, 2.0) + 0.25 * hinton(s, U, 2.0)),
    "distillationLoss": (S, lambda s: 0.3 * F.cross_entropy(s, LABELS) + 0.7 * hinton(s, T, 4.0)),
    "divergence, reverse": (S, lambda s: F.kl_div(T.log_softmax(1), s.softmax(1), reduction="batchmean")),
    "divergence, Jensen-Shannon": (S, lambda s: mixture(s, T, 0.3)),
    "divergence, masked": (
        values((2, 3, 5), 0.1),
        lambda s: (F.kl_div(s.log_softmax(-1), values((2, 3, 5), 1.1).softmax(-1), reduction="none").sum(-1) * MASK).sum() / 5,
    ),
    "hiddenLoss": (S, lambda s: F.mse_loss(s, T)),
    "attentionTransfer": (values((2, 3, 4, 4), 0.2), lambda s: (at(s) - at(values((2, 5, 4, 4), 0.9))).pow(2).mean()),
    "relationTransfer": (values((2, 3, 8), 0.2), lambda s: relations(s, values((2, 3, 12), 0.9), 2)),
    "relationTransfer, masked": (values((2, 3, 8), 0.2), lambda s: relations(s, values((2, 3, 12), 0.9), 4, MASK)),
    "similarityPreserving": (values((4, 2, 3), 0.5), lambda s: similarity(s, values((4, 7), 1.3))),
    "relationalDistances": (S, lambda s: rkd_distance(s, values((4, 7), 1.3))),
    "relationalAngles": (S, lambda s: rkd_angle(s, values((4, 7), 1.3))),
    "contrastive": (S, lambda s: info_nce(s, T, 0.5)),
    "contrastive, with negatives": (S, lambda s: info_nce(s, T, 0.5, values((3, 5), 3.1))),
    "contrastiveRepresentation": (S, lambda s: crd(s, T, 0.5, 100)),
}

found = {}
for name, (start, loss) in CASES.items():
    s = start.clone().requires_grad_()
    value = loss(s)
    value.backward()
    found[name] = {"loss": value.item(), "gradient": s.grad.flatten().tolist()}
print(json.dumps(found, indent=1))
