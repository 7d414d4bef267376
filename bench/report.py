# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The table of what was measured beside what is wanted, in Markdown.
#
# Figures are medians over the rounds. Ratios are medians of the ratio within each round: a machine
# that others use too changes its speed between rounds more than within one.

import statistics

HEAD = ("load", "nginx", "haproxy", "tunneld", "ratio", "CPU ratio", "wanted", "verdict")
TLS_HEAD = ("by TLS 1.3", "nginx", "haproxy", "hitch", "tunneld", "ratio", "CPU ratio", "wanted", "verdict")


class Results:
    """What run.py collected, as load -> target -> round -> values."""

    def __init__(self, records):
        self.loads = {}
        for record in records:
            rounds = self.loads.setdefault(record["load"], {}).setdefault(record["target"], {})
            rounds[record["round"]] = record["values"]

    def rounds(self, load, target):
        return self.loads.get(load, {}).get(target, {})

    def median(self, load, target, key):
        values = [values[key] for values in self.rounds(load, target).values()]
        return statistics.median(values) if values else None

    def ratio(self, load, target, other, key):
        mine, theirs = self.rounds(load, target), self.rounds(load, other)
        ratios = [mine[n][key] / theirs[n][key] for n in mine if n in theirs]
        return statistics.median(ratios) if ratios else None

    def noise(self):
        return [values["noise"] for targets in self.loads.values() for rounds in targets.values()
                for values in rounds.values() if "noise" in values]


def met(checks):
    return "met" if all(checks) else "missed"


class Rate:
    """Throughput and processor time beside the faster of the rivals."""

    peers = ("nginx", "haproxy")

    def __init__(self, load, title, figure, *, rivals, tunneld="tunneld", shown=(), rate, cpu):
        self.load, self.title, self.figure = load, title, figure
        self.rivals, self.tunneld, self.shown = rivals, tunneld, shown
        self.rate, self.cpu = rate, cpu

    def cell(self, results, names):
        for name in names:
            rate = results.median(self.load, name, "rate")
            if rate is not None:
                return self.figure(rate, results.median(self.load, name, "cpu"))
        return "-"

    def cells(self, results):
        rates = {name: results.median(self.load, name, "rate") for name in self.rivals}
        rates = {name: rate for name, rate in rates.items() if rate is not None}
        if not rates or not results.rounds(self.load, self.tunneld):
            return None
        best = max(rates, key=rates.get)
        ratio = results.ratio(self.load, self.tunneld, best, "rate")
        cpu = results.ratio(self.load, self.tunneld, best, "cpu")
        of = lambda peer: [name for name in (*self.rivals, *self.shown) if name.startswith(peer)]
        return [
            self.title, *(self.cell(results, of(peer)) for peer in self.peers),
            self.cell(results, [self.tunneld]), f"{ratio:.2f}", f"{cpu:.2f}", self.wanted(),
            met([ratio >= (self.rate or 0), cpu <= self.cpu])]

    def wanted(self):
        return f">= {self.rate:.2f}, CPU <= {self.cpu:.2f}" if self.rate else f"CPU <= {self.cpu:.2f}"


class TlsRate(Rate):
    """Beside nginx; the others are only shown."""

    peers = ("nginx", "haproxy", "hitch")

    def __init__(self, load, title, figure, *, rival="nginx, TLS", tunneld="tunneld, TLS", rate=None, cpu):
        shown = [f"{peer}, TLS" for peer in self.peers if rival == "nginx, TLS"]
        super().__init__(load, title, figure, rivals=[rival], tunneld=tunneld, shown=shown, rate=rate, cpu=cpu)


class Latency:
    """What a proxy adds to one exchange with the backend itself."""

    def added(self, results, name, key):
        direct = results.rounds("latency", "direct")
        rounds = results.rounds("latency", name)
        added = [rounds[n][key] - direct[n][key] for n in rounds if n in direct]
        return statistics.median(added) if added else None

    def cells(self, results):
        added = {name: [self.added(results, name, key) for key in ("p50", "p99")]
                 for name in ("nginx", "haproxy", "tunneld")}
        if None in added["nginx"] + added["tunneld"]:
            return None
        ratios = [mine / theirs for mine, theirs in zip(added["tunneld"], added["nginx"])]
        cpu = results.ratio("latency", "tunneld", "nginx", "cpu")
        show = lambda pair: "-" if None in pair else f"{pair[0]:.0f} / {pair[1]:.0f} us"
        return ["added latency, one connection, p50 / p99", *map(show, added.values()),
                " / ".join(f"{ratio:.2f}" for ratio in ratios), f"{cpu:.2f}", "<= 1.00",
                met([ratio <= 1 for ratio in ratios])]


class Limit:
    """One figure of tunneld's that must not be more than LIMIT; rivals are only shown."""

    names = ("nginx", "haproxy", "tunneld")

    def __init__(self, load, title, unit, limit, value):
        self.load, self.title, self.unit, self.limit, self.value = load, title, unit, limit, value

    def cells(self, results):
        figures = {}
        for name in self.names:
            values = [self.value(values) for values in results.rounds(self.load, name).values()]
            figures[name] = statistics.median(values) if values else None
        if figures[self.names[-1]] is None:
            return None
        show = lambda value: "-" if value is None else f"{value:.3g} {self.unit}".strip()
        return [self.title, *map(show, figures.values()), "-", "-", f"<= {show(self.limit)}",
                met([figures[self.names[-1]] <= self.limit])]


class TlsLimit(Limit):
    names = ("nginx, TLS", "haproxy, TLS", "hitch, TLS", "tunneld, TLS")


def per_100k(rate, cpu):
    return f"{rate / 1e3:.1f} k/s, {cpu * 1e5:.2f}"


def per_gib(rate, cpu):
    return f"{rate / 1e9:.2f} GB/s, {cpu:.2f}"


NO_KEEPALIVE = "nginx, no upstream keep-alive"
SPLICE = "haproxy, splice"

ROWS = [
    Rate("keep", "small GET, 64 keep-alive connections", per_100k,
         rivals=["nginx", "haproxy"], rate=1.05, cpu=0.9),
    Rate("close", "a connection per request, `backend_reuse = shared`", per_100k,
         rivals=["nginx", "haproxy"], tunneld="tunneld, shared", rate=0.9, cpu=1.25),
    Rate("close", "a connection per request, default; nginx without upstream keep-alive", per_100k,
         rivals=[NO_KEEPALIVE], rate=0.9, cpu=1.25),
    Rate("download", "1 GiB download; haproxy with splice", per_gib,
         rivals=[SPLICE], shown=["nginx"], rate=1, cpu=1),
    Rate("upload", "1 GiB upload; haproxy with splice", per_gib,
         rivals=[SPLICE], shown=["nginx"], rate=1, cpu=1),
    Rate("websocket", "WebSocket echo, 64 connections, 32 bytes; ratio to nginx", per_100k,
         rivals=["nginx"], shown=["haproxy"], rate=1, cpu=1),
    Latency(),
    Limit("idle", "5,000 idle WebSockets, PSS of each", "KiB", 2, lambda v: v["pss"]),
    Limit("start", "one more idle tunnel, PSS", "KiB", 100, lambda v: v["pss"]),
    Limit("start", "start to sealed and ready, in starts of an empty static program", "", 1.5,
          lambda v: v["relay_us"] / v["empty_us"]),
    Limit("start", "POST to 201, p50", "ms", 5, lambda v: v["post"] * 1e3),
    Limit("many", "5,000 tunnels, PSS of all processes", "MiB", 600, lambda v: v["pss"] / 1024),
]


TLS_ROWS = [
    TlsRate("tls-close", "full handshake and one GET, 64 at a time", per_100k, rate=1, cpu=1.05),
    TlsRate("tls-close", "the same, `backend_reuse = shared`", per_100k, tunneld="tunneld, TLS, shared", rate=1, cpu=1.05),
    TlsRate("tls-close", "the same, default; nginx without upstream keep-alive", per_100k,
            rival="nginx, TLS, no upstream keep-alive", rate=1, cpu=1.05),
    TlsRate("tls-keep", "small GET, 64 keep-alive connections", per_100k, rate=0.9, cpu=1.3),
    TlsRate("tls-download", "1 GiB download", per_gib, rate=1, cpu=1.1),
    TlsRate("tls-upload", "1 GiB upload", per_gib, cpu=1.4),
    TlsLimit("tls-idle", "5,000 idle WebSockets, PSS of each", "KiB", 20, lambda v: v["pss"]),
]


# ---- through an agent

AGENT_HEAD = ("through an agent", "tunneld", "tunneld and agent", "CPU, server + agent", "ratio", "CPU ratio")
AGENT = "tunneld, agent"
AGENT_LOADS = [
    ("keep", "small GET, 64 keep-alive connections", per_100k),
    ("close", "a connection per request", per_100k),
    ("download", "1 GiB download", per_gib),
    ("upload", "1 GiB upload", per_gib),
    ("websocket", "WebSocket echo, 64 connections, 32 bytes", per_100k),
]


def agent_cells(results, load, title, figure):
    """What an agent costs beside the same tunnel with a backend of its own."""
    if not results.rounds(load, AGENT) or not results.rounds(load, "tunneld"):
        return None
    median = lambda target, key: results.median(load, target, key)
    cpu, agent = median(AGENT, "cpu"), median(AGENT, "agent")
    unit = 1e5 if figure is per_100k else 1
    return [title, figure(median("tunneld", "rate"), median("tunneld", "cpu")), figure(median(AGENT, "rate"), cpu),
            f"{(cpu - agent) * unit:.2f} + {agent * unit:.2f}",
            f"{results.ratio(load, AGENT, 'tunneld', 'rate'):.2f}",
            f"{results.ratio(load, AGENT, 'tunneld', 'cpu'):.2f}"]


def agent_latency(results):
    added = [[Latency().added(results, name, key) for key in ("p50", "p99")] for name in ("tunneld", AGENT)]
    if None in added[0] + added[1]:
        return None
    show = lambda pair: f"{pair[0]:.0f} / {pair[1]:.0f} us"
    ratios = " / ".join(f"{mine / theirs:.2f}" for theirs, mine in zip(*added))
    return ["added latency, one connection, p50 / p99", *map(show, added), "-", ratios, "-"]


def agent_idle(results):
    pss = [results.median("idle", name, "pss") for name in ("tunneld", AGENT)]
    if None in pss:
        return None
    return ["5,000 idle WebSockets, PSS of each", *(f"{value:.3g} KiB" for value in pss), "-", f"{pss[1] / pss[0]:.2f}", "-"]


def agent_table(results):
    rows = [agent_cells(results, *load) for load in AGENT_LOADS] + [agent_latency(results), agent_idle(results)]
    rows = [line(cells) for cells in rows if cells]
    return ["", line(AGENT_HEAD), "|---|" + "---|" * (len(AGENT_HEAD) - 1), *rows] if rows else []


# ---- beside other reverse tunnels

PEERS = ("ssh -R", "rathole", "bore", "chisel")
REVERSE_HEAD = ("reverse tunnels", *PEERS, "tunneld", "ratio", "CPU ratio, server / agent", "wanted", "verdict")


class ReverseRate:
    """Throughput and processor time beside the fastest of those that are there."""

    def __init__(self, load, title, figure, *, rate, cpu=None, each=None):
        self.load, self.title, self.figure = load, title, figure
        self.rate, self.cpu, self.each = rate, cpu, each  # CPU: of both together, of each

    def figures(self, results, name):
        rate, cpu, agent = (results.median(self.load, name, key) for key in ("rate", "cpu", "agent"))
        return "-" if rate is None else self.figure(rate, cpu - agent, agent)

    def cpu_ratios(self, results, best):
        """Of both together, of the server, of the agent; medians within rounds."""
        mine, theirs = results.rounds(self.load, AGENT), results.rounds(self.load, best)
        parts = [lambda v: v["cpu"], lambda v: v["cpu"] - v["agent"], lambda v: v["agent"]]
        return [statistics.median(part(mine[n]) / part(theirs[n]) for n in mine if n in theirs) for part in parts]

    def cells(self, results):
        rates = {name: results.median(self.load, name, "rate") for name in PEERS}
        rates = {name: rate for name, rate in rates.items() if rate is not None}
        if not rates or not results.rounds(self.load, AGENT):
            return None
        best = max(rates, key=rates.get)
        ratio = results.ratio(self.load, AGENT, best, "rate")
        cpu, server, agent = self.cpu_ratios(results, best)
        checks, wanted = [ratio >= self.rate], f">= {self.rate:.2f}"
        if self.cpu:
            checks.append(cpu <= self.cpu)
            wanted += f", CPU <= {self.cpu:.2f}"
        if self.each:
            checks += [server <= self.each, agent <= self.each]
            wanted += f", CPU of each <= {self.each:.2f}"
        return [self.title, *(self.figures(results, name) for name in (*PEERS, AGENT)), f"{ratio:.2f}",
                f"{cpu:.2f}, {server:.2f} / {agent:.2f}", wanted, met(checks)]


class ReverseLatency(Latency):
    def cells(self, results):
        added = {name: [self.added(results, name, key) for key in ("p50", "p99")] for name in (*PEERS, AGENT)}
        there = [added[name] for name in PEERS if None not in added[name]]
        if not there or None in added[AGENT]:
            return None
        ratios = [added[AGENT][i] / min(pair[i] for pair in there) for i in range(2)]
        show = lambda pair: "-" if None in pair else f"{pair[0]:.0f} / {pair[1]:.0f} us"
        return ["added latency, one connection, p50 / p99", *map(show, added.values()),
                " / ".join(f"{ratio:.2f}" for ratio in ratios), "-", "<= 0.95", met([ratio <= 0.95 for ratio in ratios])]


class ReverseIdle:
    def cells(self, results):
        pss = {name: [results.median("idle", name, key) for key in ("pss", "agent")] for name in (*PEERS, AGENT)}
        if None in pss[AGENT]:
            return None
        server = pss[AGENT][0] - pss[AGENT][1]
        show = lambda pair: "-" if None in pair else f"{pair[0] - pair[1]:.3g} + {pair[1]:.3g} KiB"
        return ["5,000 idle WebSockets, PSS of each, server + agent", *map(show, pss.values()), "-", "-",
                "<= 2 + 3 KiB", met([server <= 2, pss[AGENT][1] <= 3])]


def both_per_100k(rate, server, agent):
    return f"{rate / 1e3:.1f} k/s, {server * 1e5:.2f} + {agent * 1e5:.2f}"


def both_per_gib(rate, server, agent):
    return f"{rate / 1e6:.0f} MB/s, {server:.2f} + {agent:.2f}"


REVERSE_ROWS = [
    ReverseRate("keep", "small GET, 64 keep-alive connections", both_per_100k, rate=1.25, each=0.9),
    ReverseRate("close", "a connection per request", both_per_100k, rate=1.5, cpu=0.6),
    ReverseRate("download", "1 GiB download", both_per_gib, rate=1.1, cpu=0.9),
    ReverseRate("upload", "1 GiB upload", both_per_gib, rate=1.1),
    ReverseRate("websocket", "WebSocket echo, 64 connections, 32 bytes", both_per_100k, rate=1.25),
    ReverseLatency(),
    ReverseIdle(),
]


def line(cells):
    return "| " + " | ".join(cells) + " |"


def rows_of(results, head, rows):
    found = [cells for cells in (row.cells(results) for row in rows) if cells]
    return ["", line(head), "|---|" + "---|" * (len(head) - 1), *map(line, found)] if found else []


def table(records):
    results = Results(records)
    lines = rows_of(results, HEAD, ROWS) + rows_of(results, TLS_HEAD, TLS_ROWS) + agent_table(results) + \
        rows_of(results, REVERSE_HEAD, REVERSE_ROWS)
    noise = results.noise()
    if noise:
        lines += ["", f"Other programs used {statistics.median(noise):.2f} cores during the median "
                      f"measurement, {max(noise):.2f} during the worst."]
    return "\n".join(lines).lstrip("\n") + "\n"
