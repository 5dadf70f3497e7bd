"""How long nobody can write after the leader was killed, beside etcd; how long a new cluster takes to elect.

test/bench/elections.py
"""
import os
import signal
import statistics
import threading
import time

from cluster import ELECTION_MS, Cluster
from common import ETCD, ratio
from node import Client, alive, children_of, wait_until

KILLS = 40
STARTS = 50
START_ELECTION_MS = 1000        # what an operator gets who sets nothing
EVERY = 0.005           # seconds between two attempts to write; what is measured cannot be finer


def first_write(clients):
    """The time at which a put is answered that was begun after this call, on any of the members."""
    done = threading.Event()
    found = []

    def answered(call):
        if call.exception() is None and not found:
            found.append(time.monotonic())
            done.set()
    while not done.is_set():
        for client in clients:
            client.begin("KV/Put", client.message("PutRequest", key=b"after", value=b"x"), timeout=20).add_done_callback(answered)
        done.wait(EVERY)
    return found[0]


def kill_once(cluster):
    """Seconds from the death of the leader to the first write through one of the others; the leader is there again at the end."""
    leader = cluster.members[cluster.wait_leader(30)]
    clients = [Client(m.endpoint) for m in cluster.members.values() if m is not leader]
    try:
        for client in clients:
            client.put(b"before", b"x")
        family = [leader.pid] + children_of(leader.pid)
        began = time.monotonic()
        os.kill(leader.pid, signal.SIGKILL)
        wait_until(lambda: not any(alive(p) for p in family), "all processes of the leader are gone", every=0.001)
        took = first_write(clients) - began
    finally:
        for client in clients:
            client.close()
    leader.process.wait()
    leader.start()
    cluster.all_write(b"again", 30)
    return took


def failover(args):
    gaps = {}
    with Cluster(args.server, 3) as ours, Cluster(args.etcd, 3) as real:
        rivals = {"rusd": ours, ETCD: real}
        for cluster in rivals.values():
            cluster.start()
            cluster.all_write(b"first", 30)
        for _ in range(KILLS):
            for name, cluster in rivals.items():
                gaps.setdefault(name, []).append(kill_once(cluster))
    print("three members: time without writes after the leader was killed, %d times (election timeout %d ms):" % (KILLS, ELECTION_MS))
    for name, g in gaps.items():
        print("    %-12s median %6.0f ms   shortest %6.0f ms   longest %6.0f ms" % (name, statistics.median(g) * 1e3, min(g) * 1e3, max(g) * 1e3))
    ratio("median, times etcd's (wish 0.5)", statistics.median(gaps["rusd"]) / statistics.median(gaps[ETCD]), 1.15, smaller=True)


def at_start(args):
    took = []
    for _ in range(STARTS):
        with Cluster(args.server, 3, flags=["--heartbeat-interval=100", "--election-timeout=%d" % START_ELECTION_MS]) as cluster:
            for m in cluster.members.values():
                m.launch()
            began = time.monotonic()
            wait_until(lambda: any(m.logged("became leader") for m in cluster.members.values()), "a leader is elected")
            took.append(time.monotonic() - began)
    print("three members: from the start of the last to a leader, %d times (election timeout %d ms):" % (STARTS, START_ELECTION_MS))
    print("    median %.0f ms   shortest %.0f ms   longest %.0f ms" % (statistics.median(took) * 1e3, min(took) * 1e3, max(took) * 1e3))
    ratio("median, in election timeouts", statistics.median(took) * 1e3 / START_ELECTION_MS, 1.5, smaller=True)
