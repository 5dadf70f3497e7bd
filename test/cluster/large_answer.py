#!/usr/bin/python3
"""Answers by the limit of what a message can be long: refused before their first byte, and nobody else is disturbed.

    large_answer.py --server build/gcc/rusd

One value of 1 MB is asked for many times in one transaction, so that no such amount of data has to be written or kept.

test/cluster/large_answer.py
"""
import argparse
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Client, Node, Tap, check, error_of          # noqa: E402

PIECE = 1 << 20
LIMIT = (1 << 31) - 1


def ask(client, times):
    get = client.vectors.TYPES["etcdserverpb.RequestOp"](request_range=client.message("RangeRequest", key=b"piece"))
    return client.begin("KV/Txn", client.message("TxnRequest", success=[get] * times))


def refused_beyond_the_limit(program):
    with Node(program, ["--max-txn-ops=4096", "--log-level=warn"]) as server:
        client, other = Client(server.endpoint), Client(server.endpoint)
        client.put(b"piece", b"x" * PIECE)
        before = server.of_kind("backend")
        error = error_of(ask(client, LIMIT // PIECE + 1).result)
        check(error == ("RESOURCE_EXHAUSTED", "rusd: answer is larger than 2147483647 bytes"), "the answer was: %s" % (error,))
        # Nothing of it was sent, and the same connections go on.
        got = ask(client, 20).result()
        check(len(got.responses) == 20 and all(r.response_range.kvs[0].value == b"x" * PIECE for r in got.responses), "a smaller answer is not right")
        other.put(b"after", b"1")
        check(set(before) <= set(server.of_kind("backend")), "a backend has ended")
        client.close()
        other.close()


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def call_frames(stream, path, message):
    """HEADERS, every field literal and not indexed, and the message."""
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b"te", b"trailers"), (b"content-type", b"application/grpc")]
    block = b"".join(b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in fields)
    return frame(1, 4, stream, block) + frame(0, 1, stream, struct.pack(">BI", 0, len(message)) + message)


def cancelled_while_it_is_sent(program):
    """A client whose windows are as large as they can be: nothing but RST_STREAM stops what it is sent."""
    answers, pieces = 40, 20
    with Node(program, ["--max-txn-ops=4096", "--log-level=warn"]) as server:
        client = Client(server.endpoint)
        client.put(b"piece", b"x" * PIECE)
        get = client.vectors.TYPES["etcdserverpb.RequestOp"](request_range=client.message("RangeRequest", key=b"piece"))
        request = client.message("TxnRequest", success=[get] * pieces).SerializeToString()
        with socket.create_connection(("127.0.0.1", int(server.endpoint.rsplit(":", 1)[1])), timeout=30) as raw:
            raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, 0x7fffffff)) +
                        frame(8, 0, 0, struct.pack(">I", 0x7fffffff - 65535)))
            streams = [2 * i + 1 for i in range(answers)]
            raw.sendall(b"".join(call_frames(stream, b"/etcdserverpb.KV/Txn", request) for stream in streams))
            received, pending, cancelled, last = 0, b"", False, 2 * answers + 1
            while True:
                data = raw.recv(1 << 16)
                check(data != b"", "the connection was closed")
                received += len(data)
                pending += data
                if not cancelled and received > PIECE:
                    cancelled = True
                    raw.sendall(b"".join(frame(3, 0, stream, struct.pack(">I", 8)) for stream in streams) +
                                call_frames(last, b"/etcdserverpb.KV/Range", client.message("RangeRequest", key=b"none").SerializeToString()))
                while len(pending) >= 9 and len(pending) >= 9 + int.from_bytes(pending[:3], "big"):
                    length, kind, flags, stream = int.from_bytes(pending[:3], "big"), pending[3], pending[4], int.from_bytes(pending[5:9], "big")
                    pending = pending[9 + length:]
                    if stream == last and kind == 1 and flags & 1:
                        last = 0
                if last == 0:
                    break
        # What was under way, in two sockets and a turn, and not a part of the 800 MB.
        check(received < 100 * PIECE, "%d MB came after all was cancelled" % (received // PIECE))
        client.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    args = p.parse_args()
    tap = Tap()
    tap.run("an answer beyond 2^31-1 bytes is refused", refused_beyond_the_limit, args.server)
    tap.run("what was cancelled is sent no more", cancelled_while_it_is_sent, args.server)
    tap.end()


main()
