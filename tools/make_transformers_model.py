#!/usr/bin/env python3
"""Writes a folder that transformers loads: a small Llama's config.json and a tokeniser of bytes, without weights (the worker
makes random ones up: `prony llm --engine transformers --random-weights`). Needs nothing but Python.

usage: make_transformers_model.py FOLDER [--hidden N] [--layers N] [--heads N] [--context N] [--words N]
"""

import argparse
import json
import os

SPECIAL = ["<s>", "</s>", "<pad>"]


def byte_letters():
    """A printable letter for every byte, as byte-level tokenisers have them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(plain))
    return [letters[byte] for byte in range(256)]


def tokenizer():
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *byte_letters()])}
    added = [{"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for number, token in enumerate(SPECIAL)]
    begin = {"type_id": 0, "id": "<s>"}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": byte_level, "decoder": byte_level,
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": begin}, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"SpecialToken": begin}, {"Sequence": {"id": "A", "type_id": 0}},
                                    {"Sequence": {"id": "B", "type_id": 0}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary, "merges": []}}


def write(folder, hidden=64, layers=2, heads=4, context=512, words=None):
    """The folder, made if it is not there; `words`: how many ids the model knows (at least the tokeniser's 259)."""
    os.makedirs(folder, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": max(words or 0, 259),
              "hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": layers,
              "num_attention_heads": heads, "num_key_value_heads": max(1, heads // 2), "max_position_embeddings": context,
              "rms_norm_eps": 1e-5, "hidden_act": "silu", "initializer_range": 0.2, "tie_word_embeddings": False,
              "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "torch_dtype": "float32"}
    files = {"config.json": config, "tokenizer.json": tokenizer(),
             "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
                                       "pad_token": "<pad>", "model_max_length": context,
                                       "clean_up_tokenization_spaces": False}}
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    for name, default in (("hidden", 256), ("layers", 4), ("heads", 8), ("context", 2048), ("words", 8000)):
        parser.add_argument("--" + name, type=int, default=default)
    asked = vars(parser.parse_args())
    write(asked.pop("folder"), **asked)


if __name__ == "__main__":
    main()
