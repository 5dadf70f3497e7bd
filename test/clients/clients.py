#!/usr/bin/python3
"""Clients that others wrote, against rusd and against a real etcd: what they print may differ in ids only. TAP.

    clients.py --server build/gcc/rusd [--etcd PATH] [--etcdctl PATH]

etcdctl (Debian's etcd-client) runs etcdctl.script, python3-etcd3 runs etcd3_script.py.

test/clients/clients.py
"""
import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "regress"))
import regress                                                          # noqa: E402
from node import Failure, Node, Tap, check                              # noqa: E402


def through_etcdctl(server, etcdctl):
    """The script's output; the ids have names, and etcdctl's own log lines, which bear times and addresses of its memory, are left out."""
    with open(os.path.join(HERE, "etcdctl.script")) as f:
        text = f.read()
    out = regress.run_script(text, argparse.Namespace(server=server, ctl=etcdctl), None)
    return re.sub(r'^! \{"level":"warn".*\n', "", out, flags=re.M)


def through_python(server):
    with Node(server) as node:
        done = subprocess.run([sys.executable, os.path.join(HERE, "etcd3_script.py"), str(node.client)], capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr + "status %d\n" % done.returncode


def compare(run, args, *more):
    real, ours = run(args.etcd, *more), run(args.server, *more)
    check(len(real.splitlines()) > 30, "the client did not get far with etcd:\n" + real)
    if real != ours:
        raise Failure("".join(difflib.unified_diff(real.splitlines(True), ours.splitlines(True), "etcd", "rusd", n=2)))
    print("# %d lines, the same" % len(real.splitlines()))


def version_of(program):
    return subprocess.run([program, "version" if "etcdctl" in program else "--version"], capture_output=True, text=True).stdout.splitlines()[0]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--etcd", default="etcd")
    p.add_argument("--etcdctl", default="etcdctl")
    args = p.parse_args()
    args.etcd, args.etcdctl = shutil.which(args.etcd), shutil.which(args.etcdctl)
    tap = Tap()
    if args.etcd is None or args.etcdctl is None:
        print("not ok 1 - etcd and etcdctl are installed (Debian: etcd-server, etcd-client)")
        sys.exit(1)
    print("# %s; %s; %s" % (version_of(args.etcd), version_of(args.etcdctl), version_of(args.server)))
    tap.run("etcdctl", compare, through_etcdctl, args, args.etcdctl)
    try:
        import etcd3                                                    # noqa: F401
        tap.run("python3-etcd3", compare, through_python, args)
    except ImportError:
        tap.run("python3-etcd3", lambda: check(False, "not installed (Debian: python3-etcd3)"))
    tap.end()


main()
