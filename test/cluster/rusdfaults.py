"""Faults of one process, of the disk and of the clocks: rusd only, the latter two in builds with injection points.

test/cluster/rusdfaults.py
"""
import email.utils
import http.client
import signal
import time

from faults import Fault, KillNode, Stop, send
from node import Client, alive, check, error_of, wait_until

ESSENTIAL = ["raft", "walwriter", "applier", "pager", "checkpointer"]


def metric(member, name):
    """Its value now; None while the member does not tell."""
    try:
        return member.metrics(2).get(name)
    except (OSError, http.client.HTTPException):
        return None


def essentials(member):
    return {pid for pid, kind in member.processes().items() if kind in ESSENTIAL}


# ---- one process ----

class StopKind(Stop):
    """All processes of one kind of one member."""

    def pids(self):
        return self.member.of_kind(self.process)

    def unanswered(self):
        """Writes of its clients since then: some were tried, none was answered."""
        tried = []
        for op in reversed(self.scene.workload.ops):
            if op.client.startswith(self.victim + ".") and not op.reads and op.start:
                if op.start < self.began:
                    break
                tried.append(op)
        return "%d writes unanswered" % len(tried) if tried and all(op.outcome != "ok" for op in tried) else None


class StopRaft(StopKind):
    kind, process, look = "stop-raft", "raft", StopKind.unanswered


class StopApplier(StopKind):
    kind, process, look = "stop-applier", "applier", StopKind.unanswered


class StopBackends(StopKind):
    kind, process, look = "stop-backends", "backend", StopKind.unanswered


class StopPeers(StopKind):
    """All its links."""
    kind, process, look = "stop-peers", "peer", StopKind.unanswered


class StopWalwriter(StopKind):
    """Its writes are answered all the same, by the disks of the others."""
    kind, process = "stop-walwriter", "walwriter"

    def look(self):
        return not_flushed(self.member)


class StopCheckpointer(StopKind):
    kind, process = "stop-checkpointer", "checkpointer"

    def begin(self):
        super().begin()
        self.checkpoint = metric(self.member, "rusd_checkpoint_root")

    def look(self):
        return no_checkpoint(self.member, self.checkpoint)


class StopPager(StopKind):
    """A pager has work only while the cache is cold: the member is killed first, and the pager of its next life held at its first read."""
    kind, process = "stop-pager", "pager"

    def pids(self):
        killing = KillNode(self.scene)
        killing.victim, killing.member = self.victim, self.member
        killing.begin()
        self.scene.inject(self.victim, "pager-read=wait")
        killing.end()
        wait_until(lambda: self.member.of_kind("pager") or self.member.process.poll() is not None, "a pager is there")
        return super().pids()

    def begin(self):
        super().begin()
        self.scene.inject(self.victim)

    def look(self):
        client = Client(self.member.endpoint)
        error = error_of(client.range, b"\0", b"\0", timeout=0.4, serializable=True)
        client.close()
        return "reads wait" if error is not None else None


def not_flushed(member):
    """Its log does not reach the disk."""
    appended, flushed = metric(member, "rusd_wal_appended_bytes"), metric(member, "rusd_wal_flushed_bytes")
    return "%d bytes not flushed" % (appended - flushed) if flushed is not None and flushed < appended else None


def no_checkpoint(member, before):
    now = metric(member, "rusd_checkpoint_root")
    return "still at checkpoint %d" % now if now is not None and now == before else None


class KillKind(Fault):
    """SIGKILL to one process of a kind.  With an essential one all others go, and come back by themselves."""

    def begin(self):
        self.gone = []
        pids, ours = self.member.of_kind(self.process), essentials(self.member)
        if not pids:
            return
        if self.process in ESSENTIAL:
            self.scene.live(self.victim)
        self.gone = [self.chooser.choice(pids)]
        send(self.gone, signal.SIGKILL)
        if self.process in ESSENTIAL:
            wait_until(lambda: not any(alive(p) for p in ours), "the other processes are stopped")
            self.scene.live(self.victim)

    def end(self):
        pass

    def felt(self):
        return "%d is gone, others are there" % self.gone[0] if self.gone and not alive(self.gone[0]) and self.member.of_kind(self.process) else None


class KillRaft(KillKind):
    kind, process = "kill-raft", "raft"


class KillWalwriter(KillKind):
    kind, process = "kill-walwriter", "walwriter"


class KillApplier(KillKind):
    kind, process = "kill-applier", "applier"


class KillPager(KillKind):
    kind, process = "kill-pager", "pager"


class KillCheckpointer(KillKind):
    kind, process = "kill-checkpointer", "checkpointer"


class KillBackend(KillKind):
    kind, process = "kill-backend", "backend"


class KillPeer(KillKind):
    kind, process = "kill-peer", "peer"


# ---- disk and clock ----

class Injected(Fault):
    def lines(self):
        """For the member's file of injections."""
        raise NotImplementedError

    def begin(self):
        self.scene.inject(self.victim, *self.lines())

    def end(self):
        self.scene.inject(self.victim)


class StallLog(Injected):
    """fdatasync of the log does not come back."""
    kind = "stall-log"

    def lines(self):
        return ("wal-before-sync=wait",)

    def end(self):
        self.during = not_flushed(self.member)
        super().end()

    def felt(self):
        return self.during


class StallData(Injected):
    """fdatasync of the data file does not come back."""
    kind = "stall-data"

    def lines(self):
        return ("checkpoint-before-sync=wait",)

    def begin(self):
        super().begin()
        self.checkpoint = metric(self.member, "rusd_checkpoint_root")

    def end(self):
        self.during = no_checkpoint(self.member, self.checkpoint)
        super().end()

    def felt(self):
        return self.during


class FailLog(Injected):
    """fdatasync of the log fails: the member ends by itself, the others go on."""
    kind = "fail-log"

    def lines(self):
        return ("wal-sync-error=error",)

    def begin(self):
        self.scene.live(self.victim)
        super().begin()

    def end(self):
        self.status = self.member.wait()
        check(self.status > 0, "the member ended with status %s after a failed sync" % self.status)
        super().end()
        self.member.launch()
        self.cluster.know()
        self.scene.live(self.victim)

    def felt(self):
        return "status %d" % self.status


class Clock(Injected):
    """What its clock shows is seen in the Date of its answers."""

    def end(self):
        self.during = self.ahead()
        super().end()

    def ahead(self):
        """Seconds that its clock is ahead of ours by more than it was before."""
        c = http.client.HTTPConnection("127.0.0.1", self.member.client, timeout=2)
        try:
            c.request("GET", "/version")
            date = c.getresponse().getheader("Date")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            c.close()
        return email.utils.parsedate_to_datetime(date).timestamp() - time.time() - self.before

    def begin(self):
        self.before = 0
        self.before = self.ahead() or 0
        super().begin()

    def felt(self):
        return "%.0f s ahead" % self.during if self.during is not None and self.during > 3 else None


class JumpClock(Clock):
    kind = "jump-clock"

    def lines(self):
        self.scene.jumped[self.victim] += self.chooser.choice([6, 20, 100, 1000]) * 1000
        return ()


class FastClock(Clock):
    kind = "fast-clock"

    def lines(self):
        return ("clock-rate=%d" % (self.chooser.choice([8, 20, 50]) * 1000),)


PROCESSES = [StopRaft, StopWalwriter, StopApplier, StopCheckpointer, StopBackends, StopPeers,
             KillRaft, KillWalwriter, KillApplier, KillPager, KillCheckpointer, KillBackend, KillPeer]
INJECTED = [StopPager, StallLog, StallData, FailLog, JumpClock, FastClock]
