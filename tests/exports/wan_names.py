"""Names of the tensors of Wan2.2's transformers, from the construction of both models, and the
renaming of SGLang's tools/wan_repack.py as its rules say: ordered replacement of substrings.
"""

# The ten linear layers of a block: original Wan name, Diffusers name.
BLOCK_LINEARS = tuple(
    (f"{mine}.{layer}", f"{theirs}.{target}")
    for mine, theirs in (("self_attn", "attn1"), ("cross_attn", "attn2"))
    for layer, target in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"))
) + (("ffn.0", "ffn.net.0.proj"), ("ffn.2", "ffn.net.2"))

ROOT_MODULES = (
    ("patch_embedding", "patch_embedding"),
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("head.head", "proj_out"),
)


def diffusers_to_original(layers):
    """{Diffusers name: original name} of every tensor of a model of so many blocks."""
    names = {"scale_shift_table": "head.modulation"}
    for original, diffusers in ROOT_MODULES:
        for member in ("weight", "bias"):
            names[f"{diffusers}.{member}"] = f"{original}.{member}"
    for block in range(layers):
        mine, theirs = f"blocks.{block}.", f"blocks.{block}."
        names[theirs + "scale_shift_table"] = mine + "modulation"
        for original, diffusers in BLOCK_LINEARS:
            for member in ("weight", "bias"):
                names[f"{theirs}{diffusers}.{member}"] = f"{mine}{original}.{member}"
        for original, diffusers in (("self_attn", "attn1"), ("cross_attn", "attn2")):
            for norm in ("norm_q", "norm_k"):
                names[f"{theirs}{diffusers}.{norm}.weight"] = f"{mine}{original}.{norm}.weight"
        for member in ("weight", "bias"):  # the affine norm, before the cross-attention
            names[f"{theirs}norm2.{member}"] = f"{mine}norm3.{member}"
    return names


def quantized_layers(layers):
    """Diffusers name -> original name of the linear layers that are quantized."""
    return {f"blocks.{block}.{diffusers}": f"blocks.{block}.{original}"
            for block in range(layers) for original, diffusers in BLOCK_LINEARS}


SGLANG_RULES = (
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("head.modulation", "scale_shift_table"),
    ("head.head", "proj_out"),
    ("modulation", "scale_shift_table"),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
    ("norm2", "norm__placeholder"),
    ("norm3", "norm2"),
    ("norm__placeholder", "norm3"),
    ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
    ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
    ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
    ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
    ("img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"),
    ("self_attn.q", "attn1.to_q"),
    ("self_attn.k", "attn1.to_k"),
    ("self_attn.v", "attn1.to_v"),
    ("self_attn.o", "attn1.to_out.0"),
    ("self_attn.norm_q", "attn1.norm_q"),
    ("self_attn.norm_k", "attn1.norm_k"),
    ("cross_attn.q", "attn2.to_q"),
    ("cross_attn.k", "attn2.to_k"),
    ("cross_attn.v", "attn2.to_v"),
    ("cross_attn.o", "attn2.to_out.0"),
    ("cross_attn.norm_q", "attn2.norm_q"),
    ("cross_attn.norm_k", "attn2.norm_k"),
    ("attn2.to_k_img", "attn2.add_k_proj"),
    ("attn2.to_v_img", "attn2.add_v_proj"),
    ("attn2.norm_k_img", "attn2.norm_added_k"),
)


def sglang_name(name):
    for old, new in SGLANG_RULES:
        name = name.replace(old, new)
    return name
