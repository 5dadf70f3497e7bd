"""TLS: gets and puts on one node, and new connections, beside etcd; client certificates on both sides.

test/bench/overtls.py
"""
import shutil
import tempfile

from certs import Authority
from common import ETCD, RUNS, fastest, load, ratio, show
from node import Node, Tls

GOALS = {"get": 4.0, "put": 3.0, "connect": 1.0}


class Rivals:
    """Both servers, filled, with certificates of one authority."""

    def __init__(self, args):
        self.args, self.directory, self.servers = args, tempfile.mkdtemp(prefix="rusd-bench."), {}

    def __enter__(self):
        authority = Authority(self.directory, "authority")
        cert, key = authority.issue("server", ip="127.0.0.1", dns="localhost")
        tls = Tls(authority.cert, *authority.issue("client"))
        flags = ["--cert-file", cert, "--key-file", key, "--trusted-ca-file", authority.cert, "--client-cert-auth", "--log-level=error"]
        try:
            self.servers["rusd"] = Node(self.args.server, flags, tls=tls)
            self.servers[ETCD] = Node(self.args.etcd, flags + ["--snapshot-count=100000000"], tls=tls)
            for server in self.servers.values():
                load(self.args, server, "fill", c=4, m=50)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            server.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    def compare(self, mode, what, streams, count, part):
        """etcd gets that part of the requests."""
        results = {name: [] for name in self.servers}
        for _ in range(RUNS):
            for name, server in self.servers.items():
                results[name].append(load(self.args, server, mode, c=10, m=streams, n=count // (part if name == ETCD else 1)))
        top = {name: fastest(r) for name, r in results.items()}
        print("TLS, one node: %s:" % what)
        for name, r in top.items():
            show(name, r)
        ratio("rate, times etcd's", top["rusd"]["rate"] / top[ETCD]["rate"], GOALS[mode])


def requests(args):
    with Rivals(args) as rivals:
        for mode, count in (("get", 200000), ("put", 100000)):
            rivals.compare(mode, mode + ", 10 connections x 100 streams", 100, count, 4)


def connections(args):
    with Rivals(args) as rivals:
        rivals.compare("connect", "new connections, each for one get, 10 at a time", 1, 1000, 1)
