"""Transformers of a Diffusers model directory, read, quantized and written in the forms that other
programs give them. A `layers` mapping below is from a linear layer's Diffusers name to its original
Wan name; tensors are safetensors_file.Tensor by name.
"""

import fnmatch
import json
import shutil
from pathlib import Path

import numpy as np

import mxfp8
import mxint8
import safetensors_file as st
import wan_names

EXPERTS = (("transformer", "high_noise_model", "high_noise"),
           ("transformer_2", "low_noise_model", "low_noise"))


def experts(model):
    """(Diffusers folder, msmodelslim folder, word in ComfyUI's file name) of each transformer."""
    if (Path(model) / "transformer_2").is_dir():
        return EXPERTS
    return (("transformer", ".", ""),)


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(path, value, indent=2):
    Path(path).write_text(json.dumps(value, indent=indent), encoding="utf-8")


def read_tensors(directory, stem):
    """The tensors of `stem`.safetensors, or of the shards that its index lists."""
    directory = Path(directory)
    index = directory / f"{stem}.safetensors.index.json"
    if not index.exists():
        return st.read(directory / f"{stem}.safetensors")[0]
    weight_map = read_json(index)["weight_map"]
    shards = {shard: st.read(directory / shard)[0] for shard in set(weight_map.values())}
    return {name: shards[shard][name] for name, shard in weight_map.items()}


def write_tensors(directory, stem, tensors, shards=1):
    """One file, or as many shards with an index."""
    directory = Path(directory)
    if shards == 1:
        st.write(directory / f"{stem}.safetensors", tensors)
        return
    names, weight_map = sorted(tensors), {}
    for shard in range(shards):
        file = f"{stem}-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        st.write(directory / file, part)
        weight_map.update({name: file for name in part})
    total = sum(len(tensor.data) for tensor in tensors.values())
    write_json(directory / f"{stem}.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": weight_map})


def block_count(config):
    return config["num_layers"]


def is_float_layer(layer, options):
    return any(fnmatch.fnmatchcase(layer, glob) for glob in options.float_layers)


def is_int8_layer(layer, options):
    return any(fnmatch.fnmatchcase(layer, glob) for glob in options.int8_layers)


def quantized(tensors, config, options):
    """Diffusers-named tensors with MXFP8 or MXINT8 weights, scales and F32 biases; the layers
    quantized."""
    result = dict(tensors)
    layers = {layer: original
              for layer, original in wan_names.quantized_layers(block_count(config)).items()
              if not is_float_layer(layer, options)}
    for layer in layers:
        weight = st.values(tensors[layer + ".weight"])
        form, dtype = (mxint8, "I8") if is_int8_layer(layer, options) else (mxfp8, "F8_E4M3")
        codes, scales = form.quantize(weight, options.rule, options.rounding)
        result[layer + ".weight"] = st.Tensor(dtype, weight.shape, codes.tobytes())
        result[layer + ".weight_scale"] = st.u8(scales)
        bias = st.values(tensors[layer + ".bias"])
        result[layer + ".bias"] = st.f32(0 * bias if options.zero_bias else bias)
    return result, layers


def original_names(tensors, config):
    """{name: original name} for the Diffusers-named `tensors`, scales included."""
    names = wan_names.diffusers_to_original(block_count(config))
    for name in list(names):
        if name.endswith(".weight"):
            names[name + "_scale"] = names[name] + "_scale"
    return {name: names[name] for name in tensors}


def original_config(config, model):
    index = read_json(Path(model) / "model_index.json")
    kind = "i2v" if config["in_channels"] == 36 else "t2v"
    if index.get("expand_timesteps"):
        kind = "ti2v"
    heads = config["num_attention_heads"]
    return {
        "_class_name": "WanModel", "_diffusers_version": "0.33.0",
        "dim": heads * config["attention_head_dim"], "eps": config["eps"],
        "ffn_dim": config["ffn_dim"], "freq_dim": config["freq_dim"],
        "in_dim": config["in_channels"], "model_type": kind, "num_heads": heads,
        "num_layers": config["num_layers"], "out_dim": config["out_channels"],
        "text_dim": config["text_dim"], "text_len": 512,
    }


def rotation(size, seed):
    """An orthogonal matrix [size, size], the same for each seed."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))
    return st.f32(q * np.sign(np.diag(r)))


def copy_model(model, target, without=("transformer", "transformer_2")):
    """Everything of a model directory but its transformers."""
    for source in sorted(Path(model).rglob("*")):
        relative = source.relative_to(model)
        if source.is_dir() or relative.parts[0] in without:
            continue
        place = Path(target) / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
