#!/usr/bin/python3
"""Chaos: three members, clients against all of them, and one fault after the other; then the history is judged.

    chaos.py --server build/gcc-inject/rusd --waldump build/gcc/rusd_waldump [--seconds 60] [--seed N] [--only KIND[,KIND]]
    chaos.py --server /usr/bin/etcd

Every kind of fault comes at least once, and at least once so that it is felt.  While a fault lasts only safety is demanded; after
it a write through every member succeeds within 30 s.  At the end: the history is linearizable in the order that the server's own
log gives; the search agrees on each short group of keys; HashKV is the same on all members.

The choices repeat with the seed, the timing of the processes does not.  A history that is judged bad is left in a file;
checkers.py judges it again.

test/cluster/chaos.py
"""
import argparse
import collections
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import Cluster                                             # noqa: E402
from faults import ANY_SERVER, Links, Scene                             # noqa: E402
from history import keys_of, save                                       # noqa: E402
from linear import check_history                                        # noqa: E402
from node import Client, Tap, check                                     # noqa: E402
from order import by_dump, by_range, by_watch, same                     # noqa: E402
from rusdfaults import INJECTED, PROCESSES                              # noqa: E402
from wgl import Undecided, Values, linearizable                         # noqa: E402
from workload import Group, Workload                                    # noqa: E402

MEMBERS = 3
CLIENTS = 4                     # per member
LASTS = (1.3, 2.0)              # seconds of a fault: an election timeout is drawn between 0.5 and 1 s
HEALED = 30.0                   # seconds in which a write through every member has to succeed
ROUNDS_MOST = 4                 # times that a kind is tried until it is felt


class Run:
    """One run: rounds of faults, then the judgement."""

    def __init__(self, cluster, kinds, args, seed):
        self.cluster, self.kinds, self.args, self.chooser = cluster, kinds, args, random.Random(seed)
        self.workload = Workload(cluster, self.chooser.getrandbits(64), CLIENTS)
        self.scene = Scene(cluster, self.workload, self.chooser)
        self.done, self.felt, self.slowest, self.groups = collections.Counter(), collections.Counter(), (0.0, ""), []
        self.clock = threading.Event()          # never set: faults last for a time
        self.log, self.last = None, 0
        self.dump = args.waldump

    def form(self):
        self.cluster.start()
        self.cluster.wait_leader(30)
        self.cluster.all_write(b"probe/0", HEALED)

    # ---- faults ----

    def next(self):
        """Two now and then: one of the links and another."""
        left = [k for k in self.kinds if not self.felt[k] and self.done[k] < ROUNDS_MOST] or self.kinds
        first, second = self.chooser.choice(left), self.chooser.choice(left)
        if self.chooser.random() < 0.5 and issubclass(first, Links) != issubclass(second, Links):
            return [first, second]
        return [first]

    def rounds(self):
        self.workload.start()
        end, number = time.monotonic() + self.args.seconds, 0
        try:
            while time.monotonic() < end or any(not self.felt[k] and self.done[k] < ROUNDS_MOST for k in self.kinds):
                number += 1
                self.round(number, [kind(self.scene) for kind in self.next()])
        finally:
            self.workload.stop()
        check(not self.workload.crashed, "clients ended: %s" % self.workload.crashed)

    def round(self, number, faults):
        names = " and ".join(map(str, faults))
        if self.args.verbose:
            print("# round %d: %s" % (number, names), flush=True)
        group = self.workload.group = Group(number)
        self.groups.append(group)
        begun = []
        try:
            for fault in faults:
                begun.append(fault)
                fault.begin()
            self.clock.wait(self.chooser.uniform(*LASTS))
        finally:
            for fault in begun:
                fault.end()
        began = time.monotonic()
        self.cluster.all_write(b"probe/%d" % (number % 4), HEALED)
        took = time.monotonic() - began
        self.slowest = max(self.slowest, (took, names))
        for fault in faults:
            self.done[type(fault)] += 1
            self.felt[type(fault)] += fault.felt() is not None
        if self.args.verbose:
            print("#   healed in %.2f s; felt: %s" % (took, [f.felt() for f in faults]), flush=True)
        self.clean(group)

    def clean(self, group):
        """The keys of a group that is full are deleted, so that the state stays small."""
        group.left = 0
        client = Client(self.cluster.members[self.scene.names()[0]].endpoint)
        for key in group.keys:
            self.workload.delete(client, self.scene.names()[0], key)
        client.close()

    def all_felt(self):
        missing = sorted(k.kind for k in self.kinds if not self.felt[k])
        check(not missing, "these faults had no effect: %s" % ", ".join(missing))

    # ---- the judgement ----

    def history(self):
        """The order of the revisions, by reads from one member; etcd has no tool for its log, but watches from the beginning."""
        clients = [Client(m.endpoint) for m in self.cluster.members.values()]
        try:
            self.last = clients[0].range(b"x", count_only=True).header.revision
            self.log = by_range(clients[self.chooser.randrange(MEMBERS)], self.last)
            if self.dump is None:
                same(self.log, by_watch(clients[self.chooser.randrange(MEMBERS)], self.last), ("reads", "watch"))
        finally:
            for c in clients:
                c.close()

    def dumped(self):
        """Each member's log on disk holds the same."""
        check(self.log is not None, "there is no history to compare with")
        # A later batch tells that what is before it is committed.
        self.cluster.all_write(b"probe/last", HEALED)
        self.cluster.all_write(b"probe/last", HEALED)
        whole = 0
        for m in self.cluster.members.values():
            m.stop()
        for name, m in self.cluster.members.items():
            log = by_dump(self.dump, m.data, self.last)
            if log is not None:
                same(self.log, log, ("reads", "the log of " + name))
                whole += 1
        check(whole > 0, "no member has a whole log")

    def linear(self):
        """Whole history, in the order of the log."""
        check(self.log is not None, "there is no history to judge")
        found = check_history(self.workload.ops, self.log)
        if found:
            save(self.args.leave, self.workload.ops, self.log)
            check(False, "%d findings; the history is in %s\n%s" % (len(found), self.args.leave, "\n".join("%s: %s" % f for f in found[:10])))

    def searched(self):
        """Each short group by search, without the log."""
        groups, undecided = collections.defaultdict(list), 0
        for op in self.workload.ops:
            prefix = os.path.commonprefix(sorted(keys_of(op)))
            if prefix.startswith("s"):
                groups[prefix.split("/")[0]].append(op)
        for name, ops in sorted(groups.items()):
            try:
                check(linearizable(ops, Values()), "no order explains group %s:\n%s" % (name, "\n".join(map(str, sorted(ops, key=lambda op: op.start)))))
            except Undecided:
                undecided += 1
        print("# %d short groups, %d operations, %d undecided" % (len(groups), sum(map(len, groups.values())), undecided))
        check(groups and undecided * 2 < len(groups), "%d short groups, %d undecided" % (len(groups), undecided))

    def summary(self):
        outcomes = collections.Counter(op.outcome for op in self.workload.ops)
        print("# %d operations: %s" % (len(self.workload.ops), ", ".join("%s %d" % x for x in sorted(outcomes.items()))))
        print("# faults (felt): %s" % ", ".join("%s %d (%d)" % (k.kind, self.done[k], self.felt[k]) for k in self.kinds))
        print("# slowest to heal: %.2f s after %s" % self.slowest)
        for text, count in sorted(self.workload.errors.items(), key=lambda x: -x[1])[:12]:
            print("#   %6d  %s" % (count, text))
        stray = [link for link in self.cluster.router.counts() if "?" in link]
        if stray:
            print("# the router did not know who called: %s" % stray)
        check(outcomes["ok"] > 10 * self.args.seconds and outcomes["failed"] > 0, "too little was done: %s" % dict(outcomes))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--waldump", help="the tool that reads the log of --server; without it a watch tells the history a second time")
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    p.add_argument("--only", help="only these kinds of faults, with commas")
    p.add_argument("--no-inject", action="store_true", help="the build has no injection points")
    p.add_argument("--leave", default="/tmp/chaos-history.json", help="where a bad history is left")
    p.add_argument("-v", "--verbose", action="store_true")
    args = p.parse_args()
    rusd = "rusd" in os.path.basename(args.server)
    kinds = [k for k in ANY_SERVER + (PROCESSES if rusd else []) + (INJECTED if rusd and not args.no_inject else [])
             if args.only is None or k.kind in args.only.split(",")]
    flags = ["--wal-keep-all", "--wal-segment-size=1MiB", "--max-request-bytes=100000", "--checkpoint-interval=300ms"] if rusd else []
    print("# to repeat: chaos.py --server %s --seconds %g --seed %d%s%s" % (args.server, args.seconds, args.seed, " --only " + args.only if args.only else "",
                                                                          " --waldump " + args.waldump if args.waldump else ""), flush=True)
    tap = Tap()
    with Cluster(args.server, MEMBERS, args.seed, flags) as cluster:
        run = Run(cluster, kinds, args, args.seed)
        tap.run("three members form a cluster", run.form, node=cluster)
        if tap.bad == 0:
            tap.run("%g s of faults; after each a write through every member (seed %d)" % (args.seconds, args.seed), run.rounds, node=cluster)
            tap.run("enough was done, and outcomes of each class", run.summary)
            tap.run("every kind of fault was felt", run.all_felt)
            tap.run("the history", run.history, node=cluster)
            tap.run("linearizable in the order of the log", run.linear)
            tap.run("linearizable by search, in short groups", run.searched)
            tap.run("HashKV is the same on all members", cluster.hashes_agree, HEALED)
            if args.waldump:
                tap.run("the members' logs hold the same history", run.dumped)
    tap.end()


main()
