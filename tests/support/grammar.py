# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Requests and answers as no honest peer sends them: built from a grammar of HTTP/1.1 in which each
# part is now and then an odd one, then sometimes damaged. The same seed gives the same messages.

import random

ODD = 0.03  # of each part
DAMAGED = 0.2  # of the messages
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"

METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH", b"TRACE", b"PROPFIND"]
ODD_METHODS = [b"CONNECT", b"get", b"G@T", b"", b"GET\t", b" GET", b"FOO", b"PRI", b"M-SEARCH",
               b"SOURCE", b"DESCRIBE", b"X" * 40, b"G\0T", b"GET,", b"QUERY", b"P\xd6ST", b"{}"]
ODD_TARGETS = [b"*", b"", b"x", b"//h/", b"http://h/", b"http://h", b"HTTP://H/", b"https://h/",
               b"http://other/", b"http://h?x", b"http://u@h/", b"ftp://h/", b"h:80", b"/#x", b"/a b",
               b"/\t", b"/\x7f", b"/\xc3\xa4", b"/%00%0d%0a", b"/..//./x", b"/?a#b", b"/\\x", b"/\"<>^`{|}",
               b"/" + b"a" * 9000, b"?x", b"/\0", b"http://[::1]/", b"http:///x", b"/;a=b", b"/\x01"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]
ODD_VERSIONS = [b"HTTP/1.2", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1", b"HTTP/1,1", b"HTTP/11",
                b"HTTP /1.1", b"", b"HTTP/1.1 ", b"HTTP/ 1.1", b"HTTP/+1.1", b"HTTPS/1.1", b"HTTP/1.",
                b"HTTP/3.1", b"HTTP/0.0", b"ICE/1.0", b"RTSP/1.0", b"HTTP/1.1\t"]
ENDS = [b"\r\n"]
ODD_ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n ", b"\r\n\t", b" \r\n", b"\t\r\n", b"\0\r\n", b"\x0b\r\n",
            b"\r\n\r\n", b"\x85\r\n", b"\r \n", b""]
SPACES = [b" "]
ODD_SPACES = [b"  ", b"\t", b"", b"\x0b", b"\x0c", b"\xa0", b" \r\n ", b"\r"]
HOSTS = [b"h", b"h:80", b"h", b"127.0.0.1:8080", b"[::1]:80", b"example.com"]
ODD_HOSTS = [b"", b"h h", b"h,g", b"u@h", b"h:", b"h:0", b"h:99999", b"h/x", b"[::1", b"h%41", b"[::1%lo]",
             b"h..x", b"-h", b"h\t", b"h\x01", b"\xc3\xa4", b"h:80:80", b"0x7f.1", b"h?", b"h#"]
LENGTHS = [b"0", b"1", b"5", b"5", b"12", b"300"]
ODD_LENGTHS = [b"", b"+5", b"-1", b"0x5", b"5,5", b"5, 5", b"5 5", b"05", b"00", b"5;x", b"5.0", b"1e1", b"\t5",
               b"18446744073709551616", b"18446744073709551621", b"9223372036854775808",
               b"9223372036854775807", b"99999999999999999999999", b"5\x0b", b"\xb2", b"_5", b"5_0", b'"5"',
               b"4294967296", b"4294967301", b"5\0", b"5,6", b",5", b"5,"]
ODD_CODINGS = [b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"gzip", b"identity", b"xchunked",
               b"chunked;q=1", b'"chunked"', b"\x0bchunked", b"chunked\x0b", b"chun ked", b"", b",chunked",
               b"chunked,", b" chunked", b"chunked ", b"chunkedx", b"identity, chunked", b"CHUNKED",
               b"cHuNkEd", b"chunked\t", b"chunked\0", b"chunked\x00x", b"chun\r\n ked", b"tr\xc3\xa4iler"]
LENGTH_NAMES = [b"Content-Length", b"content-length", b"CONTENT-LENGTH"]
ODD_NAMES = [b"Content-Length ", b" Content-Length", b"Content_Length", b"Content-Length\t", b"Content-Lengt\0h",
             b"Content-Length\x0b", b"\xeeontent-Length", b"Content-Length\r", b"Content-Length\r\n "]
CODING_NAMES = [b"Transfer-Encoding", b"transfer-encoding", b"TRANSFER-ENCODING"]
ODD_CODING_NAMES = [b"Transfer-Encoding ", b"Transfer_Encoding", b"Transfer-Encoding\t", b"Transfer-Encoding\0",
                    b"Transfer\xadEncoding", b" Transfer-Encoding", b"X: y\nTransfer-Encoding",
                    b"X: y\rTransfer-Encoding", b"Transfer-Encoding\r\n"]
FIELDS = [b"X: y", b"Accept: */*", b"X:y", b"X: ", b"X:", b"Cookie: a=b; c=d", b"Connection: close",
          b"Connection: keep-alive", b"Set-Cookie: a=b", b"User-Agent: t", b"X-\xfcY: 1",
          b"X: \xc3\xa4", b"X: a\tb", b"TE: trailers", b"X: " + b"z" * 100, b"Date: now", b"x: y"]
ODD_FIELDS = [b"X", b": y", b"X : y", b" X: y", b"X: a\r\n b", b"X: a\r\n\tb", b"X: a\0b", b"X: a\x01b", b"X: a\x7fb",
              b"X(y): z", b"X\xc3: y", b"X: a\rb", b"X: a\nb", b"Upgrade: websocket", b"Connection: upgrade",
              b"Upgrade: websocket\r\nConnection: upgrade", b"Upgrade: x\r\nConnection: upgrade, close",
              b"Connection: host", b"Connection: content-length", b"Connection: transfer-encoding",
              b"Connection: close, x", b"Connection: ;", b"Connection: ,", b"Connection: \"a\"",
              b"Expect: 100-continue", b"Expect: x", b"Authorization: a\r\nAuthorization: b", b"Host: g",
              b"Host: h", b"X: " + b"z" * 40000, b"X: " + b"z" * 9000, b"\r\n", b"Trailer: X",
              b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"X: \x0b", b"X\x0b: y", b"X\t: y",
              b"X:: y", b"@: y", b"X,Y: z", b"\xefX: y", b"X: y\x85", b"Connection: close\r\nConnection: keep-alive",
              b"Sec-WebSocket-Key: x", b"Content-Type: x", b"Y:" + b" " * 50 + b"z" + b"\t" * 5,
              b"Upgrade: h2c\r\nConnection: upgrade, HTTP2-Settings\r\nHTTP2-Settings: x",
              b"Upgrade: a b\r\nConnection: upgrade", b"Connection: keep-alive, upgrade"]
STATUSES = [b"200", b"200", b"200", b"404", b"500", b"204", b"304", b"302", b"100", b"101", b"103", b"206"]
ODD_STATUSES = [b"20", b"2000", b"600", b"999", b"099", b"000", b"+20", b"2 0", b"20x", b"", b"-200", b"0200",
                b"\t200", b"199", b"205", b"1000"]
REASONS = [b" OK", b" Not Found", b" ", b"", b" \xc3\xa4", b" a\tb"]
ODD_REASONS = [b" a\0b", b" a\rb", b" a\nb", b" \x01", b" \x7f", b"OK", b"\tOK", b"  OK  ", b" " + b"r" * 9000]
ODD_SIZES = [b"0x5", b"+5", b"-5", b"5 ", b" 5", b"", b"5\t", b"05", b"0000000000000005", b"00000000000000005",
             b"ffffffffffffffff", b"fffffffffffffffff", b"7fffffffffffffff", b"8000000000000000", b"g", b"5g",
             b"5_", b"5,", b"5.", b"10000000000000005", b"100000005", b"5\0", b"5\x0b", b"FFFFFFFF1"]
EXTENSIONS = [b";a", b";a=b", b";a=\"b c\"", b"; a=b;c", b";a;b=d"]
ODD_EXTENSIONS = [b";", b" ;a", b"\t; a = b", b";a\rb", b";a\nb", b";a\0b", b";\xff", b";" + b"x" * 1200, b";a=\"b\r\n\"",
                  b";=", b";;", b" a", b";a=\"", b";a\x7f", b";a b", b";a=b c", b";{}"]
TRAILERS = [b"T: u\r\n", b"A: b\r\nC: d\r\n", b"Content-Length: 5\r\n", b"T:\r\n"]
ODD_TRAILERS = [b"T : u\r\n", b"T\r\n", b" T: u\r\n", b"T: u\n", b"T: a\r\n b\r\n", b"T: a\0\r\n", b": x\r\n",
                b"T: " + b"u" * 9000 + b"\r\n", b"T: u\r", b"Transfer-Encoding: chunked\r\n", b"\n"]
BYTES = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"\x0b", b"\x7f", b"\xff", b"\x80", b"0", b"9",
         b"a", b"\"", b"\\", b"#", b"?", b"/", b"\r\n\r\n", b"\x01", b"\x1f", b"%0d%0a", b"A" * 20, b"\n\n"]


class Grammar:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.chance = self.random.random

    def pick(self, usual, odd, share=ODD):
        source = odd if self.chance() < share else usual
        return source[int(self.chance() * len(source))]

    def of(self, source):
        return source[int(self.chance() * len(source))]

    # Parts

    def end(self):
        return self.pick(ENDS, ODD_ENDS, 0.012)

    def text(self, size):
        return self.of((b"abcde", b"5\r\nab", b"GET /", b"\0\1\2", b"\r\n\r\n")) * (size // 5) + b"vwxyz"[: size % 5]

    def lengths(self):
        """Content-Length fields and the number of body bytes that an honest reader takes."""
        value = self.pick(LENGTHS, ODD_LENGTHS, 0.15)
        fields = [self.pick(LENGTH_NAMES, ODD_NAMES) + b":" + self.of((b" ", b"", b"\t")) + value]
        if self.chance() < 0.06:
            again = value if self.chance() < 0.5 else self.of(LENGTHS)
            fields.append(self.of(LENGTH_NAMES) + b": " + again)
        digits = value.strip()
        return fields, self.text(min(int(digits), 400) if digits.isdigit() and len(digits) < 10 else 5)

    def codings(self):
        value = self.pick((b"chunked",), ODD_CODINGS, 0.15)
        fields = [self.pick(CODING_NAMES, ODD_CODING_NAMES) + b": " + value]
        if self.chance() < 0.04:
            fields.append(self.of(CODING_NAMES) + b": " + self.of((b"chunked", b"identity", b"gzip")))
        return fields, self.chunks()

    def chunks(self):
        pieces = []
        for _ in range(int(self.chance() * 4)):
            size = int(self.chance() ** 3 * 300) + 1
            text = self.pick((b"%x" % size, b"%X" % size), ODD_SIZES)
            pieces += (text, self.extension(), self.end(), self.text(size), self.end())
        pieces += (self.pick((b"0", b"0", b"00"), (b"", b"0 ", b"-0", b"000000000000000000000"), 0.02),
                   self.extension(), self.end())
        if self.chance() < 0.2:
            pieces.append(self.pick(TRAILERS, ODD_TRAILERS, 0.25))
        pieces.append(self.end())
        return b"".join(pieces)

    def extension(self):
        return self.pick(EXTENSIONS, ODD_EXTENSIONS, 0.3) if self.chance() < 0.12 else b""

    def body(self):
        """Fields that frame it, and it."""
        kind = self.chance()
        if kind < 0.3:
            return [], b""
        if kind < 0.62:
            return self.lengths()
        if kind < 0.94:
            return self.codings()
        lengths, text = self.lengths()
        codings, chunks = self.codings()
        both = lengths + codings if self.chance() < 0.5 else codings + lengths
        return both, chunks if self.chance() < 0.5 else text

    def some_fields(self):
        count = int(self.chance() * 4)
        if self.chance() < 0.004:
            count = 99 + int(self.chance() * 4)
        return [self.pick(FIELDS, ODD_FIELDS) for _ in range(count)]

    def head(self, start, fields):
        self.random.shuffle(fields)
        lines = [start, self.end()]
        for field in fields:
            lines += (field, self.end())
        lines.append(self.end())
        return b"".join(lines)

    def damage(self, message):
        """One to three places changed, most of them near the start."""
        for _ in range(1 + int(self.chance() * 2.2)):
            at = int(self.chance() ** 1.5 * (len(message) + 1))
            what = self.chance()
            if what < 0.4:
                message = message[:at] + self.of(BYTES) + message[at:]
            elif what < 0.6:
                message = message[:at] + message[at + 1 + int(self.chance() ** 4 * 20):]
            elif what < 0.8:
                message = message[:at] + self.of(BYTES) + message[at + 1:]
            elif what < 0.9:
                message = message[:at] + message[at:at + 40] + message[at:]
            else:
                message = message[:at]
        return message

    def perhaps_damage(self, message):
        return self.damage(message) if self.chance() < DAMAGED else message

    # Messages

    def request(self, target=b"/x", host=None, start_target=None):
        """A request, often with another one behind it. START_TARGET: paths begin with it."""
        lead = self.pick((b"",), (b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\r\n" * 5, b"\0", b"\t"), 0.02)
        path = self.pick((target, target + b"?a=b", target + b"/y"), ODD_TARGETS)
        if start_target and not path.startswith(start_target):
            path = start_target + path
        start = b"".join((lead, self.pick(METHODS, ODD_METHODS), self.pick(SPACES, ODD_SPACES, 0.01), path,
                          self.pick(SPACES, ODD_SPACES, 0.01), self.pick(VERSIONS, ODD_VERSIONS)))
        fields = self.some_fields()
        if self.chance() > 0.01:
            name = self.pick((b"Host", b"Host", b"host"), (b"Host ", b"H\0ost", b"HOST"), 0.02)
            fields.append(name + b": " + self.pick(HOSTS if host is None else (host,), ODD_HOSTS, 0.06))
        framing, body = self.body()
        message = self.perhaps_damage(self.head(start, fields + framing) + body)
        return message + HIDDEN if self.chance() < 0.5 else message

    def answer(self):
        start = b"".join((self.pick(VERSIONS, ODD_VERSIONS), self.pick(SPACES, ODD_SPACES, 0.01),
                          self.pick(STATUSES, ODD_STATUSES, 0.06), self.pick(REASONS, ODD_REASONS)))
        framing, body = self.body()
        message = self.perhaps_damage(self.head(start, self.some_fields() + framing) + body)
        return message + b"HTTP/1.1 200 hidden\r\nContent-Length: 0\r\n\r\n" if self.chance() < 0.4 else message
