#!/usr/bin/python3
"""The node is its postmaster: deaths of its processes, signals, a second node, restarts.

    processes.py --server build/gcc/rusd

test/cluster/processes.py
"""
import argparse
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, alive, check, children_of, error_of, wait_until     # noqa: E402

ESSENTIAL = ["raft", "walwriter", "applier", "pager", "checkpointer"]
QUIET = ["--log-level=warn"]
SOON = 10.0                     # seconds in which a node has recovered


def put_and_get(server, key, value, limit=SOON):
    """Through a connection of its own, retried until it works."""
    def works():
        client = Client(server.endpoint)
        try:
            if error_of(client.put, key, value, timeout=2) is None:
                return client.range(key).kvs[0].value == value
            return False
        finally:
            client.close()
    wait_until(works, "the node takes a write", limit)


def essential_dies(program, kind):
    with Node(program, QUIET) as server:
        put_and_get(server, b"before", b"1")
        before = server.processes()
        pids = [p for p, k in before.items() if k == kind]
        check(len(pids) == 1, "%d processes called %s: %s" % (len(pids), kind, before))
        began = time.monotonic()
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: not any(alive(p) for p in before), "the other processes are stopped")
        put_and_get(server, b"after", b"2")
        print("# %s killed: a write %.2f s later" % (kind, time.monotonic() - began))
        check(server.process.poll() is None, "the postmaster ended")
        client = Client(server.endpoint)
        check(client.range(b"before").kvs[0].value == b"1", "an answered write is lost")
        client.close()


def all_kinds_are_there(program):
    with Node(program, QUIET) as server:
        kinds = sorted(server.processes().values())
        check(sorted(k for k in kinds if k != "backend") == sorted(ESSENTIAL), "processes: %s" % kinds)


def postmaster_dies(program):
    with Node(program, QUIET) as server:
        put_and_get(server, b"k", b"1")
        client = Client(server.endpoint)
        client.range(b"k")
        family = children_of(server.pid)
        check(len(family) >= 6, "children: %s" % family)
        server.send(signal.SIGKILL)
        server.wait()
        wait_until(lambda: not any(alive(p) for p in family), "all processes are gone", 2)
        server.start(SOON)              # same directory, same ports, at once
        put_and_get(server, b"k", b"2")
        client.close()


def killed_again_and_again(program):
    """SIGKILL and a new start right away, ten times: a start waits for what is left of the one before."""
    with Node(program, QUIET) as server:
        for i in range(10):
            put_and_get(server, b"k%d" % i, b"1")
            server.send(signal.SIGKILL)
            server.process.wait()
            server.start(SOON)
        client = Client(server.endpoint)
        check(client.range(b"k", b"l", count_only=True).count == 10, "an answered write is lost")
        client.close()


def second_node(program):
    with Node(program, QUIET) as server:
        put_and_get(server, b"k", b"1")
        second = Node(program, QUIET, directory=server.directory, start=False)
        second.logfile += ".second"
        began = time.monotonic()
        second.launch()
        status = second.wait(SOON)
        check(status not in (0, None) and status > 0, "the second node ended with status %s" % status)
        print("# a second node failed after %.2f s: %s" % (time.monotonic() - began, (second.log() or [""])[-1][:200]))
        put_and_get(server, b"k", b"2")


def ends_by_signal(program, number, wanted):
    with Node(program, QUIET) as server:
        put_and_get(server, b"k", b"1")
        client = Client(server.endpoint)        # an idle connection does not hold it up
        client.range(b"k")
        family = children_of(server.pid)
        began = time.monotonic()
        server.send(number)
        status = server.wait()
        check(status == wanted, "ended with %s instead of %s" % (status, wanted))
        check(not any(alive(p) for p in family), "a process outlived the postmaster")
        print("# ended %.2f s after the signal" % (time.monotonic() - began))
        client.close()
        server.start()
        client = Client(server.endpoint)
        check(client.range(b"k").kvs[0].value == b"1", "an answered write is lost")
        client.close()


def status_in_a_shell(program):
    """What a shell sees of SIGTERM: 143."""
    with Node(program, QUIET, start=False) as server:
        # the shell starts the node, hands out its id, and says how it ended
        shell = subprocess.Popen(["sh", "-c", '"$@" 2>"$LOG" & echo $!; wait $!; echo $?', "sh"] + server.argv(), stdout=subprocess.PIPE, text=True,
                                 env=dict(os.environ, LOG=server.logfile))
        pid = int(shell.stdout.readline())
        try:
            wait_until(server.healthy, "the node serves")
            os.kill(pid, signal.SIGTERM)
            check(shell.stdout.readline().strip() == "143", "the shell saw another status than 143")
        finally:
            if shell.poll() is None and alive(pid):
                os.kill(pid, signal.SIGKILL)
            shell.wait()
            shell.stdout.close()


def requests_in_flight_finish(program):
    """SIGTERM while writes are under way: each is answered and then there, or gets an error."""
    with Node(program, QUIET) as server:
        client = Client(server.endpoint)
        client.put(b"a", b"1")
        calls = [client.begin("KV/Put", client.message("PutRequest", key=b"%d" % i, value=b"x" * 5000), 20) for i in range(200)]
        server.send(signal.SIGTERM)
        answered = [i for i, c in enumerate(calls) if c.exception() is None]
        server.wait()
        client.close()
        server.start()
        client = Client(server.endpoint)
        for i in answered:
            check(client.range(b"%d" % i).count == 1, "write %d was answered and is lost" % i)
        print("# %d of %d writes were answered" % (len(answered), len(calls)))
        client.close()


def process_stands_still(program, kind):
    """Writes wait while it is stopped, and /health says so; then they go on."""
    with Node(program, QUIET) as server:
        client = Client(server.endpoint)
        client.put(b"a", b"1")
        pid = server.of_kind(kind)[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            call = client.begin("KV/Put", client.message("PutRequest", key=b"b", value=b"2"), 300)
            wait_until(lambda: "request timed out" in server.get("/health")[1], "/health tells that writes stand still")
            check("linearizable_read failed" in server.get("/readyz")[1], "/readyz is well")
            check(server.get("/livez")[0] == 200, "/livez is ill")
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(server.healthy, "the node is well again")
        error_of(call.result)
        put_and_get(server, b"after", b"3")
        client.close()


def log_that_nobody_reads(program):
    """Standard error is a pipe, which is full soon: every write is told of, and some backends are killed."""
    with Node(program, ["--warning-apply-duration=1ns"], start=False) as server:
        ours, theirs = os.pipe()
        try:
            server.process = subprocess.Popen(server.argv(), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
            server.wait_ready()
            for i in range(10):
                client = Client(server.endpoint)
                for n in range(60):
                    client.put(b"%d" % n, b"x", timeout=SOON)
                for pid in server.of_kind("backend"):
                    os.kill(pid, signal.SIGKILL)
                client.close()
            os.kill(server.of_kind("walwriter")[0], signal.SIGKILL)
            put_and_get(server, b"after", b"1")
            check(server.stop() == -signal.SIGTERM, "it did not end as it should")
        finally:
            os.close(ours)
            os.close(theirs)


def foreign_directories(program):
    """A directory of etcd's is refused, and says so."""
    with Node(program, QUIET, start=False) as server:
        os.makedirs(os.path.join(server.data, "member", "snap"))
        os.makedirs(os.path.join(server.data, "member", "wal"))
        server.launch()
        status = server.wait(SOON)
        check(status > 0, "ended with %s" % status)
        check(server.logged("etcd"), "the message does not say why: %s" % server.log()[-1:])
        check(os.listdir(server.data) == ["member"], "it left something in the directory of etcd: %s" % os.listdir(server.data))


def directories_in_use(program):
    """BOOT-35: an empty directory, also one that is a mount point, is closed to others; one that has files of others in it stays as it is."""
    def mode_of(server):
        return os.stat(server.data).st_mode & 0o777
    with Node(program, QUIET, start=False) as server:
        os.makedirs(os.path.join(server.data, "lost+found"))
        os.chmod(server.data, 0o755)
        server.start()
        check(mode_of(server) == 0o700, "the mode is %o" % mode_of(server))
        server.stop()
        os.chmod(server.data, 0o750)
        server.start()
        check(mode_of(server) == 0o700, "at the next start the mode is %o" % mode_of(server))
    with Node(program, QUIET, start=False) as server:
        os.makedirs(server.data)
        with open(os.path.join(server.data, "letter"), "w"):
            pass
        os.chmod(server.data, 0o755)
        server.launch()
        status = server.wait(SOON)
        check(status == 1, "ended with %s" % status)
        check(server.logged("files in it that are not rusd's"), "the message does not say why: %s" % server.log()[-1:])
        check(os.listdir(server.data) == ["letter"] and mode_of(server) == 0o755, "it has changed: %s, %o" % (os.listdir(server.data), mode_of(server)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("-k", default="", help="only tests whose name contains this")
    args = p.parse_args()
    tap = Tap()
    tests = [("every kind of process is there", all_kinds_are_there)]
    tests += [("SIGKILL to the %s: the node serves again" % kind, essential_dies, kind) for kind in ESSENTIAL]
    tests += [("SIGKILL to the postmaster: all are gone, a new start works", postmaster_dies),
              ("SIGKILL and start, ten times", killed_again_and_again),
              ("a second node on the same directory fails at once", second_node),
              ("SIGTERM ends by the signal", ends_by_signal, signal.SIGTERM, -signal.SIGTERM),
              ("SIGINT ends by the signal", ends_by_signal, signal.SIGINT, -signal.SIGINT),
              ("SIGQUIT ends at once", ends_by_signal, signal.SIGQUIT, 2),
              ("a shell sees status 143 after SIGTERM", status_in_a_shell),
              ("writes in flight at SIGTERM are answered truly", requests_in_flight_finish),
              ("a walwriter that stands still is told", process_stands_still, "walwriter"),
              ("an applier that stands still is told", process_stands_still, "applier"),
              ("a log that nobody reads holds nobody up", log_that_nobody_reads),
              ("a directory of etcd's is refused", foreign_directories),
              ("a directory that others use stays as it is", directories_in_use)]
    for name, function, *arguments in tests:
        if args.k in name:
            tap.run(name, function, args.server, *arguments)
    tap.end()


main()
