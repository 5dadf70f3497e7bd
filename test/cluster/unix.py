#!/usr/bin/python3
"""Clients over a unix socket, and what becomes of its file.

    unix.py --server build/gcc/rusd --ctl build/gcc/rusdctl

test/cluster/unix.py
"""
import argparse
import contextlib
import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from certs import Authority                                             # noqa: E402
from node import Client, Node, Tap, check, children_of, title_of, wait_until  # noqa: E402


class UnixNode(Node):
    """Listens on its port and on a file."""

    def __init__(self, program, path=None, **more):
        super().__init__(program, start=False, **more)
        self.path = path or os.path.join(self.directory, "s")
        self.flags = ["--listen-client-urls", "http://127.0.0.1:%d,unix://%s" % (self.client, self.path)]


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def is_socket(path):
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def page(path, target):
    c = UnixHttp(path)
    try:
        c.request("GET", target)
        answer = c.getresponse()
        return answer.status, answer.read().decode()
    finally:
        c.close()


def clients_are_served(options):
    with UnixNode(options.server) as node:
        node.start()
        check(is_socket(node.path), "the file is there while the node runs")
        with contextlib.closing(Client("unix:" + node.path)) as client:
            large = bytes(range(256)) * 4000
            client.put(b"a", large)
            check(client.range(b"a").kvs[0].value == large, "a large value comes back as it was put")
            titles = [title_of(pid) for pid in children_of(node.pid)]
            check(any(re.match(r"rusd: backend unix h2", t) for t in titles), "ps tells of the client: %s" % titles)
        with contextlib.closing(Client(node.endpoint)) as client:
            check(client.range(b"a").count == 1, "the port is served beside it")
        status, text = page(node.path, "/health")
        check(status == 200 and '"true"' in text, "HTTP/1.1 is served too: %s %s" % (status, text))
        for arguments, want in ((["put", "b", "2"], "OK\n"), (["get", "b"], "b\n2\n")):
            got = subprocess.run([options.ctl, "--endpoints", "unix://" + node.path] + arguments, capture_output=True, text=True, timeout=60)
            check(got.returncode == 0 and got.stdout == want, "rusdctl: %s%s" % (got.stdout, got.stderr))


def file_goes_with_the_node(options):
    with UnixNode(options.server) as node:
        node.start()
        node.stop()
        check(not os.path.exists(node.path), "a clean stop removes the file")


def stale_file_gives_way(options):
    with UnixNode(options.server) as node:
        node.start()
        with contextlib.closing(Client("unix:" + node.path)) as client:
            client.put(b"a", b"1")
        node.stop(signal.SIGKILL)
        check(is_socket(node.path), "after a kill the file is still there")
        node.start()
        with contextlib.closing(Client("unix:" + node.path)) as client:
            check(client.range(b"a").kvs[0].value == b"1", "the next start serves on it")


def refused(node, text):
    node.launch()
    check(node.wait() == 1, "the start is refused")
    check(node.logged("could not listen") and node.logged(text), "the log says why: %s" % node.log()[-3:])


def files_of_others_stay(options):
    with UnixNode(options.server) as node:
        node.start()
        with UnixNode(options.server, path=node.path) as other:
            refused(other, "Address already in use")
        check(page(node.path, "/health")[0] == 200, "who was there first is served on")
        kept = os.path.join(node.directory, "kept")
        with open(kept, "w") as f:
            f.write("precious")
        with UnixNode(options.server, path=kept) as other:
            refused(other, "File exists")
        with open(kept) as f:
            check(f.read() == "precious", "a file that is no socket is left as it is")
        with UnixNode(options.server, path="/tmp/" + "x" * 120) as other:
            refused(other, "File name too long")
        # Somebody has put a socket of his own there: it is not ours to remove.
        os.unlink(node.path)
        theirs = socket.socket(socket.AF_UNIX)
        theirs.bind(node.path)
        node.stop()
        check(is_socket(node.path), "the file of somebody else is not removed")
        theirs.close()


def tls_is_served(options):
    """unixs, and unix beside it on the same file: the first byte tells."""
    with UnixNode(options.server) as node:
        cert, key = Authority(node.directory, "authority").issue("server", dns="localhost")
        node.flags = ["--listen-client-urls", "http://127.0.0.1:%d,unixs://%s,unix://%s" % (node.client, node.path, node.path),
                      "--cert-file", cert, "--key-file", key]
        node.start()
        for scheme, more in (("unixs", ["--insecure-skip-tls-verify"]), ("unix", [])):
            got = subprocess.run([options.ctl, "--endpoints", "%s://%s" % (scheme, node.path)] + more + ["put", "a", "1"],
                                 capture_output=True, text=True, timeout=60)
            check(got.returncode == 0 and got.stdout == "OK\n", "rusdctl over %s: %s%s" % (scheme, got.stdout, got.stderr))
        check(node.metrics()["etcd_debugging_mvcc_current_revision"] == 3, "both have written")


def operators_get_in(options):
    """Clients that say nothing use up all connections: over the unix socket there is room; who is silent is closed in time."""
    with UnixNode(options.server) as node:
        node.flags += ["--max-connections=4"]
        node.start()
        silent = []

        def all_are_served():
            """The place of a connection that has ended is not free at once: who is turned away comes again."""
            for one in list(silent):
                try:
                    if one.recv(1) == b"":
                        silent.remove(one)
                        one.close()
                except BlockingIOError:
                    pass
            while len(silent) < 4:
                silent.append(socket.create_connection(("127.0.0.1", node.client)))
                silent[-1].setblocking(False)
            return len(node.of_kind("backend")) == 4

        def refused():
            return int(re.search(r"rusd_connections_refused_total (\d+)", page(node.path, "/metrics")[1]).group(1))
        wait_until(all_are_served, "all are served")
        before = refused()
        one_more = socket.create_connection(("127.0.0.1", node.client), timeout=30)
        check(one_more.recv(1) == b"", "one beyond --max-connections is closed")
        one_more.close()
        got = subprocess.run([options.ctl, "--endpoints", "unix://" + node.path, "endpoint", "status"], capture_output=True, text=True, timeout=60)
        check(got.returncode == 0, "rusdctl: %s%s" % (got.stdout, got.stderr))
        check(refused() == before + 1, "it is counted")
        for one in silent:
            one.settimeout(30)
            check(one.recv(1) == b"", "a silent connection is closed")
            one.close()
        wait_until(node.healthy, "the port serves again")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--ctl", required=True)
    options = parser.parse_args()
    tap = Tap()
    tap.run("clients are served over a unix socket: gRPC, HTTP/1.1, rusdctl", clients_are_served, options)
    tap.run("a clean stop removes the file", file_goes_with_the_node, options)
    tap.run("the file that a killed node has left gives way", stale_file_gives_way, options)
    tap.run("files of others stay", files_of_others_stay, options)
    tap.run("TLS is served on a unix socket, plain text beside it", tls_is_served, options)
    tap.run("an operator gets in where clients have used up all connections", operators_get_in, options)
    tap.end()


main()
