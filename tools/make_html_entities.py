#!/usr/bin/env python3
"""Writes src/tokenizer/repair/html_entities.inc from Python's table of HTML5 character references.

Each entry is NAME=CODEPOINTS (hexadecimal, comma between two), or NAME!CODEPOINTS for the names that HTML5
also accepts without the semicolon. Run: tools/make_html_entities.py > src/tokenizer/repair/html_entities.inc
"""

from html.entities import html5

WIDTH = 92


def entries():
    for name, text in sorted(html5.items()):
        if not name.endswith(";"):
            if html5.get(name + ";") != text:
                raise SystemExit(f"{name}: differs from {name};")
            continue
        mark = "!" if name[:-1] in html5 else "="
        yield name[:-1] + mark + ",".join(f"{ord(c):X}" for c in text)


def main():
    print("// Made by tools/make_html_entities.py from the HTML5 named character references; "
          "do not edit.")
    line = ""
    for entry in entries():
        if len(line) + len(entry) + 1 > WIDTH:
            print(f'"{line}"')
            line = ""
        line += entry + " "
    print(f'"{line}"')


if __name__ == "__main__":
    main()
