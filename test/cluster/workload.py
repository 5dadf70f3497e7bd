"""Clients that write, read and remember: threads, each on a connection of its own to one member of a cluster.

Keys are few, so that what they do meets.  All share the busy keys; of each short group of keys only some dozens of operations are
made, so that a search can check them on their own.  Outcomes are classed by what the server said:

    failed      the request was refused before or when it was applied, or was never sent
    unknown     time-outs, connections that broke, everything else (RAFT-31, RAFT-32)

test/cluster/workload.py
"""
import os
import random
import threading
import time

from history import Op
from node import Client

BUSY = ["k%d" % i for i in range(6)]
SHORT_OPS, SHORT_UNKNOWN = 40, 6        # of a short group: the search needs time for what is unknown
CALL = 1.5                              # seconds that a client waits
PACE = 0.05                             # at most, between two operations of one client
NO_SUCH_LEASE = 0x7001

# (code, text or None for any): the write has no effect and will have none.
SURELY_FAILED = [("NOT_FOUND", None), ("INVALID_ARGUMENT", None), ("FAILED_PRECONDITION", None), ("OUT_OF_RANGE", None),
                 ("UNKNOWN", "raft proposal dropped"), ("UNKNOWN", "etcdserver: too many requests"),
                 ("UNAVAILABLE", "failed to connect to all addresses")]


def surely_failed(error):
    return any(error.code().name == code and (text is None or text in error.details()) for code, text in SURELY_FAILED)


class Group:
    """Keys that only a few operations touch."""

    def __init__(self, number):
        self.prefix = "s%d/" % number
        self.keys = [self.prefix + x for x in "ab"]
        self.left, self.unknown, self.lock = SHORT_OPS, 0, threading.Lock()

    def take(self):
        with self.lock:
            if self.left == 0 or self.unknown >= SHORT_UNKNOWN:
                return False
            self.left -= 1
            return True


class Workload:
    """lives: {member: number}, odd while the member is being killed or started; whoever kills counts it up before and after."""

    def __init__(self, cluster, seed, clients_per_member):
        self.ops, self.errors, self.lock, self.stopped = [], {}, threading.Lock(), threading.Event()
        self.lives = {name: 0 for name in cluster.members}
        self.group, self.crashed, self.number = Group(0), [], 0
        chooser = random.Random(seed)
        self.threads = [threading.Thread(target=self.client, args=("%s.%d" % (name, i), name, m.endpoint, random.Random(chooser.getrandbits(64))))
                        for name, m in cluster.members.items() for i in range(clients_per_member)]

    def start(self):
        for t in self.threads:
            t.start()

    def stop(self):
        self.stopped.set()
        for t in self.threads:
            t.join()

    def new(self, client, f, args):
        """Values follow from the number of the operation, so none is used twice."""
        with self.lock:
            self.number += 1
            op = Op(self.number, client, f, args, 0.0)
            self.ops.append(op)
        if f == "put":
            args["value"] = str(op.id)
        elif f == "cas":
            args["puts"] = {key: "%d.%d" % (op.id, i) for i, key in enumerate(args["puts"])}
        return op

    def client(self, name, member, endpoint, chooser):
        client, seen = Client(endpoint), {}
        try:
            while not self.stopped.wait(chooser.random() * PACE):
                group = self.group
                if chooser.random() < 0.1 and group.take():
                    keys = group.keys
                else:
                    group, keys = None, BUSY
                f, args, bad = draw(chooser, keys, seen)
                op = self.new(name, f, args)
                if not self.perform(client, op, member, bad):
                    if group is not None and op.outcome == "unknown" and not op.reads:
                        with group.lock:
                            group.unknown += 1
                    self.stopped.wait(PACE)         # it would be refused at once again
                elif op.result.get("found"):
                    seen.update(op.result["found"])
        except Exception as error:                  # a broken test is a failed one
            self.crashed.append("%s: %r" % (name, error))
            raise
        finally:
            client.close()

    def perform(self, client, op, member, bad=False):
        """One operation; returns whether it was answered."""
        import grpc
        method, request, result = call_of(client, op, bad)
        life = self.lives[member]
        op.start = time.monotonic()
        try:
            op.result = result(client.call(method, request, CALL))
            op.end = time.monotonic()
            op.outcome = "ok"
            if life % 2 == 0 and self.lives[member] == life:
                op.where = (member, life)
            return True
        except grpc.RpcError as error:
            if surely_failed(error) and not op.reads:
                op.outcome, op.end = "failed", time.monotonic()
            with self.lock:
                text = "%s %s" % (error.code().name, error.details()[:60])
                self.errors[text] = self.errors.get(text, 0) + 1
            return False

    def delete(self, client, member, key):
        """By the test itself, but an operation like the others."""
        op = self.new("test", "delete", {"key": key})
        self.perform(client, op, member)


def draw(chooser, keys, seen):
    """What a client does next: (f, arguments without values, whether it is to be refused)."""
    chance, key = chooser.random(), chooser.choice(keys)
    if chance < 0.22:
        return "put", {"key": key}, False
    if chance < 0.25:
        return "put", {"key": key}, True
    if chance < 0.35:
        return "delete", {"key": key}, False
    if chance < 0.6:
        chosen = chooser.sample(keys, 2)
        return "cas", {"key": key, "expect": seen.get(key), "puts": chosen[:chooser.randint(1, 2)],
                       "dels": [k for k in keys[:2] if k not in chosen][:1], "gets": sorted(set(keys[:3] + [key]))}, False
    return ("get" if chance < 0.85 else "serial"), {"keys": keys if chooser.random() < 0.5 else [key]}, False


def call_of(client, op, bad):
    """(method, request, function of the reply that gives the result)."""
    a, message = op.args, client.message
    if op.f == "put":
        return ("KV/Put", message("PutRequest", key=a["key"].encode(), value=a["value"].encode(), prev_kv=True, lease=NO_SUCH_LEASE if bad else 0),
                lambda r: {"rev": r.header.revision, "prev": r.prev_kv.value.decode() if r.HasField("prev_kv") else None})
    if op.f == "delete":
        return ("KV/DeleteRange", message("DeleteRangeRequest", key=a["key"].encode(), prev_kv=True),
                lambda r: {"rev": r.header.revision, "prev": r.prev_kvs[0].value.decode() if r.deleted else None})
    if op.f == "cas":
        return "KV/Txn", txn_of(client, a), lambda r: result_of_txn(a, r)
    keys = a["keys"]
    low, high = keys[0].encode(), b""
    if len(keys) > 1:                   # all that begin alike
        low = os.path.commonprefix(keys).encode()
        high = low[:-1] + bytes([low[-1] + 1])
    return ("KV/Range", message("RangeRequest", key=low, range_end=high, serializable=op.f == "serial"),
            lambda r: {"rev": r.header.revision, "found": dict({k: None for k in keys}, **{kv.key.decode(): kv.value.decode() for kv in r.kvs})})


def txn_of(client, a):
    message = client.message
    if a["expect"] is None:
        compare = message("Compare", result=0, target=0, key=a["key"].encode(), version=0)
    else:
        compare = message("Compare", result=0, target=3, key=a["key"].encode(), value=a["expect"].encode())
    reads = [message("RequestOp", request_range=message("RangeRequest", key=k.encode())) for k in a["gets"]]
    writes = [message("RequestOp", request_delete_range=message("DeleteRangeRequest", key=k.encode())) for k in a["dels"]]
    writes += [message("RequestOp", request_put=message("PutRequest", key=k.encode(), value=v.encode())) for k, v in a["puts"].items()]
    return message("TxnRequest", compare=[compare], success=writes + reads, failure=reads)


def result_of_txn(a, reply):
    reads = [r.response_range for r in reply.responses[len(reply.responses) - len(a["gets"]):]]
    return {"rev": reply.header.revision, "done": reply.succeeded,
            "found": {k: r.kvs[0].value.decode() if r.kvs else None for k, r in zip(a["gets"], reads)}}
