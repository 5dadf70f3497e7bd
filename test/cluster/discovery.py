#!/usr/bin/python3
"""Members that find each other by SRV records (--discovery-srv): DNS is a thread of this test, in namespaces of its own.

    discovery.py --server build/gcc/rusd

Needs root, for the namespaces (mount: /etc/resolv.conf, network: port 53); is skipped with a message without.

test/cluster/discovery.py
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

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, free_ports, wait_until                         # noqa: E402

A, SRV = 1, 33
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
NO_SUCH_NAME = 3


def wire_name(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"


class Dns(threading.Thread):
    """srv: {name: [(target, port)]}; every name in the domain is this machine."""

    def __init__(self, domain, srv):
        super().__init__(daemon=True)
        self.domain, self.srv = domain, srv
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))

    def run(self):
        while True:
            question, sender = self.socket.recvfrom(512)
            self.socket.sendto(self.answer(question), sender)

    def answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind, = struct.unpack_from(">H", question, at + 1)
        name = ".".join(labels).lower()
        datas = []
        if kind == SRV:
            datas = [struct.pack(">HHH", 0, 0, port) + wire_name(target) for target, port in self.srv.get(name, [])]
        elif kind == A and name.endswith(self.domain) and name not in self.srv:
            datas = [bytes([127, 0, 0, 1])]
        known = name in self.srv or (name.endswith(self.domain) and not name.startswith("_"))
        head = question[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else NO_SUCH_NAME), 1, len(datas), 0, 0)
        return head + question[12:at + 5] + b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(d)) + d for d in datas)


def member(program, name, ports, host, suffix=None, start=True):
    peer = "http://127.0.0.1:%d" % ports[1]
    own = "http://%s:%d" % (host, ports[1])
    flags = ["--name", name, "--discovery-srv", "rusd.example", "--listen-peer-urls", peer, "--initial-advertise-peer-urls", own,
             "--initial-cluster-token", "found-by-dns", "--log-level", "info"] + (["--discovery-srv-name", suffix] if suffix else [])
    node = Node(program, flags, ports=ports, start=False)
    argv = node.argv

    # Its --initial-cluster is what this is about.
    def without():
        words = argv()
        at = words.index("--initial-cluster")
        return words[:at] + words[at + 2:]
    node.argv = without
    if start:
        node.launch()
    return node


def three_find_each_other(program, dns):
    ports = free_ports(6)
    dns.srv["_etcd-server._tcp.rusd.example"] = [("node%d.rusd.example" % i, ports[2 * i + 1]) for i in range(3)]
    nodes = [member(program, "m%d" % i, ports[2 * i:2 * i + 2], "node%d.rusd.example" % i) for i in range(3)]
    try:
        for node in nodes:
            node.wait_ready()
        client = Client(nodes[0].endpoint)
        client.put(b"found", b"1")
        members = client.call("Cluster/MemberList", client.message("MemberListRequest")).members
        check(sorted(m.name for m in members) == ["m0", "m1", "m2"], "members: %s" % [m.name for m in members])
        client.close()
        # What DNS says later means nothing to a member that has started before (BOOT-20).
        del dns.srv["_etcd-server._tcp.rusd.example"]
        nodes[2].stop()
        nodes[2].start()
        client = Client(nodes[2].endpoint)
        check(client.range(b"found").count == 1, "what was written is not there")
        client.close()
    finally:
        for node in nodes:
            node.remove()


def refused(program, dns):
    """(records, what the log says) of starts that end."""
    ports = free_ports(2)
    there, other = ("node0.rusd.example", ports[1]), ("node1.rusd.example", 1)
    for records, suffix, text in [({}, None, "lookup _etcd-server-ssl._tcp.rusd.example: no such host; lookup _etcd-server._tcp.rusd.example: no such host"),
                                  ({"_etcd-server._tcp.rusd.example": [other]}, None, 'cannot find local etcd member \\"m0\\" in SRV records'),
                                  ({"_etcd-server-ssl._tcp.rusd.example": [there]}, None, "has another scheme than this member's peer URL"),
                                  ({"_etcd-server._tcp.rusd.example": [there]}, "west", "lookup _etcd-server-west._tcp.rusd.example: no such host")]:
        dns.srv.clear()
        dns.srv.update(records)
        node = member(program, "m0", ports, "node0.rusd.example", suffix)
        try:
            wait_until(lambda n=node: n.process.poll() is not None, "it ends")
            check(node.process.returncode != 0 and any(text in line for line in node.log()), "%r is not in the log: %s" % (text, node.log()[-3:]))
        finally:
            node.remove()


def suffixed(program, dns):
    ports = free_ports(2)
    dns.srv.clear()
    dns.srv["_etcd-server-west._tcp.rusd.example"] = [("node0.rusd.example", ports[1])]
    node = member(program, "m0", ports, "node0.rusd.example", "west")
    try:
        node.wait_ready()
    finally:
        node.remove()


def in_namespaces():
    """Runs this file again where port 53 and /etc/resolv.conf are its own; returns why not."""
    tried = subprocess.run(["unshare", "-m", "-n", "true"], capture_output=True, text=True)
    if tried.returncode == 0:
        os.execvp("unshare", ["unshare", "-m", "-n", sys.executable] + sys.argv + ["--inside"])
    return "no namespaces can be made here: " + tried.stderr.strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--inside", action="store_true")
    options = parser.parse_args()
    why = None if options.inside else in_namespaces()
    tap = Tap()
    with tempfile.NamedTemporaryFile("w") as resolv:
        if why is None:
            resolv.write("nameserver 127.0.0.1\n")
            resolv.flush()
            subprocess.run(["mount", "--bind", resolv.name, "/etc/resolv.conf"], check=True)
            with socket.socket() as s:
                fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
            dns = Dns("rusd.example", {})
            dns.start()
        for name, function in [("three members find each other by SRV records", three_find_each_other),
                               ("the service's name may have a suffix", suffixed),
                               ("records that do not name this member", refused)]:
            tap.run(name, (lambda *_: why) if why else function, options.server, None if why else dns)
    tap.end()


main()
