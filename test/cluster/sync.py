#!/usr/bin/python3
"""No answer before the log is on disk: fdatasync held back, and fdatasync that fails. Needs a build with INJECT=1.

    sync.py --server build/gcc-inject/rusd

test/cluster/sync.py
"""
import argparse
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, error_of, wait_until         # noqa: E402

HELD_FOR = 1.0                  # seconds that each write waits in vain


def held(program):
    """While fdatasync is held no write is answered, reads are; then all are, and their revisions are those of the order."""
    with Node(program, ["--log-level=warn"]) as server:
        client = Client(server.endpoint)
        first = client.put(b"a", b"1")
        server.inject("wal-before-sync=wait")
        wait_until(lambda: blocked(client, server), "a write is held")
        pending = [client.begin("KV/Put", client.message("PutRequest", key=b"k%d" % i, value=b"v"), 60) for i in range(20)]
        error = error_of(client.put, b"late", b"1", timeout=HELD_FOR)
        check(error is not None and error[0] == "DEADLINE_EXCEEDED", "a write was answered while fdatasync was held: %s" % (error,))
        check(not any(p.done() for p in pending), "a write was answered while fdatasync was held")
        check(client.range(b"a", serializable=True, timeout=5).kvs[0].value == b"1", "a read does not wait for the disk")
        check(client.range(b"k0", timeout=5).count == 0, "a write is seen before it is on disk")
        server.inject("")
        revisions = [p.result().header.revision for p in pending]
        check(len(set(revisions)) == len(revisions) and min(revisions) > first.header.revision, "revisions: %s" % revisions)
        client.close()


def blocked(client, server):
    """Whether a write waits now: the injection has been taken."""
    error = error_of(client.put, b"probe", b"1", timeout=0.3)
    return error is not None and error[0] == "DEADLINE_EXCEEDED"


def killed_while_held(program):
    """What was held when the node was killed was never answered; after the restart it is whole or absent, and all before is there."""
    with Node(program, ["--log-level=warn"]) as server:
        client = Client(server.endpoint)
        last = [client.put(b"before/%d" % i, b"1") for i in range(20)][-1].header.revision
        server.inject("wal-before-sync=wait")
        wait_until(lambda: blocked(client, server), "a write is held")
        pending = [client.begin("KV/Put", client.message("PutRequest", key=b"after/%d" % i, value=b"v" * 1000), 60) for i in range(20)]
        check(not any(p.done() for p in pending), "a write was answered while fdatasync was held")
        server.stop(signal.SIGKILL)
        check(all(p.exception() is not None for p in pending), "a write was answered by a node that was killed before")
        server.inject("")
        client.close()
        server.start()
        client = Client(server.endpoint)
        check(client.range(b"before/", b"before0", count_only=True).count == 20, "an answered write is lost")
        rest = client.range(b"after/", b"after0")
        check(all(kv.value == b"v" * 1000 for kv in rest.kvs), "a write that was not answered is half there")
        check(client.put(b"x", b"1").header.revision > last, "revisions went back")
        client.close()


def failing(program):
    """fdatasync fails once: the node ends by itself, nothing was answered, and it does not try again."""
    with Node(program, ["--log-level=warn"]) as server:
        client = Client(server.endpoint)
        client.put(b"a", b"1")
        server.inject("wal-sync-error=error")
        answers = [error_of(client.put, b"b%d" % i, b"1", timeout=20) for i in range(3)]
        status = server.wait()
        check(status not in (0, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT), "the node ended with status %s" % status)
        refused = [i for i, a in enumerate(answers) if a is None]
        client.close()
        server.inject("")
        server.start()
        client = Client(server.endpoint)
        for i in refused:                   # answered before the point was armed: then it has to be there
            check(client.range(b"b%d" % i).count == 1, "a write was answered and is lost")
        check(None not in answers[len(refused):], "a write was answered after the sync had failed")
        check(client.range(b"a").count == 1, "an answered write is lost")
        client.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    args = p.parse_args()
    tap = Tap()
    tap.run("nothing is answered while fdatasync is held", held, args.server)
    tap.run("killed while fdatasync is held", killed_while_held, args.server)
    tap.run("fdatasync fails: the node stops, nothing was answered", failing, args.server)
    tap.end()


main()
