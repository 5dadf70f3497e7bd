"""What is done to a cluster: each kind of fault knows how to begin, how to end, and how to tell that it was felt.

    fault = Kind(scene)         chooses its victim
    fault.begin()  ...  fault.end()
    fault.felt()                what of it could be seen; None if nothing could: a fault without an effect tests nothing

test/cluster/faults.py
"""
import os
import signal
import time

from node import alive, children_of, title_of, wait_until


class Scene:
    """What the faults need to know."""

    def __init__(self, cluster, workload, chooser):
        self.cluster, self.workload, self.chooser = cluster, workload, chooser
        self.jumped = {name: 0 for name in cluster.members}             # ms, in all

    def names(self):
        return list(self.cluster.members)

    def victim(self):
        """The leader half of the time."""
        leader = self.cluster.leader() if self.chooser.random() < 0.5 else None
        return leader or self.chooser.choice(self.names())

    def inject(self, name, *lines):
        """Lines for a member's file of injections, beside how far its clock has jumped so far; without any, all is off."""
        self.cluster.members[name].inject("\n".join(lines + ("clock-ahead=%d" % self.jumped[name],)))

    def live(self, name):
        """Counts a life up: odd means that the member is between two."""
        self.workload.lives[name] += 1


class Fault:
    def __init__(self, scene):
        self.scene, self.cluster, self.chooser = scene, scene.cluster, scene.chooser
        self.victim = scene.victim()
        self.member = self.cluster.members[self.victim]
        self.others = [n for n in scene.names() if n != self.victim]

    def begin(self):
        raise NotImplementedError

    def end(self):
        raise NotImplementedError

    def felt(self):
        raise NotImplementedError

    def __str__(self):
        return "%s %s" % (self.kind, self.victim)


# ---- links ----

class Links(Fault):
    """Rules of the router for some links."""

    def links(self):
        """[(source, target, rule)]"""
        raise NotImplementedError

    def begin(self):
        self.rules = self.links()
        self.before = self.cluster.router.counts()
        for source, target, rule in self.rules:
            self.cluster.router.rule(source, target, **rule)

    def end(self):
        for source, target, _ in self.rules:
            self.cluster.router.rule(source, target)
        self.after = self.cluster.router.counts()

    def felt(self):
        number = 0
        for source, target, rule in self.rules:
            name = "%s>%s" % (source, target)
            for what in ("held", "reset", "delayed"):
                number += self.after.get(name, {}).get(what, 0) - self.before.get(name, {}).get(what, 0)
        return "%d bytes or connections" % number if number else None

    def both(self, rule):
        return [(self.victim, o, rule) for o in self.others] + [(o, self.victim, rule) for o in self.others]


class Isolate(Links):
    kind = "isolate"

    def links(self):
        return self.both({"cut": "hold"})


class IsolateReset(Links):
    kind = "isolate-reset"

    def links(self):
        return self.both({"cut": "reset"})


class Deaf(Links):
    """It is not reached, but is heard."""
    kind = "one-way-to"

    def links(self):
        return [(o, self.victim, {"cut": "hold"}) for o in self.others]


class Mute(Links):
    kind = "one-way-from"

    def links(self):
        return [(self.victim, o, {"cut": "hold"}) for o in self.others]


class OneLink(Links):
    """Two do not reach each other, the third reaches both."""
    kind = "one-link"

    def links(self):
        other = self.chooser.choice(self.others)
        return [(self.victim, other, {"cut": "hold"}), (other, self.victim, {"cut": "hold"})]


class Apart(Links):
    """Nobody reaches anybody."""
    kind = "all-apart"

    def links(self):
        names = self.scene.names()
        return [(a, b, {"cut": "hold"}) for a in names for b in names if a != b]


class Delay(Links):
    """All links are slow."""
    kind = "delay"

    def links(self):
        names = self.scene.names()
        return [(a, b, {"delay": self.chooser.uniform(0.005, 0.08), "jitter": 0.1}) for a in names for b in names if a != b]


class DelayOneWay(Links):
    """What one says arrives late: beyond an election timeout."""
    kind = "delay-one-way"

    def links(self):
        return [(self.victim, o, {"delay": self.chooser.uniform(0.3, 0.9), "jitter": 0.2}) for o in self.others]


# ---- processes ----

def state_of(pid):
    """The letter of ps; "-" if it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "-"


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Stop(Fault):
    """SIGSTOP, and SIGCONT at the end."""

    def pids(self):
        raise NotImplementedError

    def begin(self):
        self.stopped = self.pids()
        send(self.stopped, signal.SIGSTOP)
        self.began, self.during = time.monotonic(), None

    def look(self):
        """What could be seen while it lasted; None if nothing."""
        raise NotImplementedError

    def end(self):
        if self.stopped and all(state_of(p) in "TZ-" for p in self.stopped):
            self.during = self.look()
        send(self.stopped, signal.SIGCONT)

    def felt(self):
        return self.during


class StopNode(Stop):
    kind = "stop-node"

    def pids(self):
        send([self.member.pid], signal.SIGSTOP)         # so that it makes no more
        return [self.member.pid] + children_of(self.member.pid)

    def look(self):
        return "it does not answer" if self.member.status(0.3) is None else None


class KillNode(Fault):
    """SIGKILL to all processes, then a new start."""
    kind = "kill-node"

    def victims(self):
        return [self.victim]

    def begin(self):
        self.killed = [self.cluster.members[n] for n in self.victims()]
        families = []
        for m in self.killed:
            self.scene.live(m.name)
            families += [m.pid] + children_of(m.pid)
        self.chooser.shuffle(families)
        send(families, signal.SIGKILL)
        for m in self.killed:
            m.process.wait()
        wait_until(lambda: not any(alive(p) for p in families), "all processes of a killed node end")

    def end(self):
        self.pids = [m.process.pid for m in self.killed]
        for m in self.killed:
            m.launch()
        self.cluster.know()
        for m in self.killed:
            self.scene.live(m.name)

    def felt(self):
        return "started again" if all(m.process.pid not in self.pids for m in self.killed) else None


class KillAll(KillNode):
    """The whole cluster at once."""
    kind = "kill-all"

    def victims(self):
        return self.scene.names()


class MoveLeader(Fault):
    """No fault, but a thing that clients feel: proposals are refused meanwhile (RAFT-33)."""
    kind = "move-leader"

    def begin(self):
        import grpc
        from node import Client
        self.moved = None
        leader = self.cluster.leader()
        if leader is None:
            return
        target = self.chooser.choice([n for n in self.scene.names() if n != leader])
        status = self.cluster.members[target].status()
        client = Client(self.cluster.members[leader].endpoint)
        try:
            client.call("Maintenance/MoveLeader", client.message("MoveLeaderRequest", targetID=status.header.member_id), 5)
            self.moved = "%s to %s" % (leader, target)
        except (grpc.RpcError, AttributeError):         # it has just lost the leadership, or the target is not there
            pass
        finally:
            client.close()

    def end(self):
        pass

    def felt(self):
        return self.moved


ANY_SERVER = [Isolate, IsolateReset, Deaf, Mute, OneLink, Apart, Delay, DelayOneWay, StopNode, KillNode, KillAll, MoveLeader]
