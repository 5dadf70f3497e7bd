#!/usr/bin/python3
"""A page cache that is full: replay of more than it holds, compaction, values that grow before a write that keeps them.

    full_cache.py --server build/gcc/rusd

test/cluster/full_cache.py
"""
import argparse
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, error_of, wait_until     # noqa: E402

CACHE = ["--log-level=warn", "--page-cache-size=16MiB"]
TOO_MANY = ("UNKNOWN", "etcdserver: too many requests")


def compact(client, revision, physical):
    return client.call("KV/Compact", client.message("CompactionRequest", revision=revision, physical=physical), 10)


def put_until_accepted(client, key, value):
    """Writes it, however often it is refused for want of room that is being made."""
    answers = []

    def accepted():
        try:
            answers.append(client.put(key, value))
            return True
        except Exception as error:
            check((error.code().name, error.details()) == TOO_MANY, "put: %s" % error)
            return False
    wait_until(accepted, "a put is accepted")
    return answers[0]


def replay(program):
    """The log since the last checkpoint holds three times the cache, and is all committed when the node starts."""
    with Node(program, CACHE) as server:
        client = Client(server.endpoint)
        for i in range(55):
            revision = put_until_accepted(client, b"k", b"%d" % i * 500000).header.revision
            if i % 2 == 1:
                compact(client, revision, True)
        client.close()
        server.send(signal.SIGKILL)
        server.process.wait()
        server.start()
        client = Client(server.endpoint)
        read = client.range(b"k")
        check(read.header.revision == 56 and read.kvs[0].value == b"54" * 500000, "what was acknowledged is not there")
        client.close()


def full_of_old_versions(program):
    """Refused puts; then one compaction makes room, whatever fills the cache, and all is quiet."""
    with Node(program, CACHE) as server:
        client = Client(server.endpoint)
        refused = None
        for _ in range(1000):
            refused = error_of(client.put, b"k", b"y" * 45000)
            if refused is not None:
                break
        check(refused == TOO_MANY, "the cache never filled: %s" % (refused,))
        compact(client, client.range(b"k").header.revision, True)
        put_until_accepted(client, b"k", b"y" * 45000)
        client.close()


def kept_values(program):
    """Each write was small when it came, and is large when its turn comes."""
    with Node(program, CACHE) as server:
        client = Client(server.endpoint)
        client.put(b"k", b"small")
        calls = [client.begin("KV/Put", client.message("PutRequest", key=b"k", value=b"x" * 1400000), 30)]
        calls += [client.begin("KV/Put", client.message("PutRequest", key=b"k", ignore_value=True), 30) for _ in range(200)]
        applied = sum(call.exception() is None for call in calls)
        check(server.process.poll() is None and not server.logged("check failed"), "the applier died")
        read = client.range(b"k")
        check(read.header.revision == 2 + applied and read.kvs[0].version == 1 + applied,
              "%d answered, revision %d" % (applied, read.header.revision))
        compact(client, read.header.revision, True)
        put_until_accepted(client, b"k", b"small")
        client.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    args = p.parse_args()
    tap = Tap()
    tap.run("replay of three times the cache", replay, args.server)
    tap.run("a cache full of old versions is compacted", full_of_old_versions, args.server)
    tap.run("values that grow before a write that keeps them", kept_values, args.server)
    tap.end()


main()
