"""Gets and puts on one node, beside etcd and nghttpd, which serves a file as large as the answer: the limit of the wire.

test/bench/single.py
"""
import os
import subprocess

from common import ETCD, RUNS, VALUE, fastest, load, quickest, ratio, show
from node import TOP, Node, free_ports, wait_until

GOALS = {"get": (4.0, 7.0), "put": (3.5, 5.0)}          # times etcd's throughput; etcd's processor time per request over ours


class Nghttpd:
    """A file of the size of an answer, over HTTP/2."""

    tls = None

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


def throughput(args):
    for mode, count in (("get", 400000), ("put", 200000)):
        servers = [("rusd", Node(args.server, ["--log-level=error"])), (ETCD, Node(args.etcd, ["--log-level=error", "--snapshot-count=100000000"]))]
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
        top = {name: fastest(r) for name, r in results.items()}
        for name, r in top.items():
            show(name, r)
        ratio("throughput, times etcd's", top["rusd"]["rate"] / top[ETCD]["rate"], GOALS[mode][0])
        ratio("etcd's cpu per request over rusd's", top[ETCD]["cpu_us"] / top["rusd"]["cpu_us"], GOALS[mode][1])
        if "nghttpd" in top:
            ratio("throughput, times nghttpd's", top["rusd"]["rate"] / top["nghttpd"]["rate"], 0.7)


def latency(args):
    with Node(args.server, ["--log-level=error"]) as ours, Node(args.etcd, ["--log-level=error"]) as real:
        for server in (ours, real):
            load(args, server, "fill", c=4, m=50)
        for mode, goal in (("get", 0.6), ("put", 1.0)):
            results = {"rusd": [], ETCD: []}
            for _ in range(RUNS):
                for name, server in (("rusd", ours), (ETCD, real)):
                    results[name].append(load(args, server, mode, c=1, m=1, n=10000 if mode == "get" else 5000))
            top = {name: quickest(r) for name, r in results.items()}
            print("%s, one client, one request at a time:" % mode)
            for name, r in top.items():
                show(name, r)
            ratio("mean latency, times etcd's", top["rusd"]["mean_us"] / top[ETCD]["mean_us"], goal, smaller=True)
