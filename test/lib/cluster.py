"""A cluster under test: members of rusd or etcd on loopback, whose links go through a router of the test.

    with Cluster(program, 3, seed) as cluster:
        cluster.start()
        cluster.router.rule("m0", "m1", cut="hold")

A member is a Node that the others know by an address of the router.  Everything is stopped by process id when the with
statement ends.

test/lib/cluster.py
"""
import collections
import os
import shutil
import subprocess
import sys
import tempfile

from node import Client, Failure, Node, check, free_ports, wait_until
from router import Router

HEARTBEAT_MS = 50
ELECTION_MS = 500               # of every cluster here: short, so that a fault longer than that is short too


def own_waits():
    """{place in the kernel: number of this process's threads that wait there}"""
    waits = collections.Counter()
    for thread in os.listdir("/proc/self/task"):
        try:
            with open("/proc/self/task/%s/wchan" % thread) as f:
                waits[f.read()] += 1
        except OSError:
            pass
    return dict(waits)


class Member(Node):
    """One member.  everybody: {name: peer port of the router}, the same for every member."""

    def __init__(self, program, name, directory, ports, routed, everybody, flags, scheme="http", tls=None):
        self.name, self.routed, self.everybody, self.scheme = name, routed, everybody, scheme
        os.makedirs(directory)
        super().__init__(program, flags, directory=directory, start=False, ports=ports, tls=tls)

    def argv(self):
        client = "http%s://127.0.0.1:%d" % ("s" if self.tls else "", self.client)
        return [self.program, "--name", self.name, "--data-dir", self.data, "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", "%s://127.0.0.1:%d" % (self.scheme, self.peer),
                "--initial-advertise-peer-urls", "%s://127.0.0.1:%d" % (self.scheme, self.routed),
                "--initial-cluster", ",".join("%s=%s://127.0.0.1:%d" % (name, self.scheme, port) for name, port in self.everybody.items()),
                "--heartbeat-interval", str(HEARTBEAT_MS), "--election-timeout", str(ELECTION_MS)] + self.flags

    def status(self, timeout=2):
        """Its StatusResponse; None if it does not answer."""
        import grpc
        client = Client(self.endpoint, self.tls)
        try:
            return client.call("Maintenance/Status", client.message("StatusRequest"), timeout)
        except grpc.RpcError:
            return None
        finally:
            client.close()


class Cluster:
    """Members m0, m1, ... and the router between them; seed None: they reach each other without one.  scheme: of the peer URLs; with https the
    flags name the certificates.  tls: a Tls, by which every member is reached at an https URL.  names: others than those."""

    def __init__(self, program, count, seed=None, flags=(), scheme="http", tls=None, names=None):
        self.directory = tempfile.mkdtemp(prefix="rusd-cluster.")
        ports = free_ports(3 * count)
        names = names or ["m%d" % i for i in range(count)]
        routed = dict(zip(names, ports[count if seed is None else 2 * count:]))
        self.members = {name: Member(program, name, os.path.join(self.directory, name), (ports[i], ports[count + i]), routed[name], routed, list(flags), scheme, tls)
                        for i, name in enumerate(names)}
        self.router = None if seed is None else Router({name: (routed[name], m.peer) for name, m in self.members.items()}, seed)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None:
                self.explain()
            for m in self.members.values():
                m.remove()
        finally:
            if self.router:
                self.router.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def explain(self):
        for m in self.members.values():
            if m.process is not None:
                print("#   member %s:" % m.name)
                m.explain()

    def start(self, members=None):
        """All at once, or the members given; returns when each of them serves."""
        members = list(self.members.values()) if members is None else members
        for m in members:
            m.launch()
        self.know()
        for m in members:
            m.wait_ready()

    def know(self):
        """Tells the router whose processes are whose; after every start."""
        if self.router:
            self.router.owners({name: m.pid for name, m in self.members.items() if m.process is not None and m.process.poll() is None})

    def heal(self):
        """No rule holds any more."""
        for a in self.members:
            for b in self.members:
                if a != b:
                    self.router.rule(a, b)

    def leader(self):
        """The member that a majority, itself included, takes for the leader; None while there is none."""
        seen = {}
        for name, m in self.members.items():
            if m.process is not None and m.process.poll() is None:
                status = m.status(0.5)
                if status is not None:
                    seen[name] = (status.header.member_id, status.leader, status.raftTerm)
        for name, (own, _, _) in seen.items():
            if sum(1 for _, leader, _ in seen.values() if leader == own) * 2 > len(self.members):
                return name
        return None

    def wait_leader(self, limit):
        return wait_until(self.leader, "a leader is elected", limit, every=0.05)

    def all_write(self, key, limit):
        """A write through every member succeeds within the limit."""
        import grpc
        missing = sorted(self.members)

        def tried():
            for name in list(missing):
                if self.members[name].process.poll() is not None:
                    raise Failure("member %s ended with status %s" % (name, self.members[name].process.returncode))
                # A channel that has failed before tells of the attempt before, and makes the next one late.
                client = Client(self.members[name].endpoint, self.members[name].tls)
                try:
                    client.put(key, name.encode(), timeout=5)
                    missing.remove(name)
                except grpc.RpcError as error:
                    last[name] = "%s %s" % (error.code().name, error.details())
                finally:
                    client.close()
            return not missing
        last = {}
        try:
            wait_until(tried, "a write through every member succeeds", limit, every=0.1)
        except Failure as failure:
            raise Failure("%s (missing: %s)\nfrom a process of its own: %s\nthreads here wait in: %s" % (
                failure, "; ".join("%s: %s" % (n, last.get(n)) for n in missing), self.from_outside(), own_waits())) from None

    def from_outside(self):
        """What a fresh process is told that writes through each member: so it is known whether the servers fail, or this process."""
        code = ("import sys; sys.path[:0] = %r\nfrom node import Client, error_of\nfor name, endpoint in %r:\n"
                "    print(name, error_of(Client(endpoint).put, b'outside', b'1', timeout=10) or 'written', end='; ')")
        try:
            run = subprocess.run([sys.executable, "-c", code % (sys.path[:3], [(n, m.endpoint) for n, m in self.members.items()])],
                                 capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return "nothing for two minutes"
        return run.stdout + run.stderr

    def hashes_agree(self, limit):
        """HashKV of every member at the newest revision is the same; returns (hash, revision)."""
        import grpc
        clients = [Client(m.endpoint, m.tls) for m in self.members.values()]

        def same():
            try:
                revision = clients[0].range(b"x", count_only=True).header.revision
                seen = [c.hash(revision) for c in clients]
            except grpc.RpcError:           # a member that is not yet there knows the revision as a future one
                return None
            check(len({(h.hash, h.compact_revision) for h in seen}) == 1, "HashKV at revision %d differs: %s" %
                  (revision, ", ".join("%s %d" % (n, h.hash) for n, h in zip(self.members, seen))))
            return seen[0].hash, revision
        try:
            return wait_until(same, "every member answers HashKV at the newest revision", limit, every=0.05)
        finally:
            for c in clients:
                c.close()
