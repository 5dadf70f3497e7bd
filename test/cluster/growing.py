#!/usr/bin/python3
"""Members that come, go and start again while clients write: one, three, five and three again; one and two; a rolling restart.

    growing.py --server build/gcc/rusd

Each client writes a key of its own after the other, each until it is acknowledged, and goes to the next member when one fails, as the libraries of
clients do.  Whatever happens, all of it is there in the end; how long clients had to wait is printed.

test/cluster/growing.py
"""
import argparse
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import Cluster                                                             # noqa: E402
from membership import QUIET, SOON, add, join, Joiner, members, put_until, url          # noqa: E402
from node import Client, Node, Tap, check, error_of, wait_until                         # noqa: E402

CLIENTS = 6
TOO_LONG = 60.0                 # seconds for one write, whatever happens
ONE_ELECTION = 10.0             # as long as one may take here: the machine may be slow, and is no part of what is tested


class Writers:
    """nodes: those that the clients know; it may be changed at any time.  longest: seconds for one write with all its attempts; gap: between two
    acknowledgements of any."""

    def __init__(self, nodes):
        self.nodes, self.acknowledged, self.lost_patience = list(nodes), {}, []
        self.longest = self.gap = 0.0
        self.stage, self.gap_at, self.problems = "at the beginning", "", {}
        self.last = time.monotonic()
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        at = n = number
        node, client = None, None
        while not self.stopping.is_set() and not self.lost_patience:
            key, value, began = b"w-%d-%d" % (number, n), b"%d" % n, time.monotonic()
            while True:
                nodes = self.nodes
                if client is None:
                    node = nodes[at % len(nodes)]
                    client = Client(node.endpoint)
                problem = error_of(client.put, key, value, timeout=5)
                if problem is None:
                    break
                client.close()
                client, at = None, at + 1
                self.failed(node, problem, time.monotonic() - began)
                if self.lost_patience:
                    return
                self.stopping.wait(0.01)
            self.succeeded(key, value, began)
            n += 1
        client.close()

    def failed(self, node, problem, seconds):
        with self.lock:
            self.problems[problem] = self.problems.get(problem, 0) + 1
            if seconds > TOO_LONG:
                self.lost_patience.append("a write has failed for %.0f s, at last by %s: %s" % (seconds, node.endpoint, problem))

    def succeeded(self, key, value, began):
        now = time.monotonic()
        with self.lock:
            self.acknowledged[key] = value
            self.longest = max(self.longest, now - began)
            if now - self.last > self.gap:
                self.gap, self.gap_at = now - self.last, self.stage
            self.last = now

    def wait_progress(self, what, writes=5 * CLIENTS):
        before, self.stage = len(self.acknowledged), "after: " + what

        def enough():
            check(not self.lost_patience, "%s" % self.lost_patience)
            return len(self.acknowledged) >= before + writes
        wait_until(enough, "writes go on: %s" % what, TOO_LONG)

    def forget(self, node):
        self.nodes = [x for x in self.nodes if x is not node]

    def finish(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        print("# %d writes; the longest gap %.2f s (%s), the longest write %.2f s; tried again: %s" %
              (len(self.acknowledged), self.gap, self.gap_at, self.longest, self.problems or "none"))
        check(not self.lost_patience, "%s" % self.lost_patience)

    def all_is_there(self, nodes):
        """Every write on every member, and the same state."""
        for node in nodes:
            client = Client(node.endpoint)
            try:
                found = {kv.key: kv.value for kv in client.range(b"w-", b"w.").kvs}
            finally:
                client.close()
            missing = [key for key, value in self.acknowledged.items() if found.get(key) != value]
            check(not missing, "%s has lost %d acknowledged writes: %s" % (node.endpoint, len(missing), missing[:5]))


def hashes_agree(nodes):
    clients = [Client(node.endpoint) for node in nodes]
    try:
        revision = clients[0].range(b"x").header.revision
        for client in clients:
            client.range(b"x")                      # has applied as much
        seen = {client.hash(revision).hash for client in clients}
        check(len(seen) == 1, "HashKV at revision %d differs: %s" % (revision, seen))
    finally:
        for client in clients:
            client.close()


# ---- 1, 3, 5, 3 ----

class Group:
    """Members by their ids: what an operator has at hand."""

    def __init__(self, program):
        self.program, self.nodes = program, {}
        self.first = Node(program, QUIET)
        client = Client(self.first.endpoint)
        self.nodes[members(client)[1].member_id] = self.first
        client.close()

    def grow(self, name):
        others = {getattr(node, "name", "default"): url(node) for node in self.nodes.values()}
        client = Client(self.first.endpoint)
        try:
            node, number = join(self.program, self.first, name, others, client)
        finally:
            client.close()
        self.nodes[number] = node
        return node

    def leader(self):
        def known():
            for node in self.nodes.values():
                client = Client(node.endpoint)
                try:
                    found = error_free_leader(client)
                finally:
                    client.close()
                if found in self.nodes:
                    return found
            return None
        return wait_until(known, "there is a leader")

    def remove(self, number):
        """By a request to that member itself; it ends by itself."""
        node = self.nodes[number]

        def removed():
            client = Client(node.endpoint)
            try:
                problem = error_of(client.call, "Cluster/MemberRemove", client.message("MemberRemoveRequest", ID=number), timeout=10)
            finally:
                client.close()
            # The answer to the attempt before may have been lost.
            return problem is None or "member not found" in problem[1] or "has been removed" in problem[1] or node.process.poll() is not None
        wait_until(removed, "it is removed", SOON, every=0.1)
        check(node.wait(SOON) == 0, "it ended with status %s" % node.process.returncode)
        del self.nodes[number]
        return node

    def end(self, explain):
        for node in self.nodes.values():
            if explain:
                node.explain()
            node.remove()


def error_free_leader(client):
    import grpc
    try:
        return client.call("Maintenance/Status", client.message("StatusRequest"), timeout=2).leader
    except grpc.RpcError:
        return None


def one_three_five_three(program):
    """Joined as learners, promoted when in sync (CLUSTER-20 to CLUSTER-24, CLUSTER-50); the leader removed, and a follower (CLUSTER-33)."""
    group, writers, gone, good = Group(program), None, [], False
    try:
        writers = Writers([group.first])
        writers.wait_progress("one member")
        for name in ("b", "c", "d", "e"):
            writers.nodes = writers.nodes + [group.grow(name)]
            writers.wait_progress("%s has joined" % name)
        for number in (group.leader(), None):
            number = number or next(x for x in group.nodes if x != group.leader())
            writers.forget(group.nodes[number])
            gone.append(group.remove(number))
            writers.wait_progress("%d members are left" % len(group.nodes))
        writers.finish()
        check(writers.longest < ONE_ELECTION, "a write took %.2f s" % writers.longest)
        check(len(group.nodes) == 3, "members: %s" % list(group.nodes))
        writers.all_is_there(group.nodes.values())
        hashes_agree(group.nodes.values())
        good = True
    finally:
        if writers and not good:
            writers.stopping.set()
            for thread in writers.threads:
                thread.join()
        for node in gone:
            node.remove()
        group.end(explain=not good)


# ---- 1, 2 ----

def one_two(program):
    """CLUSTER-24: a second voter counts from when it was added.  What needs a quorum waits until it has been started, and then goes on by itself."""
    with Node(program, QUIET) as first:
        client = Client(first.endpoint)
        client.put(b"before", b"1")
        second = Joiner(program, "b", {"default": url(first)})
        writers = Writers([first])
        try:
            writers.wait_progress("one member")
            add(client, second.peer)
            problem = error_of(client.put, b"alone", b"1", timeout=30)
            check(problem is not None and problem[0] in ("UNAVAILABLE", "DEADLINE_EXCEEDED"), "a write without a quorum: %s" % (problem,))
            check(error_of(client.range, b"before", timeout=2) is not None, "a linearizable read without a quorum")
            check(client.range(b"before", timeout=30, serializable=True).count == 1, "serializable reads go on")
            check(not writers.lost_patience, "%s" % writers.lost_patience)
            second.start(SOON)
            writers.wait_progress("the second has started")
            writers.nodes = [first, second]
            writers.wait_progress("through both")
            writers.finish()
            check(writers.gap > 1, "writes did not wait: the longest gap was %.2f s" % writers.gap)
            writers.all_is_there([first, second])
            hashes_agree([first, second])
        except BaseException:
            second.explain()
            raise
        finally:
            writers.stopping.set()
            for thread in writers.threads:
                thread.join()
            second.remove()
            client.close()


# ---- a rolling restart ----

def rolling_restart(program):
    """SIGTERM to each in turn, the leader last, and then to whoever leads (CAT-89): a client that goes to the next member waits for an election at most."""
    with Cluster(program, 3, flags=QUIET) as cluster:
        cluster.start()
        writers = Writers(cluster.members.values())
        try:
            writers.wait_progress("three members")
            leader = cluster.wait_leader(30)
            for name in [x for x in cluster.members if x != leader] + [leader, None]:
                name = name or cluster.wait_leader(30)
                status = cluster.members[name].stop()
                check(status == -signal.SIGTERM, "%s ended with status %s" % (name, status))
                writers.wait_progress("%s is stopped" % name)
                cluster.start([cluster.members[name]])
                cluster.all_write(b"started", 30)
        finally:
            writers.finish()
        check(writers.longest < ONE_ELECTION, "a write took %.2f s" % writers.longest)
        writers.all_is_there(cluster.members.values())
        cluster.hashes_agree(30)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    tap = Tap()
    for function in (one_three_five_three, one_two, rolling_restart):
        if options.only in function.__name__:
            tap.run(function.__name__, function, options.server)
    tap.end()


main()
