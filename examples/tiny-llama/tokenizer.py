"""Trains the byte-level BPE tokenizer of the bundled model. Usage: python tokenizer.py OUT TEXT [TEXT ...]   (pip install tokenizers)"""
import json
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

out, texts = sys.argv[1], sys.argv[2:]
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(vocab_size=1024, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
tokenizer.train(texts, trainer)
tokenizer.save(f"{out}/tokenizer.json")
with open(f"{out}/tokenizer_config.json", "w") as file:
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "clean_up_tokenization_spaces": False}, file, indent=2)
