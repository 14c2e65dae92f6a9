#!/usr/bin/env python3
"""Makes quantized Wan2.2 checkpoints as other programs write them, from a Diffusers model directory;
reads them back. numpy only, nothing of mxvideo: the second opinion of its tests.

    export.py modelslim MODEL OUT    raw msmodelslim export
    export.py sglang RAW MODEL OUT   a raw export as SGLang's tools/wan_repack.py repacks it
    export.py comfy MODEL OUT        ComfyUI files
    export.py config MODEL OUT       Diffusers names, "quantization_config" in config.json
    export.py dequantize IN OUT      one transformer (file or folder) as F32, Diffusers names
    export.py compare A B            tensor by tensor; exit status 1 when they differ
"""

import argparse
import sys

import forms
import safetensors_file as st


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    quantizing = argparse.ArgumentParser(add_help=False)
    quantizing.add_argument("--float-layers", default=[], type=lambda text: text.split(","),
                            help="globs over Diffusers layer names that stay as they are")
    quantizing.add_argument("--int8-layers", default=[], type=lambda text: text.split(","),
                            help="globs over those that become MXINT8; modelslim only")
    quantizing.add_argument("--rule", choices=("floor", "rceil"), default="floor")
    quantizing.add_argument("--rounding", choices=("half-away", "even"), default="half-away")
    quantizing.add_argument("--zero-bias", action="store_true")
    quantizing.add_argument("--shards", type=int, default=1)
    quantizing.add_argument("--scale-dtype", choices=("U8", "F8_E8M0"), default="U8")

    modelslim = commands.add_parser("modelslim", parents=[quantizing])
    modelslim.add_argument("model")
    modelslim.add_argument("out")
    modelslim.add_argument("--omit-float", action="store_true",
                           help="leave out the tensors of layers that are not quantized")
    modelslim.add_argument("--rotations", action="store_true", help="add q_rot and k_rot")
    modelslim.add_argument("--attention-type", help="add blocks.N.self_attn.quant_type")
    modelslim.add_argument("--description-names", choices=("original", "diffusers"),
                           default="original")

    sglang = commands.add_parser("sglang")
    for name in ("raw", "model", "out"):
        sglang.add_argument(name)

    comfy = commands.add_parser("comfy", parents=[quantizing])
    comfy.add_argument("model")
    comfy.add_argument("out")
    comfy.add_argument("--prefix", default="", help="before every name")
    comfy.add_argument("--markers", choices=("tensors", "metadata"), default="tensors")

    config = commands.add_parser("config", parents=[quantizing])
    config.add_argument("model")
    config.add_argument("out")
    config.add_argument("--style", choices=("vllm-omni", "sglang-cuda", "compressed-tensors"),
                        default="vllm-omni")

    for name in ("dequantize", "compare"):
        command = commands.add_parser(name)
        command.add_argument("left")
        command.add_argument("right")
        command.add_argument("--ignore", default=[], type=lambda text: text.split(","),
                             help="globs over names that may differ")
    return parser.parse_args()


def main():
    options = parse_args()
    if options.command == "modelslim":
        forms.write_modelslim(options.model, options.out, options)
    elif options.command == "sglang":
        forms.write_sglang(options.raw, options.model, options.out)
    elif options.command == "comfy":
        forms.write_comfy(options.model, options.out, options)
    elif options.command == "config":
        forms.write_config_json(options.model, options.out, options)
    elif options.command == "dequantize":
        st.write(options.right, forms.dequantize(options.left))
    else:
        found = list(forms.differences(options.left, options.right, options.ignore))
        print("\n".join(found))
        return 1 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
