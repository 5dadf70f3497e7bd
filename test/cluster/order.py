"""In what order the server made its writes: its history, read in ways that have to agree.

test/cluster/order.py
"""
import base64
import json
import subprocess
import threading

from history import apply
from node import check

AT_ONCE = 64                    # reads of a history under way


def by_range(client, last):
    """[(revision, {key: value or None})] from one read of everything at every revision."""
    log, before = [], {}
    for low in range(2, last + 1, AT_ONCE):
        batch = range(low, min(low + AT_ONCE, last + 1))
        reads = [client.begin("KV/Range", client.message("RangeRequest", key=b"\0", range_end=b"\0", revision=r)) for r in batch]
        for revision, read in zip(batch, reads):
            now = {kv.key.decode(): (kv.value.decode(), kv.mod_revision) for kv in read.result().kvs}
            written = {key: value for key, (value, changed) in now.items() if changed == revision}
            written.update({key: None for key in before if key not in now})
            wrong = [k for k in now if now[k][1] != revision and now[k] != before.get(k)]
            check(not wrong, "revision %d shows a change of %s that is of another revision" % (revision, wrong))
            log.append((revision, written))
            before = now
    return log


def by_watch(client, last):
    """The same from the events of a watch from the first revision on."""
    path, req, rep, _ = client.vectors.METHODS["Watch/Watch"]
    types = client.vectors.TYPES
    done, create = threading.Event(), client.message("WatchCreateRequest", key=b"\0", range_end=b"\0", start_revision=1)

    def requests():
        yield client.message("WatchRequest", create_request=create)
        done.wait()
    log = []
    call = client.channel.stream_stream(path, types[req].SerializeToString, types[rep].FromString)(requests(), timeout=120)
    try:
        for reply in call:
            check(not reply.canceled, "the watch was cancelled: %s" % reply.cancel_reason)
            for event in reply.events:
                revision = event.kv.mod_revision
                if not log or log[-1][0] != revision:
                    log.append((revision, {}))
                log[-1][1][event.kv.key.decode()] = None if event.type == 1 else event.kv.value.decode()
            if log and log[-1][0] >= last:
                return [entry for entry in log if entry[0] <= last]
    finally:
        done.set()
        call.cancel()
    return log


# ---- rusd's log on disk ----

def by_dump(tool, directory, last):
    """The same from the entries of a stopped member's log, done once more here; None if the log does not begin at its beginning."""
    dumped = subprocess.run([tool, "--json", "--committed", directory], capture_output=True, text=True, timeout=600)
    check(dumped.returncode == 0, "%s ended with status %d: %s" % (tool, dumped.returncode, dumped.stderr[-1000:]))
    log, state, index = [], {}, 0
    for line in dumped.stdout.splitlines():
        entry = json.loads(line)
        if "log" in entry:
            if entry["log"]["snapshot"]["index"] != 0:
                return None
            continue
        if not entry.get("index"):
            continue
        check(entry["index"] == index + 1, "entry %d follows entry %d" % (entry["index"], index))
        index = entry["index"]
        written = written_by(entry, state)
        if written:
            state = apply(state, written)
            log.append((len(log) + 2, written))
    return [entry for entry in log if entry[0] <= last]


def written_by(entry, state):
    """What an entry writes in this state."""
    ops = {op["offset"]: op for op in entry.get("ops", ())}
    order, written = sorted(ops), {}
    at = 0 if entry["kind"] in ("put", "delete-range", "txn") else len(order)
    while at < len(order):
        op = ops[order[at]]
        if op["op"] == "txn":
            compares = [ops[o] for o in order[at + 1:at + 1 + op["compares"]]]
            if not all(holds(c, state) for c in compares):
                at = position(order, op["else"])
                continue
            at += op["compares"]
        elif op["op"] == "jump":
            at = position(order, op["to"])
            continue
        elif op["op"] == "put" and "lease" not in op:       # there is no lease, so a put with one is refused
            written[text(op["key"])] = text(op["value"])
        elif op["op"] == "delete" and text(op["key"]) in state:
            written[text(op["key"])] = None
        at += 1
    return written


def position(order, offset):
    """Of the operation there; behind the last one at the end."""
    return order.index(offset) if offset in order else len(order)


def holds(compare, state):
    """The two conditions that the workload makes."""
    value = state.get(text(compare["key"]))
    if compare["target"] == "version":
        return (value is None) == (compare["operand"] == 0)
    return value is not None and value == text(compare["operand"])


def text(encoded):
    return base64.b64decode(encoded).decode()


def same(log, other, names):
    """A Failure that names the first difference."""
    for a, b in zip(log, other):
        check(a == b, "the history by %s has %s where that by %s has %s" % (names[0], a, names[1], b))
    check(len(log) == len(other), "the history by %s has %d revisions, that by %s %d" % (names[0], len(log), names[1], len(other)))
