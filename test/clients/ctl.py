#!/usr/bin/python3
"""rusdctl beside etcdctl, both against the same server: output, complaints and exit statuses are the same. TAP.

    ctl.py --server build/gcc/rusd --ctl build/gcc/rusdctl [--etcd PATH] [--etcdctl PATH]

A cluster of three etcd members, plain first, then TLS with client certificates; then a node of rusd with TLS. What may differ is in LEFT_OUT, each with its
reason, and etcdctl's own log lines (they bear times), its pages of usage behind an error, and the time that something took.

test/clients/ctl.py
"""
import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from certs import Authority                                             # noqa: E402
from node import Node, Failure, Tap, check, free_ports, wait_until      # noqa: E402

FORMS = ("simple", "fields", "json", "protobuf", "table")

# Changes nothing: (command, forms in which etcdctl answers and we print the same)
LOOKS = [
    ("get a", FORMS[:4]), ("get nix", FORMS[:4]), ("get a c", FORMS[:4]), ('get "" --prefix', FORMS[:4]), ("get a --hex", ("simple", "protobuf")),
    ("get a --keys-only", FORMS[:4]), ("get a --rev 2", FORMS[:4]), ("get a --rev 99", FORMS),
    ('get "" --prefix --sort-by VALUE --order DESCEND --limit 2', FORMS[:4]), ("get a --print-value-only", ("simple",)),
    ("member list", FORMS), ("alarm list", ("simple", "json", "protobuf")), ("endpoint status", ("json",)), ("endpoint status --cluster", ("json",)),
    ("endpoint hashkv", ("json",)), ("endpoint hashkv --cluster", ("json",)), ("endpoint hashkv --rev 99", ("simple", "json")),
    ("endpoint health", ("simple", "fields", "json", "table")),
]
# Refused, by the command or by the server.
REFUSED = [
    "member add", "member add x", "member add x y", "member add x http://127.0.0.1:99", "member add x --peer-urls=", "member add x --peer-urls=nonsense",
    "member add x --peer-urls=http://b", "member add x --peer-urls=http://b:2/x", "member add x --learner --peer-urls=http://127.0.0.1:{peer}",
    "member remove", "member remove zz", "member remove 0x9", "member remove 99999999999999999", "member remove 1 2", "member remove 99",
    "member update", "member update 99", "member update zz --peer-urls=http://b:2", "member update 99 --peer-urls=http://b:2",
    "member update 99 --peer-urls=nonsense", "member update 99 2 --peer-urls=http://b:2",
    "member promote", "member promote zz", "member promote 99", "member promote {leader}",
    "move-leader", "move-leader zz", "move-leader 99", "move-leader 1 2", "alarm list x", "alarm disarm x", "compaction", "compaction x", "compaction 1 2",
    "compaction 99", "get a -w nothing", "get", "put", "del", "put a b --lease zz", "txn x", "get a --sort-by x", "get a --order x", "get a --consistency x",
    "get a --prefix --from-key", "put nix --ignore-value", "put a b --lease 77", "get a --cacert /nonexistent",
    "get a --cert /nonexistent", "get a --key /nonexistent", "get a --cert /nonexistent --key /nonexistent",
]
# Changes, each made by both clients after one another; in which forms etcdctl answers.
CHANGES = [("put a {n}", FORMS[:4]), ("put a {n} --prev-kv", FORMS[:4]), ("put new v", FORMS[:4]), ("del new", FORMS[:4]), ("del nix --prev-kv", FORMS[:4]),
           ("alarm disarm", ("simple", "json", "protobuf"))]
LEFT_OUT = {
    "endpoint status, hashkv in simple, fields and table": "rusdctl has the columns of etcdctl 3.7, and in the table of status its own",
    "tables that etcdctl refuses": "rusdctl prints them", "alarm list and disarm in fields": "etcdctl 3.4 and 3.5 panic",
    "--hex in fields and json": "rusdctl has ids in hexadecimal, as etcdctl 3.7",
    "an option and its variable": "etcdctl complains in a log line with the time in it",
    "defrag": "rusdctl says how long it took, as etcdctl 3.7; the diff is of the rest of the line",
}


class Cluster:
    """Three members of etcd; with an Authority over TLS, clients with certificates."""

    def __init__(self, etcd, authority=None):
        ports = [free_ports(2) for _ in range(3)]
        flags, self.scheme = [], "http"
        if authority:
            cert, key = authority.issue("server", ip="127.0.0.1", dns="localhost")
            self.scheme = "https"
            flags = ["--cert-file", cert, "--key-file", key, "--trusted-ca-file", authority.cert, "--client-cert-auth"]
        cluster = ",".join("m%d=http://127.0.0.1:%d" % (i, p[1]) for i, p in enumerate(ports))
        self.nodes = []
        for i, p in enumerate(ports):
            url = "%s://127.0.0.1:%d" % (self.scheme, p[0])
            self.nodes.append(Node(etcd, flags + ["--name", "m%d" % i, "--initial-cluster", cluster, "--listen-client-urls", url,
                                                  "--advertise-client-urls", url], start=False, ports=p))
        self.endpoints = ",".join("%s://127.0.0.1:%d" % (self.scheme, p[0]) for p in ports)

    def __enter__(self):
        for n in self.nodes:
            n.launch()
        return self

    def __exit__(self, kind, value, trace):
        for n in self.nodes:
            if kind is not None:
                n.explain()
            n.remove()


def run(program, endpoints, line, environment=None):
    """(standard output as bytes, what was complained of, exit status)"""
    kept = {k: v for k, v in os.environ.items() if not re.match("(ETCD|RUSD)CTL_", k)}
    kept.update({"ETCDCTL_API": "3"} if "etcdctl" in program else {}, ETCDCTL_ENDPOINTS=endpoints, **(environment or {}))
    done = subprocess.run([program] + line, stdin=subprocess.DEVNULL, capture_output=True, env=kept, timeout=60)
    error = re.sub(r"^\{\"level\":.*\n", "", done.stderr.decode("utf-8", "replace"), flags=re.M)
    error = re.sub(r"(?s)\nNAME:\n.*?\n\n\n", "\n", error)              # the page of usage
    return done.stdout, error, done.returncode


def masked(result, line=""):
    """Without how long it took, and which member was asked: etcdctl takes turns, rusdctl takes the first."""
    out, error, status = result
    if line.startswith("endpoint health -w simple"):                    # etcdctl 3.4 says all of it on standard error
        out, error = out + error.encode(), ""
    out = re.sub(rb'(took = |"took":"|"Took" : |took )[0-9.]+(ns|\xc2\xb5s|ms|s)', rb"\1TIME", out)
    out = re.sub(rb"\| +[0-9.]+(ns|\xc2\xb5s|ms|s) \|", b"| TIME |", re.sub(rb"\+-+", b"+-", out) if b" TOOK " in out else out)
    out = re.sub(rb" +TOOK +", b" TOOK ", out)
    return out, re.sub(r"took [0-9.]+(ns|µs|ms|s)\. ", "took TIME. ", error), status


def same(line, theirs, ours):
    if theirs == ours:
        return
    shown = [("%s\n%s[exit %d]" % (o.decode("utf-8", "backslashreplace"), e, s)).splitlines(True) for o, e, s in (theirs, ours)]
    raise Failure("%s\n%s" % (line, "".join(difflib.unified_diff(shown[0], shown[1], "etcdctl", "rusdctl", n=2))))


class Pair:
    """Both clients and what they speak to."""

    def __init__(self, args, cluster, environment=None):
        self.theirs, self.ours, self.cluster, self.environment = args.etcdctl, args.ctl, cluster, environment
        self.one = cluster.endpoints.split(",")[0]
        self.names = {}

    def etcdctl(self, line, endpoints=None):
        return run(self.theirs, endpoints or self.one, line.split(), self.environment)

    def both(self, line, endpoints=None):
        words = [w.strip('"') for w in line.split()]
        got = [masked(run(p, endpoints or self.one, words, self.environment), line) for p in (self.theirs, self.ours)]
        same(line, *got)
        return got[1]

    def leader(self):
        """Its endpoint and id, and the id of another member."""
        out = run(self.theirs, self.cluster.endpoints, ["endpoint", "status"], self.environment)[0].decode()
        rows = [r.split(", ") for r in out.splitlines()]
        if len(rows) < 3 or sum(r[4] == "true" for r in rows) != 1:
            return None
        lead, = [r for r in rows if r[4] == "true"]
        return lead[0], lead[1], [r[1] for r in rows if r[4] != "true"][0]


def prepare(pair):
    wait_until(pair.leader, "the cluster has a leader", every=0.2)
    wait_until(lambda: "etcdserver" not in pair.etcdctl("member add x --learner --peer-urls=http://127.0.0.1:%d" % pair.cluster.nodes[0].peer)[1] or
               "Peer URLs" in pair.etcdctl("member add x --learner --peer-urls=http://127.0.0.1:%d" % pair.cluster.nodes[0].peer)[1],
               "the members are connected long enough for a change", every=0.2)
    for key, value in (("a", "1"), ("b", "2"), ("bb", "\u4f60"), ("c", 'quote " and\ttab')):
        check(run(pair.theirs, pair.one, ["put", key, value], pair.environment)[2] == 0, "put")


def looks(pair):
    for line, forms in LOOKS:
        for form in forms:
            pair.both("%s -w %s" % (line, form))


def refused(pair):
    _, leader, _ = pair.leader()
    for line in REFUSED:
        line = line.format(peer=pair.cluster.nodes[0].peer, leader=leader, client=pair.one)
        status = pair.both(line, pair.cluster.endpoints if line.startswith("move-leader") else None)[2]
        check(status != 0, "is refused: " + line)


def changes(pair):
    """The answers differ in the revision; that aside they are the same."""
    for line, forms in CHANGES:
        for form in forms:
            got = []
            for n, program in enumerate((pair.theirs, pair.ours)):
                pair.etcdctl("put a 0")
                if line.startswith("del new"):
                    pair.etcdctl("put new v")
                else:
                    pair.etcdctl("del new")
                out, error, status = run(program, pair.one, line.format(n=1).split() + ["-w", form], pair.environment)
                got.append((shifted(out, form, n * 3), error, status))
            same("%s -w %s" % (line, form), *got)


def shifted(out, form, by):
    """Revisions as they would be had the second client's calls come first."""
    if form == "protobuf":
        return re.sub(rb"\x18.|\x20.", b"", out, flags=re.S) and len(out)
    return re.sub(rb'("(?:revision|Revision|\w*Revision|create_revision|mod_revision|version|\w*Version)"(?: : |:))\d+', rb"\1N", out)


def members(pair):
    """A learner is added, changed, refused to promote, and removed, by each client: what it prints names the same member by another id."""
    ports = iter(range(7770, 7780, 2))          # the id comes from the URLs and the second: none may come twice
    for form in ("simple", "json"):
        got = []
        for program in (pair.theirs, pair.ours):
            text, name, port = "", "new one", next(ports)
            peer = "http://127.0.0.1:%d" % port

            def step(*words):
                out, error, status = run(program, pair.one, list(words) + ["-w", form], pair.environment)
                return "%s%s[exit %d]\n" % (out.decode(), error, status)
            text += wait_change(step, "member", "add", name, "--learner", "--peer-urls=" + peer)
            listed = pair.etcdctl("member list")[0].decode()
            check(", unstarted, " in listed, "a member was added: " + text)
            new, = [r.split(", ")[0] for r in listed.splitlines() if ", unstarted, " in r]
            text += step("member", "list") + step("member", "promote", new)
            text += step("member", "update", new, "--peer-urls=%s,http://127.0.0.1:%d" % (peer, port + 1)) + step("member", "list") + step("member", "remove", new)
            text += step("member", "remove", new)
            got.append(reordered(text.replace(new.rjust(16), "NEW").replace(new, "NEW").replace(str(int(new, 16)), "NEW").replace(
                ":%d" % port, ":P").replace(":%d" % (port + 1), ":Q"), form))
        same("member changes, " + form, *[(g.encode(), "", 0) for g in got])


def wait_change(step, *words):
    """A change is refused for some seconds after a start ("unhealthy cluster"); both clients are told so."""
    return wait_until(lambda: (lambda text: None if "unhealthy cluster" in text else text)(step(*words)), "a change is taken", every=0.2)


def reordered(text, form):
    """Members come in the order of their ids; the new one's is another each time."""
    if form == "json":
        return re.sub(r'"members":\[((?:\{[^{}]*\},?)*)\]', lambda m: '"members":%s' % sorted(re.findall(r'\{[^{}]*\}', m.group(1))), text)
    text = re.sub(r'(?m)^ETCD_INITIAL_CLUSTER="(.*)"$', lambda m: "ETCD_INITIAL_CLUSTER %s" % sorted(m.group(1).split(",")), text)
    return "\n".join(sorted(text.splitlines()))


def move_leader(pair):
    """Each client hands over between the same two members."""
    for form in ("simple", "json", "protobuf"):
        at, leader, other = pair.leader()
        got = []
        for program in (pair.theirs, pair.ours):
            if got:
                pair.etcdctl("move-leader " + leader, pair.cluster.endpoints)
                wait_until(lambda: (pair.leader() or "  ")[1] == leader, "leads again", every=0.1)
            got.append(run(program, pair.cluster.endpoints, ["move-leader", other, "-w", form], pair.environment))
            wait_until(lambda: (pair.leader() or "  ")[1] == other, "the other one leads", every=0.1)
        same("move-leader -w " + form, *got)
    at, leader, other = pair.leader()
    followers = ",".join(e for e in pair.cluster.endpoints.split(",") if e != at)
    check(pair.both("move-leader " + other, followers)[2] == 128, "the leader has to be among the endpoints")


def defrag(pair):
    theirs, ours = [run(p, pair.cluster.endpoints, ["defrag"], pair.environment) for p in (pair.theirs, pair.ours)]
    check(re.sub(rb"\. took \S+", b"", theirs[0]) == re.sub(rb"\. took \S+", b"", ours[0]) and theirs[1:] == ours[1:], "defrag: %s, %s" % (theirs, ours))


def glance(pair):
    """The table of endpoint status says who leads, that a member is gone, and that one has not started."""
    at, leader, _ = pair.leader()

    def rows():
        out, _, status = run(pair.ours, pair.one, ["endpoint", "status", "--cluster", "-w", "table"], pair.environment)
        cells = [[c.strip() for c in line.split("|")[1:-1]] for line in out.decode().splitlines() if line.startswith("|")]
        return [dict(zip(cells[0], c)) for c in cells[1:]], status
    found, status = rows()
    check(status == 0 and [r["ID"] for r in found if r["ROLE"] == "leader"] == [leader] and all(r["STATE"] == "ok" and r["LAG"].isdigit() for r in found),
          "who leads: %s" % found)
    gone = [n for n in pair.cluster.nodes[1:] if not at.endswith(":%d" % n.client)][0]
    gone.process.kill()
    gone.process.wait()
    found, status = rows()
    check(status == 1 and [r["STATE"] for r in found if r["ENDPOINT"].endswith(":%d" % gone.client)] == ["unreachable"], "who is gone: %s" % found)
    gone.launch()
    wait_until(lambda: rows()[1] == 0, "it is back", every=0.1)


class Single:
    """One node of rusd, with TLS and client certificates; serves as Cluster does for a Pair."""

    def __init__(self, server, authority):
        cert, key = authority.issue("node", ip="127.0.0.1")
        ports = free_ports(2)
        url = "https://127.0.0.1:%d" % ports[0]
        self.node = Node(server, ["--cert-file", cert, "--key-file", key, "--trusted-ca-file", authority.cert, "--client-cert-auth",
                                  "--listen-client-urls", url, "--advertise-client-urls", url], start=False, ports=ports)
        self.nodes, self.endpoints = [self.node], url

    def __enter__(self):
        self.node.launch()
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.node.explain()
        self.node.remove()


def with_rusd(pair):
    """What etcdctl of 3.4 knows of an answer is all that it prints: Status and HashKV have more."""
    wait_until(lambda: pair.etcdctl("endpoint health --command-timeout=1s")[2] == 0, "the node serves", every=0.2)
    for key, value in (("a", "1"), ("b", "2"), ("bb", "3"), ("c", "4")):
        check(run(pair.ours, pair.one, ["put", key, value], pair.environment)[::2] == (b"OK\n", 0), "put")
    for line, forms in LOOKS:
        for form in forms:
            if not line.startswith(("endpoint status", "endpoint hashkv")):
                pair.both("%s -w %s" % (line, form))
    changes(pair)
    for line in REFUSED:
        if "{" not in line and not line.startswith("member") and "/nonexistent" not in line:     # variables name the files here
            check(pair.both(line)[2] != 0, "is refused: " + line)
    out, error, status = run(pair.ours, pair.one, ["endpoint", "status", "--cluster", "-w", "table"], pair.environment)
    check(status == 0 and re.search(rb"\| +leader \| +ok \| +0 \|", out), "the table: %s %s" % (out.decode(), error))


def tls_refusals(args, cluster, authority, other):
    """What rusdctl says, and that etcdctl gets no answer either."""
    cert, key = authority.issue("client")
    foreign = other.issue("foreign")
    address = cluster.endpoints.split(",")[0]
    good = {"ETCDCTL_CACERT": authority.cert, "ETCDCTL_CERT": cert, "ETCDCTL_KEY": key}
    cases = [
        ("wrong authority", dict(good, ETCDCTL_CACERT=other.cert), address, (2,), "TLS with https://127.0.0.1:\\d+: certificate CN=server: unable to get local issuer certificate"),
        ("no client certificate", {"ETCDCTL_CACERT": authority.cert}, address, (1, 2), "certificate required|bad certificate|wants a certificate"),
        ("a foreign client certificate", dict(good, ETCDCTL_CERT=foreign[0], ETCDCTL_KEY=foreign[1]), address, (1, 2), "unknown ca|bad certificate|may not accept the certificate"),
        ("key of another certificate", dict(good, ETCDCTL_KEY=foreign[1]), address, (128,), "is not the key of the certificate in"),
        ("plain to a TLS port", {}, address.replace("https", "http"), (1,), "connection to .* lost|HTTP/2"),
        ("wrong host", good, "https://localhost.localdomain:%d" % cluster.nodes[0].client, (2,), "ostname mismatch|not known|resolution"),
    ]
    for name, environment, endpoint, status, why in cases:
        out, error, got = run(args.ctl, endpoint, ["get", "a"], environment)
        check(got in status and re.search(why, error) and not out, "%s: status %d, %s" % (name, got, error))
        theirs = run(args.etcdctl, endpoint, ["get", "a", "--command-timeout=1s", "--dial-timeout=1s"], environment)
        check(theirs[2] != 0, "etcdctl is refused too: " + name)
    for name, environment, line in (("skipped verification", dict(good, ETCDCTL_CACERT="", ETCDCTL_INSECURE_SKIP_TLS_VERIFY="true"), "get a"),
                                    ("options in place of variables", {}, "get a --cacert %s --cert %s --key %s" % (authority.cert, cert, key)),
                                    ("an endpoint without a scheme", good, "get a")):
        endpoint = address if "scheme" not in name else address[len("https://"):]
        same(name, *[run(p, endpoint, line.split(), {k: v for k, v in environment.items() if v}) for p in (args.etcdctl, args.ctl)])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--ctl", required=True)
    p.add_argument("--etcd", default="etcd")
    p.add_argument("--etcdctl", default="etcdctl")
    args = p.parse_args()
    args.etcd, args.etcdctl, args.ctl = shutil.which(args.etcd), shutil.which(args.etcdctl), os.path.abspath(args.ctl)
    tap = Tap()
    if args.etcd is None or args.etcdctl is None:
        print("not ok 1 - etcd and etcdctl are installed (Debian: etcd-server, etcd-client)")
        sys.exit(1)
    with tempfile.TemporaryDirectory(prefix="rusd-test.") as place:
        with Cluster(args.etcd) as cluster:
            pair = Pair(args, cluster)
            for part in (prepare, looks, refused, changes, members, move_leader, defrag, glance):
                tap.run(part.__name__.replace("_", " "), part, pair)
        authority, other = Authority(place, "authority"), Authority(place, "other")
        cert, key = authority.issue("pair")
        with Cluster(args.etcd, authority) as cluster:
            pair = Pair(args, cluster, {"ETCDCTL_CACERT": authority.cert, "ETCDCTL_CERT": cert, "ETCDCTL_KEY": key})
            for part in (prepare, looks, move_leader):
                tap.run("TLS: " + part.__name__.replace("_", " "), part, pair)
            tap.run("TLS: refusals", tls_refusals, args, cluster, authority, other)
        with Single(args.server, authority) as single:
            tap.run("a node of rusd, TLS", with_rusd, Pair(args, single, pair.environment))
    tap.end()


main()
