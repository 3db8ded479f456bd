"""Writes blocks.gguf beside itself: random blocks of the types that Ebb widens while it loads them, and what the gguf package makes of them.

    pip install gguf==0.19.0 && python3 test/formats/ggmlBlocks/make.py

For each type there are a tensor of that type, called as the type is, and `<type>.f32` of the same shape. The first rows have scales at the
edges of f16; all scales are finite.
"""
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize

# Where in a block its scales of f16 lie, in bytes.
SCALES = {"Q5_0": [0], "Q5_1": [0, 2], "IQ4_NL": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q5_K": [0, 2]}
EDGES = np.array([0.0, -0.0, 1.0, -1.0, 65504.0, -65504.0, 2.0**-24, -(2.0**-24), 2.0**-14, 0.33325195], dtype=np.float16)
ROWS, VALUES = 5, 512

random = np.random.default_rng(20)
writer = GGUFWriter(Path(__file__).with_name("blocks.gguf"), "none")
for name, places in SCALES.items():
    kind = GGMLQuantizationType[name]
    values, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (ROWS * VALUES // values, size), dtype=np.uint8)
    for place in places:
        scales = random.normal(0, 0.02, len(blocks)).astype(np.float16)
        edges = min(len(EDGES), len(blocks) // 2)
        scales[:edges] = random.permutation(EDGES)[:edges]
        blocks[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
    rows = blocks.reshape(ROWS, -1)
    writer.add_tensor(name, rows, raw_dtype=kind)
    writer.add_tensor(f"{name}.f32", dequantize(rows, kind))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
