"""Answers for conformance/torch.ts: trajectories of PyTorch or optax in f64; one JSON request per line, one JSON answer."""
import json
import math
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = None
try:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    import optax
except ImportError:
    optax = None


def stepwise(start, data):
    """The gradient c p + d of one step, for numpy-like parameters."""
    return [c * p + d for p, (c, d) in zip(start, data)]


def torch_optimizer(request):
    def tensor(values, shape):
        return torch.tensor(values, dtype=torch.float64).reshape(shape)

    shapes = request["shapes"]
    p = [torch.nn.Parameter(tensor(v, s)) for v, s in zip(request["start"], shapes)]
    o = eval(request["call"], {"torch": torch, "p": p})
    path = []
    for step in request["data"]:
        coefficients = [(tensor(c, s), tensor(d, s)) for (c, d), s in zip(step, shapes)]
        with torch.no_grad():
            for parameter, gradient in zip(p, stepwise([x.detach() for x in p], coefficients)):
                parameter.grad = gradient
        if request["clip"] is not None:
            torch.nn.utils.clip_grad_norm_(p, request["clip"])
        o.step()
        path.append([x.detach().flatten().tolist() for x in p])
    return path


def adafactor(lr=None, momentum=None, weight_decay=None, threshold=1.0, scale=True, smallest=2):
    """optax.adafactor, whose decay rate is f32 whatever the parameters are, with that rate in f64."""
    decay = lambda i, exponent: 1.0 - (jnp.asarray(i, jnp.float64) + 1) ** (-exponent)
    parts = [
        optax._src.factorized.scale_by_factored_rms(
            True, 0.8, 0, smallest, 1e-30, decay_rate_fn=decay
        )
    ]
    if threshold is not None:
        parts.append(optax.clip_by_block_rms(threshold))
    if lr is not None:
        parts.append(optax.scale_by_learning_rate(lr, flip_sign=False))
    if scale:
        parts.append(optax.scale_by_param_block_rms())
    if momentum is not None:
        parts.append(optax.ema(momentum, debias=False, accumulator_dtype=jnp.float64))
    if weight_decay is not None:
        parts.append(optax.add_decayed_weights(weight_decay))
    parts.append(optax.scale(-1))
    return optax.chain(*parts)


def rows(parameters):
    """Matrices [out, in], as PyTorch's and ours; None where a tensor is no matrix."""
    numbers = optax.contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=0)
    return [numbers if getattr(x, "ndim", 0) == 2 else None for x in parameters]


def muon(lr):
    """optax.contrib.muon for matrices, looking ahead, and AdamW for the rest, which there would look ahead too."""
    parts = {
        "muon": optax.contrib.muon(lr, muon_weight_dimension_numbers=rows),
        "adam": optax.adamw(lr, weight_decay=0),
    }
    return optax.partition(parts, lambda p: ["muon" if x.ndim == 2 else "adam" for x in p])


def optax_optimizer(request):
    shapes = request["shapes"]

    def tensor(values, shape):
        return jnp.asarray(values, jnp.float64).reshape(shape)

    p = [tensor(v, s) for v, s in zip(request["start"], shapes)]
    scope = {"optax": optax, "jnp": jnp, "adafactor": adafactor, "rows": rows, "muon": muon}
    o = eval(request["call"], scope)
    if request["clip"] is not None:
        o = optax.chain(optax.clip_by_global_norm(request["clip"]), o)
    state = o.init(p)

    @jax.jit
    def advance(p, state, coefficients):
        updates, state = o.update(stepwise(p, coefficients), state, p)
        return optax.apply_updates(p, updates), state

    path = []
    for step in request["data"]:
        p, state = advance(p, state, [(tensor(c, s), tensor(d, s)) for (c, d), s in zip(step, shapes)])
        path.append([x.flatten().tolist() for x in p])
    return path


def torch_schedule(request):
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    o = torch.optim.SGD([p], lr=request["base"])
    scope = {"torch": torch, "o": o, "S": torch.optim.lr_scheduler, "math": math}
    schedule = eval(request["call"], scope)
    rates = []
    for metric in request.get("metrics") or range(request["steps"]):
        if request.get("metrics"):
            schedule.step(metric)
            rates.append(o.param_groups[0]["lr"])
        else:
            rates.append(o.param_groups[0]["lr"])
            o.step()
            schedule.step()
    return rates


def optax_schedule(request):
    schedule = eval(request["call"], {"optax": optax, "jnp": jnp})
    return [float(schedule(jnp.asarray(i, jnp.float64))) for i in range(request["steps"])]


def torch_initialiser(request):
    """What the call gives to the generator: [bound, bound] of a uniform or [mean, std] of a normal distribution."""
    found = []

    class Recorder(torch.Tensor):
        def uniform_(self, low=0.0, high=1.0, generator=None):
            found.append([low, high])
            return self

        def normal_(self, mean=0.0, std=1.0, generator=None):
            found.append([mean, std])
            return self

    t = torch.empty(request["shape"], dtype=torch.float64).as_subclass(Recorder)
    eval(request["call"], {"torch": torch, "init": torch.nn.init, "t": t, "math": math})
    return found[0]


def torch_loss(request):
    def tensor(value):
        dtype = torch.int64 if value["integers"] else torch.float64
        return torch.tensor(value["values"], dtype=dtype).reshape(value["shape"])

    x = tensor(request["input"]).requires_grad_()
    t = tensor(request["target"])
    loss = eval(request["call"], {"torch": torch, "F": F, "x": x, "t": t})
    loss.sum().backward()
    return [loss.detach().flatten().tolist(), x.grad.flatten().tolist()]


def torch_lbfgs(request):
    """Rosenbrock's function of several variables, or a logistic regression; the parameters after each step."""
    p = [torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in request["start"]]
    o = eval(request["call"], {"torch": torch, "p": p})
    data = {k: torch.tensor(v, dtype=torch.float64) for k, v in request["data"].items()}

    def loss():
        o.zero_grad()
        value = eval(request["loss"], {"torch": torch, "F": F, "p": p, **data})
        value.backward()
        return value

    path = []
    for _ in range(request["steps"]):
        o.step(loss)
        path.append([x.detach().flatten().tolist() for x in p])
    return path


def torch_search(request):
    """PyTorch's line search along one variable, from each of the first trials."""

    def objective(x, t, d):
        scope = {"math": math, "t": float(t)}
        return eval(request["call"], scope), torch.tensor([eval(request["slope"], scope)], dtype=torch.float64)

    path = []
    for trial in request["trials"]:
        d = torch.ones(1, dtype=torch.float64)
        f, g = objective(None, 0, d)
        loss, _, t, evaluations = sys.modules["torch.optim.lbfgs"]._strong_wolfe(objective, None, trial, d, f, g, g.dot(d))
        path.append([float(t), float(loss), evaluations])
    return path


def torch_average(request):
    """torch.optim.swa_utils.AveragedModel over a walk of one parameter."""
    walk = request["walk"]
    model = torch.nn.Module()
    model.p = torch.nn.Parameter(torch.tensor(walk[0], dtype=torch.float64))
    decay = request["decay"]
    average = torch.optim.swa_utils.AveragedModel(model, avg_fn=lambda a, p, n: decay * a + (1 - decay) * p)
    path = []
    for values in walk:
        with torch.no_grad():
            model.p.copy_(torch.tensor(values, dtype=torch.float64))
        average.update_parameters(model)
        path.append(average.module.p.detach().tolist())
    return path


ANSWERS = {
    f"{peer} {kind}": globals()[f"{peer}_{kind}"]
    for peer, kind in [
        ("torch", "optimizer"),
        ("optax", "optimizer"),
        ("torch", "schedule"),
        ("optax", "schedule"),
        ("torch", "initialiser"),
        ("torch", "loss"),
        ("torch", "lbfgs"),
        ("torch", "search"),
        ("torch", "average"),
    ]
}

versions = {"torch": torch and torch.__version__, "optax": optax and optax.__version__}
print(json.dumps(versions), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(ANSWERS[f"{request['peer']} {request['kind']}"](request)), flush=True)
