#!/usr/bin/env python3
"""The scripts of this folder against the goldens of tests/golden, which ml_dtypes, microxcaling,
comfy-kitchen, the safetensors library and the original Wan sources made. Needs numpy only.

usage: exports_test.py GOLDEN_DIR [unittest options]
"""

import argparse
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

import forms
import mxfp8
import mxint8
import safetensors_file as st
import wan_model
import wan_names

GOLDEN = Path()
MODELS = ("t2v-a14b", "i2v-a14b", "ti2v-5b")


def golden(name):
    return st.read(GOLDEN / f"{name}.safetensors")[0]


def options(**changes):
    """What export.py's command line gives without options."""
    defaults = {"float_layers": [], "int8_layers": [], "rule": "floor", "rounding": "half-away", "zero_bias": False,
                "shards": 1, "scale_dtype": "U8", "omit_float": False, "rotations": False,
                "attention_type": None, "description_names": "original", "prefix": "",
                "markers": "tensors", "style": "vllm-omni"}
    assert set(changes) <= set(defaults)
    return argparse.Namespace(**{**defaults, **changes})


class Codecs(unittest.TestCase):
    def test_every_code(self):
        tables = golden("formats/decode")
        for name, decode in (("e4m3", mxfp8.decode_e4m3), ("e8m0", mxfp8.decode_e8m0)):
            np.testing.assert_array_equal(st.values(tables[name]), decode(np.arange(256)))

    def test_every_bf16_value_half_to_even(self):
        codes = st.codes(golden("formats/encode_bf16")["e4m3"])
        values = (np.arange(65536, dtype=np.uint32) << 16).view(np.float32)
        finite = np.isfinite(values)
        np.testing.assert_array_equal(codes[finite], mxfp8.encode_e4m3(values[finite], "even"))

    def test_codes_come_back(self):
        codes = np.array([code for code in range(256) if code & 127 != 127], np.uint8)
        for rounding in ("half-away", "even"):
            again = mxfp8.encode_e4m3(mxfp8.decode_e4m3(codes), rounding)
            np.testing.assert_array_equal(codes, again)

    def test_floor_scales_and_halves_away_from_zero(self):
        for file, expected in (("offline/floor_half_away", "dequantized"),
                               ("formats/blocks_microxcaling", "e4m3.floor.half_away")):
            blocks = golden(file)
            got = mxfp8.dequantize(*mxfp8.quantize(st.values(blocks["input"])))
            np.testing.assert_array_equal(st.values(blocks[expected]), got)

    def test_published_blocks(self):
        """Codes of a block with largest magnitude 1.0, then 1.9, as msmodelslim has them."""
        for largest, row in (
                (1.0, {1.0: 0x78, 1.0625: 0x79, -1.0625: 0xf9, 0.9375: 0x77, 0.03125: 0x50,
                       -2.0**-10: 0xa8, 2.0**-17: 0x01, 2.0**-18: 0x01, 3 * 2.0**-19: 0x01}),
                (1.9, {1.75: 0x7e, 1.78125: 0x7e, 1.9: 0x7e, 0.1: 0x5d, 0.3: 0x6a})):
            self.assertEqual(mxfp8.scale_bytes(largest), 119)
            for value, code in row.items():
                self.assertEqual(mxfp8.encode_e4m3(value * 256), code, value)

    def test_zero_block(self):
        codes, scales = mxfp8.quantize(np.zeros((1, 32), np.float32))
        self.assertEqual((codes.max(), scales.max()), (0, 0))

    def test_short_block_is_refused(self):
        with self.assertRaises(ValueError):
            mxfp8.quantize(np.zeros((2, 48), np.float32))


class Int8(unittest.TestCase):
    def test_microxcaling(self):
        blocks = golden("formats/blocks_microxcaling")
        for rounding, name in (("half-away", "half_away"), ("even", "rne")):
            got = mxint8.dequantize(*mxint8.quantize(st.values(blocks["input"]), "floor", rounding))
            np.testing.assert_array_equal(st.values(blocks[f"int8.floor.{name}"]), got)

    def test_rceil_loses_less_than_half_a_step(self):
        """1 63/64 is the largest element: what lies beyond doubles the scale."""
        for largest, byte in ((1.0, 127), (127 / 64, 127), (1.99, 128), (2.0, 128)):
            weight = np.array([[largest] + 31 * [0.25]], np.float32)
            codes, scales = mxint8.quantize(weight, "rceil", "even")
            self.assertEqual(scales[0, 0], byte)
            error = np.abs(mxint8.dequantize(codes, scales) - weight).max()
            self.assertLessEqual(error, 2.0**(byte - 127) / 128)

    def test_every_code(self):
        codes = np.arange(256, dtype=np.uint8).reshape(1, 256)
        values = mxint8.dequantize(codes, np.full((1, 8), 133, np.uint8))
        self.assertEqual(values[0].tolist(), [*range(128), *range(-128, 0)])
        again, _ = mxint8.quantize(values[:, 96:128], "floor", "even")
        np.testing.assert_array_equal(again, codes[:, 96:128])

    def test_zero_block(self):
        codes, scales = mxint8.quantize(np.zeros((1, 32), np.float32))
        self.assertEqual((codes.max(), scales.max()), (0, 0))


class ComfyKitchen(unittest.TestCase):
    def test_tiles(self):
        tensors = golden("offline/swizzle")
        grids = {name.rpartition(".")[0] for name in tensors}
        self.assertEqual(len(grids), 10)
        for grid in grids:
            plain, tiles = (st.codes(tensors[f"{grid}.{x}"]) for x in ("row_major", "swizzled"))
            np.testing.assert_array_equal(tiles, mxfp8.swizzle(plain), grid)
            np.testing.assert_array_equal(plain, mxfp8.unswizzle(tiles, *plain.shape), grid)

    def test_weights(self):
        tensors = golden("offline/comfy")
        names = [name[:-6] for name in tensors if name.endswith(".input")]
        self.assertEqual(len(names), 2)
        for name in names:
            codes, scales = mxfp8.quantize(st.values(tensors[name + ".input"]), "rceil", "even")
            np.testing.assert_array_equal(st.codes(tensors[name + ".weight"]), codes)
            tiles = st.codes(tensors[name + ".weight_scale"])
            np.testing.assert_array_equal(tiles, mxfp8.swizzle(scales))
            np.testing.assert_array_equal(st.values(tensors[name + ".dequantized"]),
                                          mxfp8.dequantize(codes, scales))


class Files(unittest.TestCase):
    def test_bytes_of_the_library(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("offline/library_types", "checkpoint/library", "offline/comfy"):
                original = GOLDEN / f"{name}.safetensors"
                copy = Path(folder) / "copy.safetensors"
                st.write(copy, *st.read(original))
                self.assertEqual(original.read_bytes(), copy.read_bytes(), name)

    def test_values_of_16_bits(self):
        tables = golden("formats/decode")
        halves = st.Tensor("F16", (65536,), np.arange(65536, dtype="<u2").tobytes())
        np.testing.assert_array_equal(st.values(tables["fp16"]), st.values(halves))


class Names(unittest.TestCase):
    def pairs(self, model):
        text = (GOLDEN / "checkpoint" / f"names_transformer_{model}.tsv").read_text()
        return dict(line.split("\t") for line in text.splitlines())

    def test_full_key_sets(self):
        for model, layers, count, quantized in (("a14b", 40, 1095, 400), ("5b", 30, 825, 300)):
            pairs = self.pairs(model)
            self.assertEqual(len(pairs), count)
            constructed = wan_names.diffusers_to_original(layers)
            self.assertEqual({theirs: mine for mine, theirs in pairs.items()}, constructed)
            # SGLang's rules: one to one, the same names, scales beside their weights.
            self.assertEqual({mine: wan_names.sglang_name(mine) for mine in pairs}, pairs)
            layers = wan_names.quantized_layers(layers)
            self.assertEqual(len(layers), quantized)
            for theirs, mine in layers.items():
                self.assertEqual(wan_names.sglang_name(mine + ".weight_scale"),
                                 theirs + ".weight_scale")

    def test_names_of_the_tiny_models(self):
        for model in MODELS:
            for folder, _, _ in wan_model.experts(GOLDEN / "models" / model):
                source = GOLDEN / "models" / model / folder
                tensors = wan_model.read_tensors(source, forms.DIFFUSERS_STEM)
                self.assertEqual(set(tensors), set(wan_names.diffusers_to_original(2)))


class Forms(unittest.TestCase):
    """Each form of a model, dequantized, is the same as each other form."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def place(self):
        self.count = getattr(self, "count", 0) + 1
        return self.folder / str(self.count)

    def transformers(self, model, write, **changes):
        out = self.place()
        if write is forms.write_sglang:
            raw = self.place()
            forms.write_modelslim(model, raw, options(**changes))
            forms.write_sglang(raw, model, out)
        else:
            write(model, out, options(**changes))
        if write is forms.write_comfy:
            found = sorted(out.iterdir())
            self.assertEqual(len(found), len(wan_model.experts(model)))
        else:
            column = 1 if write is forms.write_modelslim else 0
            found = [out / expert[column] for expert in wan_model.experts(model)]
        return [forms.dequantize(path) for path in found]

    def test_all_forms_of_all_models(self):
        for name in MODELS:
            model = GOLDEN / "models" / name
            expected = self.transformers(model, forms.write_modelslim)
            self.assertEqual(set(expected[0]), set(wan_names.diffusers_to_original(2)))
            for write, changes in (
                    (forms.write_modelslim, {"shards": 3}),
                    (forms.write_modelslim, {"rotations": True, "attention_type": "FP8_DYNAMIC"}),
                    (forms.write_modelslim, {"description_names": "diffusers"}),
                    (forms.write_sglang, {}), (forms.write_sglang, {"shards": 2}),
                    (forms.write_comfy, {}),
                    (forms.write_comfy, {"prefix": "model.diffusion_model.",
                                         "scale_dtype": "F8_E8M0", "markers": "metadata"}),
                    (forms.write_config_json, {}), (forms.write_config_json, {"shards": 2}),
                    (forms.write_config_json, {"style": "sglang-cuda"}),
                    (forms.write_config_json, {"style": "compressed-tensors"})):
                self.assertEqual(expected, self.transformers(model, write, **changes),
                                 f"{name} {write.__name__} {changes}")

    def test_error_of_a_weight(self):
        """Half a step of three bits of mantissa, 1/16; saturated maxima come to 1/8."""
        model = GOLDEN / "models" / "t2v-a14b"
        weights = wan_model.read_tensors(model / "transformer", forms.DIFFUSERS_STEM)
        (got, _) = self.transformers(model, forms.write_modelslim)
        for layer in wan_names.quantized_layers(2):
            weight = st.values(weights[layer + ".weight"]).astype(np.float64)
            error = np.abs(st.values(got[layer + ".weight"]) - weight)
            blocks = np.abs(weight).reshape(-1, 32).max(axis=1).repeat(32).reshape(weight.shape)
            self.assertLessEqual((error / np.maximum(np.abs(weight), blocks / 2**10)).max(), 0.126)
            self.assertGreater(error.max(), 0)

    def test_comparison_finds_each_difference(self):
        tensors = {"a": st.u8([1, 2]), "b": st.u8([3])}
        st.write(self.folder / "x.safetensors", tensors)
        for changed in ({"a": st.u8([1, 2])}, {**tensors, "c": st.u8([1])},
                        {**tensors, "b": st.u8([4])}, {**tensors, "b": st.u8([[3]])},
                        {**tensors, "b": st.Tensor("I8", (1,), b"\3")}):
            st.write(self.folder / "y.safetensors", changed)
            paths = self.folder / "x.safetensors", self.folder / "y.safetensors"
            self.assertEqual(len(list(forms.differences(*paths))), 1)


if __name__ == "__main__":
    GOLDEN = Path(sys.argv.pop(1))
    unittest.main()
