# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Stands in for a tunneld in a TDX machine: serves the documents of an Instance over TLS with the
# instance's key, or with another one, as somebody in the middle would.

import datetime
import http.server
import json
import ssl
import tempfile
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from .tunneld_evidence import TUNNEL


def _certificate(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tunneld")])
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
            .sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def tls_context(key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(_certificate(key) + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                         serialization.NoEncryption()))
        file.flush()
        context.load_cert_chain(file.name)
    return context


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that do not trust this server


class EvidenceServer:
    """with EvidenceServer(instance) as server: ... `change` may replace every document it serves."""

    def __init__(self, instance, key=None, change=None, tls=True, port=0):
        self.instance, self.change, self.seen = instance, change or (lambda document, query: document), []
        self.heads = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.seen.append(self.path)
                outer.heads.append(self.headers.items())
                status, body = outer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = _Server(("127.0.0.1", port), Handler)
        if tls:
            self.server.socket = tls_context(key or instance.tls_key).wrap_socket(self.server.socket, server_side=True)
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}"
        self.url = f"{self.origin}/t/{TUNNEL}/"

    def answer(self, path):
        path, _, query = path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        if path == "/_api/attestation":
            document = self.instance.document()
        elif path == f"/_api/tunnels/{TUNNEL}/attestation":
            document = self.instance.tunnel_document(TUNNEL, query["nonce"])
        else:
            return 404, json.dumps({"status": 404, "detail": "There is no such tunnel."}).encode()
        if "fresh" in query:
            document["fresh"] = self.instance.fresh(query["nonce"])
        return 200, json.dumps(self.change(document, query)).encode()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
