# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Runs loads against tunneld and its peers and prints the table of report.py. scripts/bench builds
# what is needed and calls this; TUNNELD_BUILD names the build folder.

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests"))

from support import daemon  # noqa: E402

import loads  # noqa: E402
import report  # noqa: E402
import reverse  # noqa: E402
import targets  # noqa: E402

PROXIES = ["nginx", "haproxy", "tunneld"]
AGENT = ["tunneld, agent"]
TLS = [f"{name}, TLS" for name in ("nginx", "haproxy", "hitch", "tunneld")]
REVERSE = [*AGENT, *reverse.KINDS]

# Name, what it does, what it does that to. Those of one load follow each other, so that a change of
# the machine's speed meets all of them.
LOADS = {
    "keep": (loads.closed_loop("keep", 64), PROXIES + REVERSE),
    "close": (loads.closed_loop("close", 64),
              ["nginx", "haproxy", "tunneld, shared", "nginx, no upstream keep-alive", "tunneld",
               *REVERSE]),
    "download": (loads.bulk("get"), ["nginx", "haproxy, splice", "tunneld", *REVERSE]),
    "upload": (loads.bulk("put"), ["nginx", "haproxy, splice", "tunneld", *REVERSE]),
    "websocket": (loads.closed_loop("ws", 64), PROXIES + REVERSE),
    "latency": (loads.closed_loop("keep", 1), ["direct", *PROXIES, *REVERSE]),
    "idle": (loads.idle, PROXIES + [name for name in REVERSE if name != "ssh -R"]),
    "tls-close": (loads.closed_loop("close", 64),
                  [*TLS, "tunneld, TLS, shared", "nginx, TLS, no upstream keep-alive"]),
    "tls-keep": (loads.closed_loop("keep", 64), TLS),
    "tls-download": (loads.bulk("get"), TLS),
    "tls-upload": (loads.bulk("put"), TLS),
    "tls-idle": (loads.idle, TLS),
    "start": (loads.start, ["tunneld"]),
    "many": (loads.many, ["tunneld"]),
}
ONCE = {"idle", "tls-idle", "many"}  # not in every round: memory hardly differs
NOISE_MAX = 0.2  # cores; a measurement that others disturbed more is taken again
TRIES = 3


def arguments():
    parser = argparse.ArgumentParser(description="Measures tunneld beside nginx, haproxy and other reverse tunnels.")
    parser.add_argument("loads", nargs="*", metavar="load",
                        help=f"which, of {', '.join(LOADS)}; all of them by default")
    parser.add_argument("-r", dest="rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("-d", dest="seconds", type=float, default=4,
                        help="length of a measurement with many small exchanges (4)")
    parser.add_argument("-n", dest="now", action="store_true",
                        help="do not wait for a quiet machine, and do not measure again what "
                             "other programs have disturbed")
    parser.add_argument("-o", dest="output", type=pathlib.Path, default=daemon.BUILD / "bench",
                        help="folder for results.jsonl and table.md (bench of the build folder)")
    options = parser.parse_args()
    unknown = set(options.loads) - set(LOADS)
    if unknown:
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    options.loads = options.loads or list(LOADS)
    return options


def measure(function, target, backend, options):
    """The least disturbed of a few tries."""
    tries = []
    for _ in range(1 if options.now else TRIES):
        if not options.now:
            loads.wait_until_quiet()
        tries.append(function(target, backend, options))
        if tries[-1].get("noise", 0) < NOISE_MAX:
            break
    return min(tries, key=lambda values: values.get("noise", 0))


def run(options, every, backend):
    for number in range(options.rounds):
        for load in options.loads:
            if load in ONCE and number > 0:
                continue
            function, names = LOADS[load][0], [name for name in LOADS[load][1] if name in every]
            # Whoever comes first finds the machine as the load before has left it.
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                values = measure(function, every[name], backend, options)
                yield {"load": load, "target": name, "round": number, "values": values}


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) >> 20
    return f"{len(models)} x {models[0] if models else 'processor'}, {memory} GiB, " \
           f"Linux {platform.release().partition('-')[0]}"


def versions():
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr
    haproxy = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout
    hitch = subprocess.run(["hitch", "--version"], capture_output=True, text=True).stdout
    return f"nginx {nginx.split('/')[-1].strip()}, haproxy {haproxy.split()[2]}, hitch {hitch.split()[-1]}"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped then too
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    backend = targets.Backend()
    certificate = targets.Certificate()
    others, missing = reverse.make(backend)
    every = targets.make(backend, certificate) | others
    for name, programs in missing.items():
        print(f"{name} is left out: there is no {', '.join(programs)} on PATH or in BENCH_PEERS", file=sys.stderr)
    used = {name for load in options.loads for name in LOADS[load][1]} | {backend.name}
    records = []
    with contextlib.ExitStack() as stack, open(options.output / "results.jsonl", "w") as raw:
        stack.callback(certificate.remove)
        for name in every:
            if name in used:
                stack.callback(every[name].stop)
                every[name].start()
        for record in run(options, every, backend):
            records.append(record)
            print(json.dumps(record), file=raw, flush=True)
            print(json.dumps(record), file=sys.stderr)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    text = report.table(records) + \
        f"\n{today}, {options.rounds} rounds; {machine()}; {versions()}; " \
        f"{'as root' if os.geteuid() == 0 else 'not as root'}.\n"
    (options.output / "table.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
