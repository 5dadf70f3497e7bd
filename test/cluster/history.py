"""What clients did and saw, and what a store does: the one description that the workload writes and both checkers read.

An operation is an Op.  f says what it does:

    put     key, value                      writes; prev in the result: the value before, None if there was none
    delete  key                             prev likewise: None means that it changed nothing
    cas     key, expect, puts, dels, gets   transaction: if the value of key is expect (None: absent), writes puts ({key: value}) and
                                            deletes dels; then reads gets.  done in the result: whether it did; found: what gets saw
    get     keys                            linearizable read; found in the result: {key: value, None where there is none}
    serial  keys                            serializable read

outcome: "ok" (result is there: rev, the revision of the answer's header, and what is named above), "failed" (it surely had and will
have no effect), "unknown" (it may have had, and may have yet).  Times are seconds of one clock; end is None if unknown.
A value is used once, so it tells the operation that wrote it.

The log is what the server did in the order of revisions: [(revision, {key: value, None: deleted})], without gaps.

test/cluster/history.py
"""
import json

PROBE = "probe/"                # keys that are written beside the history: no operation explains them


class Op:
    __slots__ = ("id", "client", "f", "args", "start", "end", "outcome", "result", "where")

    def __init__(self, id, client, f, args, start, end=None, outcome="unknown", result=None, where=None):
        self.id, self.client, self.f, self.args, self.start, self.end = id, client, f, args, start, end
        self.outcome, self.result = outcome, result
        self.where = where      # (member, life): answers of one life of one member never go back in revision

    @property
    def reads(self):
        return self.f in ("get", "serial")

    def __str__(self):
        return "%s %s by %s, %.6f..%s: %s %s" % (self.f, self.args, self.client, self.start, "" if self.end is None else "%.6f" % self.end,
                                                 self.outcome, self.result if self.result is not None else "")


def keys_of(op):
    """All keys that it names."""
    a = op.args
    if op.reads:
        return set(a["keys"])
    return {a["key"]} | set(a.get("puts", ())) | set(a.get("dels", ())) | set(a.get("gets", ()))


def changes(op, state):
    """What it writes in this state: {key: value or None}; empty if nothing, and then no revision is made."""
    a = op.args
    if op.f == "put":
        return {a["key"]: a["value"]}
    if op.f == "delete":
        return {a["key"]: None} if state.get(a["key"]) is not None else {}
    if op.f == "cas" and state.get(a["key"]) == a["expect"]:
        written = {key: None for key in a.get("dels", ()) if state.get(key) is not None}
        written.update(a["puts"])
        return written
    return {}


def answer(op, before, after):
    """What the server has to say (without the revision) when it goes from the one state to the other."""
    a = op.args
    if op.reads:
        return {"found": {k: after.get(k) for k in a["keys"]}}
    if op.f == "cas":
        return {"done": before.get(a["key"]) == a["expect"], "found": {k: after.get(k) for k in a.get("gets", ())}}
    return {"prev": before.get(a["key"])}


def fits(op, before, after):
    """Whether the result is what the server had to say.  What was not asked for is not in the result."""
    wanted = answer(op, before, after)
    return all(wanted[k] == v for k, v in op.result.items() if k != "rev")


def apply(state, written):
    """The state after a revision."""
    after = dict(state)
    for key, value in written.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value
    return after


def save(path, ops, log, **more):
    with open(path, "w") as f:
        json.dump(dict(more, log=log, ops=[{n: getattr(op, n) for n in Op.__slots__} for op in ops]), f, indent=0)


def load(path):
    """(operations, log, everything else)."""
    with open(path) as f:
        whole = json.load(f)
    ops = [Op(**dict({"id": i, "client": "c%d" % i}, **o)) for i, o in enumerate(whole.pop("ops"))]
    return ops, [(r, w) for r, w in whole.pop("log")], whole
