"""Makes the weights and tokens of the benchmark's models, which are the same bytes for every contestant. It needs numpy.

    python3 bench/data.py SPEC.json FOLDER NAME...

For each model NAME of the spec it writes into FOLDER:
  NAME/config.json, NAME/model.safetensors  a Hugging Face Llama checkpoint (linear weights [out, in])
  NAME.weights.bin, NAME.manifest.json      the same as plain f32, linear weights [in, out], offsets in elements
  NAME.tokens.bin                           int32 [batch, seq + 1]; inputs = [:, :-1], targets = [:, 1:]
"""

import json
import os
import sys

import numpy as np

LAYER = {
    "norm1": "input_layernorm", "wq": "self_attn.q_proj", "wk": "self_attn.k_proj", "wv": "self_attn.v_proj", "wo": "self_attn.o_proj",
    "norm2": "post_attention_layernorm", "w1": "mlp.gate_proj", "w3": "mlp.up_proj", "w2": "mlp.down_proj",
}
TRUNK = {"embed": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}


def hub_name(name):
    if name in TRUNK:
        return TRUNK[name] + ".weight"
    layer, part = name.split(".")
    return f"model.layers.{layer[1:]}.{LAYER[part]}.weight"


def shapes_of(c):
    v, d, f = c["vocab"], c["dim"], c["ffn"]
    shapes = [("embed", (v, d))]
    for l in range(c["layers"]):
        shapes += [(f"l{l}.norm1", (d,)), (f"l{l}.wq", (d, d)), (f"l{l}.wk", (d, d)), (f"l{l}.wv", (d, d)), (f"l{l}.wo", (d, d)),
                   (f"l{l}.norm2", (d,)), (f"l{l}.w1", (d, f)), (f"l{l}.w3", (d, f)), (f"l{l}.w2", (f, d))]
    return shapes + [("norm", (d,)), ("head", (d, v))]


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, a in tensors:
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, a in tensors:
            file.write(np.ascontiguousarray(a).tobytes())


def main(spec_file, folder, names):
    spec = json.load(open(spec_file))
    for name in names:
        c = spec["models"][name]
        rng = np.random.default_rng(spec["seed"])
        os.makedirs(f"{folder}/{name}", exist_ok=True)
        plain, manifest, hub, at = [], [], [], 0
        for tensor, shape in shapes_of(c):
            a = np.ones(shape, np.float32) if len(shape) == 1 else (rng.standard_normal(shape) * spec["initStd"]).astype(np.float32)
            plain.append(a.ravel())
            manifest.append({"name": tensor, "shape": list(shape), "offset": at})
            hub.append((hub_name(tensor), a if tensor == "embed" or a.ndim == 1 else a.T))
            at += a.size
        np.concatenate(plain).tofile(f"{folder}/{name}.weights.bin")
        json.dump(manifest, open(f"{folder}/{name}.manifest.json", "w"))
        write_safetensors(f"{folder}/{name}/model.safetensors", hub)
        json.dump({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": c["vocab"], "hidden_size": c["dim"],
            "intermediate_size": c["ffn"], "num_hidden_layers": c["layers"], "num_attention_heads": c["heads"], "num_key_value_heads": c["heads"],
            "hidden_act": "silu", "rms_norm_eps": spec["normEps"], "rope_theta": spec["ropeTheta"], "max_position_embeddings": 8192,
            "tie_word_embeddings": False, "torch_dtype": "float32",
        }, open(f"{folder}/{name}/config.json", "w"), indent=1)
        rng.integers(0, c["vocab"], (c["batch"], c["seq"] + 1)).astype(np.int32).tofile(f"{folder}/{name}.tokens.bin")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
