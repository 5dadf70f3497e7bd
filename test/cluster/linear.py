"""Is a history linearizable, given the order in which the server says it made its revisions?  In linear time, but for one sort.

The order of the writes is not searched for: the log gives it.  So each operation has its place, a write at its revision, a read
behind the revision in its answer, and there is nothing left but to look whether everything fits its place:

    explained   every revision is the whole effect, in the state before it, of one operation that was sent; a value comes once
    lost        what was answered as done is in the log, at the revision of the answer
    undone      what surely failed is not in the log
    answer      the answer is the one that the state at its place gives; a transaction's condition held there, also where its
                outcome was unknown
    real time   an operation that began after another one's end is placed behind it (KV-31 for reads)
    backwards   answers of one life of one member do not go back in revision, those of serializable reads included

An unknown outcome (RAFT-32) is settled by the log: there, or without effect.  Deletes have no value: an unexplained revision that only
deletes is given to the unknown delete of that key that was begun first; as such deletes have no end, no other choice fits
where this one does not.

test/cluster/linear.py
"""
import bisect
import collections

from history import PROBE, answer, apply, changes, fits


def check_history(ops, log):
    """A list of (rule, text), empty if the history is good."""
    return _Check(ops, log).run()


class _Check:
    def __init__(self, ops, log):
        self.ops, self.log, self.found = ops, log, []
        self.place = {}                     # id of operation: (revision, 0 for a write, 1 for what only reads)
        self.by_value = {}
        self.deletes = collections.defaultdict(list)        # (key) -> unknown deletes, the first begun last
        self.at = collections.defaultdict(list)             # revision -> operations answered with it
        for op in ops:
            for value in ([op.args["value"]] if op.f == "put" else op.args["puts"].values() if op.f == "cas" else ()):
                self.by_value[value] = op
            if op.outcome == "ok":
                self.at[op.result["rev"]].append(op)
            elif op.f == "delete" and op.outcome == "unknown":
                self.deletes[op.args["key"]].append(op)
        for unknown in self.deletes.values():
            unknown.sort(key=lambda op: -op.start)

    def say(self, rule, text):
        self.found.append((rule, text))

    def run(self):
        state, revision = {}, self.log[0][0] - 1 if self.log else 1
        first = revision
        self.readers(revision, state)
        for number, written in self.log:
            if number != revision + 1:
                self.say("explained", "revision %d follows %d" % (number, revision))
            revision, before = number, state
            state = apply(before, written)
            self.writer(revision, written, before, state)
            self.readers(revision, state)
        for op in self.ops:
            if op.outcome == "ok" and not first <= op.result["rev"] <= revision:
                self.say("lost", "the log ends at %d: %s" % (revision, op))
        self.real_time()
        self.backwards()
        return self.found

    # ---- places ----

    def writer(self, revision, written, before, state):
        """Finds who made a revision."""
        if all(key.startswith(PROBE) for key in written):
            return
        values = [v for v in written.values() if v is not None]
        op = self.by_value.get(values[0]) if values else self.deleter(revision, written)
        if op is None:
            return self.say("explained", "nobody sent what revision %d holds: %s" % (revision, written))
        if op.id in self.place:
            return self.say("explained", "revision %d holds once more: %s" % (revision, op))
        self.place[op.id] = (revision, 0)
        if op.outcome == "failed":
            self.say("undone", "revision %d holds: %s" % (revision, op))
        elif changes(op, before) != written:
            self.say("explained" if changes(op, before) else "answer", "revision %d holds %s, and not the effect of: %s" % (revision, written, op))
        elif op.outcome == "ok" and op.result["rev"] != revision:
            self.say("lost", "revision %d, answered with another: %s" % (revision, op))
        elif op.outcome == "ok" and not fits(op, before, state):
            self.say("answer", "it had to be %s: %s" % (answer(op, before, state), op))

    def deleter(self, revision, written):
        """Of a revision that deletes one key, or several (a transaction always writes a value too)."""
        for op in self.at[revision]:
            if op.f == "delete" and op.result.get("prev") is not None and list(written) == [op.args["key"]]:
                return op
        unknown = self.deletes.get(list(written)[0]) if len(written) == 1 else None
        return unknown.pop() if unknown else None

    def readers(self, revision, state):
        """Answers with this revision that are not its write."""
        for op in self.at[revision]:
            if op.id in self.place:
                continue
            if self.answered_as_done(op):
                self.say("lost", "revision %d is something else: %s" % (revision, op))
                continue
            if not fits(op, state, state):
                self.say("answer", "at revision %d it had to be %s: %s" % (revision, answer(op, state, state), op))
            self.place[op.id] = (revision, 1)

    @staticmethod
    def answered_as_done(op):
        """Whether the answer says that it wrote something."""
        return op.f == "put" or op.f == "delete" and op.result.get("prev") is not None or op.f == "cas" and op.result["done"]

    # ---- time ----

    def real_time(self):
        """Sweeps over the ends in the order of time, keeping the last place among them."""
        placed = [op for op in self.ops if op.id in self.place and op.outcome != "failed"]
        ended = sorted((op for op in placed if op.end is not None and op.outcome == "ok"), key=lambda op: op.end)
        last, at = None, 0
        for op in sorted(placed, key=lambda op: op.start):
            while at < len(ended) and ended[at].end < op.start:
                if last is None or self.place[ended[at].id] > self.place[last.id]:
                    last = ended[at]
                at += 1
            if last is None or op.f == "serial":
                continue
            if self.place[op.id] < self.place[last.id]:
                self.say("real time", "placed at %s: %s\n   although before it began, at %s: %s" % (self.place[op.id], op, self.place[last.id], last))

    def backwards(self):
        lives = collections.defaultdict(list)
        for op in self.ops:
            if op.where is not None and op.outcome == "ok":
                lives[tuple(op.where)].append(op)
        for life in lives.values():
            ends, highest = [], []
            for op in sorted(life, key=lambda op: op.end):
                ends.append(op.end)
                highest.append(op if not highest or op.result["rev"] > highest[-1].result["rev"] else highest[-1])
            for op in life:
                before = bisect.bisect_left(ends, op.start)
                if before and highest[before - 1].result["rev"] > op.result["rev"]:
                    self.say("backwards", "%s\n   after the same member had answered: %s" % (op, highest[before - 1]))
