"""Is a history linearizable?  The search of Wing and Gong with Lowe's memory of where it has been: it knows nothing of revisions or
logs unless its model does, needs exponential time at worst, and so is for short histories, where it has to agree with linear.py.

J. Wing, C. Gong: Testing and verifying concurrent objects (1993); G. Lowe: Testing for linearizability (2017).

A model has first, the state that the history begins in (hashable), and step(state, op): the states that it may go to when op
happens with the result that was seen; for an unknown outcome with any result.

test/cluster/wgl.py
"""
from history import answer, apply, changes, fits


class Undecided(Exception):
    """The search was given up at its limit."""


class Values:
    """The store by values alone."""
    first = frozenset()

    def step(self, state, op):
        before = dict(state)
        after = apply(before, changes(op, before))
        if op.outcome == "ok" and not fits(op, before, after):
            return None
        return frozenset(after.items())


class Revisions:
    """The store with the revisions of its answers, and with the log it says to have: each state is a place in the log."""

    def __init__(self, log):
        self.log, self.first = log, 0
        self.states = [{}]
        for _, written in log:
            self.states.append(apply(self.states[-1], written))
        self.base = log[0][0] - 1 if log else 1

    def step(self, state, op):
        before = self.states[state]
        written = changes(op, before)
        if written:
            if state >= len(self.log) or self.log[state][1] != written:
                return None
            state += 1
        if op.outcome == "ok" and (op.result["rev"] != self.base + state or not fits(op, before, self.states[state])):
            return None
        return state


class _Entry:
    """Beginning or end of an operation in the order of time; a doubly linked list."""
    __slots__ = ("op", "bit", "end", "before", "after")

    def __init__(self, op, bit, end):
        self.op, self.bit, self.end, self.before, self.after = op, bit, end, None, None


def _entries(ops):
    """The list's head.  An operation without an end has a beginning only: it may be placed, or not at all."""
    events = []
    for i, op in enumerate(ops):
        begin, end = _Entry(op, 1 << i, None), None
        if op.outcome == "ok":
            end = begin.end = _Entry(None, 0, None)
            events.append((op.end, 1, i, end))
        events.append((op.start, 0, i, begin))
    head = _Entry(None, 0, None)
    last = head
    for _, _, _, entry in sorted(events, key=lambda e: e[:3]):      # at the same time beginnings come first: then they overlap
        last.after, entry.before, last = entry, last, entry
    return head


def _lift(entry):
    for e in (entry, entry.end):
        if e is not None:
            e.before.after = e.after
            if e.after is not None:
                e.after.before = e.before


def _unlift(entry):
    for e in (entry.end, entry):
        if e is not None:
            e.before.after = e
            if e.after is not None:
                e.after.before = e


def linearizable(ops, model, limit=200000):
    """True or False; Undecided after so many steps.  What surely failed does not count, serializable reads neither."""
    ops = [op for op in ops if op.outcome != "failed" and op.f != "serial" and not (op.reads and op.outcome == "unknown")]
    head, wanted = _entries(ops), sum(1 for op in ops if op.outcome == "ok")
    state, placed, done, seen, stack, steps = model.first, 0, 0, set(), [], 0
    entry = head.after
    while done < wanted:
        steps += 1
        if steps > limit:
            raise Undecided
        if entry is not None and entry.op is not None:
            reached = model.step(state, entry.op)
            mark = (placed | entry.bit, reached)
            if reached is not None and mark not in seen:
                seen.add(mark)
                stack.append((entry, state))
                state, placed = reached, placed | entry.bit
                done += entry.end is not None
                _lift(entry)
                entry = head.after
            else:
                entry = entry.after
        else:                           # the end of one that is not placed yet, or no more to try
            if not stack:
                return False
            entry, state = stack.pop()
            placed &= ~entry.bit
            done -= entry.end is not None
            _unlift(entry)
            entry = entry.after
    return True
