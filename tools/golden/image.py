"""Image goldens: Pillow resizes, and the preprocessing of diffusers' VideoProcessor."""

import torch
from diffusers.video_processor import VideoProcessor
from PIL import Image

from golden.pipelines import synthetic_image

FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bicubic": Image.Resampling.BICUBIC}
# (height, width) of source and target: up, down, mixed, odd, one pixel, unchanged axes.
RESIZES = (((32, 48), (48, 80)), ((97, 61), (32, 32)), ((33, 21), (21, 33)), ((40, 40), (40, 64)),
           ((40, 40), (64, 40)), ((64, 96), (17, 9)), ((7, 5), (63, 45)), ((1, 1), (8, 8)),
           ((2, 100), (16, 16)), ((120, 90), (119, 91)), ((24, 24), (24, 24)))
PREPROCESS = (((50, 70), (48, 80), 8), ((97, 61), (64, 32), 16), ((32, 32), (32, 32), 16))


def _name(source, target):
    return f"{source[0]}x{source[1]}_to_{target[0]}x{target[1]}"


def write_image(writer):
    tensors = {}
    for source, target in RESIZES:
        pixels = synthetic_image(source, "resize", target)
        tensors[f"{_name(source, target)}.input"] = torch.from_numpy(pixels)
        for name, kind in FILTERS.items():
            resized = Image.fromarray(pixels).resize((target[1], target[0]), kind)
            tensors[f"{_name(source, target)}.{name}"] = _to_tensor(resized)
    writer.tensors("image/resize.safetensors", tensors, "image.write_image",
                   {"pillow_sizes": "name is HxW of input and output"})

    tensors = {}
    for source, target, scale in PREPROCESS:
        pixels = synthetic_image(source, "preprocess", target)
        processor = VideoProcessor(vae_scale_factor=scale)
        result = processor.preprocess(Image.fromarray(pixels), height=target[0], width=target[1])
        tensors[f"{_name(source, target)}.input"] = torch.from_numpy(pixels)
        tensors[f"{_name(source, target)}.output"] = result
    writer.tensors("image/preprocess.safetensors", tensors, "image.write_image")


def _to_tensor(image):
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(
        image.height, image.width, 3)
