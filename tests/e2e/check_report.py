#!/usr/bin/env python3
"""Checks a report of `mxvideo compare`: HTML that is well-formed XML, holds its pictures itself,
runs and fetches nothing, and shows these texts.

    check_report.py REPORT.html TEXT ...
"""

import base64
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

FORBIDDEN = {"script", "link", "iframe", "object", "embed", "base", "form"}
MAGIC = {"image/png": b"\x89PNG\r\n", "image/svg+xml": b"<?xml", "image/webp": b"RIFF"}


class Parser(HTMLParser):
    """What a browser sees."""

    def __init__(self):
        super().__init__()
        self.text, self.images, self.clips = [], 0, 0

    def handle_starttag(self, tag, attrs):
        assert tag not in FORBIDDEN, f"<{tag}>"
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href", "data", "action", "srcset", "poster", "background"):
                self.check_source(tag, name, value)

    def check_source(self, tag, name, value):
        assert tag == "img" and name == "src", f"<{tag} {name}={value[:80]}>"
        kind, payload = value.removeprefix("data:").split(";base64,")
        data = base64.b64decode(payload, validate=True)
        assert data.startswith(MAGIC[kind]), f"{kind}: {data[:20]}"
        if kind == "image/svg+xml":
            ElementTree.fromstring(data)
            for mark in (b"<script", b'href="http', b"href='http", b"<image"):
                assert mark not in data, mark
        self.images += 1
        # A WebP image of several ANMF chunks moves.
        self.clips += kind == "image/webp" and data.count(b"ANMF") > 1

    def handle_data(self, data):
        self.text.append(data)


def main():
    path, *texts = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        page = file.read()
    ElementTree.fromstring(page)
    for mark in ("url(", "@import"):
        assert mark not in page, mark
    parser = Parser()
    parser.feed(page)
    parser.close()
    shown = "".join(parser.text)
    for text in texts:
        assert text in shown, f"not shown: {text}"
    assert "initial-scale=1" in page and "@media (max-width: 640px)" in page, "not for phones"
    print(parser.images, parser.clips)


if __name__ == "__main__":
    main()
