#!/usr/bin/python3
"""Many large requests at once on one connection: more than its share of the memory could hold.

    large_requests.py --server build/gcc/rusd

test/cluster/large_requests.py
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check          # noqa: E402

PUTS = 100
BYTES = 1000000                                     # a share is 64 MiB, and a put takes three times its size


def all_are_taken(program):
    with Node(program) as node:
        client = Client(node.endpoint)
        futures = [client.begin("KV/Put", client.message("PutRequest", key=b"key%d" % (i % 10), value=bytes([i]) * BYTES), timeout=120)
                   for i in range(PUTS)]
        failed = [f.exception() for f in futures if f.exception() is not None]
        check(not failed, "%d of %d were refused: %s" % (len(failed), PUTS, failed[:1]))
        check(client.range(b"key0", b"key:", count_only=True).count == 10, "they are there")
        check(node.metrics()["rusd_memory_refused_total"] == 0, "no memory was refused on the way")
        client.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    options = parser.parse_args()
    tap = Tap()
    tap.run("%d puts of %d bytes at once on one connection" % (PUTS, BYTES), all_are_taken, options.server)
    tap.end()


main()
