"""Reader and writer of safetensors files on numpy alone, from the description of the format:
8 bytes length of the header (little endian), the header (JSON), the bytes of the tensors.

A tensor is a Tensor of its type's name, its shape and its bytes: types that numpy lacks stay bytes.
"""

import json
import struct
from collections import namedtuple

import numpy as np

ITEM_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2,
              "I16": 2, "U16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I8": 1, "U8": 1,
              "BOOL": 1}
# The library sorts by alignment, widest first; among equals in the order of its list of types.
TYPE_ORDER = ["U64", "I64", "F64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "F8_E8M0",
              "F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"]

Tensor = namedtuple("Tensor", "dtype shape data")


def u8(array):
    """A U8 tensor."""
    array = np.ascontiguousarray(array, np.uint8)
    return Tensor("U8", array.shape, array.tobytes())


def f32(array):
    array = np.ascontiguousarray(array, "<f4")
    return Tensor("F32", array.shape, array.tobytes())


def codes(tensor):
    """The bytes of a tensor with items of one byte, as an array of its shape."""
    assert ITEM_BYTES[tensor.dtype] == 1, tensor.dtype
    return np.frombuffer(tensor.data, np.uint8).reshape(tensor.shape)


def values(tensor):
    """The values of a float tensor, as float32."""
    if tensor.dtype == "F32":
        array = np.frombuffer(tensor.data, "<f4")
    elif tensor.dtype == "F16":
        array = np.frombuffer(tensor.data, "<f2").astype(np.float32)
    elif tensor.dtype == "BF16":
        array = (np.frombuffer(tensor.data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        raise ValueError(f"no float tensor: {tensor.dtype}")
    return array.reshape(tensor.shape)


def bf16(array):
    """A BF16 tensor, rounded to nearest even; finite values only."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16
    return Tensor("BF16", np.shape(array), rounded.astype("<u2").tobytes())


def read(path):
    """({name: Tensor}, metadata)"""
    with open(path, "rb") as file:
        blob = file.read()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors, covered = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        shape = tuple(entry["shape"])
        size = ITEM_BYTES[entry["dtype"]]
        for extent in shape:
            size *= extent
        if begin != covered or end - begin != size:
            raise ValueError(f"{path}: {name}: bytes {begin}..{end}, expected {covered}..+{size}")
        covered = end
        tensors[name] = Tensor(entry["dtype"], shape, blob[8 + length + begin:8 + length + end])
    if 8 + length + covered != len(blob):
        raise ValueError(f"{path}: {len(blob)} bytes, expected {8 + length + covered}")
    return tensors, metadata


def write(path, tensors, metadata=None):
    """The bytes that the library writes for the same tensors."""
    def place(name):
        return TYPE_ORDER.index(tensors[name].dtype), name.encode()
    names = sorted(tensors, key=place)
    header = {"__metadata__": metadata} if metadata else {}
    offset = 0
    for name in names:
        tensor = tensors[name]
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(tensor.data)]}
        offset += len(tensor.data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            file.write(tensors[name].data)
