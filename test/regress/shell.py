#!/usr/bin/python3
"""What a shell and the system do for rusdctl: completion in a real bash, unix sockets, SRV records from a real resolver; what a terminal
is spared. TAP.

    shell.py --server build/gcc/rusd --ctl build/gcc/rusdctl

The last part runs in a network and a mount namespace of its own, where it is the name server; it is skipped with a message where
none can be made.

test/regress/shell.py
"""
import argparse
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from node import Client, Node, Tap, check, free_ports                                       # noqa: E402

DOMAIN = "example.test"


# ---- completion ----

def completed(ctl, line):
    """(What bash would offer for the last word, whether a blank would follow.)"""
    script = """
compopt() { printf 'nospace\\n'; }
. <("$1" completion bash)
COMP_LINE=$2 COMP_POINT=${#2}
_rusdctl
printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = subprocess.run(["bash", "-c", script, "bash", ctl, line.replace("rusdctl", ctl, 1)], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0 and done.stderr == "", "bash: %s" % done.stderr)
    found = [x for x in done.stdout.splitlines() if x]
    return [x for x in found if x != "nospace"], "nospace" not in found


def completion(ctl):
    check(subprocess.run(["bash", "-c", '. <("$1" completion bash); complete -p rusdctl', "bash", ctl], capture_output=True, text=True,
                         timeout=60).stdout == "complete -o default -F _rusdctl rusdctl\n", "is in force")
    for line, expected, blank in (
            ("rusdctl mem", ["member"], True), ("rusdctl member ", ["add", "list", "promote", "remove", "update"], True),
            ("rusdctl endpoint s", ["status"], True), ("rusdctl get --or", ["--order="], False),
            ("rusdctl get --order=", ["ASCEND", "DESCEND"], True), ("rusdctl get --order D", ["DESCEND"], True),
            ("rusdctl -w ta", ["table"], True), ("rusdctl -w table al", ["alarm"], True), ("rusdctl get key", [], True),
            ("rusdctl --endpoints a:1,b:2 def", ["defrag"], True), ("rusdctl get --keys", ["--keys-only"], True)):
        got = completed(ctl, line)
        check(got == (expected, blank), "%s: %s" % (line, got))


# ---- sockets ----

def unix_socket(ctl, server):
    with tempfile.TemporaryDirectory(prefix="rusd-test.") as place:
        path = os.path.join(place, "socket")
        client, peer = free_ports(2)
        urls = "http://127.0.0.1:%d,unix://%s" % (client, path)
        with Node(server, ["--listen-client-urls", urls], ports=(client, peer)):
            for endpoint in ("unix://" + path, "unix:" + path):
                done = subprocess.run([ctl, "--endpoints", endpoint, "endpoint", "health"], capture_output=True, text=True, timeout=60)
                check(done.returncode == 0 and done.stdout.startswith(endpoint + " is healthy"), "%s: %s" % (endpoint, done))


# ---- discovery ----

def terminal(ctl, server):
    """Peer URLs are what somebody has said (CLUSTER-40): neither lines nor commands to a terminal come of them."""
    with Node(server) as node:
        client = Client(node.endpoint)
        member = client.call("Cluster/MemberList", client.message("MemberListRequest")).members[0].ID
        client.call("Cluster/MemberUpdate", client.message("MemberUpdateRequest", ID=member, peerURLs=["http://\x1b[31mred\nline:1"]))
        client.close()
        for form, said, lines in (("simple", "http://\\x1b[31mred\\x0aline:1", 1), ("table", "http://\\x1b[31mred\\x0aline:1", 5),
                                  ("fields", '"http://\\x1b[31mred\\nline:1"', 10)):
            out = subprocess.run([ctl, "--endpoints", node.endpoint, "member", "list", "-w", form], capture_output=True, text=True, timeout=60).stdout
            check(said in out and "\x1b" not in out, "%s: %r" % (form, out))
            check(len(out.splitlines()) == lines, "%s: %d lines: %r" % (form, len(out.splitlines()), out))


def name_bytes(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.rstrip(".").split(".")) + b"\0"


def answer(query, records):
    """records: {name: [(port, target)]}"""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12:at + 5]
    found = records.get(".".join(labels).lower(), []) if query[at + 1:at + 3] == b"\0\x21" else []
    out = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 33, 1, 60, 6 + len(name_bytes(target))) + struct.pack(">HHH", 0, 0, port) + name_bytes(target)
                   for port, target in found)
    return query[:2] + struct.pack(">HHHHH", 0x8180 if found else 0x8183, 1, len(found), 0, 0) + question + out


def serve(server, records):
    while True:
        query, client = server.recvfrom(512)
        if query == b"end":
            return
        server.sendto(answer(query, records), client)


def loopback_up():
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))       # SIOCSIFFLAGS: up, running


def discovery(ctl, server):
    """Runs as root of the namespaces."""
    loopback_up()
    with tempfile.NamedTemporaryFile("w") as conf, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dns, Node(server) as node:
        conf.write("nameserver 127.0.0.1\noptions timeout:10 attempts:3\n")
        conf.flush()
        subprocess.run(["mount", "--bind", conf.name, "/etc/resolv.conf"], check=True)
        dns.bind(("127.0.0.1", 53))
        records = {}
        thread = threading.Thread(target=serve, args=(dns, records))
        thread.start()

        def run(*words):
            kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUSDCTL_", "ETCDCTL_"))}
            done = subprocess.run([ctl, "-d", DOMAIN, *words], capture_output=True, text=True, env=kept, timeout=60)
            return done.stdout, done.stderr, done.returncode
        try:
            plain, tls = "_etcd-client._tcp." + DOMAIN, "_etcd-client-ssl._tcp." + DOMAIN
            got = run("get", "a")
            check(got == ("", "Error: dns lookup errors: lookup %s: no such host and lookup %s: no such host\n" % (tls, plain), 1), str(got))
            records[plain] = [(1, "localhost."), (node.client, "localhost.")]
            check(run("put", "a", "1") == ("OK\n", "", 0), "the second of two is taken")
            records["_etcd-client-blue._tcp." + DOMAIN] = records.pop(plain)
            check(run("get", "a", "--discovery-srv-name", "blue") == ("a\n1\n", "", 0), "a name of the service")
            got = run("get", "a", "--discovery-srv-name=blue", "--insecure-discovery=false")
            check(got[2] == 1 and 'ignoring discovered insecure endpoint "http://localhost:%d"' % node.client in got[1], "only TLS: %s" % (got,))
            records[tls] = [(1, "localhost.")]
            got = run("get", "a", "--insecure-discovery=false")
            check(got[2] == 2 and "could not connect to https://localhost:1" in got[1], "with TLS: %s" % (got,))
        finally:
            dns.sendto(b"end", dns.getsockname())
            thread.join()


def apart(args):
    """Runs the discovery part in namespaces of its own; a text if there are none to be had."""
    unshare = ["unshare", "--map-root-user", "--net", "--mount"]
    if subprocess.run(unshare + ["true"], capture_output=True).returncode != 0:
        return "no namespaces here"
    done = subprocess.run(unshare + [sys.executable, os.path.abspath(__file__), "--server", args.server, "--ctl", args.ctl, "--discovery"],
                          capture_output=True, text=True, timeout=120)
    check(done.returncode == 0, done.stdout + done.stderr)
    return None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--ctl", required=True)
    p.add_argument("--discovery", action="store_true", help="only that, here")
    args = p.parse_args()
    args.ctl = os.path.abspath(args.ctl)
    if args.discovery:
        discovery(args.ctl, args.server)
        return
    tap = Tap()
    tap.run("completion in bash", completion, args.ctl)
    tap.run("a unix socket", unix_socket, args.ctl, args.server)
    tap.run("what a terminal is spared", terminal, args.ctl, args.server)
    tap.run("SRV records", apart, args)
    tap.end()


main()
