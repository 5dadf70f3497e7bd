#!/usr/bin/python3
"""Answers by the limit of what a message can be long: refused before their first byte, and nobody else is disturbed.

    large_answer.py --server build/gcc/rusd

One value of 1 MB is asked for many times in one transaction, so that no such amount of data has to be written or kept.

test/cluster/large_answer.py
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, error_of          # noqa: E402

PIECE = 1 << 20
LIMIT = (1 << 31) - 1


def ask(client, times):
    get = client.vectors.TYPES["etcdserverpb.RequestOp"](request_range=client.message("RangeRequest", key=b"piece"))
    return client.begin("KV/Txn", client.message("TxnRequest", success=[get] * times))


def refused_beyond_the_limit(program):
    with Node(program, ["--max-txn-ops=4096", "--log-level=warn"]) as server:
        client, other = Client(server.endpoint), Client(server.endpoint)
        client.put(b"piece", b"x" * PIECE)
        before = server.of_kind("backend")
        error = error_of(ask(client, LIMIT // PIECE + 1).result)
        check(error == ("RESOURCE_EXHAUSTED", "rusd: answer is larger than 2147483647 bytes"), "the answer was: %s" % (error,))
        # Nothing of it was sent, and the same connections go on.
        got = ask(client, 20).result()
        check(len(got.responses) == 20 and all(r.response_range.kvs[0].value == b"x" * PIECE for r in got.responses), "a smaller answer is not right")
        other.put(b"after", b"1")
        check(set(before) <= set(server.of_kind("backend")), "a backend has ended")
        client.close()
        other.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    args = p.parse_args()
    tap = Tap()
    tap.run("an answer beyond 2^31-1 bytes is refused", refused_beyond_the_limit, args.server)
    tap.end()


main()
