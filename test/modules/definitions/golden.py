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


def convolution(r, name, x, kernel=3):
    around = (kernel - 1) // 2
    _, height, width, _ = x.shape
    padded = F.pad(x, (0, 0, around, around, around, around))
    return r.linear(name, torch.cat([padded[:, i // kernel : i // kernel + height, i % kernel : i % kernel + width] for i in range(kernel * kernel)], 3))


def group_norm(r, name, x, groups):
    return F.group_norm(x.permute(0, 3, 1, 2), groups, r(f"{name}.weight"), r(f"{name}.bias"), 1e-5).permute(0, 2, 3, 1)


def triplets(r, anchor, near, far, label):
    ul = lambda x: x / torch.sqrt((x * x).sum(1, keepdim=True) + 1e-6)
    enc = lambda n, x: ul(r.unit(n, x * r("gain") + r("shift"), lambda y: torch.tanh(y * r("mix") + r("bias")) * r("strength")))
    a, p, n = enc("a", anchor), enc("p", near), enc("n", far)
    t = torch.maximum(((a - p) ** 2).sum(1, keepdim=True) - ((a - n) ** 2).sum(1, keepdim=True) + r("margin"), torch.tensor(0.)).mean()
    lo = r.linear("classes", a); pr = torch.softmax(lo, -1)
    hard = (pr * r("onehot")[label]).sum(1, keepdim=True)
    focal = ((1 - hard) ** 2 * -torch.log(hard * hard + 0.01)).mean()
    smooth = (torch.log(pr + 1e-6) * -0.25).mean()
    return [t + focal * torch.exp(-0.5 * t) + 0.1 * smooth + 0.5 * F.cross_entropy(lo, label.long()), t, hard, a[:, 2:6].reshape(4, 8)]


def attn(q, k, v, scale, sq, sk, window=None, cap=None):
    B, T, H, D = q.shape; S = k.shape[1]
    k = k.repeat_interleave(H // k.shape[2], 2); v = v.repeat_interleave(H // v.shape[2], 2)
    s = torch.einsum("bthd,bshd->bhts", q, k) * scale
    if cap: s = cap * torch.tanh(s / cap)
    vis = (sq[:, None, :, None] == sk[:, None, None, :]) & (sq[:, None, :, None] != 0)
    if window: vis = vis & ((torch.arange(T)[:, None] - torch.arange(S)[None]) < window)
    s = s.masked_fill(~vis, -1e30)
    w = torch.softmax(s, -1) * vis
    return torch.einsum("bhts,bshd->bthd", w, v)


def cross_attention(r, x, memory, seg, mseg):
    norm = lambda y: F.layer_norm(y, (8,), r("norm.w"), r("norm.b"), 1e-5)
    m = r.linear("memory", norm(memory)); gates = []; y = r.linear("in", x); B, T, _ = x.shape
    for i in range(2):
        def sf(h):
            z = norm(h); p = lambda n, hd: r.linear(f"self.{i}.{n}", z).reshape(B, T, hd, 4)
            return r.linear(f"self.{i}.o", attn(p("q", 2), p("k", 1), p("v", 1), 0.5, seg, seg, 2, 3.).reshape(B, T, 8))
        y = r.unit(f"self.{i}", y, sf)
        def cf(h):
            S = m.shape[1]
            o = attn(r.linear(f"cross.{i}.q", norm(h)).reshape(B, T, 2, 4), r.linear(f"cross.{i}.k", m).reshape(B, S, 2, 4), r.linear(f"cross.{i}.v", m).reshape(B, S, 2, 4), 0.4, seg, mseg).reshape(B, T, 8)
            e = gates[i - 1] if i > 0 else None
            gates.append(torch.sigmoid(o.mean()))
            return o * e if e is not None else o
        y = r.unit(f"cross.{i}", y, cf)
    st = torch.softmax(r.linear("head", y), -1)
    te = torch.softmax(r.linear("head.ema", norm(y)), -1).detach()
    kl = (te * (torch.log(te + 1e-6) - torch.log(st + 1e-6))).sum(2).mean()
    spread = torch.exp(0.2 * y.mean(1, keepdim=True)).mean()
    return [kl + spread * gates[0], gates[1], st]


def s2d(x):
    B, H, W, C = x.shape
    return x.reshape(B, H // 2, 2, W // 2, 2, C).permute(0, 1, 3, 2, 4, 5).reshape(B, H // 2, W // 2, 4 * C)


def pictures(r, image, wanted):
    def block(n, x, e): return r.unit(n, x, lambda y: convolution(r, n + ".c", F.silu(group_norm(r, n + ".n", y, 2))) * e)
    fine = convolution(r, "enter", image); energy = (fine * fine).mean()
    left = block("left", fine, energy)
    low = r.linear("down", s2d(left)); level = torch.tanh(low.mean())
    mid = block("middle", low, level)
    upm = mid.repeat_interleave(2, 1).repeat_interleave(2, 2)
    up = r.linear("up", torch.cat([upm, left, fine * level], 3))
    out = block("out", up, energy * r("s"))
    made = convolution(r, "made", out, 1); e = (made - wanted).abs(); c = torch.minimum(e, torch.tensor(1.))
    huber = (c * e - 0.5 * c * c).mean()
    return [huber + ((convolution(r, "aux", left, 1) - wanted) ** 2).mean() * level + 0.01 * energy]


def experts(r, ids, next, kind):
    table = torch.tanh(r("base") @ r("widen"))
    x = F.embedding(ids, table, padding_idx=3) + r("kinds")[kind].reshape(-1, 1, 8)
    carry = (x * x).mean(); ent = []
    for i in range(3):
        st = {}
        def f(y):
            z = y / torch.sqrt((y * y).mean(-1, keepdim=True) + 1e-6) * r(f"moe.{i}.n")
            sc = torch.softmax(r.linear(f"moe.{i}.r", z), -1); left = (sc * r(f"moe.{i}.pick")).sum(2, keepdim=True)
            a = F.gelu(r.linear(f"moe.{i}.a", z)); b = r.linear(f"moe.{i}.b", z)
            ent.append((sc.mean((0, 1)) ** 2).mean()); st["c"] = carry * 0.5 + left.mean()
            return torch.where(left < carry, a, b) * left
        x = r.unit(f"moe.{i}", x, f); carry = st["c"]
    return [F.cross_entropy((x @ table.T).flatten(0, 1), next.long().flatten()) + sum(ent) * carry + 0.3 * (x.mean(1) ** 2).mean()]


def ranking(r, x, order):
    h = torch.cat([r.linear("a", x[:, :4]), r.linear("b", x[:, 4:])], 1)
    h = r.unit("one", h, lambda y: torch.relu(y * r("w")))
    peak = h.amax(1, keepdim=True)
    h = r.unit("two", h, lambda y: torch.tanh(y * r("w")) * peak)
    norm = torch.sqrt((h.reshape(12, 4) ** 2).mean())
    h = r.unit("three", h, lambda y: r.linear("three", y) / norm)
    s = r.unit("scalar", h.mean(), lambda y: torch.tanh(y * r("p")) * norm)
    sc = r.linear("score", h); d = sc - sc.reshape(1, 6)
    rank = F.softplus(-d * order).mean(); lse = torch.logsumexp(sc, (0, 1))
    return [rank + lse * s + sc.abs().mean() * norm, rank, s, norm]


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
    "triplets": (
        triplets,
        shapes({n: (6,) for n in ("gain", "shift", "mix", "bias")}, {"strength": (), "margin": (1,), "onehot": (4, 4)}, linear("classes", 6, 4, True)),
        lambda: {"anchor": torch.randn(8, 6), "near": torch.randn(8, 6), "far": torch.randn(8, 6), "label": ids(8, most=4)},
    ),
    "cross-attention": (
        cross_attention,
        shapes({"norm.w": (8,), "norm.b": (8,)}, *(linear(n, 8, 8) for n in ("memory", "in")), linear("head", 8, 6), linear("head.ema", 8, 6), *chain.from_iterable(
            (linear(f"self.{i}.q", 8, 8), linear(f"self.{i}.k", 8, 4), linear(f"self.{i}.v", 8, 4), linear(f"self.{i}.o", 8, 8),
             *(linear(f"cross.{i}.{n}", 8, 8) for n in "qkv")) for i in range(2))),
        lambda: {
            "x": torch.randn(2, 5, 8), "memory": torch.randn(2, 7, 8),
            "seg": torch.tensor([[1, 1, 2, 2, 0], [1, 1, 1, 1, 1]], dtype=torch.int32),
            "mseg": torch.tensor([[1, 1, 1, 2, 2, 0, 0], [1, 1, 1, 1, 1, 1, 0]], dtype=torch.int32),
        },
    ),
    "pictures": (
        pictures,
        shapes(linear("enter", 18, 4, True), linear("down", 16, 6, True), linear("up", 14, 4), linear("made", 4, 2, True), linear("aux", 4, 2, True), {"s": ()},
               *chain.from_iterable(({f"{n}.n.weight": (c,), f"{n}.n.bias": (c,)}, linear(f"{n}.c", 9 * c, c, True)) for n, c in (("left", 4), ("middle", 6), ("out", 4)))),
        lambda: {"image": torch.randn(3, 4, 4, 2), "wanted": 2 * torch.randn(3, 4, 4, 2)},
    ),
    "experts": (
        experts,
        shapes({"base": (9, 4), "widen": (4, 8), "kinds": (5, 8)}, *chain.from_iterable(
            ({f"moe.{i}.n": (8,), f"moe.{i}.pick": (2,)}, linear(f"moe.{i}.r", 8, 2), linear(f"moe.{i}.a", 8, 8), linear(f"moe.{i}.b", 8, 8, True)) for i in range(3))),
        lambda: {"ids": torch.tensor([[3, 1, 3, 8], [0, 3, 2, 7], [5, 5, 4, 3]], dtype=torch.int32), "next": ids(3, 4, most=9), "kind": ids(3, most=5)},
    ),
    "ranking": (
        ranking,
        shapes(linear("a", 4, 3), linear("b", 8, 5, True), {"w": (8,), "p": ()}, linear("three", 8, 8), linear("score", 8, 1)),
        lambda: {"x": torch.randn(6, 12), "order": torch.sign(torch.randn(6, 6))},
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
