# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Stands in for the guest service of a dstack machine on a Unix socket: HTTP/1.1 as that speaks it, and
# quotes of the right form that no hardware has signed.
#
#     with Guest(folder / "dstack.sock") as guest:
#         guest.how = "slow"        # see Guest
#         guest.asked               # [("GetQuote", {"report_data": ...}), ...]

import contextlib
import hashlib
import json
import os
import socket
import struct
import threading
import time

COMPOSE = '{"manifest_version":2,"name":"stand-in","docker_compose_file":"services: {}\\n"}'
VM_CONFIG = '{"spec_version":1,"cpu_count":2}'
BIG = 3 << 20


def quote(report_data, version=4):
    """A TDX quote by its layout: header, body with REPORT_DATA, no signature worth the name."""
    header = struct.pack("<HHI", version, 2, 0x81) + bytes(4) + bytes.fromhex("939a7233f79c4ca9940a0db3957f0607") + bytes(20)
    body = bytes(520) + report_data
    assert len(header) == 48 and len(body) == 584
    middle = b"" if version == 4 else struct.pack("<HI", 2, len(body))
    return header + middle + body + struct.pack("<I", 64) + bytes(64)


def report_data_of(found):
    """What such a quote, in hex, is about."""
    found = bytes.fromhex(found)
    at = {4: 48, 5: 54}[found[0]] + 520
    return found[at: at + 64]


def event_log():
    compose = hashlib.sha256(COMPOSE.encode()).digest()
    return [{"imr": 3, "event_type": 134217729, "digest": "", "event": "compose-hash", "event_payload": compose.hex()},
            {"imr": 3, "event_type": 134217729, "digest": "", "event": "system-ready", "event_payload": ""}]


class Guest:
    """
    HOW it answers: "current" and "old" as services since and before 0.4 do, "v5" with quotes of version
    5, "slow" after `delay` seconds; or wrongly: "lying" about something else, "no tdx", "error", "huge",
    "endless", "cut off", "garbage", "no json", "no quote", "no log", "silent", "chunked" (rightly); "long log"
    and "long quote" are right, and more than a TLS certificate has room for.
    """

    def __init__(self, path, how="current", delay=3):
        self.path, self.how, self.delay = str(path), how, delay
        self.asked = []
        self.most, self._now = 0, 0  # slow calls at once
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self._listener.bind(self.path)
        os.chmod(self.path, 0o777)
        self._listener.listen(64)
        self._open = True
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._open = False
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def methods(self):
        return [method for method, _ in self.asked]

    def _run(self):
        while self._open:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                if not (piece := sock.recv(4096)):
                    return
                data += piece
            head, _, body = data.partition(b"\r\n\r\n")
            line, *fields = head.decode().split("\r\n")
            named = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
            while len(body) < int(named["content-length"]):
                body += sock.recv(4096)
            assert named["content-type"] == "application/json" and named["host"], named
            method, path, _ = line.split(" ")
            assert method == "POST"
            self.asked.append((path.rpartition("/")[2].removeprefix("Tappd."), json.loads(body)))
            self._answer(sock, path, json.loads(body))

    @contextlib.contextmanager
    def _counted(self):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1

    def _answer(self, sock, path, asked):
        how = self.how
        if how == "silent":
            while self._open:
                time.sleep(0.05)
            return
        if how == "slow":
            with self._counted():
                time.sleep(self.delay)
        if how == "garbage":
            sock.sendall(b"SSH-2.0-nothing\r\n\r\n" * 20)
            return
        if how == "endless":
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"quote\":\"")
            while self._open:
                sock.sendall(b"0" * 65536)
            return
        status, body = self._document(path, asked)
        if how == "huge":
            body = b'{"quote":"' + b"0" * BIG + b'"}'
        if how == "no json":
            body = b"quote=00"
        self._send(sock, status, body)

    def _send(self, sock, status, body):
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
        if self.how == "chunked":
            sock.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
            for at in range(0, len(body), 1000):
                piece = body[at: at + 1000]
                sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            sock.sendall(b"0\r\n\r\n")
            return
        sock.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode())
        sock.sendall(body[: len(body) // 2] if self.how == "cut off" else body)

    def _document(self, path, asked):
        names = {"/GetQuote": self._quote, "/Info": self._info, "/Version": self._version}
        if self.how == "old":
            names = {"/prpc/Tappd.RawQuote": self._quote, "/prpc/Tappd.Info": self._info}
        if path not in names:
            return 400, json.dumps({"error": f"Service not found: {path[1:]}"}, indent=2).encode()
        if self.how == "error":
            return 400, json.dumps({"error": "quote failure: \u00e9"}, indent=2).encode()
        return 200, json.dumps(names[path](asked), separators=(",", ":")).encode()

    def _quote(self, asked):
        report_data = bytes.fromhex(asked["report_data"])
        assert len(report_data) == 64
        if self.how == "lying":
            report_data = report_data[:-1] + bytes([report_data[-1] ^ 1])
        made = quote(report_data, 5 if self.how == "v5" else 4)
        if self.how == "no tdx":
            made = made[:4] + b"\0" + made[5:]
        answer = {"quote": made.hex(), "event_log": json.dumps(event_log()), "report_data": report_data.hex(),
                  "vm_config": VM_CONFIG}
        if self.how == "old":
            answer = {**answer, "hash_algorithm": "raw", "prefix": ""}
            del answer["vm_config"]
        if self.how == "long log":
            answer["event_log"] = json.dumps(event_log() * 100)
        if self.how == "long quote":
            answer["quote"] += "00" * 10240
        if self.how == "no quote":
            del answer["quote"]
        if self.how == "no log":
            answer["event_log"] = '{"imr":3}'
        return answer

    def _info(self, asked):
        return {"app_id": "00" * 20, "tcb_info": json.dumps({"app_compose": COMPOSE, "event_log": event_log()})}

    def _version(self, asked):
        return {"version": "0.5.7", "rev": "0123456"}
