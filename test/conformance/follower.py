#!/usr/bin/python3
"""Hold recorded conversations with a follower of three members, and say where its answers differ from those recorded.

README.md beside this file describes how each step is carried out. follower-exceptions lists what differs because there are three
members; what is listed and does not differ is a failure too. The output is TAP.

    follower.py --server build/gcc/rusd [--fifth N] [-j N] [-k WORD] FILE.list ...

test/conformance/follower.py
"""
import argparse, collections, concurrent.futures, http.client, os, re, signal, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import vectors                                                          # noqa: E402
from certs import Authority                                             # noqa: E402
from cluster import Cluster                                             # noqa: E402
from node import Client, error_of, free_ports, wait_until               # noqa: E402

FLAGS = ["--log-level=error", "--heartbeat-interval=100", "--election-timeout=1000"]         # as recorded: waits depend on them
ATTEMPTS = 3            # at a conversation during which another leader was elected
LISTED = re.compile(r"(\S+)\s+([\d,-]+)\s+([A-Z]+-\d+)\s+(\S.*)$")


class Follower:
    """What a conversation is held with, for vectors.run: the first of three members. It follows, for the others are started before
    it. peer_flags: certificates; flags: of the conversation; changes_members: whether it does."""

    def __init__(self, program, peer_flags, flags, changes_members):
        self.cluster = Cluster(program, 3, None, peer_flags + FLAGS, scheme="https", names=["default", "second", "third"])
        self.members = list(self.cluster.members.values())
        self.tested = self.members[0]
        self.client, self.channel, self.ids, self.leader, self.printed = self.tested.client, None, {}, None, []
        self.is_steady, self.ended = True, []
        extra = free_ports(len(self.members))
        for m, port in zip(self.members, extra):
            m.flags += [f.format(extra=port) for f in flags]
        self.extra = extra[0]
        try:
            self.start()
            if changes_members:
                self.wait_connected()
        except BaseException:
            self.remove()
            raise

    def start(self):
        self.cluster.start(self.members[1:])
        self.cluster.start([self.tested])
        self.ids = self.ids or {m: m.status(vectors.PATIENCE).header.member_id for m in self.members}
        self.leader = wait_until(self.who_leads, "another member leads")
        self.channel = vectors.channel_to(self.client)

    def who_leads(self):
        """Of the others; None: none of them."""
        for m in self.members[1:]:
            try:
                if m.metrics()["etcd_server_is_leader"]:
                    return m
            except (OSError, http.client.HTTPException):
                pass
        return None

    def wait_connected(self):
        """Until members can be added: all have been connected for 5 s (CLUSTER-21). What is asked for is refused in any case."""
        client = Client(self.tested.endpoint)
        request = client.message("MemberAddRequest", isLearner=True, peerURLs=["https://127.0.0.1:%d" % self.tested.peer])
        wait_until(lambda: "already exists" in error_of(client.call, "Cluster/MemberAdd", request)[1], "members can be added", every=0.2)
        client.close()

    def alone(self, members, number):
        """The list without the other two, which have to be in it; number: gives the id of one."""
        others = {self.ids[m] for m in self.members[1:]}
        rest = [m for m in members if number(m) not in others]
        return rest if len(members) - len(rest) == len(others) else members

    def present(self, answer):
        """As the one server of a recording would have given it: no other member is listed, and who answers leads."""
        own, leader = self.ids[self.tested], self.ids[self.leader]
        if isinstance(answer, dict):
            if "members" in answer:
                answer["members"] = self.alone(answer["members"], lambda m: int(m["ID"]))
            if answer.get("leader") == str(leader):
                answer["leader"] = str(own)
            return
        fields = [f.name for f in answer.DESCRIPTOR.fields] if hasattr(answer, "DESCRIPTOR") else []
        if "members" in fields:
            members = self.alone(list(answer.members), lambda m: m.ID)
            del answer.members[:]
            answer.members.extend(members)
        if "leader" in fields and answer.leader == leader:
            answer.leader = own

    def gone(self, seconds):
        """Whether the tested member ends within this time."""
        return vectors.ends(self.tested.process, seconds)

    def look(self):
        """Before the members are stopped: has one ended, has another leader been elected?"""
        self.ended += [m.name for m in self.members if m.process is not None and m.process.poll() is not None]
        self.is_steady = self.is_steady and (bool(self.ended) or self.who_leads() is self.leader)

    def stop(self, number):
        self.look()
        self.channel.close()
        for m in self.members:
            m.send(number)
        for m in self.members:
            m.stop(number)

    def remove(self):
        if self.channel:
            self.look()
            self.channel.close()
        self.printed = ["%s printed: %s" % (m.name, line) for m in self.members for line in m.log()]
        self.cluster.__exit__(None, None, None)


# ---- what is expected to differ --------------------------------------------------------------------------------

class Exceptions:
    """The steps of a conversation whose answers have to differ, and the one from which on nothing is compared (None: none)."""

    def __init__(self):
        self.steps, self.last = set(), None

    def add(self, steps):
        for part in steps.split(","):
            self.steps.add(int(part.rstrip("-")))
            if part.endswith("-"):
                self.last = int(part[:-1])

    def judge(self, diffs):
        """The differences that are not listed, and as such those listed that are none."""
        found = {number for number, _ in diffs}
        left = [d for d in diffs if d[0] not in self.steps]
        return left + [(n, "is listed in follower-exceptions, but is as recorded") for n in sorted(self.steps - found)]


def read_exceptions(path):
    found = collections.defaultdict(Exceptions)
    for line in open(path):
        if line.strip() and not line.startswith("#"):
            match = LISTED.match(line)
            if not match:
                raise SystemExit("%s: no rule, or no reason: %s" % (path, line))
            found[match.group(1)].add(match.group(2))
    return found


# ---- all of them -----------------------------------------------------------------------------------------------

def changes_members(scenario):
    return any(step.get("call") in ("Cluster/MemberAdd", "Cluster/MemberRemove") for step in scenario["steps"])


class Runner:
    def __init__(self, program, directory, exceptions):
        authority = Authority(directory, "authority")
        cert, key = authority.issue("member", ip="127.0.0.1")
        self.flags = ["--peer-cert-file=" + cert, "--peer-key-file=" + key, "--peer-trusted-ca-file=" + authority.cert, "--peer-client-cert-auth"]
        self.program, self.exceptions = program, exceptions

    def hold(self, scenario):
        """(scenario, differences, seconds, attempts)"""
        began, listed = time.monotonic(), self.exceptions.get(scenario["name"], Exceptions())
        held = dict(scenario, steps=scenario["steps"][:listed.last])
        for attempt in range(1, ATTEMPTS + 1):
            followers = []

            def serve(flags):
                followers.append(Follower(self.program, self.flags, flags, changes_members(scenario)))
                return followers[0]
            _, diffs = vectors.run(held, serve, keep_going=True)
            if not followers or followers[0].is_steady:
                break
        else:
            diffs.append((0, "another leader was elected, in each of %d attempts" % ATTEMPTS))
        for f in followers:
            diffs += [(0, line) for line in f.printed]
            if f.ended and not listed.last:
                diffs.append((0, "%s ended" % ", ".join(f.ended)))
        return scenario, listed.judge(diffs), time.monotonic() - began, attempt


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True, help="the program rusd")
    p.add_argument("--fifth", type=int, choices=range(1, 6), help="only each fifth conversation, beginning with this one")
    p.add_argument("-j", type=int, default=2, help="conversations side by side")
    p.add_argument("-k", default="", help="only conversations whose name contains this")
    p.add_argument("files", nargs="+")
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    todo = sorted(vectors.load(args.files), key=lambda s: s["name"])
    exceptions = read_exceptions(os.path.join(HERE, "follower-exceptions"))
    unknown = set(exceptions) - {s["name"] for s in todo}
    if unknown:
        raise SystemExit("follower-exceptions: no such conversation: %s" % " ".join(sorted(unknown)))
    if args.fifth:
        print("# fifth %d of %d conversations; make check-conformance-follower-long: all" % (args.fifth, len(todo)))
        todo = todo[args.fifth - 1::5]
    todo = [s for s in todo if args.k in s["name"]]
    count = bad = again = 0
    with tempfile.TemporaryDirectory(prefix="follower.") as directory, concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for scenario, diffs, took, attempts in pool.map(Runner(args.server, directory, exceptions).hold, todo):
            count, bad, again = count + 1, bad + bool(diffs), again + attempts - 1
            print("%s %d - %s (%s) (%.1f s)" % ("not ok" if diffs else "ok", count, scenario["name"], " ".join(scenario.get("rules", [])), took), flush=True)
            vectors.explain(diffs)
    print("1..%d" % count)
    if again:
        print("# %d times a conversation was begun again, for another leader was elected during it" % again)
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
