"""A large state goes to a member that was not there: what that costs those who write meanwhile.

test/bench/snapshot.py
"""
import subprocess
import time

from cluster import Cluster
from common import found_by, load, load_command, ratio
from node import wait_until
from three import TIMES

VALUE = 1 << 20
COUNT = 2048
BEFORE_SECONDS = 30


class Writing:
    """A client that puts, ten at a time, until it is told to stop."""

    def __init__(self, args, server):
        self.process = subprocess.Popen(load_command(args, server, "put", {"c": 1, "m": 10, "n": 100000000}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stop(self):
        self.process.terminate()
        out, errors = self.process.communicate()
        return found_by("put", self.process.returncode, out, errors)


def transfer(args):
    with Cluster(args.server, 3, flags=TIMES + ["--quota-backend-bytes=8589934592"]) as cluster:
        late = cluster.members["m2"]
        cluster.start([m for m in cluster.members.values() if m is not late])
        leader = cluster.members[cluster.wait_leader(30)]
        load(args, leader, "fill", c=2, m=2, k=COUNT, v=VALUE)
        load(args, leader, "fill", c=4, m=50)
        status = leader.status()
        writing = Writing(args, leader)
        end = time.monotonic() + BEFORE_SECONDS
        wait_until(lambda: time.monotonic() > end, "the time is over", BEFORE_SECONDS + 30, every=0.5)
        before = writing.stop()
        writing = Writing(args, leader)
        began = time.monotonic()
        late.launch()

        def has_it():
            there = late.status()
            return there is not None and there.header.revision > status.header.revision
        wait_until(has_it, "the third member has the state", 600, every=0.2)
        took = time.monotonic() - began
        during = writing.stop()
        after = leader.status()
        print("three members: a state of %d MB goes to the third, while a client puts (10 at a time):" % (status.dbSize >> 20))
        for name, r in (("before", before), ("during", during)):
            print("    %-12s %9.0f /s   mean %8.1f us   p50 %7.0f us   p99 %7.0f us   longest %8.0f us" % (name, r["rate"], r["mean_us"], r["p50_us"], r["p99_us"], r["max_us"]))
        print("    until it has all %.1f s; leader and term %s" % (took, "the same" if (after.leader, after.raftTerm) == (status.leader, status.raftTerm) else "CHANGED"))
        ratio("p99 of puts, times that before", during["p99_us"] / before["p99_us"], 2.0, smaller=True)
