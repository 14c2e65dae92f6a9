"""The forms in which quantized Wan2.2 transformers are found, made from a Diffusers model."""

import fnmatch
import json
import shutil
from pathlib import Path

import mxfp8
import mxint8
import safetensors_file as st
import wan_model
import wan_names

RAW_STEM = "quant_model_weight_"  # then the type of most layers
RAW_DESCRIPTION = "quant_model_description_"
DIFFUSERS_STEM = "diffusion_pytorch_model"


def _type(layer, options):
    return "W8A8_MXINT8" if wan_model.is_int8_layer(layer, options) else "W8A8_MXFP8"


def _dominant_type(layers, options):
    types = [_type(layer, options) for layer in layers]
    return "W8A8_MXINT8" if 2 * types.count("W8A8_MXINT8") > len(types) else "W8A8_MXFP8"


def _description(tensors, layers, options, rename):
    """msmodelslim's: each tensor's type, some members that are no types."""
    types = {}
    for name in tensors:
        layer = name.rpartition(".")[0]
        scaled = layer in layers and name.rpartition(".")[2] in ("weight", "weight_scale")
        types[rename(name)] = _type(layer, options) if scaled else "FLOAT"
    return {"model_quant_type": _dominant_type(layers, options), "version": "1.0.0", "group_size": 0,
            "metadata": {"exporter": "independent"}, "optional": {}, **types}


def write_modelslim(model, out, options):
    """A raw msmodelslim export: original names, one folder per expert."""
    for folder, raw_folder, _ in wan_model.experts(model):
        source, target = Path(model) / folder, Path(out) / raw_folder
        config = wan_model.read_json(source / "config.json")
        tensors, layers = wan_model.quantized(
            wan_model.read_tensors(source, DIFFUSERS_STEM), config, options)
        originals = wan_model.original_names(tensors, config)
        rename = originals.get if options.description_names == "original" else str
        description = _description(tensors, layers, options, rename)
        target.mkdir(parents=True)
        saved = {originals[name]: tensor for name, tensor in tensors.items()
                 if not _is_omitted(name, layers, options)}
        for block in range(wan_model.block_count(config)):
            attention = f"blocks.{block}.self_attn"
            if options.attention_type:
                description[f"{attention}.quant_type"] = options.attention_type
            if options.rotations:
                for name in (f"{attention}.q_rot", f"{attention}.k_rot"):
                    saved[name] = wan_model.rotation(config["attention_head_dim"], block)
                    description[name] = "FLOAT"
        suffix = _dominant_type(layers, options).lower()
        wan_model.write_tensors(target, RAW_STEM + suffix, saved, options.shards)
        wan_model.write_json(target / f"{RAW_DESCRIPTION}{suffix}.json", description)
        wan_model.write_json(target / "config.json", wan_model.original_config(config, model))


def _is_omitted(name, layers, options):
    """Whether an export without its FLOAT tensors lacks this one; biases stay."""
    return options.omit_float and name.rpartition(".")[0] not in layers


def write_sglang(raw, model, out):
    """What SGLang's tools/wan_repack.py makes of a raw export: one file per transformer, names by
    its rules, description-only keys as they were."""
    wan_model.copy_model(model, out)
    for folder, raw_folder, _ in wan_model.experts(model):
        source, target = Path(raw) / raw_folder, Path(out) / folder
        target.mkdir(parents=True)
        stem = sorted(source.glob("quant_model_weight*.safetensors*"))[0].name.split(".")[0]
        tensors = wan_model.read_tensors(source, stem.split("-0")[0])
        (description_file,) = source.glob("quant_model_description*.json")
        description = wan_model.read_json(description_file)
        renamed = {wan_names.sglang_name(name) if name in tensors else name: value
                   for name, value in description.items()}
        assert len(renamed) == len(description)
        st.write(target / f"{DIFFUSERS_STEM}.safetensors",
                 {wan_names.sglang_name(name): tensor for name, tensor in tensors.items()})
        wan_model.write_json(target / "quant_model_description.json", renamed)
        shutil.copyfile(Path(model) / folder / "config.json", target / "config.json")


def _refuse_int8(options):
    if options.int8_layers:
        raise ValueError("only the forms with a description know MXINT8")


def _comfy_file_name(model, noise):
    kind = wan_model.original_config(
        wan_model.read_json(Path(model) / "transformer" / "config.json"), model)["model_type"]
    return "_".join(part for part in ("wan2.2", kind, noise, "mxfp8") if part) + ".safetensors"


def write_comfy(model, out, options):
    """ComfyUI's single files: original names, marked layers, scales in tiles of 128 x 4."""
    _refuse_int8(options)
    Path(out).mkdir(parents=True)
    for folder, _, noise in wan_model.experts(model):
        source = Path(model) / folder
        config = wan_model.read_json(source / "config.json")
        plain = wan_model.read_tensors(source, DIFFUSERS_STEM)
        tensors, layers = wan_model.quantized(plain, config, options)
        originals = wan_model.original_names(tensors, config)
        saved, marker = {}, {"format": "mxfp8"}
        for name, tensor in tensors.items():
            if name.endswith(".weight_scale"):
                tiles = mxfp8.swizzle(st.codes(tensor))
                tensor = st.Tensor(options.scale_dtype, tiles.shape, tiles.tobytes())
            saved[options.prefix + originals[name]] = tensor
        metadata = None
        marked = {options.prefix + original: marker for original in layers.values()}
        if options.markers == "metadata":
            metadata = {"_quantization_metadata": json.dumps(
                {"format_version": "1.0", "layers": marked})}
        else:
            for layer in marked:
                text = json.dumps(marker).encode()
                saved[layer + ".comfy_quant"] = st.Tensor("U8", (len(text),), text)
        st.write(Path(out) / _comfy_file_name(model, noise), saved, metadata)


# Linear layers outside of the blocks, which no recipe quantizes.
ROOT_LINEARS = tuple(diffusers for original, diffusers in wan_names.ROOT_MODULES
                     if original != "patch_embedding")


def _quantization_config(style, float_layers):
    if style == "vllm-omni":
        return {"quant_method": "mxfp8", "is_checkpoint_mxfp8_serialized": True,
                "ignored_layers": float_layers}
    ignored = sorted(ROOT_LINEARS) + float_layers
    if style == "sglang-cuda":
        return {"quant_method": "mxfp8", "activation_scheme": "dynamic",
                "weight_block_size": [1, 32], "scale_fmt": "ue8m0",
                "modules_to_not_convert": ignored}
    arguments = {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32,
                 "symmetric": True, "scale_dtype": "torch.uint8"}
    return {"quant_method": "compressed-tensors", "format": "mxfp8-quantized",
            "quantization_status": "compressed", "ignore": ignored,
            "config_groups": {"group_0": {
                "targets": ["Linear"], "weights": {**arguments, "dynamic": False},
                "input_activations": {**arguments, "dynamic": True}}}}


def write_config_json(model, out, options):
    """Diffusers names and "quantization_config" in config.json, in three dialects."""
    _refuse_int8(options)
    wan_model.copy_model(model, out)
    for folder, _, _ in wan_model.experts(model):
        source, target = Path(model) / folder, Path(out) / folder
        config = wan_model.read_json(source / "config.json")
        tensors, layers = wan_model.quantized(
            wan_model.read_tensors(source, DIFFUSERS_STEM), config, options)
        every = wan_names.quantized_layers(wan_model.block_count(config))
        if options.style == "sglang-cuda":
            tensors = {name + "_inv" if name.endswith(".weight_scale") else name: tensor
                       for name, tensor in tensors.items()}
        elif options.scale_dtype != "U8":
            tensors = {name: tensor._replace(dtype=options.scale_dtype)
                       if name.endswith(".weight_scale") else tensor
                       for name, tensor in tensors.items()}
        config["quantization_config"] = _quantization_config(
            options.style, sorted(set(every) - set(layers)))
        target.mkdir(parents=True)
        wan_model.write_tensors(target, DIFFUSERS_STEM, tensors, options.shards)
        wan_model.write_json(target / "config.json", config)


def dequantize(path):
    """{Diffusers name: F32 tensor} of one transformer in any of the forms above."""
    path = Path(path)
    tensors, metadata = _load(path)
    prefix = "model.diffusion_model."
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    marked = {name for name in tensors if name.endswith(".comfy_quant")}
    swizzled = bool(marked) or "_quantization_metadata" in metadata
    blocks = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
    names = wan_names.diffusers_to_original(blocks)
    canonical = {original: name for name, original in names.items()}
    result = {}
    for name, tensor in tensors.items():
        if name in marked or name.endswith(("weight_scale", "weight_scale_inv", "_rot")):
            continue
        if tensor.dtype in ("F8_E4M3", "I8"):
            scale = tensors[name + ("_scale" if name + "_scale" in tensors else "_scale_inv")]
            n, k = tensor.shape
            scales = st.codes(scale)
            if swizzled:
                scales = mxfp8.unswizzle(scales, n, k // mxfp8.BLOCK)
            form = mxint8 if tensor.dtype == "I8" else mxfp8
            value = form.dequantize(st.codes(tensor), scales)
        else:
            value = st.values(tensor)
        result[canonical.get(name, name)] = st.f32(value)
    return result


def _load(path):
    """The tensors and metadata of one safetensors file, or of all of a directory."""
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    tensors, metadata = {}, {}
    for file in files:
        part, part_metadata = st.read(file)
        if set(part) & set(tensors):
            raise ValueError(f"{file}: tensors that another shard has")
        tensors.update(part)
        metadata.update(part_metadata)
    return tensors, metadata


def differences(left, right, ignore=()):
    """One line for each tensor that only one of two files or directories has, or that differs."""
    (mine, _), (theirs, _) = _load(Path(left)), _load(Path(right))
    for name in sorted(set(mine) | set(theirs)):
        if any(fnmatch.fnmatchcase(name, glob) for glob in ignore):
            continue
        if name not in mine or name not in theirs:
            yield f"{name}: only in {left if name in mine else right}"
        elif mine[name][:2] != theirs[name][:2]:
            yield f"{name}: {mine[name][:2]} and {theirs[name][:2]}"
        elif mine[name].data != theirs[name].data:
            yield f"{name}: values differ"
