#!/usr/bin/python3
"""Runs the scripts of the schedule through rusdctl and compares what comes out, byte for byte. TAP.

    regress.py --server rusd --ctl rusdctl [NAME ...]         those named, else all of the schedule
    regress.py --server etcd --ctl rusdctl --record NAME ...  write expected/NAME.out anew

A script is a list of command lines, each after "$ ", run in a fresh server of its own:

    # flags: --quota-backend-bytes=1048576       what the server gets besides
    $ put k 1
    $ RUSDCTL_WRITE_OUT=json get k               variables before the command
    $ txn <<END                                  standard input, up to the line END
    ...
    END
    $ @restart SIGKILL                           stops the server by the signal and starts it again

The output has each command line as it stands, what it printed, lines of standard error after "! ", and the exit
status if it is not 0. Values that differ from run to run (endpoint, ids, times, sizes) have names instead, so the cells
of a table are shown without the blanks that fill them (test/clients compares tables with etcdctl's as they are).

test/regress/regress.py
"""
import argparse
import concurrent.futures
import difflib
import os
import re
import shlex
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import node                                                    # noqa: E402

VARIABLE = re.compile(r"^([A-Z_]+)=(.*)$")


def names_of(server, ctl):
    """[(pattern, name)]: what is the server's own choice."""
    out = subprocess.run([ctl, "--endpoints", server.endpoint, "member", "list", "-w", "json"], capture_output=True, text=True, check=True).stdout
    cluster, member = ["%x" % int(re.search(r'"%s":(\d+)' % x, out).group(1)) for x in ("cluster_id", "member_id")]
    return [(server.endpoint, "ENDPOINT"), ("127.0.0.1:%d" % server.peer, "PEER"), (cluster, "CLUSTER"), (member, "MEMBER"),
            (str(int(cluster, 16)), "CLUSTER"), (str(int(member, 16)), "MEMBER")]


def plain(text, names):
    for value, name in names:
        text = text.replace(value, name)
    text = re.sub(r"^[+|].*$", lambda m: re.sub(r"-+", "-", re.sub(r" +", " ", m.group())), text, flags=re.M)
    text = re.sub(r'("raft_?[Tt]erm":|"RaftTerm" : )\d+', r"\1N", text)
    text = re.sub(r"^(\| CLUSTER \| MEMBER \| \d+ \| )\d+", r"\1N", text, flags=re.M)
    text = re.sub(r"\| [0-9.]+(ns|µs|ms|s) \|", "| TIME |", text)
    text = re.sub(r'("(?:dbSize\w*|raftIndex|raftAppliedIndex|compact_revision)":)\d+', r"\1N", text)
    text = re.sub(r'("hash":|"Hash" : )\d+', r"\1N", text)
    text = re.sub(r'(took = |took |"took":"|"Took" : )[0-9.]+(ns|µs|ms|s)', r"\1TIME", text)
    return text


def run_command(line, stdin, server, ctl):
    """What one command line prints."""
    words, environment = shlex.split(line), {k: v for k, v in os.environ.items() if not re.match("(ETCD|RUSD)CTL_", k)}
    while words and VARIABLE.match(words[0]):
        name, value = VARIABLE.match(words.pop(0)).groups()
        environment[name] = value
    if not {"RUSDCTL_ENDPOINTS", "ETCDCTL_ENDPOINTS"} & set(environment):
        environment["ETCDCTL_ENDPOINTS"] = server.endpoint
    done = subprocess.run([ctl] + words, input=stdin, capture_output=True, env=environment, timeout=60)
    out = done.stdout.decode("utf-8", "backslashreplace")
    if out and not out.endswith("\n"):
        out += "\n(no newline)\n"
    error = "".join("! %s\n" % x for x in done.stderr.decode("utf-8", "backslashreplace").splitlines())
    return out + error + ("[exit %d]\n" % done.returncode if done.returncode else "")


def run_script(text, args, first):
    """Everything the script gives, on a fresh server."""
    flags = re.findall(r"^# flags: (.*)$", text, re.M)
    lines, out = text.splitlines(), [first + "\n"] if first else []
    with node.Node(args.server, [x for f in flags for x in f.split()]) as server:
        names = names_of(server, args.ctl)
        at = 0
        while at < len(lines):
            line, at = lines[at], at + 1
            out.append(line + "\n")
            if not line.startswith("$ "):
                continue
            stdin = b""
            heredoc = re.match(r"(.*?) <<(\w+)$", line)
            if heredoc:
                line, body = heredoc.group(1), []
                while lines[at] != heredoc.group(2):
                    body.append(lines[at] + "\n")
                    at += 1
                at += 1
                stdin = "".join(body).encode()
                out += body + [heredoc.group(2) + "\n"]
            if line.startswith("$ @restart "):
                server.stop(getattr(signal, line.split()[2]))
                server.start()
            else:
                out.append(plain(run_command(line[2:], stdin, server, args.ctl), names))
    return "".join(out)


def schedule():
    names = []
    for line in open(os.path.join(HERE, "schedule")):
        if line.startswith("test:"):
            names += line.split()[1:]
    return names


def one(name, args):
    """Returns (difference or None)."""
    expected = os.path.join(HERE, "expected", name + ".out")
    text = open(os.path.join(HERE, "script", name + ".script")).read()
    if args.record:
        version = subprocess.run([args.server, "--version"], capture_output=True, text=True).stdout
        version = "rusd and rusdctl themselves" if "rusd" in version else version.split("\n")[0]
        with open(expected, "w") as f:
            f.write(run_script(text, args, "# recorded from " + version))
        return None
    want = open(expected).read()
    got = run_script(text, args, want.split("\n")[0])
    if got == want:
        return None
    return "".join(difflib.unified_diff(want.splitlines(True), got.splitlines(True), "expected/%s.out" % name, "got"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--ctl", required=True)
    p.add_argument("--record", action="store_true")
    p.add_argument("-j", type=int, default=2, help="scripts side by side")
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    args.ctl = os.path.abspath(args.ctl)
    names, bad = args.names or schedule(), 0
    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for number, (name, future) in enumerate([(n, pool.submit(one, n, args)) for n in names], 1):
            try:
                difference = future.result()
            except Exception as error:
                difference = "%s: %s" % (type(error).__name__, error)
            bad += difference is not None
            print("%s %d - %s" % ("ok" if difference is None else "not ok", number, name))
            for line in (difference or "").splitlines():
                print("# " + line)
            sys.stdout.flush()
    print("1..%d" % len(names))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
