#!/usr/bin/python3
"""Three nodes on loopback, over TLS, are one cluster: formation, requests anywhere, members that die, stand still, or come back late.

    members.py --server build/gcc/rusd

test/cluster/members.py
"""
import argparse
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from certs import Authority                                                     # noqa: E402
from cluster import Cluster                                                     # noqa: E402
from node import Client, Node, Tap, Tls, alive, check, error_of, wait_until                       # noqa: E402

SEED = 1                        # of the router, which does nothing here but pass on
QUIET = ["--log-level=info"]
# A log of which little is kept: who was away for a while needs the state.
SMALL_LOG = QUIET + ["--wal-segment-size=1MiB", "--max-request-bytes=100000", "--checkpoint-interval=1s", "--wal-keep-size=0", "--page-cache-size=256MiB"]


def members_of(cluster):
    return list(cluster.members.values())


def connect(member, **options):
    return Client(member.endpoint, member.tls, **options)


def up(cluster):
    return [m for m in members_of(cluster) if m.process is not None and m.process.poll() is None]


def leader_of(cluster):
    return cluster.members[cluster.wait_leader(30)]


def followers_of(cluster):
    leader = leader_of(cluster)
    return [m for m in up(cluster) if m is not leader]


def start(cluster, *members):
    cluster.start(list(members))


def clients_of(cluster):
    return [connect(m) for m in up(cluster)]


def close(clients):
    for client in clients:
        client.close()


def write_until(member, key, value, limit=30):
    """A write through that member, tried until it works."""
    client = connect(member)
    wait_until(lambda: error_of(client.put, key, value, timeout=5) is None, "a write through %s succeeds" % member.name, limit)
    client.close()


def formation(cluster):
    states = [m.status() for m in members_of(cluster)]
    check(len({s.header.member_id for s in states}) == 3, "member ids: %s" % [s.header.member_id for s in states])
    check(len({s.header.cluster_id for s in states}) == 1, "cluster ids: %s" % [s.header.cluster_id for s in states])
    for member in members_of(cluster):
        wait_until(lambda m=member: len(m.of_kind("peer")) == 8, "%s has two links each way with each other member" % member.name)


def version_is_decided(cluster):
    """CLUSTER-80: by the leader, for all, without a revision of its own; whoever leads next, and whoever starts again, finds the same."""
    def decided(member):
        versions = json.loads(member.get("/version")[1])
        check(versions["etcdcluster"] in ("not_decided", "3.7.0"), "%s says %s" % (member.name, versions))
        return versions["etcdcluster"] == "3.7.0"

    def all_decided():
        for member in members_of(cluster):
            wait_until(lambda m=member: decided(m), "%s knows the version of the cluster" % member.name)
    all_decided()
    before = members_of(cluster)[0].status().header.revision
    leader = leader_of(cluster)
    leader.stop()
    start(cluster, leader)
    all_decided()
    check(all(m.status().header.revision == before for m in members_of(cluster)), "the version of the cluster has taken a revision")


def write_anywhere(cluster):
    clients = clients_of(cluster)
    for i, client in enumerate(clients):
        client.put(b"from-%d" % i, b"v%d" % i)
        for j, other in enumerate(clients):
            found = other.range(b"from-%d" % i).kvs
            check(len(found) == 1 and found[0].value == b"v%d" % i, "what %d wrote is not to be read at %d" % (i, j))
    close(clients)


def large_proposals(cluster):
    """Longer than the rings between processes, and than a frame of HTTP/2."""
    clients = clients_of(cluster)
    for i, client in enumerate(clients):
        value = bytes([65 + i]) * 1400000
        client.put(b"large-%d" % i, value)
        for j, other in enumerate(clients):
            check(other.range(b"large-%d" % i).kvs[0].value == value, "what %d wrote is another at %d" % (i, j))
    close(clients)


def reads_are_linearizable(cluster):
    """A value that was acknowledged by one member is seen by the next read on every other."""
    clients = clients_of(cluster)
    for n in range(200):
        clients[n % 3].put(b"count", b"%d" % n)
        seen = clients[(n + 1) % 3].range(b"count").kvs[0].value
        check(seen == b"%d" % n, "read %s after %d was written" % (seen, n))
    close(clients)


class Load:
    """Puts through every member from threads; what was acknowledged is known."""

    def __init__(self, cluster, threads=6):
        self.acknowledged, self.unknown, self.problems, self.gap = {}, set(), [], 0.0
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.last = time.monotonic()
        self.threads = [threading.Thread(target=self.run, args=(i, members_of(cluster)[i % 3])) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, number, member):
        client, n = connect(member), 0
        while not self.stopping.is_set():
            key, value, n = b"load-%d" % (n % 50 * 100 + number), b"%d-%d" % (number, n), n + 1
            problem = error_of(client.put, key, value, timeout=5)
            with self.lock:
                if problem is None:
                    now = time.monotonic()
                    self.gap, self.last = max(self.gap, now - self.last), now
                    self.acknowledged[key] = value
                    self.unknown.discard(key)
                else:
                    self.unknown.add(key)
                    self.problems.append((member, time.monotonic(), problem))
            if problem is not None:
                self.stopping.wait(0.02)
        client.close()

    def finish(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def check(self, member):
        """Each key has the value that was acknowledged last, or one of an attempt after it whose outcome is not known."""
        client = connect(member)
        found = {kv.key: kv.value for kv in client.range(b"load-", b"load.").kvs}
        client.close()
        for key, value in self.acknowledged.items():
            check(key in found, "an acknowledged write of %s is lost" % key)
            if key not in self.unknown:
                check(found[key] == value, "%s is %s, not %s" % (key, found[key], value))
        check(len(self.acknowledged) > 0, "nothing was written")


def leader_is_killed(cluster):
    leader = leader_of(cluster)
    load = Load(cluster)
    try:
        wait_until(lambda: len(load.acknowledged) > 50, "writes go on")
        leader.process.kill()
        leader.wait()
        killed = time.monotonic()
        wait_until(lambda: load.last > killed + 0.5, "writes go on without the leader")
        start(cluster, leader)
        after = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) > after or load.last > time.monotonic() - 0.1, "writes go on")
    finally:
        load.finish()
    print("# longest gap between acknowledged writes: %.2f s" % load.gap)
    cluster.hashes_agree(30)
    for member in members_of(cluster):
        load.check(member)


def leadership_is_moved(cluster):
    """MAINT-40: under load; what was not appended goes to the next leader, and no request fails (RAFT-33)."""
    load = Load(cluster, 12)
    try:
        for _ in range(10):
            leader = leader_of(cluster)
            target = followers_of(cluster)[0]
            client = connect(leader)
            client.call("Maintenance/MoveLeader", client.message("MoveLeaderRequest", targetID=target.status().header.member_id))
            client.close()
            before = load.last
            wait_until(lambda b=before: load.last > b, "writes go on")
    finally:
        load.finish()
    check(not load.problems, "requests failed: %s" % [p for _, _, p in load.problems][:10])
    cluster.hashes_agree(30)
    for member in members_of(cluster):
        load.check(member)


def leader_is_stopped(cluster):
    """SIGTERM: it hands over first, then it drains.  No client of another member notices; its own get what they have asked for."""
    for _ in range(3):
        leader = leader_of(cluster)
        load = Load(cluster, 12)
        try:
            wait_until(lambda: len(load.acknowledged) > 50, "writes go on")
            leader.stop()
            stopped = load.last
            wait_until(lambda t=stopped: load.last > t, "writes go on")
        finally:
            load.finish()
        noticed = [p for m, _, p in load.problems if m is not leader]
        check(not noticed, "clients of other members noticed: %s" % noticed[:10])
        # Those of the leader come to know by the end of their connection, and by nothing else.
        own = {p[1] for m, _, p in load.problems if m is leader}
        check(all("connect" in text or "GOAWAY" in text or "Socket closed" in text for text in own), "clients of the leader are told: %s" % own)
        start(cluster, leader)
        cluster.hashes_agree(30)
        for member in members_of(cluster):
            load.check(member)


def partition_and_recovery(cluster):
    """The leader is cut off from both others: they elect, it answers nothing new and steps down; healed, all are one again."""
    leader = leader_of(cluster)
    rest = [m for m in members_of(cluster) if m is not leader]
    load = Load(cluster)
    try:
        wait_until(lambda: len(load.acknowledged) > 50, "writes go on")
        for other in rest:
            cluster.router.rule(leader.name, other.name, cut="hold")
            cluster.router.rule(other.name, leader.name, cut="hold")
        write_until(rest[0], b"majority", b"1")
        wait_until(lambda: leader.status() is not None and leader.status().leader == 0, "who was cut off knows no leader any more")
        client = connect(leader)
        problem = error_of(client.range, b"majority", timeout=10)
        check(problem is not None and problem[0] == "UNAVAILABLE", "a linearizable read of the minority: %s" % (problem,))
        check(client.range(b"majority", serializable=True).count == 0, "the minority knows what it cannot know")
        client.close()
        cluster.heal()
        write_until(leader, b"minority", b"1")
        before = load.last
        wait_until(lambda: load.last > before, "writes go on")
    finally:
        load.finish()
    print("# longest gap between acknowledged writes: %.2f s" % load.gap)
    cluster.hashes_agree(30)
    for member in members_of(cluster):
        load.check(member)


def many_write_at_once(cluster):
    """Compare-and-set from many clients through every member: each step of the counter is taken by one of them, and none is lost."""
    first = connect(members_of(cluster)[0])
    first.put(b"counter", b"0")
    first.close()
    taken, lock = [], threading.Lock()

    def count_up(member):
        client = connect(member)
        for _ in range(40):
            while True:
                seen = client.range(b"counter").kvs[0]
                value = int(seen.value) + 1
                request = client.message("TxnRequest")
                compare = request.compare.add()
                compare.key, compare.target, compare.mod_revision = b"counter", 2, seen.mod_revision
                put = request.success.add().request_put
                put.key, put.value = b"counter", b"%d" % value
                if client.call("KV/Txn", request).succeeded:
                    break
            with lock:
                taken.append(value)
        client.close()
    threads = [threading.Thread(target=count_up, args=(members_of(cluster)[n % 3],)) for n in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(sorted(taken) == list(range(1, 9 * 40 + 1)), "%d steps were taken, %d different ones" % (len(taken), len(set(taken))))
    cluster.hashes_agree(30)


def leader_stands_still(cluster):
    """All its processes are stopped for longer than an election timeout; then it finds out that others lead."""
    leader = leader_of(cluster)
    pids = [leader.pid] + list(leader.processes())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        rest = [m for m in members_of(cluster) if m is not leader]
        write_until(rest[0], b"while-stopped", b"1")
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
    client = connect(leader)
    wait_until(lambda: error_of(client.range, b"while-stopped", timeout=5) is None, "it answers again")
    check(client.range(b"while-stopped").kvs[0].value == b"1", "a linearizable read is stale")
    client.close()
    cluster.hashes_agree(30)


def leader_does_not_get_on(cluster):
    """One process of the leader is stopped: writes through the others go on, another takes over, the rest is told."""
    for kind, work in (("walwriter", "flush"), ("applier", "apply")):
        leader = leader_of(cluster)
        pid = leader.of_kind(kind)[0]
        ill = 'rusd_ill{work="%s"}' % work
        os.kill(pid, signal.SIGSTOP)
        try:
            rest = [m for m in members_of(cluster) if m is not leader]
            write_until(rest[0], b"while-ill", kind.encode())
            wait_until(lambda m=leader, name=ill: m.metrics()[name] == 1, "%s says what stands still" % leader.name)
            wait_until(lambda m=leader: m.metrics()["etcd_server_is_leader"] == 0, "%s leads no more" % leader.name)
            write_until(rest[0], b"while-ill", kind.encode())
            check(leader.logged("and hands over"), "it does not say that it hands over")
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda m=leader, name=ill: m.metrics()[name] == 0, "%s is well again" % leader.name)
        write_until(leader, b"while-ill", b"over")
    cluster.hashes_agree(30)


def links_are_killed(cluster):
    """Processes of links die at any instruction: nothing else does, and nothing is lost."""
    essential = {m: [p for p, k in m.processes().items() if k in ("raft", "walwriter", "applier")] for m in members_of(cluster)}
    load = Load(cluster, 3)
    try:
        for turn in range(12):
            member = members_of(cluster)[turn % 3]
            links = member.of_kind("peer")
            wait_until(lambda m=member: len(m.of_kind("peer")) >= 4, "%s has links" % member.name)
            for pid in links:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            before = load.last
            wait_until(lambda b=before: load.last > b, "writes go on")
    finally:
        load.finish()
    for member in members_of(cluster):
        write_until(member, b"after-links", b"1")
    cluster.hashes_agree(30)
    for member in members_of(cluster):
        check(essential[member] == [p for p, k in member.processes().items() if k in ("raft", "walwriter", "applier")],
              "a process that is essential has died on %s" % member.name)
        load.check(member)


def absent_and_returning(cluster):
    """Away for a few thousand entries, all of them still in the log: no state is transferred."""
    absent = followers_of(cluster)[0]
    absent.stop()
    rest = connect(up(cluster)[0])
    for n in range(1500):
        rest.put(b"absent-%d" % (n % 100), b"x" * 200)
    rest.close()
    start(cluster, absent)
    cluster.hashes_agree(30)
    check(not absent.logged("fetching the state of a member"), "a state was transferred")


def other_cluster_is_refused(cluster):
    """BOOT-22: one that was started with another token has another cluster id, and is talked to by nobody."""
    member = members_of(cluster)[2]
    with Node(members_of(cluster)[0].program, start=False) as stranger:
        url = "https://127.0.0.1:%d" % stranger.peer
        stranger.flags = peer_flags(cluster) + ["--name=x", "--initial-cluster-token=other", "--initial-cluster=x=%s,y=https://127.0.0.1:%d" % (url, member.peer),
                                                "--listen-peer-urls=" + url, "--initial-advertise-peer-urls=" + url]
        stranger.launch()
        wait_until(lambda: stranger.logged("cluster ID mismatch"), "it is told why")
        check(member.logged("cluster ID mismatch"), "the other side says nothing")
    write_until(member, b"after-stranger", b"1")


def who_is_no_member_goes(cluster):
    """A connection to the port for members that says everything but who it is ends, however lively it is."""
    ping = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + b"12345678"
    member = members_of(cluster)[0]
    context = member.tls.context()
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", member.peer)), server_hostname="127.0.0.1") as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        s.setblocking(False)

        def ended():
            try:
                s.send(ping)
                return s.recv(65536) == b""
            except ssl.SSLWantReadError:
                return False
            except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
                return True
        wait_until(ended, "the connection ends", 60, every=0.5)


def without_quorum(cluster):
    """RAFT-31 and 3.2: no leader, no write, no linearizable read; serializable reads go on, and streams but those that want a leader
    (RPC-7).  Then it heals."""
    alone = followers_of(cluster)[0]
    others = [m for m in members_of(cluster) if m is not alone]
    client = connect(alone)
    for n in range(40):
        client.put(b"stream-%d" % n, b"x" * 100000)
    reader = connect(alone, window=65535)
    request = client.message("RangeRequest", key=b"stream-", range_end=b"stream.")
    watched = reader.stream("KV/RangeStream", request, timeout=120, metadata=(("hasleader", "true"),))
    other = reader.stream("KV/RangeStream", request, timeout=120)
    next(watched), next(other)
    for member in others:
        member.stop()
    check(error_of(client.range, b"from-0", timeout=8, serializable=True) is None, "a serializable read fails")
    wait_until(lambda: alone.logged("lost leader"), "it knows that nobody leads")
    problem = error_of(client.put, b"nobody", b"1", timeout=15)
    check(problem is not None and problem[0] == "UNAVAILABLE", "a put without a leader: %s" % (problem,))
    problem = error_of(client.range, b"from-0", timeout=15)
    check(problem is not None and problem[0] == "UNAVAILABLE", "a linearizable read without a leader: %s" % (problem,))
    # Two requests have waited for T_req: longer than three election timeouts.
    problem = error_of(list, watched)
    check(problem == ("UNAVAILABLE", "etcdserver: no leader"), "a stream that wants a leader: %s" % (problem,))
    check(sum(len(r.range_response.kvs) for r in other) >= 39, "a stream that does not want one ends early")
    close([client, reader])
    start(cluster, *others)
    write_until(alone, b"healed", b"1")
    cluster.hashes_agree(30)


def long_absent(program):
    """The log does not hold what it needs any more: it gets the state of the leader, and goes on with the log."""
    with Cluster(program, 3, SEED, SMALL_LOG) as cluster:
        cluster.start()
        absent = followers_of(cluster)[0]
        write_until(absent, b"before", b"1")
        absent.stop()
        rest = connect(up(cluster)[0])
        value = bytes(os.urandom(60000))
        for n in range(300):
            rest.put(b"bulk-%d" % n, value)
        rest.close()
        wait_until(lambda: all(m.metrics()["rusd_wal_segments"] < 12 for m in up(cluster)), "old segments are removed", every=0.1)
        start(cluster, absent)
        wait_until(lambda: absent.logged("fetched the state of a member"), "the state is fetched")
        write_until(absent, b"after", b"1")
        cluster.hashes_agree(30)
        client = connect(absent)
        check(client.range(b"bulk-299", serializable=True).kvs[0].value == value, "a value is not the one that was written")
        client.close()
        absent.stop()
        start(cluster, absent)
        cluster.hashes_agree(30)


def applier_of_leader_lags(program):
    """RAFT-40 is the matter of the member that is asked: what comes through a follower is not refused for what the leader has not applied."""
    with Cluster(program, 3, None, QUIET + ["--leader-stall-timeout=10m"]) as cluster:
        cluster.start()
        leader = leader_of(cluster)
        behind, beside = connect(leader), connect(followers_of(cluster)[0])
        pid, = leader.of_kind("applier")
        os.kill(pid, signal.SIGSTOP)
        try:
            for first in range(0, 5200, 200):
                for call in [beside.begin("KV/Put", beside.message("PutRequest", key=b"lag-%d" % n, value=b"x")) for n in range(first, first + 200)]:
                    call.result()
            problem = error_of(behind.put, b"lag", b"x")
            check(problem == ("UNKNOWN", "etcdserver: too many requests"), "a put through the leader: %s" % (problem,))
        finally:
            os.kill(pid, signal.SIGCONT)
        close([behind, beside])
        write_until(leader, b"lag", b"over")
        cluster.hashes_agree(30)


def late_hello(program):
    """BOOT-21: what a member says of its log while that is empty is read by another one when that knows it as started: it is not
    taken for one that has come back without its data."""
    with Cluster(program, 3, None, QUIET) as cluster:
        late, *others = members_of(cluster)
        start(cluster, *others)
        follower = followers_of(cluster)[0]
        client = connect(follower)

        def late_is_named():
            members = client.call("Cluster/MemberList", client.message("MemberListRequest")).members
            return any(m.name == late.name for m in members)
        check(not late_is_named(), "it has a name before its start")
        follower.send(signal.SIGSTOP)           # its postmaster: nobody takes in who connects
        try:
            late.launch()
            wait_until(late_is_named, "the follower knows that it has started")
        finally:
            follower.send(signal.SIGCONT)
        client.close()
        wait_until(lambda: follower.logged("has come back without its data"), "the follower reads what it said at first")
        late.wait_ready()
        wait_until(lambda: not alive(late.pid) or len(follower.of_kind("peer")) == 8, "the follower takes its links in")
        check(alive(late.pid), "it ended")
        cluster.hashes_agree(30)


def others_refuse_in_their_name(program):
    """What stands between the members, a mesh that denies access for one, refuses by a code of its own choice: nobody was removed by that."""
    import concurrent.futures
    import grpc
    asked = []

    def refuse(request, context):
        asked.append(request)
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "RBAC: access denied")

    class Everything(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.stream_stream_rpc_method_handler(refuse)

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[Everything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Node(program, QUIET, start=False) as node:
            node.flags += ["--initial-cluster=default=http://127.0.0.1:%d,mesh=http://127.0.0.1:%d" % (node.peer, port)]
            node.launch()
            wait_until(lambda: len(asked) >= 8 or node.process.poll() is not None, "it tries again and again")
            check(node.process.poll() is None and not node.logged("was removed from its cluster"), "it takes that for its removal: %s" % node.log()[-1:])
            check(node.logged("RBAC: access denied"), "the log does not tell what was said")
    finally:
        server.stop(None)


def peer_flags(cluster):
    return [f for f in members_of(cluster)[0].flags if f.startswith("--peer-")]


def tls_flags(authority):
    """A certificate for clients and members alike, asked for by both, and what a client of the test shows."""
    cert, key = authority.issue("member", ip="127.0.0.1")
    own_cert, own_key = authority.issue("client", ip="127.0.0.1")
    flags = ["--%s%s" % (side, flag) for side in ("", "peer-")
             for flag in ("cert-file=" + cert, "key-file=" + key, "trusted-ca-file=" + authority.cert, "client-cert-auth")]
    return flags, Tls(authority.cert, own_cert, own_key)


def strangers_keep_no_member_out(cluster):
    """Whoever may connect to the port for members may hold more connections than there are places: members come in all the same."""
    held, back, away = members_of(cluster)
    context, strangers, answered = held.tls.context(), [], 0
    try:
        back.stop()
        for _ in range(140):
            # On a slow machine the one that has to make room may still be in its handshake.
            try:
                one = context.wrap_socket(socket.create_connection(("127.0.0.1", held.peer)), server_hostname="127.0.0.1")
                strangers.append(one)
                one.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
                answered += one.recv(15) == b"HTTP/1.1 200 OK"
            except (ConnectionError, ssl.SSLError):
                continue
        check(answered > 70, "%d strangers of 140 were answered" % answered)
        check(held.logged("makes room"), "the log tells of it")
        away.stop()
        start(cluster, back)
        write_until(back, b"strangers", b"1")
    finally:
        for one in strangers:
            one.close()
    start(cluster, away)
    write_until(away, b"strangers", b"2")


def limits_of_requests_differ(cluster):
    """--max-request-bytes is about the requests of a member's own clients: while it is raised member by member, the others' go on."""
    raised, other, last = members_of(cluster)
    before = [list(m.flags) for m in members_of(cluster)]
    for m in (raised, other):
        m.stop()
        m.flags = m.flags + ["--max-request-bytes=3500000"]
        start(cluster, m)
    for n, member in enumerate((raised, last)):     # entries of a leader with the new limit, then proposals to one with the old
        leader = leader_of(cluster)
        if leader is not member:
            client = connect(leader)
            wait_until(lambda: error_of(client.call, "Maintenance/MoveLeader", client.message("MoveLeaderRequest", targetID=member.status().header.member_id)) is None,
                       "the leadership is moved")
            client.close()
        write_until(raised, b"large-%d" % n, bytes([65 + n]) * 3000000)
        write_until(last, b"small-%d" % n, b"1")
        client = connect(last)
        check(len(client.range(b"large-%d" % n).kvs[0].value) == 3000000, "what is read by the member with the smaller limit")
        client.close()
    cluster.hashes_agree(30)
    for m, flags in zip(members_of(cluster), before):
        m.flags = flags


def lost_and_replaced(cluster):
    """BOOT-21, BOOT-23: who has no log asks the others who it is, and shows them its certificate."""
    lost = followers_of(cluster)[0]
    other = followers_of(cluster)[1]
    number = lost.status().header.member_id
    lost.stop()
    shutil.rmtree(lost.data)
    lost.launch()
    wait_until(lambda: lost.process.poll() is not None, "who founds the cluster once more ends")
    check(lost.logged("has already been bootstrapped"), "it does not say why")
    check(not os.path.exists(os.path.join(lost.data, "wal")), "it has begun a log before it asked")
    client = connect(other)

    def change(method, request):
        wait_until(lambda: error_of(client.call, "Cluster/" + method, request, timeout=5) is None, method)
    change("MemberRemove", client.message("MemberRemoveRequest", ID=number))
    change("MemberAdd", client.message("MemberAddRequest", peerURLs=["https://127.0.0.1:%d" % lost.routed], isLearner=True))
    flags = list(lost.flags)
    lost.flags.append("--initial-cluster-state=existing")
    start(cluster, lost)
    change("MemberPromote", client.message("MemberPromoteRequest", ID=lost.status().header.member_id))
    client.close()
    lost.flags = flags
    write_until(lost, b"replaced", b"1")
    cluster.hashes_agree(30)


def stranger_is_refused(cluster):
    """A member whose certificate is of another authority is refused by the others, and says why it gets nowhere."""
    with tempfile.TemporaryDirectory(prefix="rusd-certs.") as directory:
        bad, _ = tls_flags(Authority(directory, "bad"))
        outsider = followers_of(cluster)[0]
        good, outsider.flags = outsider.flags, QUIET + bad
        outsider.stop()
        outsider.launch()
        cluster.know()
        others = [m for m in members_of(cluster) if m is not outsider]
        wait_until(lambda: any(m.logged("rejected connection on peer endpoint") for m in others), "the others refuse it")
        wait_until(lambda: outsider.logged("no connection to a member"), "it says that it gets nowhere")
        write_until(others[0], b"without", b"1")
        outsider.stop()
        outsider.flags = good
        start(cluster, outsider)
        cluster.hashes_agree(30)


def refusals(member):
    return sum("rejected connection" in line for line in member.log())


def certificates_are_renewed(program):
    """The files are new before the old certificates end: the links are made anew with them, and nobody is refused when the end has come."""
    life = 30
    with tempfile.TemporaryDirectory(prefix="rusd-certs.") as directory:
        authority = Authority(directory, "authority")
        began = time.time()
        cert, key = authority.issue("member", ip="127.0.0.1", seconds=life)
        flags = ["--peer-cert-file=" + cert, "--peer-key-file=" + key, "--peer-trusted-ca-file=" + authority.cert, "--peer-client-cert-auth"]
        with Cluster(program, 3, None, QUIET + flags, scheme="https") as cluster:
            cluster.start()
            for member in members_of(cluster):
                check(member.logged("a certificate expires soon"), "%s does not warn of it" % member.name)
            refused = {m: refusals(m) for m in members_of(cluster)}
            made = {m: sum("connected to a member" in line for line in m.log()) for m in members_of(cluster)}
            authority.issue("member", ip="127.0.0.1")
            for member in members_of(cluster):
                wait_until(lambda m=member: sum("connecting to a member anew" in line for line in m.log()) >= 4, "%s makes its links anew" % member.name, limit=60)
                wait_until(lambda m=member: sum("connected to a member" in line for line in m.log()) >= made[m] + 4, "they are there again")
            write_until(members_of(cluster)[0], b"renewed", b"1")
            wait_until(lambda: time.time() > began + life + 1, "the old certificate ends", limit=60)
            for member in members_of(cluster):
                write_until(member, b"renewed", member.name.encode())
                check(refusals(member) == refused[member], "%s refuses a member" % member.name)
                check(not member.logged("a certificate has expired"), "%s has the old certificate still" % member.name)
            cluster.hashes_agree(30)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    tap = Tap()
    with_cluster = [("three members form a cluster (BOOT-21)", formation),
                    ("the version of the cluster is decided (CLUSTER-80)", version_is_decided),
                    ("a write on any member is read on all", write_anywhere),
                    ("large proposals cross", large_proposals),
                    ("reads are linearizable on every member", reads_are_linearizable),
                    ("the leader is killed under load", leader_is_killed),
                    ("the leader is cut off and comes back, under load", partition_and_recovery),
                    ("many write at once, and none in vain", many_write_at_once),
                    ("leadership is moved under load", leadership_is_moved),
                    ("the leader is stopped under load", leader_is_stopped),
                    ("the leader stands still", leader_stands_still),
                    ("a process of the leader stands still", leader_does_not_get_on),
                    ("processes of links are killed under load", links_are_killed),
                    ("a member returns to a log that still has all", absent_and_returning),
                    ("a member of another cluster is refused (BOOT-22)", other_cluster_is_refused),
                    ("who does not say who it is goes (hostile client of the port for members)", who_is_no_member_goes),
                    ("a member that takes smaller requests follows", limits_of_requests_differ),
                    ("strangers keep no member out (hostile client of the port for members)", strangers_keep_no_member_out),
                    ("a member with a certificate of others is refused", stranger_is_refused),
                    ("a member that lost its data is replaced (BOOT-21, BOOT-23)", lost_and_replaced),
                    ("a member without a quorum", without_quorum)]
    chosen = [t for t in with_cluster if options.only in t[0]]
    if chosen:
        with tempfile.TemporaryDirectory(prefix="rusd-certs.") as directory:
            flags, tls = tls_flags(Authority(directory, "authority"))
            with Cluster(options.server, 3, SEED, QUIET + flags, scheme="https", tls=tls) as cluster:
                cluster.start()
                for name, function in chosen:
                    tap.run(name, function, cluster)
    for name, function in [("a member returns to a log that does not hold what it needs", long_absent),
                           ("links are made anew before a certificate ends", certificates_are_renewed),
                           ("a leader is far behind with applying (RAFT-40)", applier_of_leader_lags),
                           ("a hello that comes late", late_hello),
                           ("who is no member removes nobody", others_refuse_in_their_name)]:
        if options.only in name:
            tap.run(name, function, options.server)
    tap.end()


main()
