#!/usr/bin/python3
"""The procedures of doc/cluster.md, run as they are written: node1 to node4 are ports of this machine.

    operators.py --server build/gcc/rusd --ctl build/gcc/rusdctl

A block marked "sh" is run by the shell, its exports count for those behind it; "sh node1 node2" is run on these machines, one after the other, each being
NODE there: a command that begins with rusd starts the server.  <!-- test: kill node2 --> is what the text around it says has happened.

test/cluster/operators.py
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import TOP, Failure, Tap, alive, check, children_of, free_ports, wait_until       # noqa: E402

BLOCK_S = 120                   # in which a block is over
PIECE = re.compile(r"^<!-- test: kill ([a-z0-9 ]+) -->$|^```sh *([\w ]*)\n(.*?)^```$|^## ([^\n]*)$", re.M | re.S)


class Machines:
    """Where the names of the page lead to."""

    def __init__(self, server, ctl):
        self.server = os.path.abspath(server)
        self.directory = tempfile.mkdtemp(prefix="rusd-operators.")
        names = ["node%d" % i for i in range(1, 5)]
        ports = free_ports(3 * len(names))
        # Of clients, of peers, and where a member goes that moves.
        self.ports = {name: tuple(ports[3 * i:3 * i + 3]) for i, name in enumerate(names)}
        self.running = {}
        self.exports = ""
        os.symlink(os.path.abspath(ctl), os.path.join(self.directory, "rusdctl"))

    def place(self, text, machine):
        """The words of the page, with this machine's ports and folders."""
        if machine:
            client, peer, moved = self.ports[machine]
            text = text.replace("NODE", machine)
            text = text.replace("0.0.0.0:2379", "127.0.0.1:%d" % client)
            text = text.replace("0.0.0.0:2380", "127.0.0.1:%d" % peer)
            text = text.replace("0.0.0.0:2480", "127.0.0.1:%d" % moved)
            text = text.replace("/var/lib/rusd", os.path.join(self.directory, machine))
        for name, (client, peer, moved) in self.ports.items():
            text = text.replace("%s:2379" % name, "127.0.0.1:%d" % client)
            text = text.replace("%s:2380" % name, "127.0.0.1:%d" % peer)
            text = text.replace("%s:2480" % name, "127.0.0.1:%d" % moved)
        text = text.replace("/etc/rusd", os.path.join(self.directory, "etc"))
        check(not re.search(r"node\d:|NODE|/var/lib", text), "a name is left in: %s" % text)
        return text

    def start(self, machine, command):
        words = command.replace("\\\n", " ").split()
        with open(os.path.join(self.directory, machine + ".log"), "ab") as log:
            self.running[machine] = subprocess.Popen([self.server] + words[1:] + ["--log-level=warn"],
                                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def shell(self, script):
        process = subprocess.Popen(["sh", "-e", "-c", self.exports + script], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                   env=dict(os.environ, PATH=self.directory + ":" + os.environ["PATH"]))

        def is_over():
            # Servers that a script waits for are ours, and gone only when we have looked.
            for server in self.running.values():
                server.poll()
            return process.poll() is not None
        try:
            wait_until(is_over, "the end of: %s" % script, BLOCK_S, every=0.02)
        except Failure:
            os.killpg(process.pid, signal.SIGKILL)
            print("\n".join("#   " + x for x in process.communicate()[0].decode().splitlines()[-20:]))
            raise
        output = process.communicate()[0].decode()
        check(process.returncode == 0, "status %d of: %s\n%s" % (process.returncode, script, output[-2000:]))

    def block(self, machine, script):
        for part in re.split(r"^(rusd (?:[^\n]*\\\n)*[^\n]*\n)", self.place(script, machine), flags=re.M):
            if part.startswith("rusd "):
                check(machine, "a server outside of any machine: %s" % part)
                self.start(machine, part)
            elif part.strip():
                self.shell(part)
        self.exports += "".join(x for x in re.findall(r"^export .*\n", self.place(script, machine), re.M))

    def kill(self, machine):
        server = self.running.pop(machine)
        family = children_of(server.pid)
        server.kill()
        server.wait()
        wait_until(lambda: not any(alive(p) for p in family), "all processes of %s end" % machine)

    def explain(self):
        for machine in sorted(self.ports):
            path = os.path.join(self.directory, machine + ".log")
            if os.path.exists(path):
                with open(path, errors="replace") as log:
                    print("".join("#   %s: %s" % (machine, x[:300].rstrip() + "\n") for x in log.readlines()[-8:]))

    def end(self):
        for machine in list(self.running):
            self.kill(machine)
        shutil.rmtree(self.directory, ignore_errors=True)


def run_section(machines, pieces):
    for killed, names, script in pieces:
        for name in killed.split():
            machines.kill(name)
        for name in [] if killed else names.split() or [None]:
            machines.block(name, script)


def sections():
    """[(title, pieces)] of those that have something to run."""
    with open(os.path.join(TOP, "doc", "cluster.md")) as page:
        text = page.read()
    found = [("", [])]
    for killed, names, script, title in PIECE.findall(text):
        if title:
            found.append((title, []))
        else:
            found[-1][1].append((killed, names, script))
    return [x for x in found if x[1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--ctl", required=True)
    arguments = parser.parse_args()
    tap = Tap()
    machines = Machines(arguments.server, arguments.ctl)
    failed = []

    def run(title, pieces):
        if failed:
            return "an earlier section failed"
        failed.append(title)
        try:
            run_section(machines, pieces)
        except BaseException:
            machines.explain()
            raise
        failed.clear()
        return None
    try:
        for title, pieces in sections():
            tap.run(title, run, title, pieces)
    finally:
        machines.end()
    tap.end()


if __name__ == "__main__":
    main()
