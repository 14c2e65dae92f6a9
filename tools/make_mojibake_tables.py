#!/usr/bin/env python3
"""Writes src/tokenizer/repair/mojibake_tables.inc: character classes and single-byte code pages.

The classes are the data of ftfy 6.3.1 (Apache-2.0, Robyn Speer), taken from the installed package and
evaluated character by character; the code pages are Python's. Run with ftfy installed:
tools/make_mojibake_tables.py > src/tokenizer/repair/mojibake_tables.inc
"""

import re

import ftfy
from ftfy import badness, chardata

# Bit numbers; src/tokenizer/repair/mojibake.cpp names them in the same order.
CLASSES = ["common", "c1", "bad", "law", "currency", "start_punctuation", "end_punctuation", "numeric",
           "kaomoji", "upper_accented", "lower_accented", "upper_common", "lower_common", "box"]
CLUES = ["utf8_first_of_2", "utf8_first_of_3", "utf8_first_of_4", "utf8_continuation",
         "utf8_continuation_strict"]
CODE_PAGES = ["windows-1252", "windows-1251", "windows-1250", "windows-1253", "windows-1254",
              "windows-1257", "iso-8859-2", "macroman", "cp437"]


def wrap(items, width=96):
    line = ""
    for item in items:
        if len(line) + len(item) > width:
            print("    " + line.rstrip())
            line = ""
        line += item + " "
    print("    " + line.rstrip())


def class_masks():
    masks = {}
    sets = [badness.MOJIBAKE_CATEGORIES[name] for name in CLASSES]
    sets += [chardata.UTF8_CLUES[name] for name in CLUES]
    for bit, characters in enumerate(sets):
        pattern = re.compile(f"[{characters}]")
        for code in range(0x10000):
            if pattern.match(chr(code)):
                masks[code] = masks.get(code, 0) | 1 << bit
    return masks


def code_page(name):
    """Characters of bytes 0x80 to 0xFF; unassigned bytes stand for themselves."""
    for byte in range(0x80, 0x100):
        try:
            yield ord(bytes([byte]).decode(name))
        except UnicodeDecodeError:
            yield byte


def main():
    if ftfy.__version__ != "6.3.1":
        raise SystemExit(f"expected ftfy 6.3.1, got {ftfy.__version__}")
    if set(CLASSES) != set(badness.MOJIBAKE_CATEGORIES) or set(CLUES) != set(chardata.UTF8_CLUES):
        raise SystemExit("ftfy has other classes than this script")
    if chardata.CHARMAP_ENCODINGS != ["latin-1"] + [("sloppy-" + n) if n.startswith("windows") else n
                                                    for n in CODE_PAGES]:
        raise SystemExit("ftfy tries other encodings than this script")
    print("// Made by tools/make_mojibake_tables.py; do not edit. Classes: data of ftfy 6.3.1")
    print("// (Apache-2.0, Copyright 2023 Robyn Speer). Code pages: Python's codecs.")
    print("\n// Code point and bit mask of its classes, ascending.")
    print("constexpr CharacterClasses kCharacterClasses[] = {")
    wrap(f"{{0x{code:X}, 0x{mask:X}}}," for code, mask in sorted(class_masks().items()))
    print("};\n")
    print(f"constexpr int kCodePages = {len(CODE_PAGES)};")
    print("\n// Characters of bytes 0x80 to 0xFF. " + ", ".join(CODE_PAGES) + ".")
    print("constexpr char16_t kCodePageHigh[kCodePages][128] = {")
    for name in CODE_PAGES:
        print("    {")
        wrap(f"0x{code:X}," for code in code_page(name))
        print("    },")
    print("};")


if __name__ == "__main__":
    main()
