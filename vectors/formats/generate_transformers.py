"""Writes good/transformers/: small transformers of random numbers, each as its hub lays it out (safetensors and
config.json) and as llama.cpp's convert_hf_to_gguf.py would write it to GGUF. What that program does to the weights is
written here anew from its description: rows of rotary queries and keys of the llama architecture in turns, experts
merged, GPT-2's linear layers transposed, GPT-NeoX's and Falcon's projections regrouped into queries, keys, values.
And one whose output layer is its embedding: PyTorch keeps one storage under two names, safetensors one tensor.
Needs: gguf 0.19.0, safetensors 0.8.0, numpy 2.4.6, torch 2.15.0, Python 3.11. Seeded; run in this folder."""
import json
import os

import numpy as np
import torch
from gguf import GGUFWriter
from safetensors.numpy import save_file

rng = np.random.default_rng(20261124)
WIDTH, HEAD, UNITS, VOCABULARY, LAYERS = 16, 4, 6, 10, 1


def weights(*shape):
    """Halves, so that every format holds them as they are."""
    return rng.normal(size=shape).astype(np.float16)


def norms():
    return (1 + rng.normal(size=WIDTH) / 8).astype(np.float16)


def hub(name, tensors, config):
    os.makedirs(f"good/transformers/{name}", exist_ok=True)
    save_file(tensors, f"good/transformers/{name}/model.safetensors", {"format": "pt"})
    with open(f"good/transformers/{name}/config.json", "w") as file:
        json.dump(config, file, indent=2)
        file.write("\n")


def gguf(name, architecture, tensors, heads, keys, alibi=None):
    writer = GGUFWriter(f"good/transformers/{name}.gguf", architecture)
    writer.add_block_count(LAYERS)
    writer.add_head_count(heads)
    writer.add_head_count_kv(keys)
    if alibi is not None:
        writer.add_max_alibi_bias(alibi)
    for tensor, values in tensors.items():
        writer.add_tensor(tensor, np.ascontiguousarray(values if values.ndim > 1 else values.astype(np.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def in_turns(rows, heads):
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def mixtral():
    heads, keys, experts = 4, 2, 2
    embedding, output, last = weights(VOCABULARY, WIDTH), weights(VOCABULARY, WIDTH), norms()
    before, between, router = norms(), norms(), weights(experts, WIDTH)
    q, k, v, o = weights(heads * HEAD, WIDTH), weights(keys * HEAD, WIDTH), weights(keys * HEAD, WIDTH), weights(WIDTH, heads * HEAD)
    w1, w2, w3 = weights(experts, UNITS, WIDTH), weights(experts, WIDTH, UNITS), weights(experts, UNITS, WIDTH)
    layer = "model.layers.0."
    tensors = {
        "model.embed_tokens.weight": embedding, "lm_head.weight": output, "model.norm.weight": last,
        layer + "input_layernorm.weight": before, layer + "post_attention_layernorm.weight": between,
        layer + "self_attn.q_proj.weight": q, layer + "self_attn.k_proj.weight": k,
        layer + "self_attn.v_proj.weight": v, layer + "self_attn.o_proj.weight": o,
        layer + "block_sparse_moe.gate.weight": router,
    }
    for expert in range(experts):
        for part, values in (("w1", w1), ("w2", w2), ("w3", w3)):
            tensors[f"{layer}block_sparse_moe.experts.{expert}.{part}.weight"] = values[expert]
    config = {"model_type": "mixtral", "hidden_size": WIDTH, "num_attention_heads": heads, "num_key_value_heads": keys}
    hub("mixtral", tensors, config)
    gguf("mixtral", "llama", {
        "token_embd.weight": embedding, "output.weight": output, "output_norm.weight": last,
        "rope_freqs.weight": np.array([1, 8], dtype=np.float16),
        "blk.0.attn_norm.weight": before, "blk.0.ffn_norm.weight": between, "blk.0.ffn_gate_inp.weight": router.astype(np.float32),
        "blk.0.attn_q.weight": in_turns(q, heads), "blk.0.attn_k.weight": in_turns(k, keys),
        "blk.0.attn_v.weight": v, "blk.0.attn_output.weight": o,
        "blk.0.ffn_gate_exps.weight": w1, "blk.0.ffn_down_exps.weight": w2, "blk.0.ffn_up_exps.weight": w3,
    }, heads, keys)


def gpt2():
    heads = 4
    embedding, positions = weights(VOCABULARY, WIDTH), weights(12, WIDTH)
    tensors = {"wte.weight": embedding, "wpe.weight": positions, "h.0.attn.bias": np.tril(np.ones((1, 1, 12, 12), dtype=np.float16))}
    file = {"token_embd.weight": embedding, "position_embd.weight": positions}
    for name, other in (("h.0.ln_1", "blk.0.attn_norm"), ("h.0.ln_2", "blk.0.ffn_norm"), ("ln_f", "output_norm")):
        for kind, values in (("weight", norms()), ("bias", weights(WIDTH))):
            tensors[f"{name}.{kind}"] = values
            file[f"{other}.{kind}"] = values
    for name, other, rows, columns in (
        ("h.0.attn.c_attn", "blk.0.attn_qkv", 3 * WIDTH, WIDTH), ("h.0.attn.c_proj", "blk.0.attn_output", WIDTH, WIDTH),
        ("h.0.mlp.c_fc", "blk.0.ffn_up", 4 * WIDTH, WIDTH), ("h.0.mlp.c_proj", "blk.0.ffn_down", WIDTH, 4 * WIDTH),
    ):
        values, bias = weights(columns, rows), weights(rows)
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = values, bias
        file[f"{other}.weight"], file[f"{other}.bias"] = values.T, bias
    hub("gpt2", tensors, {"model_type": "gpt2", "n_embd": WIDTH, "n_head": heads})
    gguf("gpt2", "gpt2", file, heads, heads)


def grouped(name, architecture, prefix, names, heads, keys, config, alibi=None):
    """Falcon, BLOOM and GPT-NeoX: for every key head its queries, itself, its values; GGUF has them apart."""
    each = heads // keys
    embedding, output = weights(VOCABULARY, WIDTH), weights(VOCABULARY, WIDTH)
    tensors = {names["embedding"]: embedding, names["output"]: output}
    file = {"token_embd.weight": embedding, "output.weight": output}
    for one, other in ((names["last"], "output_norm"), (prefix + names["before"], "blk.0.attn_norm")):
        for kind, values in (("weight", norms()), ("bias", weights(WIDTH))):
            tensors[f"{one}.{kind}"] = values
            file[f"{other}.{kind}"] = values
    fused = weights(keys, each + 2, HEAD, WIDTH)
    bias = weights(keys, each + 2, HEAD)
    apart = lambda x: np.concatenate([x[:, s].reshape(-1, *x.shape[3:]) for s in (slice(0, each), slice(each, each + 1), slice(each + 1, None))])
    tensors[f"{prefix}{names['fused']}.weight"] = fused.reshape(-1, WIDTH)
    tensors[f"{prefix}{names['fused']}.bias"] = bias.reshape(-1)
    file["blk.0.attn_qkv.weight"], file["blk.0.attn_qkv.bias"] = apart(fused), apart(bias)
    for one, other, rows, columns in (
        (names["dense"], "attn_output", WIDTH, heads * HEAD), ("mlp.dense_h_to_4h", "ffn_up", UNITS, WIDTH),
        ("mlp.dense_4h_to_h", "ffn_down", WIDTH, UNITS),
    ):
        values, own = weights(rows, columns), weights(rows)
        tensors[f"{prefix}{one}.weight"], tensors[f"{prefix}{one}.bias"] = values, own
        file[f"blk.0.{other}.weight"], file[f"blk.0.{other}.bias"] = values, own
    hub(name, tensors, config)
    gguf(name, architecture, file, heads, keys, alibi)


mixtral()
gpt2()
grouped("falcon", "falcon", "transformer.h.0.", {
    "embedding": "transformer.word_embeddings.weight", "output": "lm_head.weight", "last": "transformer.ln_f",
    "before": "ln_attn", "fused": "self_attention.query_key_value", "dense": "self_attention.dense",
}, 4, 2, {"model_type": "falcon", "num_attention_heads": 4, "num_kv_heads": 2, "new_decoder_architecture": True, "alibi": False})
grouped("neox", "gptneox", "gpt_neox.layers.0.", {
    "embedding": "gpt_neox.embed_in.weight", "output": "embed_out.weight", "last": "gpt_neox.final_layer_norm",
    "before": "input_layernorm", "fused": "attention.query_key_value", "dense": "attention.dense",
}, 4, 4, {"model_type": "gpt_neox", "num_attention_heads": 4})
grouped("bloom", "bloom", "h.0.", {
    "embedding": "word_embeddings.weight", "output": "lm_head.weight", "last": "ln_f",
    "before": "input_layernorm", "fused": "self_attention.query_key_value", "dense": "self_attention.dense",
}, 4, 4, {"model_type": "bloom", "n_head": 4}, 8.0)

embedding, query = weights(VOCABULARY, WIDTH), weights(WIDTH, WIDTH)
names = {"model.embed_tokens.weight": embedding, "model.layers.0.self_attn.q_proj.weight": query}
hub("tied", names, {"tie_word_embeddings": True})
held = {name: torch.from_numpy(values) for name, values in names.items()}
torch.save({**held, "lm_head.weight": held["model.embed_tokens.weight"]}, "good/transformers/tied.pt")
torch.save({**held, "lm_head.weight": held["model.embed_tokens.weight"].clone()}, "good/transformers/untied.pt")
