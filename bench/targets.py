# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What is measured: the backend itself, nginx and haproxy as Debian has them, tunneld. Each has one
# process that accepts, no request log, time limits that never strike, and a session of its own, as
# kernels schedule by sessions.

import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile

from support import daemon, proc

NGINX = """
daemon off; worker_processes 1; worker_rlimit_nofile 20000;
pid {folder}/pid; error_log {folder}/log crit;
events {{ worker_connections 16000; use epoll; }}
http {{
  access_log off; tcp_nodelay on; client_max_body_size 0;
  keepalive_requests 1000000000; keepalive_timeout 3600;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  proxy_buffers 8 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;
  proxy_request_buffering off; client_body_buffer_size 64k;
  map $http_upgrade $backend_connection {{ default upgrade; '' '{connection}'; }}
  upstream backend {{ server 127.0.0.1:{backend}; {keepalive} }}
  server {{
    listen 127.0.0.1:{port} {tls} backlog=4096; {certificate}
    location / {{
      proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $backend_connection;
      proxy_read_timeout 3600; proxy_send_timeout 3600;
    }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn {connections}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  http-reuse always
  {options}
frontend visitors
  bind 127.0.0.1:{port} {tls} backlog 4096
  default_backend all
backend all
  server one 127.0.0.1:{backend}
"""


HITCH = """
frontend = {{ host = "127.0.0.1" port = "{port}" }}
backend = "[127.0.0.1]:{backend}"
pem-file = "{pem}"
workers = 1
backlog = 4096
keepalive = 3600
tls-protos = TLSv1.3
daemon = off
user = "nobody"
ocsp-dir = ""
"""


class Certificate:
    """One with a P-256 key, which all that speak TLS have, in a folder of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
        self.chain, self.key, self.both = (self.folder / name for name in ("chain.pem", "key.pem", "both.pem"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=bench.test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", self.chain],
            check=True, capture_output=True)
        self.both.write_bytes(self.chain.read_bytes() + self.key.read_bytes())
        for secret in (self.key, self.both):
            secret.chmod(0o600)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def listening(process, port):
    assert process.poll() is None, f"{process.args} exited with {process.returncode}"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A process that listens on a port of its own; stop() ends it."""

    path, fields, tls = "", (), False

    def __init__(self, name):
        self.name = name
        self.port = daemon.free_port()
        self.process = None

    def run(self, *command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        proc.wait_until(lambda: listening(self.process, self.port), 10, f"{self.name} listens")

    def start(self):
        raise NotImplementedError

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None

    def processes(self):
        return [proc.Process(self.process.pid), *proc.children(self.process.pid)]


class Backend(Program):
    """The target `direct` as well: no proxy at all."""

    def __init__(self):
        super().__init__("direct")

    def start(self):
        self.run(daemon.BUILD / "bench/bench-backend", str(self.port))


class Peer(Program):
    """A proxy with a configuration file in a folder of its own."""

    def __init__(self, name, backend):
        super().__init__(name)
        self.backend = backend
        self.folder = None

    def configure(self, template, **values):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
        self.folder.chmod(0o755)
        path = self.folder / "configuration"
        path.write_text(template.format(
            folder=self.folder, port=self.port, backend=self.backend.port, **values))
        return path

    def stop(self):
        super().stop()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Peer):
    def __init__(self, name, backend, *, keepalive=True, certificate=None):
        super().__init__(name, backend)
        self.keepalive, self.certificate, self.tls = keepalive, certificate, certificate is not None

    def start(self):
        certificate = self.tls and (f"ssl_protocols TLSv1.3; ssl_certificate {self.certificate.chain}; "
                                    f"ssl_certificate_key {self.certificate.key};")
        path = self.configure(
            NGINX, tls="ssl" if self.tls else "", certificate=certificate or "", connection="" if self.keepalive else "close",
            keepalive="keepalive 256; keepalive_requests 1000000000;" if self.keepalive else "")
        self.run("nginx", "-e", self.folder / "log", "-p", self.folder, "-c", path)


class Haproxy(Peer):
    def __init__(self, name, backend, *, splice=False, certificate=None):
        super().__init__(name, backend)
        self.splice, self.certificate, self.tls = splice, certificate, certificate is not None

    def start(self):
        # The size of its pipe pool follows from maxconn.
        options = "option splice-request\n  option splice-response" if self.splice else ""
        with_tls = f"ssl crt {self.certificate.both} ssl-min-ver TLSv1.3" if self.tls else ""
        path = self.configure(HAPROXY, tls=with_tls, options=options, connections=1000 if self.splice else 9000)
        self.run("haproxy", "-db", "-f", path)


class Hitch(Peer):
    """Ends TLS and knows nothing of HTTP."""

    tls = True

    def __init__(self, name, backend, certificate):
        super().__init__(name, backend)
        self.certificate = certificate

    def start(self):
        self.run("hitch", f"--config={self.configure(HITCH, pem=self.certificate.both)}")


class Tunneld:
    """As root, sealed, with one gate and one tunnel that wants a bearer secret."""

    tls = False

    def __init__(self, name, backend, *, tunnels=1, **options):
        self.name, self.backend, self.tunnels, self.options = name, backend, tunnels, options
        self.daemon = None

    def start(self):
        self.daemon = daemon.Daemon(
            gates="1", max_tunnels=str(self.tunnels + 100), max_connections_per_tunnel="10000",
            **self.options)
        self.daemon.start()
        self.port = self.daemon.port
        tunnel = self.create()
        self.path = f"/t/{tunnel['id']}"
        self.fields = [f"Authorization: Bearer {tunnel['secret']}"]

    def settings(self):
        return {"backend": f"http://127.0.0.1:{self.backend.port}", "timeout": 3600}

    def call(self, method, path, body=None):
        """By a client of our own: that of the tests judges the answer, which takes its time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(
                method, path, body and json.dumps(body),
                {"Authorization": f"Bearer {daemon.TOKEN}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        assert answer.status in (200, 201), body
        return json.loads(body)

    def create(self):
        return self.call("POST", "/_api/tunnels", self.settings())

    def stop(self):
        if self.daemon:
            self.daemon.close()
            self.daemon = None

    def processes(self):
        return self.daemon.everyone()


class Secured(Tunneld):
    """The same by TLS, with one edge."""

    tls = True

    def __init__(self, name, backend, certificate, **options):
        self.tls_port = daemon.free_port()
        super().__init__(name, backend, edges="1", tls_listen=f"127.0.0.1:{self.tls_port}",
                         tls_cert=str(certificate.chain), tls_key=str(certificate.key), **options)

    def start(self):
        super().start()
        self.port = self.tls_port


class Served(Tunneld):
    """The same with a pull tunnel, and `tunnel up` beside it as its agent."""

    agent = None

    def settings(self):
        return {"timeout": 3600}

    def start(self):
        super().start()
        tunnel = self.path.rpartition("/")[2]
        self.agent = subprocess.Popen(
            [daemon.BUILD / "tunnel", "up", "-q", "--attach", tunnel, f"http://127.0.0.1:{self.backend.port}"],
            env={"TUNNEL_SERVER": f"http://127.0.0.1:{self.port}", "TUNNEL_TOKEN": daemon.TOKEN},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        there = lambda: self.call("GET", f"/_api/tunnels/{tunnel}")["counters"]["agents"] == 1
        proc.wait_until(there, 10, "the agent is there")

    def stop(self):
        super().stop()
        if self.agent:
            self.agent.kill()
            self.agent.wait()
            self.agent = None

    def processes(self):
        return [*super().processes(), *self.agents()]

    def agents(self):
        return [proc.Process(self.agent.pid)]


def make(backend, certificate):
    """All there are, by name."""
    every = [
        backend,
        Nginx("nginx", backend),
        Nginx("nginx, no upstream keep-alive", backend, keepalive=False),
        Haproxy("haproxy", backend),
        Haproxy("haproxy, splice", backend, splice=True),
        Tunneld("tunneld", backend),
        Tunneld("tunneld, shared", backend, backend_reuse="shared"),
        Served("tunneld, agent", backend),
        Nginx("nginx, TLS", backend, certificate=certificate),
        Nginx("nginx, TLS, no upstream keep-alive", backend, keepalive=False, certificate=certificate),
        Haproxy("haproxy, TLS", backend, certificate=certificate),
        Hitch("hitch, TLS", backend, certificate),
        Secured("tunneld, TLS", backend, certificate),
        Secured("tunneld, TLS, shared", backend, certificate, backend_reuse="shared"),
    ]
    return {target.name: target for target in every}
