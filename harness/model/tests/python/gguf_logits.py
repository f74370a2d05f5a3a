"""GGUF files as llama.cpp's converter writes them, and what transformers computes, for tests/gguf.

Needs torch, transformers, gguf, sentencepiece and safetensors.

gguf_logits.py models OUT MODEL...   OUT/<model's folder name>/model.gguf of every model, with f32 tensors, and beside it
                                     logits.safetensors: "logits" [tokens, vocabulary] of the model's directory, and
                                     "loader" of transformers' own reader of the GGUF file where it has one
gguf_logits.py variants OUT MODEL...   the same of random models that differ from those directories as VARIANTS says
gguf_logits.py sentencepiece OUT MODEL TEXT
                                     two files, of vocabularies that SentencePiece learned from the lines of TEXT, with and
                                     without a space before texts: OUT/spaced/model.gguf and OUT/bare/model.gguf of MODEL (a
                                     Llama), and beside each ids.json with the ids that SentencePiece gives the lines
"""

import json
import pathlib
import shutil
import sys
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

TOKENS = 24
NAMES = {"gpt_neox": "gptneox", "gemma3_text": "gemma3", "mistral": "llama", "phi": "phi2"}
WORDS = {"gpt_neox": "olmo", "stablelm": "olmo", "qwen2": "qwen2", "qwen3": "qwen2", "llama": "llama-bpe", "phi": "phi-2"}
SYMBOLS = ["<user>", "\u2581\u2581\u2581"]
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


FACTORS = [1.0 + 0.5 * i for i in range(6)]
LONG_ROPE = {
    "partial_rotary_factor": 0.75,
    "rope_scaling": {"type": "longrope", "short_factor": FACTORS, "long_factor": FACTORS[::-1]},
}
VARIANTS = {
    "falcon-two-norms": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-one-norm": (
        "falcon",
        {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1, "bias": True},
    ),
    "gemma3-capped": ("gemma3", {"final_logit_softcapping": 5.0, "rope_scaling": None}),
    "gpt_neox-sequential": ("gpt_neox", {"use_parallel_residual": False}),
    "llama-biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "phi3-short": ("phi3", LONG_ROPE | {"original_max_position_embeddings": 32}),
    "phi3-long": ("phi3", LONG_ROPE | {"original_max_position_embeddings": 16}),
    "qwen3-biases": ("qwen3", {"attention_bias": True, "tie_word_embeddings": False}),
    "stablelm-parallel": ("stablelm", {"use_parallel_residual": True, "use_qkv_bias": False}),
}


def restricted(config):
    """The config without what the format has no key for."""
    if config["model_type"].startswith("gemma"):
        config["query_pre_attn_scalar"] = config["head_dim"]
    if config["model_type"] == "mistral":
        config["sliding_window"] = None
    return config


def first(config, *names, default=None):
    return next((config[name] for name in names if config.get(name) is not None), default)


def add_sizes(writer, config):
    heads, width = first(config, "num_attention_heads", "n_head"), first(config, "hidden_size", "n_embd")
    writer.add_block_count(first(config, "num_hidden_layers", "n_layer"))
    writer.add_context_length(first(config, "max_position_embeddings", "n_positions", default=2048))
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(first(config, "intermediate_size", "n_inner", default=4 * width))
    writer.add_head_count(heads)
    if config["model_type"] not in ("gpt2", "gpt_neox"):
        default = 1 if config["model_type"] == "falcon" else heads
        writer.add_head_count_kv(first(config, "num_key_value_heads", "num_kv_heads", default=default))
    if config.get("head_dim"):
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        writer.add_layer_norm_eps(first(config, "layer_norm_eps", "layer_norm_epsilon"))


def add_settings(writer, config):
    family, heads = config["model_type"], first(config, "num_attention_heads", "n_head")
    share = first(config, "partial_rotary_factor", "rotary_pct")
    if share is not None:
        writer.add_rope_dimension_count(int(share * config["hidden_size"] / heads))
    if config.get("rope_theta"):
        writer.add_rope_freq_base(config["rope_theta"])
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    if family in ("gpt_neox", "stablelm"):
        writer.add_parallel_residual(config.get("use_parallel_residual", True))
    if family == "falcon":
        writer.add_tensor_data_layout("jploski")
    if family.startswith("gemma") or family == "phi3":
        writer.add_sliding_window(config.get("sliding_window") or 0)
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if family == "gemma3_text":
        writer.add_uint32("gemma3.attention.sliding_window_pattern", config["sliding_window_pattern"])
        writer.add_float32("gemma3.rope.freq_base_swa", config["rope_local_base_freq"])
    if family == "phi3":
        original = config["original_max_position_embeddings"]
        writer.add_rope_scaling_orig_ctx_len(original)
        if config["max_position_embeddings"] > original:
            extended = np.log(config["max_position_embeddings"] / original) / np.log(original)
            writer.add_rope_scaling_attn_factors(float(np.sqrt(1 + extended)))


def rotated_as_neighbours(weight, heads):
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def queries_keys_values(weight, kv_heads, share):
    grouped = weight.reshape(kv_heads, share + 2, -1, *weight.shape[1:])
    parts = grouped[:, :share], grouped[:, share : share + 1], grouped[:, share + 1 :]
    return torch.cat([part.reshape(-1, *weight.shape[1:]) for part in parts])


def converted(name, weight, config):
    family, heads = config["model_type"], first(config, "num_attention_heads", "n_head")
    if family in ("llama", "mistral"):
        if ".q_proj." in name:
            return rotated_as_neighbours(weight, heads)
        if ".k_proj." in name:
            return rotated_as_neighbours(weight, config["num_key_value_heads"])
    if family == "gpt_neox" and ".query_key_value." in name:
        return queries_keys_values(weight, heads, 1)
    if family == "falcon" and ".query_key_value." in name:
        kv_heads = config.get("num_kv_heads") or 1
        return queries_keys_values(weight, kv_heads, heads // kv_heads)
    if family == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return weight.T
    if family.startswith("gemma") and name.endswith("norm.weight"):
        return weight + 1
    return weight


def divisors(config):
    """Llama 3's, by the wavelengths of its model card."""
    scaling, dimensions = config["rope_scaling"], config["head_dim"]
    original, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    low, high = original / scaling["low_freq_factor"], original / scaling["high_freq_factor"]
    frequencies = 1.0 / config["rope_theta"] ** (torch.arange(0, dimensions, 2, dtype=torch.float32) / dimensions)
    for wavelength in (2 * np.pi / frequencies).tolist():
        kept = (original / wavelength - scaling["low_freq_factor"]) / (
            scaling["high_freq_factor"] - scaling["low_freq_factor"]
        )
        yield 1 if wavelength < high else factor if wavelength > low else 1 / ((1 - kept) / factor + kept)


def add_tensors(writer, model, config, architecture):
    names = gguf.get_tensor_name_map(architecture, first(config, "num_hidden_layers", "n_layer"))
    tied = getattr(model.config, "tie_word_embeddings", False)
    for name, weight in model.state_dict().items():
        if name.endswith((".attn.bias", ".masked_bias", ".rotary_emb.inv_freq")) or tied and name.startswith("lm_head"):
            continue
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert stored, name
        writer.add_tensor(stored, converted(name, weight, config).contiguous().numpy())
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", np.array(list(divisors(config)), dtype=np.float32))
    for length in ("long", "short") if scaling.get("type") == "longrope" else ():
        writer.add_tensor(f"rope_factors_{length}.weight", np.array(scaling[f"{length}_factor"], dtype=np.float32))


def add_byte_level_tokens(writer, tokenizer, size, words):
    tokens, types = token_table(tokenizer, size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])


def add_scored_tokens(writer, tokenizer, size):
    """Scores in the order in which merges make the tokens."""
    tokens, types = token_table(tokenizer, size)
    ranks = {}
    for rank, merge in enumerate(tokenizer["model"]["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        ranks.setdefault(left + right, rank)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([float(-ranks.get(token, len(ranks))) for token in tokens])
    writer.add_token_types([BYTE if token[:3] == "<0x" and token[-1] == ">" else kind for token, kind in zip(tokens, types)])
    unknown = tokenizer["model"]["unk_token"]
    writer.add_unk_token_id(tokens.index(unknown))
    writer.add_add_space_prefix("Prepend" in json.dumps(tokenizer["normalizer"]))


def token_table(tokenizer, size):
    tokens, types = [f"[PAD{i}]" for i in range(size)], [UNUSED] * size
    for token, i in tokenizer["model"]["vocab"].items():
        tokens[i], types[i] = token, NORMAL
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    return tokens, types


def add_tokenizer(writer, directory, config, size):
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    if tokenizer["model"]["byte_fallback"]:
        add_scored_tokens(writer, tokenizer, size)
    else:
        add_byte_level_tokens(writer, tokenizer, size, WORDS.get(config["model_type"], "gpt-2"))
    before = json.dumps((tokenizer["post_processor"] or {})).count("SpecialToken") > 0
    writer.add_add_bos_token(before)
    if config.get("bos_token_id") is not None:
        writer.add_bos_token_id(config["bos_token_id"])
    if config.get("pad_token_id") is not None:
        writer.add_pad_token_id(config["pad_token_id"])
    eos = config.get("eos_token_id")
    if eos is not None:
        writer.add_eos_token_id(eos[0] if isinstance(eos, list) else eos)


def opened(directory, config):
    """The model of the directory under another config.json, f32."""
    with tempfile.TemporaryDirectory() as copy:
        for file in directory.glob("*.safetensors*"):
            if not file.name.startswith("golden"):
                shutil.copy(file, copy)
        (pathlib.Path(copy) / "config.json").write_text(json.dumps(config))
        return AutoModelForCausalLM.from_pretrained(copy, dtype=torch.float32, attn_implementation="eager").eval()


def written(model, config, file, add_vocabulary):
    name = NAMES.get(config["model_type"], config["model_type"])
    architecture = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == name)
    writer = gguf.GGUFWriter(file, name)
    add_sizes(writer, config)
    add_settings(writer, config)
    add_vocabulary(writer)
    add_tensors(writer, model, config, architecture)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def logits(model):
    ids = torch.tensor([[(7 * i + 3) % 97 for i in range(TOKENS)]])
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits[0].contiguous()


def models(out, directories):
    for directory in directories:
        config = restricted(json.loads((directory / "config.json").read_text()))
        model, folder = opened(directory, config), out / directory.name
        folder.mkdir()
        size = model.get_input_embeddings().num_embeddings
        written(model, config, folder / "model.gguf", lambda writer: add_tokenizer(writer, directory, config, size))
        results = {"logits": logits(model)}
        try:
            loaded = AutoModelForCausalLM.from_pretrained(
                folder, gguf_file="model.gguf", dtype=torch.float32, attn_implementation="eager"
            )
            results["loader"] = logits(loaded)
        except Exception as error:  # architectures that it does not read, each with an error of its own
            print(f"{directory.name}: {error!r}"[:200], file=sys.stderr)
        save_file(results, folder / "logits.safetensors")


def pieces_of(pieces):
    """Text, score and type of every piece, as llama.cpp's converter has them."""
    for i in range(pieces.vocab_size()):
        kinds = [(pieces.IsUnknown, UNKNOWN), (pieces.IsControl, CONTROL), (pieces.IsByte, BYTE), (pieces.IsUnused, UNUSED)]
        kind, text = next((kind for test, kind in kinds if test(i)), NORMAL), pieces.IdToPiece(i)
        if text in SYMBOLS:
            kind, text = USER_DEFINED, text.replace("\u2581", " ")
        yield text, pieces.GetScore(i), kind


def sentencepiece(out, directory, text):
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    config = json.loads((directory / "config.json").read_text())
    for folder, spaced in ((out / "spaced", True), (out / "bare", False)):
        folder.mkdir()
        SentencePieceTrainer.train(
            input=str(text), model_prefix=str(folder / "pieces"), vocab_size=config["vocab_size"], model_type="bpe",
            byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
            add_dummy_prefix=spaced, user_defined_symbols=[] if spaced else SYMBOLS,
        )  # fmt: skip
        pieces = SentencePieceProcessor(model_file=str(folder / "pieces.model"))

        def add_vocabulary(writer):
            tokens, scores, types = zip(*pieces_of(pieces))
            writer.add_tokenizer_model("llama")
            writer.add_tokenizer_pre("default")
            writer.add_token_list(tokens)
            writer.add_token_scores(scores)
            writer.add_token_types(types)
            writer.add_bos_token_id(pieces.bos_id())
            writer.add_eos_token_id(pieces.eos_id())
            writer.add_unk_token_id(pieces.unk_id())
            if not spaced:
                writer.add_add_space_prefix(False)

        written(opened(directory, config), config, folder / "model.gguf", add_vocabulary)
        lines = text.read_text().splitlines()
        (folder / "ids.json").write_text(json.dumps([pieces.encode(line, add_bos=True) for line in lines]))


def variant(directory, changes, folder):
    """A model directory with random weights."""
    folder.mkdir()
    config = json.loads((directory / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(directory / "tokenizer.json", folder)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn(weight.shape)
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def main():
    action, out, *rest = map(pathlib.Path, sys.argv[1:])
    if action.name == "models":
        models(out, rest)
    elif action.name == "variants":
        bases = {directory.name: directory for directory in rest}
        with tempfile.TemporaryDirectory() as made:
            models(out, [variant(bases[base], changes, pathlib.Path(made) / name) for name, (base, changes) in VARIANTS.items()])
    else:
        sentencepiece(out, *rest)


main()
