"""Tiny Llamas whose pad token is also an end token that texts hold, with transformers' gradients: `python make.py` writes the folders anew."""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
# the pad token's id, and whether the head is the embedding
MODELS = {"none": (None, False), "untied": (2, False), "tied": (2, True), "negative": (-8, False), "negative-tied": (-1, True)}

for seed, (name, (pad, tied)) in enumerate(MODELS.items()):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=10, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        max_position_embeddings=16, bos_token_id=1, eos_token_id=2, pad_token_id=pad, tie_word_embeddings=tied, initializer_range=0.5,
    )
    model = LlamaForCausalLM(config)
    # the pad row starts at zero; trained checkpoints hold anything there
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(0, 0.5)
    ids = torch.tensor([[1, 5, 9, 2, 7, 2], [1, 9, 2, 3, 2, 4]])
    labels = ids.clone()
    labels[1, 3] = -100
    model(input_ids=ids, labels=labels).loss.backward()
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    kept = dict(model.named_parameters())
    save_file({n: p.detach().contiguous() for n, p in kept.items()}, folder / "model.safetensors", {"format": "pt"})
    save_file({n: p.grad.contiguous() for n, p in kept.items()}, folder / "gradients.safetensors")
    save_file({"input_ids": ids, "labels": labels}, folder / "batch.safetensors")
    fields = {k: v for k, v in config.to_dict().items() if k in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act",
        "max_position_embeddings", "rms_norm_eps", "bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings")}
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "transformers_version": transformers.__version__, **fields}, indent=1) + "\n")
