"""The JAX side of the peer benchmark: the same models as bench/models.ts, jitted, driven over a pipe.

Reads one JSON request per line and answers with one JSON line:
  {"load": folder}            loads model.json and the arrays beside it, compiles -> {"tempBytes", "compileMs"}
  {"steps": n}                runs n training steps -> {"ms", "loss"}
  {"losses": n}               from the initial weights, the loss of each of n steps -> {"losses"}
"""

import json
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


def linear(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias


def cross_entropy(logits, targets):
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], axis=1)
    return -jnp.mean(picked)


def mlp(p, x, _):
    for name in ("0", "2"):
        x = jax.nn.relu(linear(x, p[f"{name}.weight"], p[f"{name}.bias"]))
    return linear(x, p["4.weight"], p["4.bias"])


def cnn(p, x, _):
    for name in ("0", "3"):
        x = jax.lax.conv_general_dilated(
            x, p[f"{name}.weight"], (1, 1), ((1, 1), (1, 1)), dimension_numbers=("NCHW", "OIHW", "NCHW")
        )
        x = jax.nn.relu(x + p[f"{name}.bias"][None, :, None, None])
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    x = x.reshape(x.shape[0], -1)
    x = jax.nn.relu(linear(x, p["7.weight"], p["7.bias"]))
    return linear(x, p["9.weight"], p["9.bias"])


def layer_norm(x, weight, bias):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * weight + bias


def gpt(p, tokens, shape):
    heads = shape["heads"]
    batch, length = tokens.shape
    x = p["tokenEmbedding.weight"][tokens] + p["positionEmbedding.weight"][:length]
    width = x.shape[-1]
    mask = jnp.tril(jnp.ones((length, length), bool))
    for i in range(shape["layers"]):
        q = partial("blocks.{}.{}".format, i)
        h = layer_norm(x, p[q("norm1.weight")], p[q("norm1.bias")])
        qkv = linear(h, p[q("attention.qkv.weight")], p[q("attention.qkv.bias")])
        parts = qkv.reshape(batch, length, 3, heads, width // heads)
        query, key, value = (parts[:, :, k].transpose(0, 2, 1, 3) for k in range(3))
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(width // heads)
        weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1)
        mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(batch, length, width)
        x = x + linear(mixed, p[q("attention.projection.weight")], p[q("attention.projection.bias")])
        h = layer_norm(x, p[q("norm2.weight")], p[q("norm2.bias")])
        h = jax.nn.gelu(linear(h, p[q("expand.weight")], p[q("expand.bias")]), approximate=True)
        x = x + linear(h, p[q("contract.weight")], p[q("contract.bias")])
    x = layer_norm(x, p["norm.weight"], p["norm.bias"])
    logits = linear(x, p["head.weight"])
    return logits.reshape(-1, logits.shape[-1])


MODELS = {"mlp": mlp, "cnn": cnn, "gpt": gpt}


def make_step(model, optimizer):
    forward = MODELS[model["model"]]

    def loss_of(params, x, y):
        return cross_entropy(forward(params, x, model), y.reshape(-1))

    def sgd(params, state, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        return {k: params[k] - optimizer["lr"] * grads[k] for k in params}, state, loss

    def adamw(params, state, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        b1, b2 = optimizer["beta1"], optimizer["beta2"]
        m, v, count = state
        count = count + 1
        m = {k: b1 * m[k] + (1 - b1) * grads[k] for k in params}
        v = {k: b2 * v[k] + (1 - b2) * grads[k] ** 2 for k in params}
        c1, c2 = 1 - b1**count, 1 - b2**count
        new = {
            k: params[k] * (1 - optimizer["lr"] * optimizer["weightDecay"])
            - optimizer["lr"] * (m[k] / c1) / (jnp.sqrt(v[k] / c2) + optimizer["eps"])
            for k in params
        }
        return new, (m, v, count), loss

    return jax.jit(sgd if optimizer["name"] == "sgd" else adamw, donate_argnums=(0, 1))


class Session:
    def load(self, folder):
        with open(f"{folder}/model.json") as file:
            model = json.load(file)
        read = lambda entry: np.fromfile(f"{folder}/{entry['file']}", entry["dtype"]).reshape(entry["shape"])
        self.initial = {name: read(entry) for name, entry in model["parameters"].items()}
        self.x, self.y = (jnp.asarray(read(model[k])) for k in ("x", "y"))
        self.step = make_step(model, model["optimizer"])
        self.reset()
        start = time.perf_counter()
        compiled = self.step.lower(self.params, self.state, self.x, self.y).compile()
        compile_ms = (time.perf_counter() - start) * 1e3
        self.run(1)
        self.reset()
        return {"tempBytes": compiled.memory_analysis().temp_size_in_bytes, "compileMs": compile_ms}

    def reset(self):
        self.params = {k: jnp.array(v) for k, v in self.initial.items()}
        zeros = lambda: {k: jnp.zeros_like(v) for k, v in self.initial.items()}
        self.state = (zeros(), zeros(), jnp.zeros((), jnp.int32))

    def run(self, n):
        start = time.perf_counter()
        for _ in range(n):
            self.params, self.state, loss = self.step(self.params, self.state, self.x, self.y)
        loss = float(loss)
        jax.block_until_ready(self.params)
        return {"ms": (time.perf_counter() - start) * 1e3, "loss": loss}

    def losses(self, n):
        self.reset()
        return {"losses": [self.run(1)["loss"] for _ in range(n)]}


def main():
    session = Session()
    for line in sys.stdin:
        request = json.loads(line)
        if "load" in request:
            answer = session.load(request["load"])
        elif "steps" in request:
            answer = session.run(request["steps"])
        else:
            answer = session.losses(request["losses"])
        print(json.dumps(answer), flush=True)


main()
