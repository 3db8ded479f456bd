"""Makes sideFiles.json: what transformers makes of a tokenizer.json and the files beside it. Run with transformers 5.24, tokenizers 0.23: python sideFiles.py"""
import json, os, tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB = ["<u>", "<b>", "<e>", *"abcdefx<>/ ", "ab", "<q>"]
TOKENS = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i, t in ((0, "<u>"), (1, "<b>"), (2, "<e>"))]
BOS = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<b>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
       "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<b>": {"id": "<b>", "ids": [1], "tokens": ["<b>"]}}}
CONFIG = {"tokenizer_class": "TokenizersBackend", "bos_token": "<b>", "eos_token": "<e>", "unk_token": "<u>"}
TEXTS = ["ab <e>x", "a <n> <m> b", "<q> a<q>", "x<p>/<k>"]


def tokenizer(**change):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": TOKENS, "normalizer": None, "pre_tokenizer": None, "post_processor": BOS, "decoder": {"type": "Fuse"},
            "model": {"type": "BPE", "unk_token": "<u>", "fuse_unk": False, "byte_fallback": False, "vocab": {t: i for i, t in enumerate(VOCAB)}, "merges": [["a", "b"]]}, **change}


def token(content, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **flags}


N = len(VOCAB)
plain = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in TOKENS}
more = tokenizer(added_tokens=[*TOKENS, {"id": N, **token("<n>")}])
CASES = {
    "nothing contradicts": {},
    "added_tokens.json adds tokens, in the order of their ids": {"added": {"<m>": N + 1, "<n>": N}},
    "added_tokens.json beside an added_tokens_decoder": {"added": {"<n>": N}, "config": {"added_tokens_decoder": plain}},
    "added_tokens.json with an id that is another's": {"added": {"<m>": 2, "<n>": 40}},
    "added_tokens.json describes a token of tokenizer.json by another id": {"added": {"<n>": N + 4}, "json": more},
    "added_tokens.json adds a token that is named": {"added": {"<p>": N}, "config": {"pad_token": "<p>"}},
    "special_tokens_map.json comes first": {"map": {"eos_token": "<q>", "pad_token": {**token("<p>", lstrip=True)}}},
    "special_tokens_map.json beside an added_tokens_decoder": {"map": {"eos_token": "<q>", "pad_token": "<p>"}, "config": {"added_tokens_decoder": plain}},
    "special_tokens_map.json with further tokens": {"map": {"additional_special_tokens": ["<n>", "<m>"]}},
    "the decoder describes a token otherwise": {"json": more, "config": {"added_tokens_decoder": {**plain, str(N): token("<n>", lstrip=True, rstrip=True, special=True)}}},
    "the decoder adds a token": {"config": {"added_tokens_decoder": {**plain, str(N): token("<n>", rstrip=True)}}},
    "the decoder gives an id that is another's": {"config": {"added_tokens_decoder": {**plain, "7": token("<n>"), "3": token("<m>", special=True)}}},
    "the decoder makes a token of the vocabulary an added one": {"config": {"added_tokens_decoder": {**plain, str(N - 1): token("<q>")}}},
    "further special tokens": {"config": {"extra_special_tokens": ["<m>", "<q>", "<n>"]}},
    "further special tokens, by their older name": {"config": {"additional_special_tokens": ["<n>"]}},
    "further special tokens by both names": {"config": {"additional_special_tokens": ["<n>"], "extra_special_tokens": ["<m>"]}},
    "special tokens by names of their own": {"config": {"extra_special_tokens": {"picture_token": "<n>"}, "sound_token": "<m>"}},
    "named tokens that there are not": {"config": {"pad_token": "<p>", "eos_token": "<k>", "cls_token": "<p>"}},
    "a named token of the vocabulary": {"config": {"eos_token": "<q>"}},
    "a named token with flags": {"config": {"mask_token": {"__type": "AddedToken", **token("<m>", lstrip=True)}}},
    "add_bos_token false": {"config": {"add_bos_token": False, "add_eos_token": True}},
    "add_bos_token true": {"config": {"add_bos_token": True}, "json": tokenizer(post_processor=None)},
}


def run(case):
    files = {"tokenizer.json": case.get("json", tokenizer()), "tokenizer_config.json": {**CONFIG, **case.get("config", {})}, "special_tokens_map.json": case.get("map"), "added_tokens.json": case.get("added")}
    files = {name: held for name, held in files.items() if held is not None}
    with tempfile.TemporaryDirectory() as folder:
        for name, held in files.items():
            with open(os.path.join(folder, name), "w") as f:
                json.dump(held, f)
        t = AutoTokenizer.from_pretrained(folder)
        ids = [t(text, add_special_tokens=False).input_ids for text in TEXTS]
        return {"files": files, "ids": ids, "framed": t(TEXTS[0]).input_ids, "eos": t.eos_token_id, "pad": t.pad_token_id, "tokens": len(t), "special": t.decode(ids[1], skip_special_tokens=True)}


if __name__ == "__main__":
    with open(os.path.join(HERE, "sideFiles.json"), "w") as f:
        json.dump({"texts": TEXTS, "cases": {name: run(case) for name, case in CASES.items()}}, f, ensure_ascii=False)
        f.write("\n")
