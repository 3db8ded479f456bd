"""Weights, batches and gradients of the definitions beside this file, by PyTorch: `python golden.py` writes golden/ anew.

A dropped unit's branch runs without gradient, and so does whatever else it hands out.
"""

import json
from itertools import chain
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = Path(__file__).parent / "golden"
IGNORED = -100


class Run:
    """One forward: parameters by name, units that are dropped."""

    def __init__(self, params, dropped):
        self.params, self.dropped, self.units = params, dropped, []

    def __call__(self, name):
        return self.params[name]

    def linear(self, name, x):
        y = x @ self(f"{name}.weight").T
        return y + self(f"{name}.bias") if f"{name}.bias" in self.params else y

    def unit(self, site, x, branch):
        self.units.append(site)
        if site in self.dropped:
            with torch.no_grad():
                y = branch(x)
            return x + y
        return x + branch(x)


def cross_entropy(logits, targets):
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED)


def rms_norm(x, weight, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def aux_before_units(r, tokens, targets):
    h = r("embed.weight")[tokens]
    aux = (h * h).mean()
    x = h
    for i in range(2):
        x = r.unit(f"layers.{i}", x, lambda y: r.linear(f"layers.{i}.down", torch.tanh(r.linear(f"layers.{i}.up", rms_norm(y, r(f"layers.{i}.norm"), 1e-5)))))
    return [cross_entropy(r.linear("head", x), targets) + 0.03 * aux]


def aux_between_units(r, x, target):
    h = r.linear("in", x)
    a = r.unit("layers.0", h, lambda y: torch.tanh(r.linear("layers.0.w", y)))
    size = (a * a).mean()
    b = r.unit("layers.1", a, lambda y: torch.tanh(r.linear("layers.1.w", y)) * size)
    spread = b.abs().mean()
    c = r.unit("layers.2", b, lambda y: torch.tanh(r.linear("layers.2.w", y)))
    return [F.mse_loss(c, target) + 0.2 * size + spread * (0.5 * size)]


def several_losses(r, tokens, targets, value):
    s = [r("s.0"), r("s.1")]
    x = r("embed")[tokens]
    for i in range(2):
        x = r.unit(f"layers.{i}", x, lambda y: r.linear(f"layers.{i}.down", torch.relu(r.linear(f"layers.{i}.up", y))))
    words = cross_entropy(r.linear("words", x), targets)
    rmse = torch.sqrt(F.mse_loss(r.linear("values", x), value))
    return [torch.exp(-s[0]) * words + s[0] + torch.exp(-s[1]) * rmse + s[1]]


def scaled_loss(r, x, target):
    h = torch.tanh(r.linear("in", x))
    certainty = torch.exp(-(h * h).mean())
    y = r.unit("layers.0", h, lambda z: torch.tanh(r.linear("layers.0.w", z)))
    plain = F.mse_loss(y, target)
    return [torch.sqrt(plain * certainty + 0.01), plain, y]


def many_readers(r, x, target):
    memory = torch.tanh(r.linear("memory", x))
    flat = memory.reshape(-1, 8)
    gate = torch.sigmoid(memory.mean())
    y = r.linear("in", flat)
    for i in range(3):
        y = r.unit(f"layers.{i}", y, lambda z: torch.tanh(r.linear(f"layers.{i}.w", z * gate if i == 1 else z + flat)))
    return [F.mse_loss(y * flat, target) + 0.1 * (memory * memory).mean()]


def ties(r, tokens, targets):
    table = r("table")

    def shared(y):
        return F.gelu(y @ r("shared"))

    x = table[tokens] + 0.5 * (table * r("scale"))[tokens]
    x = r.unit("layers.0", x, shared)
    x = x + r("bias.0") + r("bias.1")
    x = r.unit("layers.1", x, shared)
    x = x + 0.1 * shared(x)
    return [cross_entropy(x @ table.T, targets)]


def load_balance(r, tokens, targets):
    losses = []

    def experts(name, x):
        shares = torch.softmax(r.linear(f"{name}.router", x), -1)
        load = shares.mean((0, 1))
        losses.append((load * load).sum())
        return shares[..., :1] * torch.tanh(r.linear(f"{name}.a", x)) + shares[..., 1:] * r.linear(f"{name}.b", x)

    x = r("embed")[tokens]
    for i in range(4):
        x = r.unit(f"layers.{i}", x, lambda y: experts(f"layers.{i}", y))
    return [cross_entropy(r.linear("head", x), targets) + 0.05 * sum(losses)]


def temperature(r, left, right):
    scale = torch.exp(r("temperature"))
    a = r.unit("left.0", r.linear("left.in", left), lambda y: torch.tanh(r.linear("left.0.w", y)))
    b = r.unit("right.0", r.linear("right.in", right), lambda y: torch.tanh(r.linear("right.0.w", y)) * scale)
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T * scale
    return [F.cross_entropy(logits, torch.arange(4))]


def detached(r, x):
    query = r.unit("query", r("query"), lambda y: torch.tanh(y * r("query.w")))
    h = r.linear("in", x) * query
    target = r.unit("target", h, lambda y: r.linear("target.w", y)).detach()
    online = r.unit("online", h, lambda y: torch.relu(r.linear("online.w", y)))
    rest = torch.maximum(torch.relu(x * r("zero")), x * r("zero.too"))
    return [((online - target) ** 2).mean() + (rest + (0.1 * h).detach()).mean()]


def linear(name, inputs, outputs, bias=False):
    return {f"{name}.weight": (outputs, inputs), **({f"{name}.bias": (outputs,)} if bias else {})}


def shapes(*parts, **named):
    return {**{k: v for part in parts for k, v in part.items()}, **named}


def ids(*shape, most, ignored=0):
    made = torch.randint(0, most, shape)
    made.flatten()[:ignored] = IGNORED
    return made


# build, parameters' shapes, batch
DEFINITIONS = {
    "aux-before-units": (
        aux_before_units,
        shapes({"embed.weight": (11, 6)}, *chain.from_iterable(
            ({f"layers.{i}.norm": (6,)}, linear(f"layers.{i}.up", 6, 10, True), linear(f"layers.{i}.down", 10, 6)) for i in range(2)), linear("head", 6, 11)),
        lambda: {"tokens": ids(2, 5, most=11), "targets": ids(2, 5, most=11, ignored=3)},
    ),
    "aux-between-units": (
        aux_between_units,
        shapes(linear("in", 6, 6), linear("layers.0.w", 6, 6, True), linear("layers.1.w", 6, 6), linear("layers.2.w", 6, 6)),
        lambda: {"x": torch.randn(4, 6), "target": torch.randn(4, 6)},
    ),
    "several-losses": (
        several_losses,
        shapes({"s.0": (), "s.1": (), "embed": (9, 6)}, *chain.from_iterable((linear(f"layers.{i}.up", 6, 8), linear(f"layers.{i}.down", 8, 6)) for i in range(2)),
               linear("words", 6, 9), linear("values", 6, 1, True)),
        lambda: {"tokens": ids(2, 4, most=9), "targets": ids(2, 4, most=9, ignored=2), "value": torch.randn(2, 4, 1)},
    ),
    "scaled-loss": (
        scaled_loss,
        shapes(linear("in", 5, 5), linear("layers.0.w", 5, 5)),
        lambda: {"x": torch.randn(3, 5), "target": torch.randn(3, 5)},
    ),
    "many-readers": (
        many_readers,
        shapes(linear("memory", 4, 4), linear("in", 8, 8), *(linear(f"layers.{i}.w", 8, 8) for i in range(3))),
        lambda: {"x": torch.randn(3, 2, 4), "target": torch.randn(3, 8)},
    ),
    "ties": (
        ties,
        {"table": (10, 6), "scale": (6,), "shared": (6, 6), "bias.0": (6,), "bias.1": (6,)},
        lambda: {"tokens": ids(2, 4, most=10), "targets": ids(2, 4, most=10)},
    ),
    "load-balance": (
        load_balance,
        shapes({"embed": (9, 6)}, *chain.from_iterable((linear(f"layers.{i}.router", 6, 2), linear(f"layers.{i}.a", 6, 6), linear(f"layers.{i}.b", 6, 6)) for i in range(4)),
               linear("head", 6, 9)),
        lambda: {"tokens": ids(2, 4, most=9), "targets": ids(2, 4, most=9, ignored=1)},
    ),
    "temperature": (
        temperature,
        shapes({"temperature": ()}, linear("left.in", 6, 6), linear("left.0.w", 6, 6), linear("right.in", 5, 6), linear("right.0.w", 6, 6)),
        lambda: {"left": torch.randn(4, 6), "right": torch.randn(4, 5)},
    ),
    "detached": (
        detached,
        shapes({"query": (5,), "query.w": (5,)}, linear("in", 5, 5), linear("target.w", 5, 5), linear("online.w", 5, 5, True), {"zero": (5,), "zero.too": (5,)}),
        lambda: {"x": torch.randn(3, 5)},
    ),
}


def gradients(build, weights, batch, dropped):
    params = {name: w.detach().clone().requires_grad_(True) for name, w in weights.items()}
    run = Run(params, dropped)
    results = build(run, **batch)
    results[0].backward()
    return run.units, results, {name: p.grad for name, p in params.items()}


def main():
    for seed, (name, (build, parts, made)) in enumerate(DEFINITIONS.items()):
        torch.manual_seed(seed)
        weights = {n: 0.6 * torch.randn(shape) for n, shape in parts.items()}
        # both sides of a maximum, and zero itself, at once
        weights.update({n: torch.zeros(5) for n in weights if n.startswith("zero")})
        batch = made()
        units, results, _ = gradients(build, weights, batch, ())
        patterns = {"none": [], **{u: [u] for u in units}, "all": units}
        golden = {f"result.{i}": r.detach() for i, r in enumerate(results)}
        told = {}
        for pattern, dropped in patterns.items():
            _, results, grads = gradients(build, weights, batch, dropped)
            golden.update({f"grad.{pattern}.{n}": g for n, g in grads.items() if g is not None})
            told[pattern] = {"dropped": dropped, "loss": results[0].item(), "absent": [n for n, g in grads.items() if g is None]}
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        save_file({n: w.contiguous() for n, w in weights.items()}, folder / "weights.safetensors")
        save_file({n: (t.int() if t.dtype == torch.int64 else t).contiguous() for n, t in batch.items()}, folder / "batch.safetensors")
        save_file({n: t.contiguous() for n, t in golden.items()}, folder / "golden.safetensors")
        (folder / "golden.json").write_text(json.dumps({"torch": torch.__version__, "patterns": told}, indent=1) + "\n")


main()
