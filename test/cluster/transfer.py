#!/usr/bin/python3
"""A member that needs the state of another gets it, whatever breaks meanwhile: the connection, either process, the sender's lead.

    transfer.py --server build/gcc/rusd

test/cluster/transfer.py
"""
import argparse
import json
import os
import random
import signal
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import Cluster                                                     # noqa: E402
from node import Client, Node, Tap, alive, check, error_of, title_of, wait_until      # noqa: E402

# A log of which little is kept, and a rate at which a transfer takes some seconds.
FLAGS = ["--log-level=info", "--wal-segment-size=1MiB", "--max-request-bytes=100000", "--checkpoint-interval=1s", "--wal-keep-size=0",
         "--page-cache-size=256MiB", "--snapshot-transfer-rate=3MiB"]
VALUE, VALUES = 60000, 150      # bytes that do not compress: 9 MB
PAGE = 8192
PROTOCOL = "2"                  # PEER_PROTOCOL
BROKEN_AT = 4 << 20             # bytes of a transfer


def lines(member, message):
    """Lines of its log with that message, as dicts."""
    return [json.loads(line) for line in member.log() if line.startswith("{") and json.loads(line).get("msg") == message]


def put(client, key, value):
    """A write that outlives a change of leaders; its revision."""
    import grpc

    def tried():
        try:
            return client.put(key, value, timeout=5).header.revision
        except grpc.RpcError:
            return None
    return wait_until(tried, "a write succeeds")


def compact(client):
    """Nothing of the past is kept.  At the revision of a compaction itself HashKV tells of the one before it: so one more write."""
    revision = put(client, b"last", b"")
    wait_until(lambda: error_of(client.call, "KV/Compact", client.message("CompactionRequest", revision=revision, physical=True), 5) is None, "a compaction")
    put(client, b"last", b"")


def received(member):
    """Bytes of a state that lie in incoming/."""
    try:
        return os.stat(os.path.join(member.data, "incoming", "data")).st_blocks * 512
    except FileNotFoundError:
        return 0


class Lagging:
    """A follower is away until the log does not hold what it needs; then it is started, and some of the state has come."""

    def __init__(self, cluster, seed):
        self.cluster, chooser = cluster, random.Random(seed)
        first = cluster.wait_leader(30)
        self.member = [m for name, m in cluster.members.items() if name != first][0]
        self.member.stop()
        client = Client(cluster.members[first].endpoint)
        for n in range(VALUES):
            self.value = chooser.randbytes(VALUE)
            put(client, b"bulk-%d" % n, self.value)
        compact(client)
        client.close()
        rest = [m for m in cluster.members.values() if m is not self.member]
        for m in rest:
            wait_until(lambda m=m: m.metrics()["rusd_wal_segments"] < 8, "old segments of %s are removed" % m.name, every=0.1)
        self.leader = cluster.members[cluster.wait_leader(30)]
        self.other = [m for m in rest if m is not self.leader][0]
        self.fetched = len(lines(self.member, "fetched the state of a member"))
        self.streams = {m: len(self.sent(m)) for m in (self.leader, self.other)}
        self.member.launch()
        cluster.know()
        wait_until(lambda: received(self.member) > BROKEN_AT, "some of the state has come", every=0.02)
        self.none_fetched()

    @staticmethod
    def sent(sender):
        return lines(sender, "sending the state to a member")

    def none_fetched(self):
        check(len(lines(self.member, "fetched the state of a member")) == self.fetched, "the transfer ended before it could be broken off")

    def streams_of(self, sender):
        """What that member has begun to send since."""
        return self.sent(sender)[self.streams[sender]:]

    def arrives(self):
        member = self.member
        wait_until(lambda: len(lines(member, "fetched the state of a member")) > self.fetched, "the state is fetched", limit=60, every=0.05)
        member.wait_ready()
        self.cluster.all_write(b"after", 30)
        self.cluster.hashes_agree(30)
        client = Client(member.endpoint)
        check(client.range(b"bulk-%d" % (VALUES - 1), serializable=True).kvs[0].value == self.value, "a value is not the one that was written")
        client.close()

    def goes_on(self, sender):
        """The second stream of that sender spares what the first has brought."""
        streams = wait_until(lambda: len(self.streams_of(sender)) > 1 and self.streams_of(sender), "the state is sent again", limit=60, every=0.05)
        check(streams[0]["pages-spared"] == 0, "the first stream spares pages")
        check(streams[1]["pages-spared"] > BROKEN_AT / PAGE / 2, "only %d of %d pages were spared" % (streams[1]["pages-spared"], streams[0]["pages"]))
        check(streams[1]["pages"] < streams[0]["pages"], "nothing was spared")


def processes_of(member, title):
    return [pid for pid in member.processes() if title_of(pid).startswith("rusd: " + title)]


def connection_breaks(cluster):
    lagging = Lagging(cluster, 1)
    leader, member = lagging.leader, lagging.member
    # In the first moment after its start the router does not know whose connections are those of a member.
    for name in (member.name, "?"):
        cluster.router.rule(leader.name, name, cut="reset")
    # Meanwhile the state changes: another root is sent, and spares pages all the same.
    client = Client(lagging.other.endpoint)
    put(client, b"meanwhile", b"1")
    client.close()
    for name in (member.name, "?"):
        cluster.router.rule(leader.name, name)
    lagging.goes_on(leader)
    lagging.arrives()


def sender_is_killed(cluster):
    lagging = Lagging(cluster, 2)
    pids = processes_of(lagging.leader, "transfer to")
    check(len(pids) == 1, "processes that send: %s" % pids)
    os.kill(pids[0], signal.SIGKILL)
    lagging.goes_on(lagging.leader)
    lagging.arrives()


def receiver_is_killed(cluster):
    """What it had is gone with it."""
    lagging = Lagging(cluster, 3)
    pids = processes_of(lagging.member, "transfer from")
    check(len(pids) == 1, "processes that receive: %s" % pids)
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: not alive(pids[0]), "it is gone")
    lagging.arrives()
    check(lagging.streams_of(lagging.leader)[-1]["pages-spared"] == 0, "pages are spared that nobody has")


def node_is_killed(cluster):
    lagging = Lagging(cluster, 4)
    lagging.member.stop(signal.SIGKILL)
    lagging.none_fetched()
    lagging.member.launch()
    cluster.know()
    lagging.arrives()


def leader_changes(cluster):
    """Another sends its own state: pages of it are others."""
    lagging = Lagging(cluster, 5)
    lagging.leader.process.kill()
    lagging.leader.wait()
    lagging.none_fetched()
    wait_until(lambda: len(lagging.streams_of(lagging.other)) > 0, "another sends its state", limit=60, every=0.05)
    check(lagging.streams_of(lagging.other)[0]["pages-spared"] == 0, "pages are spared that came from another member")
    cluster.start([lagging.leader])
    lagging.arrives()


def state_is_compressed(cluster):
    """What counts for the rate is what goes by the wire."""
    for m in cluster.members.values():
        for line in lines(m, "sent the state to a member"):
            check(line["bytes-sent"] < line["bytes"] * 1.01, "a state grew: %s" % line)
    first = cluster.wait_leader(30)
    member = [m for name, m in cluster.members.items() if name != first][0]
    member.stop()
    client = Client(cluster.members[first].endpoint)
    for n in range(VALUES):
        put(client, b"bulk-%d" % n, b"".join(b"%d %d, " % (n, i) for i in range(VALUE))[:VALUE])
    compact(client)
    client.close()
    rest = [m for m in cluster.members.values() if m is not member]
    for m in rest:
        wait_until(lambda m=m: m.metrics()["rusd_wal_segments"] < 8, "old segments of %s are removed" % m.name, every=0.1)
    before = {m: len(lines(m, "sent the state to a member")) for m in rest}
    cluster.start([member])
    line = wait_until(lambda: [line for m in rest for line in lines(m, "sent the state to a member")[before[m]:]], "the state is sent", every=0.05)[0]
    check(line["bytes"] > VALUE * VALUES, "the state is too short: %s" % line)
    check(line["bytes-sent"] < line["bytes"] / 2, "it was not compressed: %s" % line)
    cluster.hashes_agree(30)


def who_takes_nothing(program):
    """Somebody asks for the state and leaves no window for it: the process that would send it sleeps."""
    def field(name, value):
        return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()

    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

    with Node(program, FLAGS + ["--snapshot-transfer-rate=0", "--raft-write-timeout=10m"]) as node:
        client = Client(node.endpoint)
        for n in range(100):
            answer = client.put(b"bulk-%d" % n, os.urandom(VALUE))
        client.close()
        hello = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/rusd.raft.v1.Link/Snapshot"), ("rusd-protocol", PROTOCOL),
                 ("rusd-cluster-id", "%x" % answer.header.cluster_id), ("rusd-from", "7"), ("rusd-to", "%x" % answer.header.member_id),
                 ("rusd-version", ""), ("rusd-peer-urls", ""), ("rusd-log-term", "9"), ("rusd-has", "0.0.0.0")]
        with socket.create_connection(("127.0.0.1", node.peer)) as s:
            s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, 0)) + frame(1, 4, 1, b"".join(field(*f) for f in hello)))
            process = wait_until(lambda: [p for p in node.processes() if title_of(p) == "rusd: transfer to 7"], "the state is to be sent")[0]
            wait_until(lambda: node.logged("sending the state to a member"), "it is begun")
            looked = []

            def sleeps():
                with open("/proc/%d/schedstat" % process) as f:
                    looked.append(f.read().split()[0])
                return len(looked) > 1 and looked[-1] == looked[-2]
            wait_until(sleeps, "it uses no processor", every=0.2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    tap = Tap()
    hostile = "who takes nothing of a state costs nothing (hostile client of the port for members)"
    if options.only in hostile:
        tap.run(hostile, who_takes_nothing, options.server)
    with Cluster(options.server, 3, 1, FLAGS) as cluster:
        cluster.start()
        for name, function in [("a transfer whose connection breaks goes on where it ended", connection_breaks),
                               ("a transfer whose sender is killed goes on where it ended", sender_is_killed),
                               ("a transfer whose receiver is killed begins anew", receiver_is_killed),
                               ("a member that is killed while it receives starts, and receives", node_is_killed),
                               ("a transfer from a leader that leads no more is made by the next", leader_changes),
                               ("the state is compressed on its way", state_is_compressed)]:
            if options.only in name:
                tap.run(name, function, cluster)
    tap.end()


main()
