#!/usr/bin/python3
"""A backend that dies costs its own connection only.

    backends.py --server build/gcc/rusd [--kills 300] [--seed N]

Steady connections read and write without pause. Others come, do the same with larger things, and their backends get
SIGKILL at any moment. In the end: no steady connection saw an error or was made anew, the essential processes are those from
the beginning, and /metrics show as many slots, rings, pins and frames in use as before.

test/cluster/backends.py
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Failure, Node, Tap, check, wait_until          # noqa: E402

STEADY = 4
VICTIMS = 4
COMPACT_EVERY = 500
# Gauges of what is held: as they were before, when all that died is gone and the steady connections rest.
HELD = ['rusd_slots{state="free"}', 'rusd_slots{state="live"}', 'rusd_slots{state="dead"}', "rusd_backends", "rusd_snapshot_pins", "rusd_result_pins",
        "rusd_proposal_ring_bytes", "rusd_backend_memory_bytes", "rusd_streams"]
FRAMES = "rusd_frames_used"
FRAMES_MORE = 64                # the same keys with other values may take a few pages more


class Steady(threading.Thread):
    """Reads and writes one after the other; the first error ends it."""

    def __init__(self, number, endpoint):
        super().__init__(daemon=True)       # or a failure waits for it
        self.number, self.client, self.go, self.stop, self.done, self.error = number, Client(endpoint), threading.Event(), threading.Event(), 0, None

    def run(self):
        key = b"steady/%d" % self.number
        try:
            self.client.put(key, b"first")
            self.done = 1
            self.go.wait()
            while not self.stop.is_set():
                value = b"%d" % self.done
                put = self.client.put(key, value)
                got = self.client.range(key)
                if got.kvs[0].value != value or got.header.revision < put.header.revision:
                    raise Failure("read %s after having written %s" % (got.kvs[0].value, value))
                self.done += 1
                if self.number == 0 and self.done % COMPACT_EVERY == 0:     # or the quota ends a long run
                    self.client.call("KV/Compact", self.client.message("CompactionRequest", revision=put.header.revision))
        except Exception as error:          # whatever it is, it must not happen
            self.error = error


def victim(number, endpoint, seed):
    """Connection after connection, each busy with several things at once until it breaks. A process of its own, which is killed in the end: so
    no connection outlives it, whatever the library keeps."""
    import grpc
    chooser = random.Random(seed)
    while True:
        client = Client(endpoint)
        try:
            while True:
                calls = [client.begin("KV/Put", client.message("PutRequest", key=b"victim/%d/%d" % (number, i), value=b"x" * chooser.choice([10, 1000, 100000])), 10)
                         for i in range(chooser.randint(0, 4))]
                calls += [client.begin("KV/Range", client.message("RangeRequest", key=b"victim/", range_end=b"victim0"), 10) for _ in range(2)]
                calls += [client.begin("KV/DeleteRange", client.message("DeleteRangeRequest", key=b"victim/%d/1" % number, prev_kv=True), 10)]
                for call in calls:
                    call.result()
        except grpc.RpcError:
            pass
        finally:
            client.close()


def essentials(server):
    return sorted(pid for pid, kind in server.processes().items() if kind != "backend")


def held(server):
    """What /metrics say is held; a name that is not there would make this test blind."""
    metrics = server.metrics()
    check(all(name in metrics for name in HELD + [FRAMES]), "/metrics do not show %s" % [n for n in HELD + [FRAMES] if n not in metrics])
    return {name: metrics[name] for name in HELD}


def at_rest(server):
    """What is held, once the slot of the last look at /metrics, which is a connection too, is free again."""
    found = held(server)
    return found if found['rusd_slots{state="dead"}'] == 0 else None


def frames_at_rest(client, server):
    """Function of the frames in use, once what the victims wrote is deleted and forgotten; pages are reclaimed lazily, Defragment makes the store look."""
    client.call("KV/DeleteRange", client.message("DeleteRangeRequest", key=b"victim/", range_end=b"victim0"))
    last = client.put(b"mark", b"x" * 100).header.revision
    client.call("KV/Compact", client.message("CompactionRequest", revision=last, physical=True))

    def frames():
        client.call("Maintenance/Defragment", client.message("DefragmentRequest"))
        return server.metrics()[FRAMES]
    return frames


def kill_until_enough(server, args, chooser, steady, protected):
    killed = 0
    while killed < args.kills:
        def candidates():
            for s in steady:
                if s.error:
                    raise Failure("after %d kills a steady connection got: %s" % (killed, s.error))
            return [pid for pid in server.of_kind("backend") if pid not in protected]
        pid = chooser.choice(wait_until(candidates, "there are backends to kill"))
        if chooser.random() < 0.5:      # let it work a little: until somebody has been answered again
            mark = sum(s.done for s in steady) + chooser.randint(1, 20)
            wait_until(lambda: sum(s.done for s in steady) >= mark or any(s.error for s in steady), "steady connections go on")
        try:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            pass
    return killed


def backends_die(server, args, seed):
    chooser = random.Random(seed)
    steady = [Steady(i, server.endpoint) for i in range(STEADY)]
    for s in steady:
        s.start()
    wait_until(lambda: all(s.done or s.error for s in steady), "the steady connections work")
    # That of who has looked whether the server is healthy may not have gone yet.
    protected = wait_until(lambda: set(server.of_kind("backend")) if len(server.of_kind("backend")) == STEADY else None, "there is a backend for each connection")
    fixed = essentials(server)
    frames_before = frames_at_rest(steady[0].client, server)()
    wait_until(lambda: set(server.of_kind("backend")) == protected, "only the steady connections are there")
    before = wait_until(lambda: at_rest(server), "no slot is dying", every=0.5)
    victims = [subprocess.Popen([sys.executable, os.path.abspath(__file__), "--server", server.endpoint, "--victim", str(i), "--seed", str(chooser.getrandbits(32))])
               for i in range(VICTIMS)]
    for t in steady:
        t.go.set()
    try:
        killed = kill_until_enough(server, args, chooser, steady, protected)
    finally:
        for process in victims:
            process.kill()
            process.wait()
        for s in steady:
            s.stop.set()
        for s in steady:
            s.join(60)
    for s in steady:
        check(s.error is None, "a steady connection got: %s" % s.error)
    check(protected <= set(server.of_kind("backend")), "a steady connection has another backend than at the beginning")
    check(essentials(server) == fixed, "essential processes changed: %s, then %s" % (fixed, essentials(server)))
    print("# %d backends killed, %d reads and writes on %d steady connections" % (killed, sum(s.done for s in steady), STEADY))
    try:
        wait_until(lambda: set(server.of_kind("backend")) == protected and held(server) == before, "everything held is given back", 20, every=0.5)
    except Failure:
        after = held(server)
        raise Failure("still held (before, after): %s" % {k: (before[k], v) for k, v in after.items() if before[k] != v}) from None
    frames = frames_at_rest(steady[0].client, server)
    try:
        wait_until(lambda: frames() <= frames_before + FRAMES_MORE, "frames are given back", 20)
    except Failure:
        raise Failure("frames in use: %d before, %d after" % (frames_before, frames())) from None
    print("# frames in use: %d before, %d after" % (frames_before, frames()))
    for s in steady:
        s.client.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--kills", type=int, default=300)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--victim", type=int, help="be the client of this number, whose backends are killed; --server is the endpoint")
    args = p.parse_args()
    if args.victim is not None:
        victim(args.victim, args.server, args.seed)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 32)
    tap = Tap()
    print("# to repeat: backends.py --server %s --kills %d --seed %d" % (args.server, args.kills, seed))
    with Node(args.server, ["--log-level=warn", "--checkpoint-interval=200ms"]) as server:
        tap.run("%d backends killed under load (seed %d)" % (args.kills, seed), backends_die, server, args, seed, node=server)
    tap.end()


main()
