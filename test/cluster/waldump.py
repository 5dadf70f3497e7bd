#!/usr/bin/python3
"""rusd_waldump: of a live node, of a stopped one, and of logs that this test writes by doc/formats/wal.md. TAP.

    waldump.py --server build/gcc/rusd --waldump build/gcc/rusd_waldump

test/cluster/waldump.py
"""
import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, wait_until                               # noqa: E402

SEGMENT, SECTOR, HEADER = 16384, 512, 4096          # the smallest segments there are
PUT, HARD_STATE = 2, 64


# ---- the tool ----

def dump(tool, directory, *options):
    done = subprocess.run([tool, *options, directory], capture_output=True, text=True, timeout=60)
    return done.stdout, done.stderr, done.returncode


def records(tool, directory, *options, status=0, error=""):
    """(the summary, the records) as JSON tells them."""
    out, err, got = dump(tool, directory, "--json", *options)
    check(got == status and error in err and (err == "" or error), "exit status %d: %s" % (got, err))
    lines = [json.loads(x) for x in out.splitlines()]
    return (lines[0]["log"], lines[1:]) if lines else (None, [])


def text(value):
    return base64.b64decode(value).decode()


# ---- a log of our own ----

TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = (_n >> 1) ^ (0x82f63b78 if _n & 1 else 0)
    TABLE.append(_n)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xffffffff


def sealed(data):
    return struct.pack("<I", crc32c(data)) + data


def put(key, value, sequence):
    """The payload of an entry that puts."""
    used = 32 + len(key) + len(value)
    op = struct.pack("<IHHIIIIq", (used + 7) // 8 * 8, 1, 0, len(key), 0, len(value), 0, 0) + key + value
    return struct.pack("<QQQIIII", 7, 9, sequence, 3, 1, 0, 0) + op + bytes(-used % 8)


class Log:
    """Segments from 1 on; every batch tells that all before it was flushed."""

    def __init__(self, directory):
        self.folder = os.path.join(directory, "wal")
        os.makedirs(self.folder)
        self.files, self.previous, self.position, self.offsets = {}, 0, 0, []
        self.open(1, 2)

    def open(self, sequence, flags=0, first_index=1):
        self.sequence, self.position = sequence, sequence * SEGMENT + HEADER
        data = bytearray(SEGMENT)
        for offset, crc, flag in ((0, 0, 0), (2048, self.previous, 1 + flags)):
            head = struct.pack("<IIIQQQQQII4Q", 0x4c415752, 1, 5, sequence, SEGMENT, first_index, 0xc1, 0xa1, crc, flag, 1, 0, 0, 0)
            data[offset:offset + 1136] = sealed(head + bytes(1132 - len(head)))
        self.files[sequence] = data

    def batch(self, entries, commit=0, flushed=None):
        """entries: (kind, index, term, payload). Returns its position."""
        body = b"".join(struct.pack("<IIQQ", len(p), kind, index, term) + p + bytes(-len(p) % 8) for kind, index, term, p in entries)
        at = self.position
        data = sealed(struct.pack("<IIIIIQQQQ", 0x48435442, 5, self.previous, 56 + len(body), len(entries), at, at if flushed is None else flushed, commit, 1) + body)
        self.previous, = struct.unpack("<I", data[:4])
        offset = at - self.sequence * SEGMENT
        self.files[self.sequence][offset:offset + len(data)] = data
        self.position += (len(data) + SECTOR - 1) // SECTOR * SECTOR
        return at

    def write(self):
        for sequence, data in self.files.items():
            with open(os.path.join(self.folder, "%016x-%016x" % (sequence, 1)), "wb") as f:
                f.write(data)

    def spoil(self, position):
        self.files[position // SEGMENT][position % SEGMENT + 60] ^= 1


def made(build):
    """A directory with a log made by build(log); for a with statement."""
    place = tempfile.TemporaryDirectory(prefix="rusd-test.")
    log = Log(place.name)
    build(log)
    log.write()
    return place


def void_and_open(tool):
    """A record voids what is before it from its index on; committed is what a commit index in the log reaches."""
    def build(log):
        log.batch([(PUT, 1, 1, put(b"a", b"1", 1)), (PUT, 2, 1, put(b"b", b"1", 2)), (PUT, 3, 1, put(b"c", b"1", 3))])
        log.batch([(HARD_STATE, 0, 2, struct.pack("<4Q", 2, 0xb2, 1, 1)), (PUT, 2, 2, put(b"b", b"2", 4))])
        log.open(2)
        log.batch([(PUT, 3, 2, put(b"c", b"2", 5)), (PUT, 4, 2, put(b"d", b"2", 6))], commit=3)
        log.batch([])
    with made(build) as place:
        log, found = records(tool, place)
        check((log["first_index"], log["last_index"], log["commit_index"], log["records"], log["cluster"]) == (1, 4, 3, 7, "c1"), "the summary: %s" % log)
        seen = [(r["index"], r["term"], r.get("void"), r.get("committed")) for r in found]
        check(seen == [(1, 1, False, True), (2, 1, True, False), (3, 1, True, False), (0, 2, None, None), (2, 2, False, True),
                       (3, 2, False, True), (4, 2, False, False)], "void and committed: %s" % seen)
        check(found[3]["state"] == {"term": 2, "vote": "b2", "commit_index": 1, "commit_term": 1}, "the hard state: %s" % found[3])
        check([r["position"] for r in found] == sorted(r["position"] for r in found) and found[0]["position"] == SEGMENT + HEADER + 56, "positions")
        check(found[0]["request"] == {"member": "7", "incarnation": "9", "slot": 3, "generation": 1, "sequence": 1}, "the request: %s" % found[0])
        _, kept = records(tool, place, "--committed")
        check([(r["index"], text(r["ops"][0]["value"])) for r in kept] == [(1, "1"), (2, "2"), (3, "2")], "committed only: %s" % kept)
        out, _, status = dump(tool, place)
        words = [line.split() for line in out.splitlines()[1:]]
        check(status == 0 and [w[4] for w in words] == ["committed", "void", "void", "local", "committed", "committed", "open"], "as text:\n" + out)


def snapshot(tool):
    """What lies before the log begin of the control record is void, and the gap behind it is none."""
    def build(log):
        log.batch([(PUT, i, 1, put(b"k", b"old", i)) for i in (1, 2, 3)])
        build.begin = log.position
        log.batch([(PUT, 11, 2, put(b"k", b"new", 9))], commit=11)
    with made(build) as place:
        record = bytearray(1288)
        struct.pack_into("<IIIQQQ", record, 4, 0x4c525443, 2, 8192, 1, 0xc1, 0xa1)
        struct.pack_into("<3Q", record, 1264, build.begin, 10, 2)
        with open(os.path.join(place, "control"), "wb") as f:
            f.write(sealed(bytes(record[4:])).ljust(8192, b"\0"))
        log, found = records(tool, place)
        check(log["snapshot"] == {"position": build.begin, "index": 10, "term": 2}, "the summary: %s" % log)
        check([(r["index"], r["void"], r["committed"]) for r in found] == [(1, True, False), (2, True, False), (3, True, False), (11, False, True)], str(found))


def damage(tool):
    """A bad batch that a later one proves flushed is damage, what is before it is printed; one that nothing proves is the end."""
    def build(log):
        build.at = [log.batch([(PUT, i, 1, put(b"k%d" % i, b"v", i))], commit=i - 1) for i in (1, 2, 3)]
        log.spoil(build.at[build.which])
    for which, status, why in ((0, 1, "is bad, and the one at"), (1, 1, "is bad, and the one at"), (2, 0, "")):
        build.which = which
        with made(build) as place:
            _, found = records(tool, place, status=status, error=why)
            check([r["index"] for r in found] == list(range(1, which + 1)), "printed: %s" % found)
            check(why == "" or "position %d " % build.at[which] in dump(tool, place)[1], "names the place")

    def torn(log):
        log.batch([(PUT, 1, 1, put(b"k", b"v", 1))])
        at = log.batch([(PUT, 2, 1, put(b"k", b"v", 2))])
        log.open(2)
        log.batch([(PUT, 3, 1, put(b"k", b"v", 3))], flushed=0)
        log.spoil(at)
    with made(torn) as place:
        records(tool, place, status=1, error="goes on in the next one")

    def nonsense(log):
        log.batch([(PUT, 1, 1, b"x" * 48), (PUT, 2, 1, put(b"k", b"v", 2)), (99, 3, 1, b"")])
    with made(nonsense) as place:
        _, found = records(tool, place, status=1, error="2 entries do not decode")
        check([("undecodable" in r) for r in found] == [True, False, True], "each is printed: %s" % found)

    def headless(log):
        log.batch([])
        log.files[1][20] ^= 1
    with made(headless) as place:
        records(tool, place, status=1, error="its header is not whole")


def refusals(tool):
    with tempfile.TemporaryDirectory(prefix="rusd-test.") as place:
        for options, status, why in ((["/nonexistent"], 1, "/nonexistent: No such file"), ([place], 1, "there is no log in it"), ([], 2, "Usage"),
                                     (["--colour", place], 2, "unknown option"), ([place, place], 2, "one directory only")):
            done = subprocess.run([tool] + options, capture_output=True, text=True, timeout=60)
            check(done.returncode == status and why in done.stderr and done.stdout == "", "%s: %s" % (options, done))
    check("Exit status" in subprocess.run([tool, "--help"], capture_output=True, text=True, timeout=60).stdout, "--help")


# ---- a node's log ----

def hashes(directory):
    return {os.path.join(at, name): hashlib.sha256(open(os.path.join(at, name), "rb").read()).hexdigest()
            for at, _, names in os.walk(directory) for name in names}


def played(found):
    """The history that the committed entries make: [(revision, kind, key, value)], as the applier makes it of puts, deletes and simple transactions."""
    keys, history, revision = {}, [], 1
    for entry in found:
        changes, ops, at = [], entry.get("ops", []), 0
        by_offset = {op["offset"]: n for n, op in enumerate(ops)}
        while at < len(ops):
            op = ops[at]
            at += 1
            key = text(op["key"]) if "key" in op else ""
            if op["op"] == "txn":
                compares = ops[at:at + op["compares"]]
                check(all(c["target"] == "version" and c["result"] == "=" for c in compares), "only such compares were sent: %s" % compares)
                holds = all(keys.get(text(c["key"]), 0) == c["operand"] for c in compares)
                at = at + len(compares) if holds else by_offset.get(op["else"], len(ops))
            elif op["op"] == "jump":
                at = by_offset.get(op["to"], len(ops))
            elif op["op"] == "put":
                keys[key] = keys.get(key, 0) + 1
                changes.append(("put", key, text(op["value"])))
            elif op["op"] == "delete":
                if keys.pop(key, None):
                    changes.append(("delete", key, ""))
        if changes:
            revision += 1
            history += [(revision,) + c for c in changes]
    return history


def node(tool, server):
    """What clients were told is what the log holds, alive, killed and stopped; nothing is written to the directory."""
    with Node(server) as n:
        client = Client(n.endpoint)
        told = []

        def did(reply, *changes):
            told.extend((reply.header.revision,) + c for c in changes)
        for i in range(5):
            did(client.put(b"k%d" % i, b"value %d" % i), ("put", "k%d" % i, "value %d" % i))
        did(client.call("KV/DeleteRange", client.message("DeleteRangeRequest", key=b"k3")), ("delete", "k3", ""))
        m = client.message
        for version, value in ((0, b"then"), (7, b"never")):
            did(client.call("KV/Txn", m("TxnRequest", compare=[m("Compare", target=0, result=0, key=b"t", version=version)],
                                        success=[m("RequestOp", request_put=m("PutRequest", key=b"t", value=value))],
                                        failure=[m("RequestOp", request_put=m("PutRequest", key=b"t", value=b"else"))])),
                ("put", "t", "then" if version == 0 else "else"))
        client.call("KV/Compact", m("CompactionRequest", revision=4))
        # That the newest entry is committed stands in the next batch: the mark of an idle log at the latest.
        live = wait_until(lambda: (lambda found: found if found[-1]["kind"] == "compact" else None)(records(tool, n.data, "--committed")[1]),
                          "the log tells that the last entry is committed", every=0.1)
        check(played(live) == told, "a live node's log: %s, told %s" % (played(live), told))
        kinds = [e["kind"] for e in live]
        check("compact" in kinds and "member" in kinds and "empty" in kinds and "delete-range" in kinds and "txn" in kinds, "kinds: %s" % kinds)
        mine = [e["request"] for e in live if e["kind"] == "put"]
        check(len(mine) == 5 and len({(r["slot"], r["generation"], r["incarnation"]) for r in mine}) == 1 and
              [r["sequence"] for r in mine] == sorted({r["sequence"] for r in mine}), "requests: %s" % mine)
        check(all(e["judged_at"] >= 0 and e["peer_urls"] for e in live if e["kind"] == "member"), "members")
        client.close()
        n.stop(signal.SIGKILL)
        before = hashes(n.data)
        _, killed = records(tool, n.data, "--committed")
        check(killed[:len(live)] == live, "a killed node's log begins with what was read of the live one")
        _, all_of_it = records(tool, n.data)
        out, _, status = dump(tool, n.data)
        check(status == 0 and len(out.splitlines()) == len(all_of_it) + 1, "a line of text for each record")
        check(hashes(n.data) == before, "nothing is written")
        copy = os.path.join(n.directory, "copy")
        shutil.copytree(os.path.join(n.data, "wal"), os.path.join(copy, "wal"))
        shutil.copy(os.path.join(n.data, "control"), copy)
        check(dump(tool, copy, "-j")[0] == dump(tool, n.data, "-j")[0], "a copy says the same")
        n.start()
        n.stop(signal.SIGTERM)
        check(played(records(tool, n.data, "--committed")[1])[:len(told)] == told, "a stopped node's log")


def under_load(tool, server):
    """While the node writes and goes from segment to segment, nothing is taken for damage; what was written before is there."""
    with Node(server, ["--wal-segment-size", "%d" % (8 << 20)]) as n:
        client, stop, put_so_far = Client(n.endpoint), threading.Event(), []

        def load():
            i = 0
            while not stop.is_set():
                client.put(b"number-%d-" % i, b"x" * 100000)
                put_so_far.append(i)
                i += 1
        thread = threading.Thread(target=load)
        thread.start()
        again = 0
        try:
            good, segments = 0, set()
            while good < 30 or len(segments) < 3:
                known = len(put_so_far)
                out, error, status = dump(tool, n.data)
                if status == 1 and "has changed while it was read" in error:
                    again += 1
                    check(again < 300, "never a quiet moment")
                    continue
                check(status == 0, "taken for damage: " + error)
                seen = [int(x) for x in re.findall(r"(?:committed|open) +put.*number-(\d+)-", out)]
                check(seen == list(range(seen[0], seen[-1] + 1)) if seen else known == 0, "without a gap")
                check(known == 0 or seen[-1] >= known - 1, "%d had been put, the log goes to %s" % (known, seen[-1:]))
                good += 1
                segments.add(int(re.search(r"positions \d+ to (\d+)", out).group(1)) >> 23)
        finally:
            stop.set()
            thread.join()
        print("# %d puts meanwhile, %d dumps again" % (len(put_so_far), again))
        client.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--waldump", required=True)
    args = p.parse_args()
    tool = os.path.abspath(args.waldump)
    tap = Tap()
    tap.run("void, committed, open", void_and_open, tool)
    tap.run("an installed snapshot", snapshot, tool)
    tap.run("damage, and an end that is none", damage, tool)
    tap.run("what it refuses", refusals, tool)
    tap.run("a node's log, alive, killed, copied, stopped", node, tool, args.server)
    tap.run("a node under load", under_load, tool, args.server)
    tap.end()


main()
