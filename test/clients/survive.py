#!/usr/bin/python3
"""Clients that others wrote, at work on three nodes that are killed in turn: over plain text, and over TLS with certificates of clients.  TAP.

    survive.py --server build/gcc/rusd [--etcdctl PATH] [--go PROGRAM] [--npm FOLDER]

Each client's program says what was acknowledged to it and what it saw (the lines are described in README here); what the cluster has in the end
tells whether anything of it is lost.  A client without its option (its language is not installed) is left out.  --server .../etcd asks etcd.

test/clients/survive.py
"""
import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "cluster"))
import order                                                            # noqa: E402
from certs import Authority                                             # noqa: E402
from cluster import Cluster                                             # noqa: E402
from node import Client, Tap, Tls, alive, check, children_of, wait_until         # noqa: E402

KILLS = 6
SOON = 60.0
STEPS = 5                       # of a client, after which it counts as having recovered


class Program:
    """A client at work.  puts: [(key, value, revision)] that were acknowledged, None where the client does not tell the revision; gets: [(key, value,
    revision, the put of that key that was acknowledged last)]."""

    def __init__(self, name, argv, directory, environment):
        self.name = name
        self.puts, self.gets, self.errors, self.fatal = [], [], collections.Counter(), []
        self.stderr = os.path.join(directory, name + ".stderr")
        with open(self.stderr, "wb") as stderr:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True,
                                            env=dict(os.environ, **environment))
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        newest = {}
        for line in self.process.stdout:
            words = line.rstrip("\n").split(" ")
            if words[0] == "put":
                put = newest[words[1]] = (words[1], words[2], None if words[3] == "-" else int(words[3]))
                self.puts.append(put)
            elif words[0] == "got":
                self.gets.append((words[1], words[2], int(words[3]), newest.get(words[1])))
            elif words[0] == "error":
                self.errors[words[1]] += 1
            else:
                self.fatal.append(line.strip())

    def is_well(self):
        check(not self.fatal, "%s: %s" % (self.name, self.fatal[:3]))
        check(self.process.poll() is None, "%s ended with status %s" % (self.name, self.process.returncode))
        return True

    def begin_recovery(self):
        self.mark = len(self.puts)

    def has_recovered(self):
        return self.is_well() and len(self.puts) >= self.mark + STEPS

    def finish(self):
        """Told to stop, it ends by itself."""
        self.is_well()
        self.process.stdin.write("stop\n")
        self.process.stdin.flush()
        wait_until(lambda: self.process.poll() is not None, "%s ends" % self.name, SOON)
        self.reader.join()
        check(self.process.returncode == 0 and not self.fatal, "%s ended with status %s: %s" % (self.name, self.process.returncode, self.fatal[:3]))

    def end(self):
        """With all that it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.reader.join()

    def explain(self):
        print("#   %s: %d puts and transactions, %d gets; tried again: %s" % (self.name, len(self.puts), len(self.gets), dict(self.errors) or "nothing"))
        if self.fatal or self.process.poll():
            with open(self.stderr, errors="replace") as f:
                print("".join("#     %s\n" % x[:300] for x in self.fatal[:5] + f.read().splitlines()[-10:]), end="")


# ---- the run ----

def kill(member):
    family = children_of(member.pid)
    member.process.kill()
    member.wait()
    wait_until(lambda: not any(alive(p) for p in family), "all processes of %s end" % member.name)


def all_recover(programs, what):
    for p in programs:
        p.begin_recovery()
    for p in programs:
        wait_until(p.has_recovered, "%s %s" % (p.name, what), SOON, every=0.02)


def kill_in_turn(cluster, programs):
    all_recover(programs, "begins its work")
    for turn in range(KILLS):
        victim = list(cluster.members.values())[turn % len(cluster.members)]
        kill(victim)
        all_recover(programs, "goes on after %s was killed" % victim.name)
        cluster.start([victim])
        all_recover(programs, "goes on after %s has come back" % victim.name)
    for p in programs:
        p.finish()


def history_of(cluster):
    """[(revision, {key: value})], from a member."""
    member = list(cluster.members.values())[0]
    client = Client(member.endpoint, member.tls)
    try:
        return order.by_range(client, client.range(b"x").header.revision)
    finally:
        client.close()


# ---- the judgement ----

def nothing_is_lost(program, history):
    """Every write that was acknowledged is in the history, at the revision that was told; no read is older than an acknowledged write."""
    at = dict(history)
    known = {(key, value) for written in at.values() for key, value in written.items()}
    for key, value, revision in program.puts:
        check((key, value) in known if revision is None else at.get(revision, {}).get(key) == value,
              "acknowledged and lost: %s = %s at revision %s" % (key, value, revision))
    for key, value, revision, before in program.gets:
        check(before is None or before[2] is None or revision >= before[2], "%s was read as of revision %d after a write at %s" % (key, revision, before))
        check(revision == 0 or at.get(revision, {}).get(key) == value, "%s = %s was read, which is not what revision %d wrote" % (key, value, revision))


def nothing_is_done_twice(program, history):
    """A number that is raised by one, by transactions that compare it."""
    numbers = [int(written[program.name + "/k/count"]) for _, written in history if program.name + "/k/count" in written]
    check(numbers and numbers == list(range(1, len(numbers) + 1)), "the number that is raised by one went %s" % numbers[:2000])


def judge(program, history):
    nothing_is_lost(program, history)
    nothing_is_done_twice(program, history)


# ---- clients ----

def commands(args):
    """[(name, argv, why it is left out)]"""
    return [("etcdctl", [sys.executable, os.path.join(HERE, "survive_etcdctl.py")], None),
            ("python3-etcd3", [sys.executable, os.path.join(HERE, "survive_etcd3.py")], None),
            ("npm-etcd3", ["node", os.path.join(args.npm, "survive.js")], None if args.npm else "npm is not installed"),
            ("go-client", [args.go], None if args.go else "go is not installed")]


def certificates(directory):
    """(flags of the nodes, what a client shows)"""
    authority = Authority(directory, "authority")
    server, client = authority.issue("server", ip="127.0.0.1", dns="localhost"), authority.issue("client")
    flags = []
    for place in ("", "peer-"):
        flags += ["--%scert-file=%s" % (place, server[0]), "--%skey-file=%s" % (place, server[1]),
                  "--%strusted-ca-file=%s" % (place, authority.cert), "--%sclient-cert-auth" % place]
    return flags, Tls(authority.cert, *client)


def begin(args, cluster, tls, directory):
    """{name: a program at work, or why there is none}"""
    endpoints = ",".join(m.endpoint for m in cluster.members.values())
    shown = [tls.authority, tls.cert, tls.key] if tls else []
    found = {}
    for name, argv, missing in commands(args):
        if args.only in name:
            found[name] = missing or Program(name, argv + [name, endpoints] + shown, directory, {"ETCDCTL": args.etcdctl})
    return found


def run(args, tap, over, directory):
    flags, tls = certificates(directory) if over == "TLS" else ([], None)
    found, history = {}, []
    with Cluster(args.server, 3, flags=flags + ["--log-level=warn"], scheme="https" if tls else "http", tls=tls) as cluster:
        def kills():
            kill_in_turn(cluster, programs)
            history.extend(history_of(cluster))

        def judged(program):
            if isinstance(program, str):
                return program
            check(history, "the run did not end")
            return judge(program, history)
        try:
            cluster.start()
            found = begin(args, cluster, tls, directory)
            programs = [p for p in found.values() if isinstance(p, Program)]
            tap.run("three nodes are killed in turn, over %s" % over, kills)
            for name, program in found.items():
                tap.run("%s over %s: nothing is lost" % (name, over), judged, program)
            tap.run("the nodes agree, over %s" % over, lambda: check(cluster.hashes_agree(SOON), "no hash"))
            for program in programs:
                program.explain()
        finally:
            for program in found.values():
                if isinstance(program, Program):
                    program.end()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--etcdctl", default="etcdctl")
    p.add_argument("--go", default="")
    p.add_argument("--npm", default="")
    p.add_argument("--only", default="")
    p.add_argument("--over", default="")
    args = p.parse_args()
    tap = Tap()
    for over in ("plain text", "TLS"):
        if re.match(args.over, over):
            with tempfile.TemporaryDirectory(prefix="rusd-survive.") as directory:
                run(args, tap, over, directory)
    tap.end()


main()
