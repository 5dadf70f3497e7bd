"""Three members of rusd beside three of etcd, on one machine with the client: throughput and latency through leader and follower.

test/bench/three.py
"""
from common import ETCD, RUNS, fastest, load, quickest, ratio, show
from cluster import Cluster
from node import Failure

# What an operator gets who sets nothing; a busy machine does not make them hold elections.
TIMES = ["--heartbeat-interval=100", "--election-timeout=1000", "--log-level=error"]
ATTEMPTS = 5


class Rivals:
    """Both clusters, filled; in each the leader and a follower are known."""

    def __init__(self, args):
        self.args = args
        self.clusters = {"rusd": Cluster(args.server, 3, flags=TIMES), ETCD: Cluster(args.etcd, 3, flags=TIMES + ["--snapshot-count=100000000"])}

    def __enter__(self):
        try:
            for cluster in self.clusters.values():
                cluster.start()
                load(self.args, cluster.members[cluster.wait_leader(30)], "fill", c=4, m=50)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for cluster in self.clusters.values():
            cluster.__exit__(None, None, None)

    def run(self, mode, through, **options):
        """{name: results of RUNS runs}, the servers in turns; a count of requests n is for rusd, etcd gets a part of it."""
        results = {name: [] for name in self.clusters}
        for _ in range(RUNS):
            for name, cluster in self.clusters.items():
                leader = cluster.wait_leader(30)
                target = leader if through == "leader" else next(n for n in cluster.members if n != leader)
                count = options["n"] // (4 if name == ETCD and options["m"] > 1 else 1)
                results[name].append(self.whole_run(cluster.members[target], mode, cluster.members.values(), {**options, "n": count}))
        return results

    def whole_run(self, server, mode, family, options):
        """A run in which calls failed, as when a busy machine brings an election about, counts for nothing; it is told of, and repeated."""
        for _ in range(ATTEMPTS):
            try:
                return load(self.args, server, mode, family, **options)
            except Failure as failure:
                print("    repeated: %s" % failure)
        raise Failure("no run without failed calls")


def compare_rates(rivals, mode, through, goal, count):
    top = {name: fastest(r) for name, r in rivals.run(mode, through, c=10, m=100, n=count).items()}
    print("three members: %s through the %s, 10 connections x 100 streams:" % (mode, through))
    for name, r in top.items():
        show(name, r)
    ratio("throughput, times etcd's", top["rusd"]["rate"] / top[ETCD]["rate"], goal)
    print("    %-52s %6.2f" % ("etcd's cpu of all members per request over rusd's", top[ETCD]["cpu_us"] / top["rusd"]["cpu_us"]))


def puts(args):
    with Rivals(args) as rivals:
        for through in ("leader", "follower"):
            compare_rates(rivals, "put", through, 3.0, 100000)


def gets(args):
    with Rivals(args) as rivals:
        compare_rates(rivals, "get", "follower", 4.0, 200000)


def latency(args):
    with Rivals(args) as rivals:
        for mode, through, goal in (("put", "leader", 0.7), ("put", "follower", 0.7), ("get", "follower", 0.6)):
            top = {name: quickest(r) for name, r in rivals.run(mode, through, c=1, m=1, n=3000).items()}
            print("three members: %s through the %s, one client, one request at a time:" % (mode, through))
            for name, r in top.items():
                show(name, r)
            ratio("mean latency, times etcd's", top["rusd"]["mean_us"] / top[ETCD]["mean_us"], goal, smaller=True)
