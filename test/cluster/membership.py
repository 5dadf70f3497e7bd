#!/usr/bin/python3
"""Members that come and go: a cluster that grows by learners, loses its leader by removal, has a dead member replaced, and one
whose quorum is made again by force.

    membership.py --server build/gcc/rusd

test/cluster/membership.py
"""
import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, error_of, free_ports, wait_until                          # noqa: E402

QUIET = ["--log-level=warn"]
SOON = 30.0


def members(client, linearizable=False):
    """{id: member} as the member that is asked has applied it."""
    answer = client.call("Cluster/MemberList", client.message("MemberListRequest", linearizable=linearizable))
    return {m.ID: m for m in answer.members}, answer.header


def add(client, port, learner=False):
    return client.call("Cluster/MemberAdd", client.message(
        "MemberAddRequest", peerURLs=["http://127.0.0.1:%d" % port], isLearner=learner)).member


def url(node):
    return "http://127.0.0.1:%d" % node.peer


class Joiner(Node):
    """One that is started after it was added: with the members that there are, and itself."""

    def __init__(self, program, name, others, **more):
        self.name, self.others = name, dict(others)
        super().__init__(program, QUIET, start=False, **more)

    def argv(self):
        words = super().argv()
        words[words.index("--initial-cluster") + 1] = ",".join(
            "%s=%s" % x for x in sorted(dict(self.others, **{self.name: url(self)}).items()))
        return words + ["--name", self.name, "--initial-cluster-state", "existing"]


def join(program, first, name, others, client):
    """Added as a learner, started, promoted when it is in sync."""
    node = Joiner(program, name, others)
    try:
        # --strict-reconfig-check wants connections that have lasted for 5 s (CLUSTER-21).
        new = wait_until(lambda: error_free(lambda: add(client, node.peer, learner=True)), "it is added")
        node.start(SOON)
        check(new.ID in members(client)[0], "it is not listed")
        promote = client.message("MemberPromoteRequest", ID=new.ID)
        wait_until(lambda: error_of(client.call, "Cluster/MemberPromote", promote, timeout=5) is None, "it is promoted")
        return node, new.ID
    except BaseException:
        node.explain()
        node.remove()
        raise


class Three:
    """One member that becomes three."""

    def __init__(self, program):
        self.first = Node(program, QUIET)
        self.nodes, self.ids = [self.first], []
        try:
            client = Client(self.first.endpoint)
            self.ids.append(members(client)[1].member_id)
            others = {"default": url(self.first)}
            for name in ("b", "c"):
                node, number = join(program, self.first, name, others, client)
                self.nodes.append(node)
                self.ids.append(number)
                others[name] = url(node)
            client.close()
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            for node in self.nodes:
                node.explain()
        self.end()

    def end(self):
        for node in self.nodes:
            node.remove()

    def leader(self):
        """Place of the member that all of those alive take for their leader."""
        def look():
            seen = set()
            for node in self.nodes:
                if node.process is None or node.process.poll() is not None:
                    continue
                client = Client(node.endpoint)
                seen.add(client.call("Maintenance/Status", client.message("StatusRequest"), timeout=2).leader)
                client.close()
            return seen.pop() + 1 if len(seen) == 1 and seen != {0} else None
        return self.ids.index(wait_until(lambda: error_free(look), "there is a leader") - 1)


def error_free(function):
    import grpc
    try:
        return function()
    except grpc.RpcError:
        return None


def put_until(node, key, value):
    """A write that may be tried again, each time through a connection of its own."""
    def works():
        client = Client(node.endpoint)
        try:
            return error_of(client.put, key, value, timeout=2) is None
        finally:
            client.close()
    wait_until(works, "a write is taken")


def leader_is_removed(program):
    """CLUSTER-33, CLUSTER-34: answered through itself, gone a moment later with status 0, and again when it is started again."""
    with Three(program) as three:
        for node in three.nodes:
            put_until(node, b"key-%d" % node.peer, b"1")
        place = three.leader()
        leader, number = three.nodes[place], three.ids[place]
        client = Client(leader.endpoint)
        remove = client.message("MemberRemoveRequest", ID=number)
        wait_until(lambda: error_of(client.call, "Cluster/MemberRemove", remove, timeout=5) is None, "the leader is removed")
        client.close()
        check(leader.wait(SOON) == 0, "it ended with status %s" % leader.process.returncode)
        rest = [x for x in three.nodes if x is not leader]
        for node in rest:
            put_until(node, b"after", b"%d" % node.peer)
        client = Client(rest[0].endpoint)
        check(number not in members(client, linearizable=True)[0], "it is still listed")
        for node in three.nodes:
            check(client.range(b"key-%d" % node.peer).count == 1, "a key is lost")
        client.close()
        leader.launch()
        check(leader.wait(SOON) == 0, "started again it ended with status %s" % leader.process.returncode)
        check(leader.logged("removed from its cluster"), "it does not say why")


def dead_member_is_replaced(program):
    """CAT-84, BOOT-23: not by an empty directory under its old id; removed and added anew it catches up."""
    with Three(program) as three:
        place = (three.leader() + 1) % 3
        dead, number = three.nodes[place], three.ids[place]
        alive = three.nodes[(place + 1) % 3]
        names = {"default": three.nodes[0], "b": three.nodes[1], "c": three.nodes[2]}
        own = [n for n, x in names.items() if x is dead][0]
        others = {n: url(x) for n, x in names.items() if x is not dead}
        dead.stop(signal.SIGKILL)
        shutil.rmtree(dead.data)
        for i in range(20):
            put_until(alive, b"k%d" % i, b"v")
        again = Joiner(program, own, others, directory=dead.directory, ports=(dead.client, dead.peer))
        again.launch()
        check(again.wait(SOON) == 1, "an empty directory was taken")
        check(again.logged("has already been bootstrapped"), "it does not say why: %s" % again.log()[-2:])
        client = Client(alive.endpoint)
        client.call("Cluster/MemberRemove", client.message("MemberRemoveRequest", ID=number))
        # Without having been added it is none of them.
        again.launch()
        check(again.wait(SOON) == 1 and again.logged("member count is unequal"), "it joined without being added")
        new = wait_until(lambda: error_free(lambda: add(client, dead.peer)), "it is added: two of two are connected")
        again.start(SOON)
        three.nodes.append(again)
        check(new.ID != number, "the old id")
        put_until(again, b"new", b"member")
        reader = Client(again.endpoint)
        check(reader.range(b"k", b"l", count_only=True).count == 20, "it has not caught up")
        reader.close()
        client.close()


def followers_are_removed(program):
    """CLUSTER-33: one that runs, and one that is down when it happens, which the others tell when it comes."""
    with Three(program) as three:
        place = three.leader()
        leader, rest = three.nodes[place], [i for i in range(3) if i != place]
        down, runs = three.nodes[rest[0]], three.nodes[rest[1]]
        put_until(leader, b"k", b"v")
        client = Client(leader.endpoint)
        down.stop()
        for i in rest:
            remove = client.message("MemberRemoveRequest", ID=three.ids[i])
            wait_until(lambda: error_of(client.call, "Cluster/MemberRemove", remove, timeout=5) is None, "it is removed")
        check(runs.wait(SOON) == 0, "the one that runs ended with status %s" % runs.process.returncode)
        down.launch()
        check(down.wait(SOON) == 0, "the one that was down ended with status %s" % down.process.returncode)
        check(down.logged("removed from its cluster"), "it does not say why")
        client.put(b"k", b"alone")
        client.close()


def removed_through_itself(program):
    """CLUSTER-33, CLUSTER-34: a follower that is asked for its own removal answers.  It is then told nothing any more, and what it has
    under way fails when it stops."""
    with Three(program) as three:
        place = (three.leader() + 1) % 3
        goes = three.nodes[place]
        put_until(goes, b"k", b"v")
        client = Client(goes.endpoint)
        remove = client.message("MemberRemoveRequest", ID=three.ids[place])

        def answer():
            try:
                return client.call("Cluster/MemberRemove", remove, SOON)
            except grpc.RpcError as error:
                check(error.details() == "etcdserver: unhealthy cluster", "%s" % error)
        left = wait_until(answer, "members have been connected for long enough").members
        check(sorted(m.ID for m in left) == sorted(i for i in three.ids if i != three.ids[place]), "listed: %s" % left)
        put = client.begin("KV/Put", client.message("PutRequest", key=b"k", value=b"lost"), SOON)
        check(goes.wait(SOON) == 0, "it ended with status %s" % goes.process.returncode)
        told = put.exception()
        # "server stopped", or a word of the client's own, if the connection was gone before.
        check(told is not None and told.code() == grpc.StatusCode.UNAVAILABLE and "timed out" not in told.details(), "what it had under way: %s" % told)
        client.close()
        put_until(three.nodes[(place + 1) % 3], b"k", b"still")


class Founder(Joiner):
    """One of those that a cluster begins with."""

    def argv(self):
        words = super().argv()
        words[words.index("existing")] = "new"
        return words


def lost_data_do_not_found_anew(program):
    """BOOT-21, CAT-90: a founder that has lost its directory does not vote again, though it founds the same cluster once more."""
    names = ["a", "b", "c"]
    nodes = [Founder(program, name, {}) for name in names]
    for node in nodes:
        node.others = {n: url(x) for n, x in zip(names, nodes)}
    try:
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_ready(SOON)
            put_until(node, b"k", b"v")
        nodes[0].stop(signal.SIGKILL)
        shutil.rmtree(nodes[0].data)
        nodes[0].launch()
        check(nodes[0].wait(SOON) == 1, "it ended with status %s" % nodes[0].process.returncode)
        check(nodes[0].logged("has already been bootstrapped, and its data are not here: bring them back, or remove the member and add it anew"),
              "it does not say why, and what to do")
        # It has asked before it made anything.
        check(not os.path.exists(os.path.join(nodes[0].data, "wal")), "it has begun a log")
        put_until(nodes[1], b"k", b"still")
        # All at once, with their data, they go on as they were.
        for node in nodes[1:]:
            node.stop(signal.SIGKILL)
        for node in nodes[1:]:
            node.launch()
        put_until(nodes[2], b"k", b"again")
    except BaseException:
        for node in nodes:
            node.explain()
        raise
    finally:
        for node in nodes:
            node.remove()


def founders_do_not_wait_for_each_other(program):
    """Who founds and asks the others has nothing to tell a founder that asks it, and says so by ending the connection at once."""
    ports = free_ports(6)
    with contextlib.ExitStack() as silent:
        for port in ports[2:]:
            silent.enter_context(socket.create_server(("127.0.0.1", port)))         # somebody is there, and says nothing
        names = ["m%d=http://127.0.0.1:%d" % (i, port) for i, port in enumerate(ports[1:])]
        with Node(program, ["--name=m0", "--initial-cluster=" + ",".join(names)], ports=ports[:2], start=False) as founder:
            founder.launch()

            def connected():
                try:
                    return socket.create_connection(("127.0.0.1", founder.peer))
                except OSError:
                    return None
            with wait_until(connected, "it listens for members") as asker:
                asker.settimeout(30)
                check(asker.recv(1) == b"", "it has something to tell")
            check(not founder.logged("starting a new cluster"), "the connection was kept until the others were asked")


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
    tap.run("leader_is_removed", leader_is_removed, program)
    tap.run("dead_member_is_replaced", dead_member_is_replaced, program)
    tap.run("followers_are_removed", followers_are_removed, program)
    tap.run("removed_through_itself", removed_through_itself, program)
    tap.run("lost_data_do_not_found_anew", lost_data_do_not_found_anew, program)
    tap.run("founders_do_not_wait_for_each_other", founders_do_not_wait_for_each_other, program)
    tap.end()


if __name__ == "__main__":
    main()
