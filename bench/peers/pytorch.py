"""PyTorch as a contestant of the benchmark (bench/protocol.ts): eager, fused AdamW, and DropBP's detach layer where units are dropped.

DropBP's layer detaches the output of a dropped branch just before the residual add. A step that drops nothing is plain PyTorch.
It needs torch and numpy. Its arguments are the path of spec.json and the folder of the data.
"""

import json
import platform
import sys
import time
import weakref

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SPEC = json.load(open(sys.argv[1]))
DATA = sys.argv[2]
LORA_ALPHA = 16
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def wait():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


class Linear(nn.Module):
    """A linear layer. Where rank is not 0 it has a low-rank adapter, whose matrix B starts at zero."""

    def __init__(self, weight, rank):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=rank == 0)
        self.rank = rank
        if rank > 0:
            outputs, inputs = weight.shape
            self.a = nn.Parameter(torch.empty(rank, inputs, device=DEVICE))
            nn.init.kaiming_uniform_(self.a, a=5**0.5)
            self.b = nn.Parameter(torch.zeros(outputs, rank, device=DEVICE))

    def forward(self, x):
        y = F.linear(x, self.weight)
        return y if self.rank == 0 else y + F.linear(F.linear(x, self.a), self.b) * (LORA_ALPHA / self.rank)


class Attention(nn.Module):
    def __init__(self, weights, spec, rank):
        super().__init__()
        self.heads = spec["heads"]
        self.norm = nn.Parameter(weights["norm1"], requires_grad=rank == 0)
        self.q, self.k, self.v, self.o = (Linear(weights[name], rank) for name in ("wq", "wk", "wv", "wo"))

    def forward(self, x, cos, sin):
        batch, seq, dim = x.shape
        h = F.rms_norm(x, (dim,), self.norm, SPEC["normEps"])
        q, k, v = (layer(h).view(batch, seq, self.heads, -1).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(batch, seq, dim))


class Mlp(nn.Module):
    def __init__(self, weights, rank):
        super().__init__()
        self.norm = nn.Parameter(weights["norm2"], requires_grad=rank == 0)
        self.gate, self.up, self.down = (Linear(weights[name], rank) for name in ("w1", "w3", "w2"))

    def forward(self, x, _cos, _sin):
        h = F.rms_norm(x, (x.shape[-1],), self.norm, SPEC["normEps"])
        return self.down(F.silu(self.gate(h)) * self.up(h))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Llama(nn.Module):
    def __init__(self, name, rank):
        super().__init__()
        spec = SPEC["models"][name]
        flat = torch.from_numpy(np.fromfile(f"{DATA}/{name}.weights.bin", np.float32)).to(DEVICE)
        weights = {}
        for entry in json.load(open(f"{DATA}/{name}.manifest.json")):
            size = int(np.prod(entry["shape"]))
            w = flat[entry["offset"] : entry["offset"] + size].view(entry["shape"])
            # linear weights are stored [in, out]
            weights[entry["name"]] = (w if w.ndim == 1 or entry["name"] == "embed" else w.t()).clone(memory_format=torch.contiguous_format)
        layer = lambda i: {part: weights[f"l{i}.{part}"] for part in ("norm1", "wq", "wk", "wv", "wo", "norm2", "w1", "w3", "w2")}
        full = rank == 0
        self.embed = nn.Parameter(weights["embed"], requires_grad=full)
        self.units = nn.ModuleDict()
        for i in range(spec["layers"]):
            self.units[f"layers/{i}/attn"] = Attention(layer(i), spec, rank)
            self.units[f"layers/{i}/mlp"] = Mlp(layer(i), rank)
        self.norm = nn.Parameter(weights["norm"], requires_grad=full)
        self.head = nn.Parameter(weights["head"], requires_grad=full)
        half = spec["dim"] // spec["heads"] // 2
        angles = torch.arange(spec["seq"])[:, None] * SPEC["ropeTheta"] ** (-torch.arange(half) / half)
        self.cos, self.sin = (torch.cat((f(angles),) * 2, -1).to(DEVICE) for f in (torch.cos, torch.sin))

    def forward(self, tokens, targets, drop):
        x = F.embedding(tokens, self.embed)
        for name, unit in self.units.items():
            branch = unit(x, self.cos, self.sin)
            x = x + (branch.detach() if name.replace("/", ".") in drop else branch)
        h = F.rms_norm(x, (x.shape[-1],), self.norm, SPEC["normEps"])
        return F.cross_entropy(F.linear(h, self.head).flatten(0, 1), targets.flatten())


class Held:
    """A tensor that autograd keeps for the backward."""

    def __init__(self, tensor):
        self.tensor = tensor


class Contestant:
    def __init__(self):
        self.model = None
        self.wanted = None
        self.operands = {}

    def open(self, _request):
        device = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        return {"library": f"PyTorch {torch.__version__}, Python {platform.python_version()}", "device": device}

    def load(self, request):
        self.model, self.wanted = None, request
        return {}

    def start(self):
        name, a = self.wanted["model"], SPEC["adamw"]
        torch.manual_seed(1)
        self.model = Llama(name, self.wanted["lora"])
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            trained, lr=a["lr"], betas=(a["beta1"], a["beta2"]), eps=a["eps"], weight_decay=a["weightDecay"], fused=True
        )
        all_tokens = np.fromfile(f"{DATA}/{name}.tokens.bin", np.int32).reshape(-1, SPEC["models"][name]["seq"] + 1)
        tokens = torch.from_numpy(all_tokens.astype(np.int64)).to(DEVICE)
        self.tokens, self.targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def step(self, request):
        drop = set(request["drop"])
        started = time.perf_counter()
        if self.model is None:
            self.start()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model(self.tokens, self.targets, drop)
        # where only adapters are trained and everything is dropped, there is nothing to differentiate
        if loss.requires_grad:
            loss.backward()
        self.optimizer.step()
        value = loss.item()
        wait()
        reply = {"ms": (time.perf_counter() - started) * 1000, "loss": value}
        return {**reply, "savedBytes": self.saved_bytes(drop)} if request["saved"] else reply

    first = step

    def saved_bytes(self, drop):
        """Bytes that a forward keeps for its backward, without parameters."""
        parameters = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        kept = weakref.WeakSet()

        def pack(tensor):
            # the tensor is detached, because an output that its own node keeps would never be freed
            held = Held(tensor.detach())
            kept.add(held)
            return held

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
            loss = self.model(self.tokens, self.targets, drop)
        # the tensors of a detached branch are freed by now
        storages = {held.tensor.untyped_storage().data_ptr(): held.tensor.untyped_storage().nbytes() for held in kept}
        del loss
        return sum(size for address, size in storages.items() if address not in parameters)

    def matmul(self, request):
        m, n, k = request["m"], request["n"], request["k"]
        if (m, n, k) not in self.operands:
            a = torch.from_numpy(np.fromfile(request["a"], np.float32).reshape(m, k)).to(DEVICE)
            b = torch.from_numpy(np.fromfile(request["b"], np.float32).reshape(k, n)).to(DEVICE)
            self.operands[m, n, k] = (a, b, torch.empty(m, n, device=DEVICE))
        a, b, c = self.operands[m, n, k]
        wait()
        started = time.perf_counter()
        for _ in range(request["times"]):
            torch.matmul(a, b, out=c)
        wait()
        ms = (time.perf_counter() - started) * 1000 / request["times"]
        if request["c"] is not None:
            c.cpu().numpy().tofile(request["c"])
        return {"ms": ms}


def main():
    contestant = Contestant()
    replies, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(contestant, request["do"])(request)
        except Exception as error:  # the benchmark is told, and goes on without this contestant
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


main()
