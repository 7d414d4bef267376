# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What differences between our parser and others are known and meant. classify() names the rule a
# difference falls under or raises Unexplained; docs/http.md explains each rule by its name.
#
# There is no rule for a message that both take and read differently: that is the one thing which
# may never be, because between two such readers one request hides in another.

import re

LLHTTP_METHODS = set(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH "
    b"UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE "
    b"UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK SOURCE".split())


class Unexplained(AssertionError):
    pass


# ---- we refuse what the other takes: our reason, and the rule it belongs to

STRICTER = {
    b"line": "line ends and controls",
    b"large": "limits",
    b"chunk": "chunks",
    b"a start line of more than 8 KiB": "limits",
    b"more than 100 fields": "limits",
    b"too many names in Connection": "limits",
    b"a malformed method": "start line",
    b"a malformed status code": "start line",
    b"a status code outside 100 to 599": "start line",
    b"a start line that goes on where it should end": "start line",
    b"an HTTP version other than 1.0 and 1.1": "start line",
    b"a status line that does not begin with an HTTP version": "start line",
    b"nothing but empty lines": "start line",
    b"no HTTP version behind the request target": "request target",
    b"a wrong character in the request target": "request target",
    b"a fragment in the request target": "request target",
    b"a request target that is neither a path nor an http URL": "request target",
    b"a request target with a query and no path": "request target",
    b"a CONNECT target without a port": "host",
    b"a request target without a valid host": "host",
    b"a request target for another host than Host says": "host",
    b"a Host that is not host or host:port": "host",
    b"no Host field": "host",
    b"a field line that begins with white space": "field lines",
    b"a field without a name": "field lines",
    b"a field line without a colon": "field lines",
    b"a wrong character in a field name": "field lines",
    b"white space before the colon of a field": "field lines",
    b"a carriage return or an empty line inside the head": "field lines",
    b"more than one Authorization field": "fields that may come once",
    b"more than one Expect field": "fields that may come once",
    b"more than one Host field": "fields that may come once",
    b"more than one Upgrade field": "fields that may come once",
    b"more than one Content-Length field": "fields that may come once",
    b"more than one Transfer-Encoding field": "fields that may come once",
    b"a malformed Connection field": "Connection, Upgrade, Expect",
    b"a Connection field that names a field for the other end": "Connection, Upgrade, Expect",
    b"a Connection field that names Transfer-Encoding": "Connection, Upgrade, Expect",
    b"a malformed Upgrade field": "Connection, Upgrade, Expect",
    b"an expectation other than 100-continue": "Connection, Upgrade, Expect",
    b"a Content-Length that is not a number": "Content-Length",
    b"a Content-Length that is too large": "Content-Length",
    b"both Content-Length and Transfer-Encoding": "Transfer-Encoding",
    b"a tab behind Content-Length or Transfer-Encoding": "Transfer-Encoding",
    b"a transfer coding other than chunked": "Transfer-Encoding",
    b"Transfer-Encoding in HTTP/1.0": "Transfer-Encoding",
}

# ---- the other refuses what we take: (who, its reason, what must then be so, the rule)

BLANK_BEFORE_EXTENSION = re.compile(rb"[0-9A-Fa-f][ \t]+;")
FRAMING_TRAILER = re.compile(rb"\n0+(;[^\n]*)?\r\n([^\n]+\n)*(content-length|transfer-encoding):", re.IGNORECASE)
MORE_LENIENT = [
    ("llhttp", rb"Invalid method encountered|Expected space after method|Expected HTTP/2|"
               rb"Invalid method for HTTP/x.x",
     lambda data, ours: ours.start not in LLHTTP_METHODS, "methods"),
    ("llhttp", rb"Invalid HTTP version",
     lambda data, ours: re.search(rb"HTTP/1\.[2-9][ \r]", data), "later minor versions"),
    ("llhttp", rb"Invalid character in chunk (extensions|size)",
     lambda data, ours: b";" in data and ours.framing == b"chunked", "chunk extensions"),
    ("h11", rb"illegal chunk header",
     lambda data, ours: BLANK_BEFORE_EXTENSION.search(data), "chunk extensions"),
    ("both", rb".*Content-Length|.*Transfer-Encoding",
     lambda data, ours: ours.framing == b"chunked" and FRAMING_TRAILER.search(data[:ours.end]), "names of trailers"),
    ("h11", rb"no request line received", lambda data, ours: data.startswith(b"\r\n"), "empty lines"),
]


def _stricter(other, ours):
    if ours.reason not in STRICTER:
        raise Unexplained(f"we refuse for {ours.reason!r}, {other} does not")
    return "stricter: " + STRICTER[ours.reason]


def _more_lenient(other, data, ours, theirs):
    if ours.verdict == b"M" and ours.reason == b"head":
        return "lenient: incomplete heads"
    for who, reason, holds, rule in MORE_LENIENT:
        if who in (other, "both") and re.match(reason, theirs.reason) and holds(data, ours):
            return "lenient: " + rule
    raise Unexplained(f"we take what {other} refuses for {theirs.reason!r}")


# ---- both take it: what it says must be the same, and its end and framing always


def _h11_spelling(ours, theirs):
    """h11 shows codings in lower case, versions as sent."""
    values = [value.lower() if name.lower() == b"transfer-encoding" else value
              for name, value in zip(ours.names, ours.values)]
    return theirs._replace(minor=min(theirs.minor, 1)), ours._replace(values=values)


def _both_take(other, ours, theirs):
    if ours.verdict != theirs.verdict or ours.reason != theirs.reason:
        raise Unexplained(f"for us it is {ours.verdict} {ours.reason}, for {other} {theirs.verdict} {theirs.reason}")
    if ours.reason == b"head":
        return None  # incomplete for both
    name = None
    if other == "h11" and ours != theirs:
        theirs, spelt = _h11_spelling(ours, theirs)
        if spelt == theirs:
            name = "equal: spelling"
        ours = spelt
    different = [member for member in ours._fields if getattr(ours, member) != getattr(theirs, member)]
    if ours.verdict == b"M" and "end" in different:
        different.remove("end")  # how far was read, not where it ends
    if different:
        raise Unexplained(f"{other} reads it differently: {different}")
    return name


def classify(other, data, ours, theirs):
    """The rule for this difference, or None when there is none."""
    if ours.verdict == b"R":
        return None if theirs.verdict == b"R" else _stricter(other, ours)
    if theirs.verdict == b"R":
        return _more_lenient(other, data, ours, theirs)
    return _both_take(other, ours, theirs)


def names():
    """Of all rules there are, as classify() says them."""
    found = {"stricter: " + rule for rule in STRICTER.values()}
    found |= {"lenient: " + rule for *_, rule in MORE_LENIENT}
    return found | {"lenient: incomplete heads", "equal: spelling"}
