"""In what order the server made its writes: its history, read in two ways that have to agree.

test/cluster/order.py
"""
import threading

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


def same(log, other, names):
    """A Failure that names the first difference."""
    for a, b in zip(log, other):
        check(a == b, "the history by %s has %s where that by %s has %s" % (names[0], a, names[1], b))
    check(len(log) == len(other), "the history by %s has %d revisions, that by %s %d" % (names[0], len(log), names[1], len(other)))
