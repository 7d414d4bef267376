# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# TLS as a visitor speaks it, over a socket of ours, so that a test sees what TCP does beneath: an
# end with close_notify is b"", one without it raises Truncated, and a reset is a reset. And
# certificates of a CA of the test's own, made by openssl(1).

import hashlib
import pathlib
import socket
import ssl
import subprocess


class Truncated(ConnectionError):
    """The peer's FIN came without close_notify."""


def trusting_nobody(**versions):
    """A context that takes any certificate: what is looked at is the connection, not its owner."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in versions.items():
        setattr(context, name, value)
    return context


class TlsSocket:
    """Looks like a socket to support.wire; `tls` is the SSLObject, `tcp` what lies beneath."""

    def __init__(self, tcp, context=None, name=None, session=None):
        self.tcp = tcp
        self._kept = b""  # decrypted, and not asked for yet
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or trusting_nobody()).wrap_bio(
            self._in, self._out, server_hostname=name, session=session)
        self._run(self.tls.do_handshake)

    def _flush(self):
        if data := self._out.read():
            self.tcp.sendall(data)

    def _run(self, call, *arguments):
        while True:
            try:
                done = call(*arguments)
                self._flush()
                return done
            except ssl.SSLWantReadError:
                self._flush()
                if not (data := self.tcp.recv(65536)):
                    raise Truncated("FIN without close_notify") from None
                self._in.write(data)

    def recv(self, size, flags=0):
        if self._kept:
            data, self._kept = self._kept[:size], self._kept[size:]
            return data
        try:
            return self._run(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""

    def pending(self):
        """Bytes that have left the socket and were not asked for yet."""
        return self.tls.pending() + self._in.pending

    def recv_into(self, buffer):
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def sendall(self, data):
        for at in range(0, len(data), 1 << 20):
            self._run(self.tls.write, data[at: at + (1 << 20)])

    def shutdown(self, how):
        """Says the end, and reads on. What came before is taken first: OpenSSL would look behind it
        for the other's end, and lose it."""
        try:
            while data := self.tls.read(65536):
                self._kept += data
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        try:
            self.tls.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        self._flush()

    def __getattr__(self, name):
        return getattr(self.tcp, name)

    def close(self):
        """Without a word."""
        self.tcp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(address, context=None, name=None, session=None, timeout=10):
    tcp = socket.create_connection(address, timeout)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return TlsSocket(tcp, context, name, session)
    except BaseException:
        tcp.close()
        raise


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Authority:
    """A CA in FOLDER; issue() makes (certificate file with its chain, key file)."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.certificate, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-days", "2", "-subj", "/CN=a CA of the tests", "-keyout", self.key,
                 "-out", self.certificate)

    def issue(self, name, *names, rsa=False, days=1, file=None):
        base = self.folder / (file or name.replace("*", "any"))
        certificate, key, request = (base.with_name(base.name + end)
                                     for end in (".pem", ".key", ".csr"))
        extensions = base.with_name(base.name + ".ext")
        alternatives = [("IP:" if n.replace(".", "").isdigit() or ":" in n else "DNS:") + n
                        for n in (name, *names)]
        extensions.write_text(f"subjectAltName={','.join(alternatives)}\n")
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        _openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={name}", "-keyout", key,
                 "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                 "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", certificate)
        certificate.write_text(certificate.read_text() + self.certificate.read_text())
        key.chmod(0o600)
        return certificate, key

    def context(self):
        """A client's that trusts this CA alone."""
        return ssl.create_default_context(cafile=self.certificate)


def spki(certificate):
    """SHA-256 of the public key of a DER certificate, as the log has it."""
    pem = subprocess.run(["openssl", "x509", "-inform", "DER", "-pubkey", "-noout"],
                         input=certificate, capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem,
                         capture_output=True, check=True).stdout
    return hashlib.sha256(der).hexdigest()
