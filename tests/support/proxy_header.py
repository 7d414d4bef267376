# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# PROXY headers as proxies send them (haproxy, doc/proxy-protocol.txt).

import ipaddress

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\0\0\0"


def version_1(source, port=4711):
    family, target = ("TCP6", "2001:db8::1") if ":" in source else ("TCP4", "203.0.113.1")
    return f"PROXY {family} {source} {target} {port} 443\r\n".encode()


def version_2(source, port=4711, extensions=b""):
    address = ipaddress.ip_address(source)
    target = ipaddress.ip_address("203.0.113.1" if address.version == 4 else "2001:db8::1")
    body = address.packed + target.packed + port.to_bytes(2, "big") + b"\x01\xbb" + extensions
    kind = b"\x11" if address.version == 4 else b"\x21"
    return SIGNATURE + b"\x21" + kind + len(body).to_bytes(2, "big") + body
