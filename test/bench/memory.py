"""Memory of a node, and what slow readers cost others.

test/bench/memory.py
"""
import os
import re
import subprocess
import threading

from common import RUNS, load, ratio
from node import Client, Node, wait_until


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
