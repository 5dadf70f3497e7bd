#!/usr/bin/python3
"""Links between the members of a cluster, in user space: each member is known to the others by an address of this router,
which passes on what arrives, or delays it, or holds it back, for each direction between two members on its own.

All members are told the same address of a member (its id follows from it), so who called is found out from the kernel: the
socket at the other end, and the member among whose processes it is.  What A sends to B is delayed by the rule (A, B), in the
connections that A opened and in those that B opened alike.

A rule is a dict: cut: "hold" (nothing gets through, as in a network that drops packets; what is held goes on its way when the
rule ends, as a retransmission would) or "reset" (connections are reset and refused); delay: seconds, jitter: seconds more, drawn
by lot, never overtaking.

Router is what a test uses; the router itself runs in a process of its own (this file, as a program), so that a busy test does not
delay the links.  One thread, epoll.

test/lib/router.py
"""
import collections
import errno
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

CHUNK = 256 * 1024
HELD_MOST = 4 << 20             # bytes under way in one direction of a connection; the sender waits beyond


class Router:
    """Starts the process.  members: {name: (port of the router, port of the member)}."""

    def __init__(self, members, seed):
        self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(seed)] + ["%s:%d:%d" % ((name,) + ports) for name, ports in members.items()],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask()

    def ask(self, **command):
        """Sends one command and waits until it holds; returns the counters."""
        self.child.stdin.write(json.dumps(command) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError("the router ended")
        return json.loads(line)

    def owners(self, pids):
        """pids: {name of the member: process id of its first process}."""
        self.ask(owners=pids)

    def rule(self, source, target, **rule):
        """What holds from now on for bytes from one member to another; without any, they pass at once."""
        self.ask(rule=[source, target, rule])

    def counts(self):
        """{"A>B": {passed, delayed, held, reset}}: bytes, the last one connections."""
        return self.ask()

    def close(self):
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()


# ---- the process ----

class Direction:
    """Bytes from one member to the other in one connection."""
    __slots__ = ("source", "sink", "link", "queue", "bytes", "last", "ended", "watched", "timed")

    def __init__(self, source, sink, link):
        self.source, self.sink, self.link = source, sink, link
        self.queue, self.bytes, self.last, self.ended, self.watched, self.timed = collections.deque(), 0, 0.0, False, 0, 0.0


class Pair:
    """One connection: from its caller to the router, and from the router on."""

    def __init__(self, near, caller, called):
        self.near, self.far, self.caller, self.called = near, None, caller, called
        self.directions = ()


class Switch:
    """The epoll loop."""

    def __init__(self, members, seed):
        self.members, self.chooser, self.epoll = members, random.Random(seed), select.epoll()
        self.rules, self.counters, self.owners, self.due, self.handlers, self.pairs = {}, {}, {}, [], {}, set()
        self.serial, self.closing = 0, False
        for name, (port, _) in members.items():
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            s.listen(128)
            s.setblocking(False)
            self.watch(s, select.EPOLLIN, lambda events, s=s, name=name: self.accept(s, name))
        self.commands = b""
        self.watch(sys.stdin, select.EPOLLIN, self.command)

    def watch(self, thing, events, handler):
        self.handlers[thing.fileno()] = handler
        self.epoll.register(thing.fileno(), events)

    def count(self, link, what, number):
        row = self.counters.setdefault(link, {"passed": 0, "delayed": 0, "held": 0, "reset": 0})
        row[what] += number

    def cut(self, link):
        return self.rules.get(link, {}).get("cut")

    # ---- commands of the test ----

    def command(self, events):
        data = os.read(0, 65536)
        if not data:
            self.closing = True
        self.commands += data
        while b"\n" in self.commands:
            line, self.commands = self.commands.split(b"\n", 1)
            command = json.loads(line)
            if "owners" in command:
                self.owners = command["owners"]
            if "rule" in command:
                source, target, rule = command["rule"]
                self.change((source, target), rule)
            sys.stdout.write(json.dumps({"%s>%s" % link: row for link, row in self.counters.items()}) + "\n")
            sys.stdout.flush()

    def change(self, link, rule):
        if rule:
            self.rules[link] = rule
        else:
            self.rules.pop(link, None)
        for pair in [p for p in self.pairs if link in ((p.caller, p.called), (p.called, p.caller))]:
            if rule.get("cut") == "reset":
                self.reset(pair, link)
                continue
            if pair.far is None and not self.barred(pair):
                self.connect(pair)
            for direction in pair.directions:
                if direction.link == link:
                    self.pump(pair, direction)

    # ---- connections ----

    def accept(self, listener, called):
        try:
            near, address = listener.accept()
        except OSError:
            return
        caller = self.who(address[1], near.getsockname()[1])
        pair = Pair(near, caller, called)
        for link in ((caller, called), (called, caller)):
            if self.cut(link) == "reset":
                return self.reset(pair, link)
        self.pairs.add(pair)
        if not self.barred(pair):
            self.connect(pair)

    def barred(self, pair):
        """A handshake needs both directions."""
        return self.cut((pair.caller, pair.called)) == "hold" or self.cut((pair.called, pair.caller)) == "hold"

    def connect(self, pair):
        far = pair.far = socket.socket()
        for s in (pair.near, far):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A stopped member accepts nothing, so this must not wait; until it is connected, send says that it would block.
        if far.connect_ex(("127.0.0.1", self.members[pair.called][1])) not in (0, errno.EINPROGRESS):
            return self.reset(pair, None)
        there = Direction(pair.near, far, (pair.caller, pair.called))
        back = Direction(far, pair.near, (pair.called, pair.caller))
        pair.directions = (there, back)
        for mine, other in ((there, back), (back, there)):
            self.watch(mine.source, 0, lambda events, pair=pair, mine=mine, other=other: self.event(pair, mine, other, events))
        for direction in pair.directions:
            self.pump(pair, direction)

    def reset(self, pair, link):
        """Both ends see a reset."""
        if link is not None:
            self.count(link, "reset", 1)
        self.pairs.discard(pair)
        pair.directions = ()
        for s in (pair.near, pair.far):
            if s is not None and s.fileno() >= 0:
                if self.handlers.pop(s.fileno(), None) is not None:
                    self.epoll.unregister(s.fileno())
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()

    def event(self, pair, mine, other, events):
        """Of the socket that mine reads and other writes."""
        if not pair.directions:
            return
        if events & (select.EPOLLHUP | select.EPOLLERR):
            return self.reset(pair, None)
        if events & select.EPOLLIN:
            self.read(pair, mine)
        if pair.directions and events & select.EPOLLOUT:
            self.pump(pair, other)
        elif pair.directions:
            self.interest(pair)

    def read(self, pair, direction):
        try:
            data = direction.source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            return self.reset(pair, None)
        if not data:
            direction.ended = True
        rule, now = self.rules.get(direction.link), time.monotonic()
        due = now
        if rule and "delay" in rule:
            due = max(direction.last, now + rule["delay"] + self.chooser.random() * rule.get("jitter", 0))
            self.count(direction.link, "delayed", len(data))
        if rule and "cut" in rule:
            self.count(direction.link, "held", len(data))
        direction.last = due
        if data:
            direction.queue.append((due, data))
            direction.bytes += len(data)
        self.pump(pair, direction)

    def pump(self, pair, direction):
        """Passes on what is due."""
        now = time.monotonic()
        while direction.queue and self.cut(direction.link) is None:
            due, data = direction.queue[0]
            if due > now:
                if direction.timed != due:
                    self.serial, direction.timed = self.serial + 1, due
                    heapq.heappush(self.due, (due, self.serial, pair, direction))
                break
            try:
                sent = direction.sink.send(data)
            except BlockingIOError:
                break
            except OSError:
                return self.reset(pair, None)
            self.count(direction.link, "passed", sent)
            direction.bytes -= sent
            direction.queue.popleft()
            if sent < len(data):
                direction.queue.appendleft((due, data[sent:]))
                break
        if direction.ended and not direction.queue and self.cut(direction.link) is None:
            try:
                direction.sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            if all(d.ended and not d.queue for d in pair.directions):
                return self.reset(pair, None)
        self.interest(pair)

    def interest(self, pair):
        """What each of the two sockets is watched for."""
        now = time.monotonic()
        for mine, other in (pair.directions, pair.directions[::-1]):
            wanted = 0
            if not mine.ended and mine.bytes < HELD_MOST:
                wanted |= select.EPOLLIN
            if other.queue and other.queue[0][0] <= now and self.cut(other.link) is None:
                wanted |= select.EPOLLOUT
            if wanted != mine.watched:
                self.epoll.modify(mine.source.fileno(), wanted)
                mine.watched = wanted

    # ---- who calls ----

    def who(self, port, here):
        """The member of whose processes one has the socket 127.0.0.1:port that is connected to our port here."""
        inode = inode_of(port, here)
        for name, pid in self.owners.items():
            if inode and any(has_socket(p, inode) for p in family(pid)):
                return name
        return "?"

    # ---- the loop ----

    def run(self):
        while not self.closing:
            timeout = -1 if not self.due else max(0.0, self.due[0][0] - time.monotonic())
            for fd, events in self.epoll.poll(timeout):
                handler = self.handlers.get(fd)
                if handler is not None:
                    handler(events)
            while self.due and self.due[0][0] <= time.monotonic():
                _, _, pair, direction = heapq.heappop(self.due)
                if direction in pair.directions:
                    self.pump(pair, direction)


def inode_of(port, here):
    """Of the socket 127.0.0.1:port -> 127.0.0.1:here."""
    wanted = ["0100007F:%04X" % port, "0100007F:%04X" % here]
    with open("/proc/net/tcp") as f:
        for line in f:
            fields = line.split()
            if fields[1:3] == wanted:
                return fields[9]
    return None


def family(pid):
    """A process and all that descend from it."""
    found = [pid]
    for p in found:
        try:
            for task in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/children" % (p, task)) as f:
                    found += [int(x) for x in f.read().split()]
        except OSError:
            pass
    return found


def has_socket(pid, inode):
    name = "socket:[%s]" % inode
    try:
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                if os.readlink("/proc/%d/fd/%s" % (pid, fd)) == name:
                    return True
            except OSError:
                pass
    except OSError:
        pass
    return False


if __name__ == "__main__":
    Switch({name: (int(port), int(to)) for name, port, to in (text.split(":") for text in sys.argv[2:])}, int(sys.argv[1])).run()
