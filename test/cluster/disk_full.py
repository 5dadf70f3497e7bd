#!/usr/bin/python3
"""A full disk: clear errors, reads go on, deletes and compaction work, writes resume when there is room. Mounts a small tmpfs, so needs root.

    disk_full.py --server build/gcc/rusd

test/cluster/disk_full.py
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, error_of, wait_until         # noqa: E402

SIZE_MIB = 64
# Three segments and little more; and one that fills at another place of the segment.
INSIDE_MIB = (40, 45)
CLEAR = ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN")


def disk_full(program, place):
    flags = ["--log-level=warn", "--wal-segment-size=1048576", "--checkpoint-interval=200ms"]
    server = Node(program, flags, directory=place)
    with server:
        client = Client(server.endpoint)
        written, error = 0, None
        while written < 20000 and error is None:
            error = error_of(client.put, b"k%05d" % written, b"x" * 8000, timeout=10)
            written += error is None
        check(error is not None, "%d writes of 8 kB went into %d MiB" % (written, SIZE_MIB))
        print("# after %d writes: %s" % (written, error))
        check(error[0] in CLEAR, "the error of a full disk is %s" % (error,))
        check(server.process.poll() is None, "the node ended")
        answer = client.range(b"k00000")
        check(answer.count == 1 and answer.kvs[0].value == b"x" * 8000, "a read fails")
        check(client.range(b"k", b"l", count_only=True).count >= written, "an answered write is lost")
        for i in range(0, written, 2):          # half of it
            error = error_of(client.call, "KV/DeleteRange", client.message("DeleteRangeRequest", key=b"k%05d" % i), 10)
            check(error is None or i > 20, "deletes fail on a full disk: %s" % (error,))
            if error:
                break
        revision = client.range(b"k00001").header.revision
        error = error_of(client.call, "KV/Compact", client.message("CompactionRequest", revision=revision, physical=True), 20)
        check(error is None, "compaction fails on a full disk: %s" % (error,))
        subprocess.run(["mount", "-o", "remount,size=%dm" % (4 * SIZE_MIB), place], check=True)

        def resumes():
            disarm(client)
            return error_of(client.put, b"again", b"y" * 8000, timeout=5) is None
        wait_until(resumes, "writes resume when there is room")
        client.close()
        server.stop()
        server.start()
        client = Client(server.endpoint)
        check(client.range(b"again").count == 1, "an answered write is lost")
        check(client.range(b"k00001").count == 1, "an answered write is lost")
        client.close()


def disarm(client):
    for alarm in client.call("Maintenance/Alarm", client.message("AlarmRequest")).alarms:
        client.call("Maintenance/Alarm", client.message("AlarmRequest", action=2, alarm=alarm.alarm, memberID=alarm.memberID))


def fill(client):
    """Until a put is refused; returns how many were not."""
    for written in range(20000):
        error = error_of(client.put, b"k%05d" % written, os.urandom(100000), timeout=10)
        if error is not None:
            check(error[0] == "RESOURCE_EXHAUSTED" and "space exceeded" in error[1], "a full disk is told of as %s" % (error,))
            return written
    raise AssertionError("the disk is never full")


def from_inside(program, place):
    """Nothing is changed from outside: delete, compact, defragment, disarm, write."""
    with Node(program, ["--log-level=warn", "--wal-segment-size=8388608", "--checkpoint-interval=1s"], directory=place) as server:
        client = Client(server.endpoint)
        for turn in range(3):
            written = fill(client)
            print("# turn %d: full after %d puts of 100 kB" % (turn, written))
            check(written > 20, "the disk is full after %d puts" % written)
            check("ALARM NOSPACE" in server.get("/health")[1], "the health of a node that refuses writes")
            metrics = server.metrics()
            check(metrics["rusd_wal_no_room"] + metrics["rusd_data_no_room"] > 0, "no metric tells it")
            deleted = client.call("KV/DeleteRange", client.message("DeleteRangeRequest", key=b"k", range_end=b"l"), 10)
            check(deleted.deleted == written, "%d of %d keys deleted" % (deleted.deleted, written))
            client.call("KV/Compact", client.message("CompactionRequest", revision=deleted.header.revision, physical=True), 20)
            client.call("Maintenance/Defragment", client.message("DefragmentRequest"), 20)

            def resumes():
                disarm(client)
                return error_of(client.put, b"again", b"y" * 8000, timeout=5) is None
            wait_until(resumes, "writes resume without a restart")
            check('"true"' in server.get("/health")[1], "the health of a node that takes writes again")
        written = fill(client)
        client.close()
        began = time.monotonic()
        server.stop()
        check(time.monotonic() - began < 10, "a stop on a full disk takes %.1f s" % (time.monotonic() - began))
        server.start()
        client = Client(server.endpoint)
        check(client.range(b"k", b"l", count_only=True).count == written, "an answered write is lost")
        client.close()


def with_tmpfs(program, scene=None, size=SIZE_MIB):
    place = tempfile.mkdtemp(prefix="rusd-full.")
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % size, "tmpfs", place], capture_output=True, text=True)
        if mounted.returncode != 0:
            return "no tmpfs can be mounted here: " + mounted.stderr.strip()
        try:
            return (scene or disk_full)(program, place)
        finally:
            subprocess.run(["umount", "-l", place], check=True)
    finally:
        os.rmdir(place)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    args = p.parse_args()
    tap = Tap()
    tap.run("a full disk of %d MiB" % SIZE_MIB, with_tmpfs, args.server)
    for size in INSIDE_MIB:
        tap.run("a full disk of %d MiB is put right from inside" % size, with_tmpfs, args.server, from_inside, size)
    tap.end()


main()
