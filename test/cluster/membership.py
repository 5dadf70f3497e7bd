#!/usr/bin/python3
"""Members that come and go, seen from one node: a quorum that is lost and made again by force.

    membership.py --server build/gcc/rusd

test/cluster/membership.py
"""
import argparse
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, error_of, wait_until                          # noqa: E402

QUIET = ["--log-level=warn"]
SOON = 30.0


def members(client, linearizable=False):
    """{id: member} as the member that is asked has applied it."""
    answer = client.call("Cluster/MemberList", client.message("MemberListRequest", linearizable=linearizable))
    return {m.ID: m for m in answer.members}, answer.header


def add(client, port, learner=False):
    return client.call("Cluster/MemberAdd", client.message(
        "MemberAddRequest", peerURLs=["http://127.0.0.1:%d" % port], isLearner=learner)).member


def write_fails(client):
    return error_of(client.put, b"no", b"quorum", timeout=1) is not None


def force(server, number):
    """Ends the node and starts it with --force-new-cluster."""
    server.stop(number)
    server.flags = QUIET + ["--force-new-cluster"]
    server.start(SOON)
    return Client(server.endpoint)


def one_survivor(program, number):
    """BOOT-37, CAT-91: one member, the same ids, all that was acknowledged; once more without the flag."""
    with Node(program, QUIET) as server:
        client = Client(server.endpoint)
        for i in range(200):
            client.put(b"k%03d" % i, b"v%d" % i)
        before, header = members(client)
        add(client, 1, learner=True)
        # The learner does not count; the voter does, at once (CLUSTER-24).
        client.put(b"with", b"learner")
        add(client, 2)
        wait_until(lambda: write_fails(client), "a write without a quorum fails")
        check(len(members(client)[0]) == 3, "members: %s" % members(client)[0])
        client.close()
        for again in (False, True):
            client = force(server, number)
            after, new_header = members(client, linearizable=True)
            check(list(after) == list(before), "members after: %s" % after)
            check((new_header.cluster_id, new_header.member_id) == (header.cluster_id, header.member_id), "other ids")
            check(client.range(b"k", b"l", count_only=True).count == 200, "keys are lost")
            check(client.range(b"with").kvs[0].value == b"learner", "a key is lost")
            client.put(b"again", b"%d" % again)
            client.close()
        server.stop()
        server.flags = QUIET
        server.start(SOON)
        client = Client(server.endpoint)
        check(client.range(b"again").kvs[0].value == b"1", "a key is lost")
        # An id that was removed is never used again (CLUSTER-32), its URL may be.
        check(add(client, 1, learner=True).ID not in before, "its own id")
        client.close()


def a_log_of_many_changes(program):
    """Members that are added and removed again leave the log readable, whatever a restart finds of it."""
    with Node(program, QUIET + ["--max-learners=3"]) as server:
        client = Client(server.endpoint)
        for round_ in range(4):
            for i in range(3):
                new = add(client, 10 + 3 * round_ + i, learner=True)    # a URL again within a second would be its id again
                client.put(b"r%d" % round_, b"%d" % i)
                if i < 2:
                    client.call("Cluster/MemberRemove", client.message("MemberRemoveRequest", ID=new.ID))
            wanted = set(members(client)[0])
            client.close()
            server.stop(signal.SIGKILL if round_ % 2 == 0 else signal.SIGTERM)
            server.start(SOON)
            client = Client(server.endpoint)
            check(set(members(client)[0]) == wanted, "members after a restart")
            client.call("Cluster/MemberRemove", client.message("MemberRemoveRequest", ID=new.ID))
            check(len(members(client)[0]) == 1, "one is left")
        client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    program = parser.parse_args().server
    tap = Tap()
    tap.run("one_survivor, stopped", one_survivor, program, signal.SIGTERM)
    tap.run("one_survivor, killed", one_survivor, program, signal.SIGKILL)
    tap.run("a_log_of_many_changes", a_log_of_many_changes, program)
    tap.end()


if __name__ == "__main__":
    main()
