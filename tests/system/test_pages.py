# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: who has the address of a tunnel learns what it is, what carries it and whom to turn to, as a page;
# a stranger no more than the public evidence says. Addresses for programs have pages for people, too.

import base64
import hashlib
import http.client
import json
import re
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support import proc, wire
from support.daemon import Daemon, free_port
from support.guest import Guest
from test_attestation_tls import write_certificate
from test_origins import served

PERSON = [("Accept", "text/html,application/xhtml+xml"), ("Sec-Fetch-Mode", "navigate")]
ABUSE = "mailto:abuse@example.org?subject=a%20tunnel"
NAME = 'Demo of <b>ours</b> & "yours"'
SHOWN = "Demo of &lt;b&gt;ours&lt;/b&gt; &amp; &quot;yours&quot;"


@pytest.fixture(scope="module")
def daemon():
    with Daemon(abuse_contact=ABUSE) as running:
        yield running


def ask(address, target, fields=(), method="GET"):
    with wire.Client(address) as visitor:
        return visitor.exchange(method, target, fields)


def page(answer, title, status=200):
    """Looks at the head of a page and returns its text."""
    assert (answer.status, answer.fields.get("Content-Type")) == (status, "text/html; charset=utf-8"), answer
    policy = answer.fields.get("Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy, policy
    for directive in ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert directive in policy.split("; "), policy
    for name, value in {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
                        "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
                        "Cross-Origin-Resource-Policy": "same-origin"}.items():
        assert answer.fields.get(name) == value, (name, answer)
    assert f"<h1>{title}</h1>" in answer.text(), answer
    return answer.text()


def about(tunnel, fields=PERSON):
    return page(ask(tunnel.address, f"/_t/{tunnel.id}/", fields), "About this tunnel")


def end_of(text):
    found = re.search(r'<time id="ends" datetime="([^"]+)">\1</time>', text)
    return found and found[1]


def test_what_everybody_with_the_address_of_an_open_tunnel_is_told(api, backend):
    tunnel = api.create(backend, name=NAME)
    text = about(tunnel)
    assert end_of(text) == tunnel.show()["expires_at"]
    assert SHOWN in text and "<b>" not in text
    assert "everybody who has its address" in text and "a service that this server connects to" in text
    assert f"<pre>tunnel verify {tunnel.url}</pre>" in text
    assert f'<a href="{ABUSE}" rel="noreferrer">' in text
    assert f'href="/t/{tunnel.id}/"' in text
    assert backend.url() not in text and str(backend.url()).split("//")[1] not in text
    assert backend.received == [], "nobody has asked the service"
    head = ask(tunnel.address, f"/_t/{tunnel.id}/", PERSON, "HEAD")
    assert (head.status, head.body, int(head.fields.get("Content-Length"))) == (200, b"", len(text.encode()))


@pytest.mark.parametrize("auth", ["bearer", "basic"])
def test_who_does_not_know_the_secret_is_not_told_the_end(api, backend, auth):
    tunnel = api.create(backend, auth=auth, name=NAME, timeout=5400)
    other = api.create(backend, auth=auth)
    shows = {"bearer": lambda t: t.bearer(), "basic": lambda t: t.basic()}[auth]
    for fields in ([], shows(other), [("Cookie", f"tunneld_{tunnel.id}=99999999999.{64 * '0'}")]):
        text = about(tunnel, [*PERSON, *fields])
        assert end_of(text) is None and "1 hour 30 minutes in all" in text, text
        assert tunnel.show()["expires_at"] not in text and SHOWN in text
        assert tunnel.secret not in text
    text = about(tunnel, [*PERSON, *shows(tunnel)])
    assert end_of(text) == tunnel.show()["expires_at"] and "in all" not in text


def test_who_has_logged_in_is_told_the_end(api, backend):
    tunnel = api.create(backend, auth="bearer")
    with wire.Client(tunnel.address) as visitor:
        answer = visitor.exchange("POST", f"/_t/{tunnel.id}/login",
                                  [("Content-Type", "application/x-www-form-urlencoded")],
                                  f"secret={tunnel.secret}".encode())
    cookies = answer.fields.all("Set-Cookie")
    [pair] = [field.partition(";")[0] for field in cookies if f"; Path=/_t/{tunnel.id}/;" in field]
    assert end_of(about(tunnel, [*PERSON, ("Cookie", f"a=b; {pair}")]))


def test_a_pull_tunnel(api):
    tunnel = api.pull(auth="none")
    assert "a service on a machine that connects to this server" in about(tunnel)


def test_there_is_none(api, backend):
    over = api.create(backend)
    over.revoke()
    for id_, status, code in ((over.id, 410, "tunnel_over"), ("t-" + 26 * "a", 404, "tunnel_unknown")):
        for fields, type_ in ((PERSON, "text/html; charset=utf-8"), ([], "application/problem+json")):
            answer = ask(over.address, f"/_t/{id_}/", fields)
            assert (answer.status, answer.fields.get("Tunnel-Error")) == (status, code), answer
            assert answer.fields.get("Content-Type") == type_, answer


def test_where_abuse_is_reported(daemon, api, backend):
    tunnel = api.create(backend, auth="bearer")
    for target in ("/", "/nothing", tunnel.target("/"), "/_api/attestation"):
        answer = ask(tunnel.address, target, PERSON)
        assert f'<a href="{ABUSE}" rel="noreferrer">Report abuse</a>' in answer.text(), (target, answer)


# ---- evidence

def test_people_get_pages_and_programs_documents(api, backend):
    tunnel = api.create(backend)
    nonce = "ab" * 16
    for path, query, title in (("/_api/attestation", "", "What runs here"),
                               (f"/_api/tunnels/{tunnel.id}/attestation", f"?nonce={nonce}", "About this tunnel")):
        text = page(ask(tunnel.address, path, PERSON), title)
        document = json.loads(ask(tunnel.address, path + query, PERSON if query else []).body)
        assert document["tee"] is None and "statement" in document
        assert "Nothing vouches for this server." in text
        # Fetches of scripts are programs.
        fetched = ask(tunnel.address, path + query, [("Accept", "text/html"), ("Sec-Fetch-Mode", "cors")])
        assert fetched.fields.get("Content-Type") == "application/json", fetched


def test_the_page_says_what_the_document_says(daemon, api):
    document = api.expect(200, "GET", "/_api/attestation", token="").json()
    said = json.loads(base64.b64decode(document["statement"]))
    text = page(ask(("127.0.0.1", daemon.port), "/_api/attestation", PERSON), "What runs here")
    for value in (said["instance_key"], said["source"]["tree_sha256"], said["config_sha256"], said["started_at"],
                  said["source"]["version"]):
        assert value in text, (value, text)
    for component in said["components"]:
        assert component["name"] in text and component["sha256"] in text, component
    assert "TLS does not end in this server." in text
    # A page finds nothing out.
    for word in ("proved", "trusted", "secure", "✓", "✔"):
        assert word not in text.lower(), word
    assert "verified" not in text.replace("says “verified”", "").replace("has verified", "")


def test_without_evidence(backend):
    with Daemon(attestation="off") as daemon:
        tunnel = daemon.api.create(backend, auth="bearer", name=NAME)
        text = about(tunnel)
        assert "gives no evidence of what runs here" in text and "tunnel verify" not in text
        assert SHOWN not in text and "in all" not in text and "Behind it" not in text, "no more than the API tells"
        text = about(tunnel, [*PERSON, *tunnel.bearer()])
        assert SHOWN in text and end_of(text)
        assert "given no address for reports of abuse" in text
        front = page(ask(tunnel.address, "/", PERSON), "tunneld")
        assert "/_api/attestation" not in front and "Report abuse" not in front


# ---- origins

def test_on_origins_of_their_own(backend):
    with served(wildcard_domain="t.example") as daemon:
        one, two = daemon.api.create(backend), daemon.api.create(backend)
        port = ("127.0.0.1", int(one.document["urls"][1].split(":")[2].strip("/")))
        name = f"{one.id}.t.example:{daemon.port}"
        for address, host in ((port, f"127.0.0.1:{port[1]}"), (("127.0.0.1", daemon.port), name)):
            with wire.Client(address) as visitor:
                text = page(visitor.exchange("GET", f"/_t/{one.id}/", [*PERSON, ("Host", host)]), "About this tunnel")
            assert 'class="button" href="/"' in text
            with wire.Client(address) as visitor:
                answer = visitor.exchange("GET", f"/_t/{two.id}/", [*PERSON, ("Host", host)])
            assert answer.status == 404, answer


# ---- with TLS, and with hardware (a stand-in for its guest service)

ANY = ssl.create_default_context()
ANY.check_hostname, ANY.verify_mode = False, ssl.CERT_NONE


def secured(port, target):
    """The page at TARGET by TLS, and the fingerprint of the key it came by, as browsers show it."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=15, context=ANY)
    connection.request("GET", target, headers=dict(PERSON))
    shown = x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True)).public_key()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    digest = hashlib.sha256(shown.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest().upper()
    return text, ":".join(digest[i:i + 2] for i in range(0, 64, 2))


def test_the_key_to_compare(tmp_path, backend):
    port = free_port()
    with Guest(tmp_path / "dstack.sock") as guest, \
            Daemon(tls_listen=f"127.0.0.1:{port}", dstack_socket=guest.path) as daemon:
        proc.wait_until(lambda: daemon.api.expect(200, "GET", "/_api/attestation", token="").json()["tee"] == "tdx", 20,
                        daemon.log)
        tunnel = daemon.api.create(backend)
        for target in ("/_api/attestation", f"/_t/{tunnel.id}/"):
            text, fingerprint = secured(port, target)
            assert f"<li><code>{fingerprint}</code></li>" in text, text
            assert "read from a file of the operator" not in text and "come here without TLS" not in text
            assert "This server shows a quote" in text and "Nothing vouches" not in text
            for heading in ("What the command checks, and who vouches for it", "What it does not prove"):
                assert f"<h2>{heading}</h2>" in text, heading
            assert ("This tunnel.</strong>" in text) == target.startswith("/_t/")
            plain = page(ask(("127.0.0.1", daemon.port), target, PERSON),
                         "About this tunnel" if target.startswith("/_t/") else "What runs here")
            assert fingerprint in plain and "You have come here without TLS" in plain


def test_a_key_from_a_file(tmp_path):
    write_certificate(tmp_path)
    port = free_port()
    with Daemon(tls_listen=f"127.0.0.1:{port}", tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem")):
        text, fingerprint = secured(port, "/_api/attestation")
        assert fingerprint in text and "This key was read from a file of the operator." in text
