#!/usr/bin/python3
"""Crash torture: clients write and remember what was acknowledged, something is killed, and after recovery the history
is read revision by revision and compared with what was remembered.

    torture.py --server build/gcc-inject/rusd [--rounds 50] [--seed N] [--no-inject]

In each round some connections write (puts, transactions, deletes, small and large values); after a number of answers drawn
by lot, a process of the node, or all of them, get SIGKILL, or an injection point kills the one that comes by. Then:

  - every acknowledged write is in the history at the revision that was acknowledged;
  - each revision holds exactly one write, and all of it: what was not acknowledged is whole or absent;
  - revisions have no gap and none comes twice;
  - the state is what the history says.

At the end the whole log, of which every segment was kept, is replayed into an empty store: HashKV is the same.

test/cluster/torture.py
"""
import argparse
import glob
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Failure, Node, Tap, TOP, alive, check, children_of, wait_until      # noqa: E402

REPLAY = 900.0                  # seconds that the log of a long run may take on a busy machine

CONNECTIONS = 4
KEYS = 24                       # per connection
ESSENTIAL = ["raft", "walwriter", "applier", "pager", "checkpointer"]


def injection_points():
    """Names of all points in the source that can kill."""
    text = subprocess.run(["grep", "-rhoE", r'INJECT(_ERROR)?\("[a-z0-9-]+"', os.path.join(TOP, "src", "backend")], capture_output=True, text=True).stdout
    return sorted(set(re.findall(r'"([a-z0-9-]+)"', text)))


class Write:
    """One write: what it puts and deletes, and the revision that was acknowledged (None: no answer). Values follow from the number."""
    __slots__ = ("number", "keys", "size", "deletes", "acknowledged", "nothing")

    def __init__(self, number, keys, size, deletes):
        self.number, self.keys, self.size, self.deletes, self.acknowledged = number, keys, size, deletes, None
        self.nothing = False            # acknowledged, but changed nothing

    @property
    def puts(self):
        return {key: (b"%d:%s" % (self.number, key)).ljust(self.size, b"v") for key in self.keys}


class History:
    """The writes that are not accounted for yet, by their number; the part of the store's history that was compared."""

    def __init__(self):
        self.open, self.lock, self.answers, self.count = {}, threading.Lock(), 0, 0
        self.checked, self.state, self.found, self.unanswered = 1, {}, {}, 0

    def new(self, chooser, connection):
        with self.lock:
            self.count += 1
            size = chooser.choice([20, 20, 100, 100, 400, 3000, 20000] + ([150000] if chooser.random() < 0.1 else []))
            keys = [b"%d/%d" % (connection, k) for k in chooser.sample(range(KEYS), 4)]
            kind = chooser.random()
            if kind < 0.6:
                w = Write(self.count, keys[:1], size, [])
            elif kind < 0.9:
                w = Write(self.count, keys[:3], size, keys[3:])
            else:
                w = Write(self.count, [], 0, keys[:1])
            self.open[w.number] = w
            return w

    def answered(self, write, revision, changed):
        with self.lock:
            self.answers += 1
            write.acknowledged, write.nothing = revision, not changed


def send(client, w):
    """Begins the write; returns (future, function of its reply: (revision, whether it changed anything))."""
    puts = w.puts
    if not w.deletes and len(puts) == 1:
        (key, value), = puts.items()
        return client.begin("KV/Put", client.message("PutRequest", key=key, value=value), 10), lambda r: (r.header.revision, True)
    if not puts:
        return (client.begin("KV/DeleteRange", client.message("DeleteRangeRequest", key=w.deletes[0]), 10),
                lambda r: (r.header.revision, r.deleted > 0))
    ops = [client.message("RequestOp", request_put=client.message("PutRequest", key=k, value=v)) for k, v in puts.items()]
    ops += [client.message("RequestOp", request_delete_range=client.message("DeleteRangeRequest", key=k)) for k in w.deletes]
    return client.begin("KV/Txn", client.message("TxnRequest", success=ops), 10), lambda r: (r.header.revision, True)


def connection(number, endpoint, history, seed, stop):
    """Writes in bursts until told to stop or until a call fails."""
    import grpc
    chooser, client = random.Random(seed), Client(endpoint)
    try:
        failed = False
        while not stop.is_set() and not failed:
            begun = []
            for _ in range(chooser.randint(1, 8)):
                w = history.new(chooser, number)
                begun.append((w,) + send(client, w))
            for w, future, result in begun:
                try:
                    history.answered(w, *result(future.result()))
                except grpc.RpcError:
                    failed = True
    finally:
        client.close()


# ---- comparing ----

def compare_revision(history, revision, kvs, present):
    """One revision of the store against the write that it has to be."""
    if not kvs:
        fitting = [w for w in history.open.values() if not w.keys and not w.nothing and (w.acknowledged == revision or w.acknowledged is None) and
                   w.deletes[0] in history.state and not present(w.deletes[0])]
        fitting.sort(key=lambda w: w.acknowledged != revision)
        check(fitting, "revision %d holds nothing, and no delete explains it: a gap" % revision)
        w = fitting[0]
    else:
        numbers = {int(kv.value.split(b":")[0]) for kv in kvs}
        check(len(numbers) == 1, "revision %d holds parts of several writes: %s" % (revision, sorted(numbers)))
        number = numbers.pop()
        check(number not in history.found, "write %d is in revision %d and again in %d" % (number, history.found.get(number, 0), revision))
        check(number in history.open, "write %d of revision %d was never sent, or long ago" % (number, revision))
        w = history.open[number]
        got = {kv.key: kv.value for kv in kvs}
        check(got == w.puts, "write %d is only in part in revision %d: keys %s instead of %s" % (w.number, revision, sorted(got), sorted(w.keys)))
        for key in w.deletes:
            check(not present(key), "write %d of revision %d did not delete %s" % (w.number, revision, key))
    check(w.acknowledged in (None, revision), "write %d was acknowledged at revision %s and is in %d" % (w.number, w.acknowledged, revision))
    history.found[w.number] = revision
    history.unanswered += w.acknowledged is None
    del history.open[w.number]
    for key in w.deletes:
        history.state.pop(key, None)
    history.state.update({k: (v, revision) for k, v in w.puts.items()})


def compare(history, client):
    """Everything since the last comparison."""
    now = client.range(b"\0", b"\0")
    last = now.header.revision
    for low in range(history.checked + 1, last + 1, 64):
        batch = range(low, min(low + 64, last + 1))
        reads = [client.begin("KV/Range", client.message("RangeRequest", key=b"\0", range_end=b"\0", revision=r, min_mod_revision=r, max_mod_revision=r))
                 for r in batch]
        for revision, read in zip(batch, reads):
            compare_revision(history, revision, read.result().kvs, lambda key: client.range(key, revision=revision, count_only=True).count > 0)
            history.checked = revision
    for w in list(history.open.values()):
        check(w.acknowledged is None or w.nothing, "write %d was acknowledged at revision %s and is lost" % (w.number, w.acknowledged))
        # What got no answer may still be on its way for a moment if only its connection died, but not for thousands of writes.
        if w.nothing or w.number < history.count - 5000:
            del history.open[w.number]
    state = {kv.key: (kv.value, kv.mod_revision) for kv in now.kvs}
    check(state == history.state, "the state differs from the history in %s" % sorted(k for k in set(state) | set(history.state) if state.get(k) != history.state.get(k))[:5])
    return last


# ---- killing ----

def essentials(server):
    return {pid for pid, kind in server.processes().items() if kind != "backend"}


def kill_something(server, chooser, points, rusd, only=None):
    """Returns what was done, in words."""
    what = chooser.choice(["postmaster", "all"] + (["essential"] * 4 + ["backend"] if rusd else []) + (["point"] * 4 if points else []))
    if only is not None:
        what = "essential" if only in ESSENTIAL else only
    if what == "point":
        point = chooser.choice(points)
        line = "%s=kill:%d" % (point, chooser.choice([0, 0, 1, 5, 20, 100]))
        before, ours = set(server.processes()), essentials(server)
        server.inject(line)
        try:
            wait_until(lambda: not before <= set(server.processes()) or server.process.poll() is not None, "the point is reached", 1.5)
            server.inject("")
            if essentials(server) != ours:
                wait_until(lambda: not any(alive(p) for p in ours), "the other processes are stopped")
            return "point " + line
        except Failure:
            server.inject("")           # nobody came by: kill something by hand
            what = "essential"
    if what == "essential" or what == "backend":
        kind = only if only in ESSENTIAL else chooser.choice(ESSENTIAL) if what == "essential" else "backend"
        pids, ours = server.of_kind(kind), essentials(server)
        if pids:
            try:
                os.kill(chooser.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                pass
        if kind != "backend":           # until then the old ones may still answer
            wait_until(lambda: not any(alive(p) for p in ours), "the other processes are stopped")
        return kind
    family = children_of(server.pid)
    for pid in ([server.pid] if what == "postmaster" else chooser.sample(family + [server.pid], len(family) + 1)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    server.process.wait()
    wait_until(lambda: not any(alive(p) for p in family), "no process outlives the postmaster")
    return what


def one_round(number, server, history, chooser, points, rusd, only):
    import grpc
    stop = threading.Event()
    threads = [threading.Thread(target=connection, args=(i, server.endpoint, history, chooser.getrandbits(64), stop)) for i in range(CONNECTIONS)]
    for t in threads:
        t.start()
    wanted = history.answers + chooser.randint(1, 200)
    wait_until(lambda: history.answers >= wanted or not any(t.is_alive() for t in threads), "writes are answered")
    done = kill_something(server, chooser, points, rusd, only)
    if done in ("backend",) or rusd and server.process.poll() is None:
        stop.set()                      # the other connections may be alive and well
    for t in threads:
        t.join(60)
        check(not t.is_alive(), "a client got neither an answer nor an error (killed: %s)" % done)
    if server.process.poll() is not None:
        check(server.process.returncode == -signal.SIGKILL, "the node ended with status %s after: %s" % (server.process.returncode, done))
        server.start()
    client = Client(server.endpoint)
    try:
        while True:
            wait_until(lambda: serves(client, server), "the node serves again after: " + done)
            ours = essentials(server)
            try:
                last = compare(history, client)
                break
            except grpc.RpcError as error:      # the point was reached once more before it was taken back
                check(done.startswith("point") and essentials(server) != ours, "a read failed while nothing was killed: %s" % error)
        if chooser.random() < 0.1 and last > 100:
            client.call("KV/Compact", client.message("CompactionRequest", revision=last - 20, physical=chooser.random() < 0.5))
    except Failure as failure:
        raise Failure("round %d, killed: %s: %s" % (number, done, failure)) from None
    finally:
        client.close()
    return done


def serves(client, server):
    import grpc
    if server.process.poll() is not None:
        raise Failure("the node ended with status %s" % server.process.returncode)
    try:
        client.range(b"\0", b"", timeout=2)
        return True
    except grpc.RpcError:
        return False


def replay_log(server, args):
    """The whole log into an empty store."""
    client = Client(server.endpoint)
    before = client.hash()
    client.close()
    server.stop()
    fresh = os.path.join(server.directory, "replayed")
    shutil.copytree(server.data, fresh)
    for name in glob.glob(os.path.join(fresh, "control*")) + glob.glob(os.path.join(fresh, "data.*")):
        if os.path.exists(name):
            os.unlink(name)
    os.rename(server.data, server.data + ".before")
    os.rename(fresh, server.data)
    server.start(REPLAY)
    client = Client(server.endpoint)
    wait_until(lambda: serves(client, server), "the node serves after the replay")
    after = client.hash()
    client.close()
    check((before.hash, before.compact_revision, before.header.revision) == (after.hash, after.compact_revision, after.header.revision),
          "HashKV before: %s, after the replay: %s" % (before, after))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--rounds", type=int, default=50)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--no-inject", action="store_true", help="the build has no injection points")
    p.add_argument("--kill", help="always this: postmaster, all, backend, point, or a kind of essential process")
    args = p.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 32)
    chooser, history, tap = random.Random(seed), History(), Tap()
    rusd = "rusd" in os.path.basename(args.server)
    points = [] if args.no_inject or not rusd else injection_points()
    flags = ["--wal-keep-all", "--wal-segment-size=1048576", "--checkpoint-interval=300ms", "--log-level=info"] if rusd else []
    print("# to repeat: torture.py --server %s --rounds %d --seed %d%s" % (args.server, args.rounds, seed, " --no-inject" if args.no_inject else ""))
    counts = {}
    with Node(args.server, flags) as server:
        def rounds():
            for number in range(1, args.rounds + 1):
                done = one_round(number, server, history, chooser, points, rusd, args.kill)
                word = done.split("=")[0]
                counts[word] = counts.get(word, 0) + 1
            print("# %d writes, %d answered, %d not answered but there, revision %d" % (history.count, history.answers, history.unanswered, history.checked))
            print("# killed: " + ", ".join("%s %d" % x for x in sorted(counts.items())))
        tap.run("%d rounds of writing, killing, comparing (seed %d)" % (args.rounds, seed), rounds, node=server)
        if rusd and not tap.bad:
            tap.run("the whole log replayed gives the same HashKV", replay_log, server, args, node=server)
    tap.end()


main()
