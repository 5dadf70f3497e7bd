#!/usr/bin/python3
"""The expressions of alert rules on consensus, peers, snapshots and disks (etcd-api.md 7.5): each becomes true when its cause is made, and false
when it has ended.  The windows of the rules are two looks at /metrics some seconds apart; the time for which an alert has to hold is left out.

    alerts.py --server build/gcc-inject/rusd            (a build with injection points)

test/cluster/alerts.py
"""
import argparse
import concurrent.futures
import http.client
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from cluster import Cluster                                                     # noqa: E402
from node import Client, Tap, check, error_of, wait_until                       # noqa: E402

FLAGS = ["--log-level=info", "--checkpoint-interval=1s"]
WINDOW = 2.0                    # seconds that a rate is taken over, at least

# What HTTP-21 and etcd-api.md 7.1 have of consensus, peers, snapshots and disks: {name: (type, labels)}.
EXPECTED = {
    "etcd_server_has_leader": ("gauge", ""), "etcd_server_is_leader": ("gauge", ""), "etcd_server_is_learner": ("gauge", ""),
    "etcd_server_leader_changes_seen_total": ("counter", ""), "etcd_server_heartbeat_send_failures_total": ("counter", ""),
    "etcd_server_slow_apply_total": ("counter", ""), "etcd_server_slow_read_indexes_total": ("counter", ""),
    "etcd_server_read_indexes_failed_total": ("counter", ""), "etcd_server_proposals_committed_total": ("gauge", ""),
    "etcd_server_proposals_applied_total": ("gauge", ""), "etcd_server_proposals_pending": ("gauge", ""),
    "etcd_server_proposals_failed_total": ("counter", ""), "etcd_server_learner_promote_successes": ("counter", ""),
    "etcd_server_snapshot_apply_in_progress_total": ("gauge", ""), "etcd_server_id": ("gauge", "server_id"),
    "etcd_network_active_peers": ("gauge", "Local,Remote"), "etcd_network_known_peers": ("gauge", "Local,Remote"),
    "etcd_network_disconnected_peers_total": ("counter", "Local,Remote"),
    "etcd_network_peer_sent_bytes_total": ("counter", "To"), "etcd_network_peer_sent_failures_total": ("counter", "To"),
    "etcd_network_peer_received_bytes_total": ("counter", "From"), "etcd_network_peer_received_failures_total": ("counter", "From"),
    "etcd_network_peer_round_trip_time_seconds": ("histogram", "To"),
    "etcd_network_snapshot_send_inflights_total": ("gauge", "To"), "etcd_network_snapshot_send_success": ("counter", "To"),
    "etcd_network_snapshot_send_failures": ("counter", "To"), "etcd_network_snapshot_send_total_duration_seconds": ("histogram", "To"),
    "etcd_network_snapshot_receive_inflights_total": ("gauge", "From"), "etcd_network_snapshot_receive_success": ("counter", "From"),
    "etcd_network_snapshot_receive_failures": ("counter", "From"), "etcd_network_snapshot_receive_total_duration_seconds": ("histogram", "From"),
    "etcd_disk_wal_fsync_duration_seconds": ("histogram", ""), "etcd_disk_wal_write_duration_seconds": ("histogram", ""),
    "etcd_disk_wal_write_bytes_total": ("gauge", ""), "etcd_disk_backend_commit_duration_seconds": ("histogram", ""),
    "etcd_mvcc_db_total_size_in_bytes": ("gauge", ""), "etcd_mvcc_db_total_size_in_use_in_bytes": ("gauge", ""),
}
FIRST_BOUND, BOUNDS = {"etcd_network_peer_round_trip_time_seconds": 0.0001, "etcd_disk_wal_fsync_duration_seconds": 0.001}, \
    {"etcd_network_peer_round_trip_time_seconds": 16, "etcd_disk_wal_fsync_duration_seconds": 14}


# ---- the evaluator ----

class Look:
    """What a scrape found: {(name, labels): value}, and when; up 0: it did not answer."""

    def __init__(self, member):
        self.when, self.values, self.up = time.monotonic(), {}, 0
        try:
            page = member.metrics(2)
        except (OSError, http.client.HTTPException):
            return
        self.up = 1
        for line, value in page.items():
            name, _, labels = line.partition("{")
            self.values[name, tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels)))] = value

    def named(self, name):
        return {labels: value for (n, labels), value in self.values.items() if n == name}


class Range:
    """Two looks at the same member."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    def increase(self, name):
        """{labels: by how much it rose}; a series that is new counts from 0, one that fell began anew."""
        before = self.first.named(name)
        return {labels: value - before.get(labels, 0) if value >= before.get(labels, 0) else value for labels, value in self.last.named(name).items()}

    def rate(self, name):
        seconds = self.last.when - self.first.when
        return {labels: value / seconds for labels, value in self.increase(name).items()}

    def quantile(self, q, name):
        """histogram_quantile(q, rate(name_bucket)) by the labels but le; series without anything new are not there."""
        found, by = {}, {}
        for labels, value in self.rate(name + "_bucket").items():
            rest = tuple(x for x in labels if x[0] != "le")
            by.setdefault(rest, []).append((float(dict(labels)["le"]), value))
        for rest, buckets in by.items():
            buckets.sort()
            if buckets[-1][1] == 0:
                continue
            rank, low, below = q * buckets[-1][1], 0.0, 0.0
            for bound, count in buckets:
                if count >= rank:
                    found[rest] = low if bound == float("inf") else low + (bound - low) * ((rank - below) / (count - below) if count > below else 1)
                    break
                low, below = bound, count
        return found


RULES = {
    "etcdMembersDown": lambda ranges: any(r.last.up == 0 for r in ranges) or
    any(rate > 0.01 for r in ranges for rate in r.rate("etcd_network_peer_sent_failures_total").values()),
    "etcdInsufficientMembers": lambda ranges: sum(r.last.up for r in ranges) < (len(ranges) + 1) / 2,
    "etcdNoLeader": lambda ranges: any(v == 0 for r in ranges for v in r.last.named("etcd_server_has_leader").values()),
    "etcdHighNumberOfLeaderChanges": lambda ranges: any(v >= 4 for r in ranges for v in r.increase("etcd_server_leader_changes_seen_total").values()),
    "etcdMemberCommunicationSlow": lambda ranges: any(v > 0.15 for r in ranges for v in r.quantile(0.99, "etcd_network_peer_round_trip_time_seconds").values()),
    "etcdHighNumberOfFailedProposals": lambda ranges: any(v > 5 for r in ranges for v in r.rate("etcd_server_proposals_failed_total").values()),
    "etcdHighFsyncDurations warning": lambda ranges: any(v > 0.5 for r in ranges for v in r.quantile(0.99, "etcd_disk_wal_fsync_duration_seconds").values()),
    "etcdHighFsyncDurations critical": lambda ranges: any(v > 1 for r in ranges for v in r.quantile(0.99, "etcd_disk_wal_fsync_duration_seconds").values()),
    "etcdHighCommitDurations": lambda ranges: any(v > 0.25 for r in ranges for v in r.quantile(0.99, "etcd_disk_backend_commit_duration_seconds").values()),
}


class Watcher:
    """Looks at all members again and again; a rule is asked about the time since it was begun, or since the last look."""

    def __init__(self, cluster):
        self.members = list(cluster.members.values())
        self.begin()

    def begin(self):
        self.first = [Look(m) for m in self.members]

    def ranges(self):
        return [Range(a, Look(m)) for a, m in zip(self.first, self.members)]

    def becomes_true(self, *rules):
        for rule in rules:
            wait_until(lambda rule=rule: RULES[rule](self.ranges()), "%s is true" % rule, every=0.1)

    def becomes_false(self, *rules):
        """In a window that begins when the cause has ended."""
        def holds():
            self.begin()
            wait_until(lambda: time.monotonic() > self.first[-1].when + WINDOW, "the window", every=0.1)
            ranges = self.ranges()
            return not any(RULES[rule](ranges) for rule in rules)
        wait_until(holds, "false again: %s" % (rules,), limit=60)


# ---- what the rules are about ----

def names(cluster):
    """HTTP-21: names, types, labels, bounds."""
    for member in cluster.members.values():
        page = member.get("/metrics")[1]
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.M))
        look = Look(member)
        for name, (kind, labels) in EXPECTED.items():
            check(types.get(name) == kind, "%s is a %s, not a %s" % (name, types.get(name), kind))
            series = look.named(name + ("_count" if kind == "histogram" else ""))
            check({",".join(sorted(label for label, _ in found)) for found in series} == {labels}, "%s has the series %s" % (name, sorted(series)))
            check(len(series) == (2 if "To" in labels or "From" in labels or "Remote" in labels else 1), "%s has %d series" % (name, len(series)))
        for name, first in FIRST_BOUND.items():
            bounds = sorted({float(dict(labels)["le"]) for labels in look.named(name + "_bucket")})
            wanted = [first * 2 ** i for i in range(BOUNDS[name])] + [float("inf")]
            check(len(bounds) == len(wanted) and all(a == b or abs(a - b) < 1e-6 * b for a, b in zip(bounds, wanted)), "bounds of %s: %s" % (name, bounds))
        others = {"%x" % m.status().header.member_id for m in cluster.members.values() if m is not member}
        check({dict(labels)["To"] for labels in look.named("etcd_network_peer_sent_bytes_total")} == others, "peers of %s" % member.name)
        check(all(v == 1 for v in look.named("etcd_network_active_peers").values()), "peers that are not active")
        check(all(v > 0 for v in look.named("etcd_network_peer_sent_bytes_total").values()), "nothing was sent")
        check(all(v > 0 for v in look.named("etcd_network_peer_received_bytes_total").values()), "nothing was received")
        wait_until(lambda m=member: all(v > 0 for v in Look(m).named("etcd_network_peer_round_trip_time_seconds_count").values()), "round trips are measured")
        wait_until(lambda m=member: Look(m).named("etcd_disk_backend_commit_duration_seconds_count")[()] > 0, "a checkpoint")


def put_some(cluster, client):
    check(error_of(client.put, b"k", b"v" * 100, timeout=10) is None, "a put")


def leader_and_rest(cluster):
    name = cluster.wait_leader(30)
    return cluster.members[name], [m for n, m in cluster.members.items() if n != name]


def quiet(cluster):
    """Nothing is the matter: no rule is true."""
    client = Client(leader_and_rest(cluster)[0].endpoint)
    for _ in range(20):
        put_some(cluster, client)
    client.close()
    Watcher(cluster).becomes_false(*RULES)


def slow_disk(cluster):
    """The log's disk of a follower takes more than a second for each sync, and so does the data file's."""
    leader, rest = leader_and_rest(cluster)
    ill, client, watcher = rest[0], Client(leader.endpoint), Watcher(cluster)
    for point, rules in [("wal-before-sync", ("etcdHighFsyncDurations warning", "etcdHighFsyncDurations critical")),
                         ("checkpoint-before-sync", ("etcdHighCommitDurations",))]:
        watcher.begin()
        for _ in range(3):
            ill.inject(point + "=wait")
            held = time.monotonic()
            put_some(cluster, client)
            wait_until(lambda: time.monotonic() > held + 2.2, "a sync takes its time", every=0.1)
            ill.inject("")
            put_some(cluster, client)
            if all(RULES[rule](watcher.ranges()) for rule in rules):
                break
        watcher.becomes_true(*rules)
        put_some(cluster, client)
        watcher.becomes_false(*rules)
    client.close()


def slow_link(cluster):
    a, b = leader_and_rest(cluster)[1]
    watcher = Watcher(cluster)
    for x, y in ((a, b), (b, a)):
        cluster.router.rule(x.name, y.name, delay=0.2)
    watcher.becomes_true("etcdMemberCommunicationSlow")
    cluster.heal()
    watcher.becomes_false("etcdMemberCommunicationSlow")


def leaders_change(cluster):
    watcher = Watcher(cluster)

    def moved():
        leader, rest = leader_and_rest(cluster)
        target, client = rest[0].status(), Client(leader.endpoint)
        error_of(client.call, "Maintenance/MoveLeader", client.message("MoveLeaderRequest", targetID=target.header.member_id), 10)
        client.close()
        return RULES["etcdHighNumberOfLeaderChanges"](watcher.ranges())
    wait_until(moved, "etcdHighNumberOfLeaderChanges is true")
    watcher.becomes_false("etcdHighNumberOfLeaderChanges")


def members_down(cluster):
    """One, then two: without a quorum nobody leads, and what is proposed fails."""
    leader, (first, alone) = leader_and_rest(cluster)
    watcher = Watcher(cluster)
    first.stop()
    watcher.becomes_true("etcdMembersDown")
    check(not RULES["etcdInsufficientMembers"](watcher.ranges()), "two of three are too few")
    rates = Range(watcher.first[0], Look(leader)).rate("etcd_network_peer_sent_failures_total")
    check(RULES["etcdMembersDown"]([Range(a, b.last) for a, b in zip(watcher.first, watcher.ranges()) if b.last.up]), "what the others have sent: %s" % rates)
    leader.stop()
    watcher.becomes_true("etcdInsufficientMembers", "etcdNoLeader")
    watcher.begin()
    clients = [Client(alone.endpoint) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(lambda c=c, i=i: [f.exception(20) for f in [c.begin("KV/Put", c.message("PutRequest", key=b"x%d" % i, value=b"y"), 20) for _ in range(100)]])
                 for i, c in enumerate(clients)]
        watcher.becomes_true("etcdHighNumberOfFailedProposals")
        for call in calls:
            call.result()
    for c in clients:
        c.close()
    cluster.start([first, leader])
    cluster.all_write(b"healed", 30)
    watcher.becomes_false(*RULES)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    tap = Tap()
    with Cluster(options.server, 3, 1, FLAGS) as cluster:
        cluster.start()
        for name, function in [("metrics of consensus, peers, snapshots and disks (HTTP-21)", names),
                               ("no alert when nothing is the matter", quiet),
                               ("alerts of disks", slow_disk),
                               ("alerts of a slow link", slow_link),
                               ("alerts of leaders that change", leaders_change),
                               ("alerts of members that are down", members_down)]:
            if options.only in name:
                tap.run(name, function, cluster)
    tap.end()


main()
