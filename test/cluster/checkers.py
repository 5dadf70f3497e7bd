#!/usr/bin/python3
"""The checkers of histories, checked: what is good passes, what is bad does not, and both find the same.

    checkers.py [--seed N] [--histories N]      the corpus in histories/, then as many drawn by lot
    checkers.py FILE                            one history, as chaos.py leaves it behind when it fails

test/cluster/checkers.py
"""
import argparse
import glob
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from history import Op, apply, answer, changes, load                    # noqa: E402
from linear import check_history                                        # noqa: E402
from node import Tap, check                                             # noqa: E402
from wgl import Revisions, Undecided, Values, linearizable              # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# What the search cannot see: rules about serializable reads and about failed operations, and revisions by which the log is counted.
BEYOND_SEARCH = {"backwards", "undone"}


def searched(ops, log, limit=200000):
    """The verdict of the search that knows the log; a last operation reads everything, so that the log has to be used up."""
    last = log[-1][0] if log else 1
    state = {}
    for _, written in log:
        state = apply(state, written)
    late = max([op.start for op in ops] + [op.end for op in ops if op.end is not None], default=0.0) + 1
    end = Op(-1, "end", "get", {"keys": sorted(state)}, late, late + 1, "ok", {"rev": last, "found": state})
    return linearizable(list(ops) + [end], Revisions(log), limit)


# ---- the corpus ----

def one_of_corpus(path):
    ops, log, rest = load(path)
    rules = {rule for rule, _ in check_history(ops, log)}
    check(rules == set(rest["verdict"]), "%s: found %s" % (rest["about"], check_history(ops, log)))
    if rules <= BEYOND_SEARCH and rules or any(op.f == "serial" for op in ops) and rules:
        return
    if any(key.startswith("probe/") for _, written in log for key in written):
        return
    good = searched(ops, log)
    check(good == (not rules), "%s: the search says %s" % (rest["about"], good))


# ---- histories by lot ----

class Store:
    """A linearizable store that answers operations at moments drawn by lot."""

    def __init__(self, chooser):
        self.chooser, self.state, self.revision, self.log, self.ops, self.value = chooser, {}, 1, [], [], 0

    def draw(self, key):
        """What one client asks for."""
        chance, keys = self.chooser.random(), ["a", "b", "c"]
        self.value += 1
        value = str(self.value)
        if chance < 0.3:
            return "put", {"key": key, "value": value}
        if chance < 0.45:
            return "delete", {"key": key}
        if chance < 0.7:
            expect = self.state.get(key) if self.chooser.random() < 0.7 else str(self.chooser.randint(1, self.value))
            puts = {k: value + k for k in self.chooser.sample(keys, self.chooser.randint(1, 2))}
            return "cas", {"key": key, "expect": expect, "puts": puts, "dels": [k for k in keys if k not in puts][:self.chooser.randint(0, 1)], "gets": keys[:2]}
        return ("get" if chance < 0.9 else "serial"), {"keys": self.chooser.sample(keys, 2)}

    def happen(self, op):
        """At this moment."""
        written = changes(op, self.state)
        before, self.state = self.state, apply(self.state, written)
        if written:
            self.revision += 1
            self.log.append((self.revision, written))
        op.result = dict(answer(op, before, self.state), rev=self.revision)

    def run(self, clients, count):
        """Each client does one thing after the other; what happens between its beginning and its end is one moment."""
        now, open_ops, late = 0.0, {}, []
        while len(self.ops) < count or open_ops:
            now += 1
            for op in [o for o in late if self.chooser.random() < 0.1]:     # of unknown outcome, done at last
                late.remove(op)
                self.happen(op)
                op.result = None
            client = self.chooser.randrange(clients)
            if client not in open_ops:
                if len(self.ops) < count:
                    f, args = self.draw(self.chooser.choice("abc"))
                    op = open_ops[client] = Op(len(self.ops), "c%d" % client, f, args, now)
                    self.ops.append(op)
                continue
            op = open_ops[client]
            if op.result is None and self.chooser.random() < 0.7:
                fate = self.chooser.random()
                if fate < 0.1 and not op.reads:
                    op.outcome = "failed" if fate < 0.03 else "unknown"
                    op.end = now if fate < 0.03 else None
                    if 0.03 <= fate < 0.07:
                        late.append(op)
                    del open_ops[client]
                else:
                    self.happen(op)
            elif op.result is not None:
                op.outcome, op.end = "ok", now
                del open_ops[client]


def spoil(chooser, ops, log):
    """One change, which may or may not make the history a bad one."""
    done = [op for op in ops if op.outcome == "ok"]
    op, kind = chooser.choice(done), chooser.randrange(9)
    if kind == 0:
        op.result["rev"] = max(1, op.result["rev"] + chooser.choice([-2, -1, 1]))
    elif kind == 1:
        found = op.result.get("found")
        if found:
            found[chooser.choice(sorted(found))] = chooser.choice([None, "1", "2a", "3"])
        elif "prev" in op.result:
            op.result["prev"] = chooser.choice([None, "1", "2"])
    elif kind == 2 and log:
        number = chooser.randrange(len(log))
        del log[number]
        log[number:] = [(r - 1, w) for r, w in log[number:]]
    elif kind == 3 and len(log) > 1:
        number = chooser.randrange(len(log) - 1)
        (r, v), (s, w) = log[number:number + 2]
        log[number:number + 2] = [(r, w), (s, v)]
    elif kind == 4:
        op.start = min(op.start + chooser.randint(1, 8), op.end)
    elif kind == 5:
        op.end = max(op.end - chooser.randint(1, 8), op.start)
    elif kind == 6 and "done" in op.result:
        op.result["done"] = not op.result["done"]
    elif kind == 7:
        op.outcome, op.end, op.result = "unknown", None, None
    elif kind == 8:
        shift = chooser.choice([-6, -3, 3, 6])
        op.start, op.end = op.start + shift, op.end + shift


def by_lot(count, seed):
    """The linear checker and the search that knows the log say the same; the search that knows values only accepts what they accept."""
    chooser, good, bad, undecided = random.Random(seed), 0, 0, 0
    for number in range(count):
        store = Store(chooser)
        store.run(chooser.randint(1, 5), chooser.randint(5, 25))
        ops, log = store.ops, store.log
        if any(op.outcome == "ok" for op in ops):
            for _ in range(chooser.choice([0, 1, 1, 1, 2])):
                spoil(chooser, ops, log)
                if not any(op.outcome == "ok" for op in ops):
                    break
        rules = [r for r, text in check_history([op for op in ops if op.f != "serial"], log)]
        if set(rules) & BEYOND_SEARCH:
            continue
        try:
            plain, known = linearizable(ops, Values()), searched(ops, log)
        except Undecided:
            undecided += 1
            continue
        where = "history %d of seed %d: " % (number, seed)
        check(known == (not rules), where + "the linear checker says %s, the search %s\n%s\n%s" % (rules, known, "\n".join(map(str, ops)), log))
        check(plain or rules, where + "without revisions it cannot be, and the linear checker accepts it\n%s\n%s" % ("\n".join(map(str, ops)), log))
        good, bad = good + (not rules), bad + bool(rules)
    print("# %d good, %d bad, %d undecided" % (good, bad, undecided))
    check(min(good, bad) > count / 10 and undecided < count / 10, "%d good and %d bad histories of %d, %d undecided" % (good, bad, count, undecided))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    p.add_argument("--histories", type=int, default=1500)
    p.add_argument("file", nargs="?")
    args = p.parse_args()
    if args.file is not None:
        ops, log, _ = load(args.file)
        found = check_history(ops, log)
        for rule, text in found:
            print("%s: %s" % (rule, text))
        sys.exit(1 if found else 0)
    tap = Tap()
    for path in sorted(glob.glob(os.path.join(HERE, "histories", "*.json"))):
        tap.run(os.path.basename(path)[:-5], one_of_corpus, path)
    print("# to repeat: checkers.py --seed %d --histories %d" % (args.seed, args.histories))
    tap.run("%d histories by lot: both checkers agree (seed %d)" % (args.histories, args.seed), by_lot, args.histories, args.seed)
    tap.end()


main()
