#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Runs at build time: puts files into the API worker, which can open none. Writes rows of
# struct web_file (api/web.h), and the bytes they lead to.
#
#     pack.py HEADER FILE...
#
# Comments that have a line of their own, and blanks at the beginning of lines, are left out.
# {{>NAME}} in an HTML file stands for the file NAME beside it. What stands in a page's <style> and
# <script> is named in its Content-Security-Policy by its hash, so that nothing else can be.

import base64
import gzip
import hashlib
import pathlib
import re
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml"}
COMMENTS = {".html": r"<!--.*?-->", ".css": r"/\*.*?\*/", ".js": r"//[^\n]*"}
INCLUDE = re.compile(r"\{\{>([\w.]+)\}\}")
INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


def squeezed(path):
    text = path.read_text()
    if path.suffix not in COMMENTS:
        return text
    text = re.sub(rf"^[ \t]*{COMMENTS[path.suffix]}[ \t]*\n", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^[ \t]+|\n(?=\s*\n)", "", text, flags=re.MULTILINE)
    return INCLUDE.sub(lambda found: squeezed(path.with_name(found[1])).rstrip("\n"), text)


def policy(text):
    """The directives for what stands in the page itself."""
    sources = {"style": [], "script": []}
    for kind, inline in INLINE.findall(text):
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        sources[kind].append(f"'sha256-{digest}'")
    return "".join(f"{kind}-src {' '.join(found)}; " for kind, found in sources.items() if found)


def array(name, content):
    numbers = ",\n".join(", ".join(str(byte) for byte in content[i:i + 24]) for i in range(0, len(content), 24))
    return f"static const unsigned char {name}[] = {{\n{numbers}}};\n"


def span(name, size):
    return f"{{(const char *){name}, {size}}}"


def pack(number, path):
    """The arrays of a file, and its row."""
    text = squeezed(path)
    plain, html = text.encode(), path.suffix == ".html"
    packed = gzip.compress(plain, 9, mtime=0)
    tag = hashlib.sha256(plain).hexdigest()[:32]
    arrays = array(f"plain_{number}", plain) + array(f"packed_{number}", packed)
    row = (f'{{"{path.name}", "{TYPES[path.suffix]}", {span(f"plain_{number}", len(plain))}, '
           f'{span(f"packed_{number}", len(packed))}, "\\"{tag}\\"", "{policy(text) if html else ""}"}},\n')
    return arrays, row


def main(header, *names):
    packed = [pack(number, pathlib.Path(name)) for number, name in enumerate(names)]
    rows = "".join(row for _, row in packed)
    pathlib.Path(header).write_text(
        "".join(arrays for arrays, _ in packed) + f"static const struct web_file files[] = {{\n{rows}}};\n")


main(*sys.argv[1:])
