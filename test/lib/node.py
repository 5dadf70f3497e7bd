"""A server under test: rusd or etcd, one node, on free ports and a directory of its own.

Every test that starts servers uses this: a Node is stopped by its process id whatever happens (use
it in a with statement), what it printed is kept until the test is over, and no wait is for a fixed
time: wait_until polls a condition, with a generous limit.

test/lib/node.py
"""
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "test", "conformance"))

PATIENCE = 30.0                 # seconds until something that has to come is given up
_tick = threading.Event()       # never set: only waited on


class Failure(Exception):
    """What the test found; its text goes into the TAP output."""


def wait_until(condition, what, limit=PATIENCE, every=0.005):
    """Polls until condition() is true and returns its value; a Failure after limit seconds. every: between two looks, for looks that disturb."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("waited %g s in vain: %s" % (limit, what))
        _tick.wait(every)


def free_ports(count):
    """Ports below those that the kernel gives to outgoing connections, so that none of these takes one before the server does."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        top = int(f.read().split()[0])
    low, chooser, found = max(1024, top - 20000), random.Random(os.urandom(8)), []
    while len(found) < count:
        port = chooser.randrange(low, top)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def children_of(pid):
    """Process ids of the living children, in the order of their birth."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def title_of(pid):
    """What ps shows: 'rusd: walwriter'; empty if it is gone."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def alive(pid):
    """A process that is there and no zombie."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Node:
    """One server.  program is the path of rusd or etcd; flags come after those that place it.  tls: a Tls, by which it is reached at an https URL
    (its own certificate is among the flags)."""

    def __init__(self, program, flags=(), environment=None, directory=None, start=True, ports=None, tls=None):
        self.program = os.path.abspath(program) if os.sep in program else program
        self.flags, self.environment, self.tls = list(flags), dict(environment or {}), tls
        self.made = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="rusd-test.")
        self.data = os.path.join(self.directory, "data")
        self.logfile = os.path.join(self.directory, "log")
        self.client, self.peer = ports or free_ports(2)
        self.endpoint = "127.0.0.1:%d" % self.client
        self.process = None
        if start:
            try:
                self.start()
            except BaseException:
                self.remove()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.explain()
        self.remove()

    def explain(self):
        """What a failure may be found by: processes, and the end of the log."""
        if self.process is not None and self.process.poll() is None:
            for pid in [self.pid] + children_of(self.pid):
                try:
                    with open("/proc/%d/wchan" % pid) as f, open("/proc/%d/stat" % pid) as g:
                        print("#   process %d: %s, state %s, waits in %s" % (pid, title_of(pid), g.read().rsplit(")", 1)[1].split()[0], f.read()))
                except OSError:
                    pass
            try:
                shown = {k: v for k, v in self.metrics().items() if re.match("rusd_(wal|root|checkpoint|slots|snapshot|result|frames|proposal)|etcd_server_(has_leader|is_leader|proposals)|etcd_debugging_mvcc_current", k)}
                print("#   metrics: " + " ".join("%s=%g" % x for x in sorted(shown.items())))
            except (OSError, http.client.HTTPException) as error:
                print("#   no metrics: %s" % error)
        print("#   the end of what the server printed:")
        for line in self.log()[-25:]:
            print("#   " + line[:400])

    def argv(self):
        client, peer = "http%s://127.0.0.1:%d" % ("s" if self.tls else "", self.client), "http://127.0.0.1:%d" % self.peer
        return [self.program, "--data-dir", self.data, "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer] + self.flags

    # ---- starting and stopping ----

    def launch(self):
        """Starts without waiting."""
        with open(self.logfile, "ab") as log:
            self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=dict(os.environ, **self.environment))

    def start(self, limit=PATIENCE):
        self.launch()
        self.wait_ready(limit)

    def wait_ready(self, limit=PATIENCE):
        def ready():
            if self.process.poll() is not None:
                raise Failure("the server ended with status %s: %s" % (self.process.returncode, " | ".join(self.log()[-3:])[:1000]))
            return self.healthy()
        wait_until(ready, "the server becomes healthy", limit)

    def healthy(self):
        try:
            status, page = self.get("/health", timeout=2)
            return status in (200, 503) and re.search(r'"true"|ALARM', page) is not None
        except (OSError, http.client.HTTPException):
            return False

    @property
    def pid(self):
        return self.process.pid

    def send(self, number):
        self.process.send_signal(number)

    def wait(self, limit=PATIENCE):
        """Waits for its end; returns the status as subprocess gives it."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failure("the server did not end within %g s" % limit) from None

    def stop(self, number=signal.SIGTERM, limit=PATIENCE):
        if self.process is None or self.process.poll() is not None:
            return None if self.process is None else self.process.returncode
        family = children_of(self.pid)
        self.send(number)
        status = self.wait(limit)
        wait_until(lambda: not any(alive(p) for p in family), "all processes of the node end")
        return status

    def remove(self):
        """Nothing is left: neither processes nor files."""
        try:
            if self.process is not None and self.process.poll() is None:
                family = children_of(self.pid)
                self.process.kill()
                self.process.wait()
                wait_until(lambda: not any(alive(p) for p in family), "all processes of the node end")
        finally:
            if self.made:
                shutil.rmtree(self.directory, ignore_errors=True)

    # ---- looking ----

    def log(self):
        try:
            with open(self.logfile, errors="replace") as f:
                return f.read().splitlines()
        except OSError:
            return []

    def logged(self, text):
        return any(text in line for line in self.log())

    def get(self, path, timeout=PATIENCE):
        if self.tls:
            c = http.client.HTTPSConnection("127.0.0.1", self.client, timeout=timeout, context=self.tls.context())
        else:
            c = http.client.HTTPConnection("127.0.0.1", self.client, timeout=timeout)
        try:
            c.request("GET", path)
            answer = c.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            c.close()

    def metrics(self, timeout=PATIENCE):
        """{name with labels: value}"""
        found = {}
        for line in self.get("/metrics", timeout)[1].splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def processes(self):
        """{pid: kind} of the living children: 'raft', 'walwriter', ..., 'backend'."""
        found = {}
        for pid in children_of(self.pid):
            title = re.match(r"rusd: (\w+)", title_of(pid))
            if title and alive(pid):
                found[pid] = title.group(1)
        return found

    def of_kind(self, kind):
        return [pid for pid, k in self.processes().items() if k == kind]

    def cpu(self):
        """Seconds of processor time that all its processes have used, the ended ones too."""
        ticks = 0
        for pid in [self.pid] + children_of(self.pid):
            try:
                with open("/proc/%d/stat" % pid) as f:
                    fields = f.read().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
                if pid == self.pid:
                    ticks += int(fields[13]) + int(fields[14])      # children already reaped
            except OSError:
                pass
        return ticks / os.sysconf("SC_CLK_TCK")

    # ---- injection points (builds with INJECT=1) ----

    def inject(self, text):
        """Lines point=action[:count]; what is not named is off.  Taken at once by the running node."""
        path = os.path.join(self.data, "inject")
        with open(path + ".new", "w") as f:
            f.write(text + "\n")
        os.rename(path + ".new", path)
        if self.process is not None and self.process.poll() is None:
            self.send(signal.SIGUSR2)


# ---- TAP ----

class Tap:
    """Runs test functions and prints TAP."""

    def __init__(self):
        self.count = self.bad = 0

    def run(self, name, function, *arguments, node=None):
        """node: the server that the function was given, if it lives beyond it; it is explained when the function fails."""
        self.count += 1
        began = time.monotonic()
        try:
            skip = function(*arguments)
        except Failure as failure:
            self.bad += 1
            print("not ok %d - %s" % (self.count, name))
            for line in str(failure).splitlines():
                print("# " + line)
            if node is not None:
                node.explain()
        except Exception as error:              # a broken test is a failed one
            import traceback
            self.bad += 1
            print("not ok %d - %s" % (self.count, name))
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print("# %s" % error)
        else:
            if isinstance(skip, str):
                print("ok %d - %s # SKIP %s" % (self.count, name, skip))
            else:
                print("ok %d - %s (%.1f s)" % (self.count, name, time.monotonic() - began))
        sys.stdout.flush()

    def end(self):
        print("1..%d" % self.count)
        sys.exit(1 if self.bad else 0)


def check(condition, text):
    if not condition:
        raise Failure(text)


# ---- a client ----

class Tls:
    """What a client has to show and whom it trusts: paths of PEM files; authority None: anybody."""

    def __init__(self, authority=None, cert=None, key=None):
        self.authority, self.cert, self.key = authority, cert, key

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.authority:
            context.load_verify_locations(self.authority)
        else:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.cert:
            context.load_cert_chain(self.cert, self.key)
        return context

    def credentials(self):
        import grpc

        def content(path):
            if path is None:
                return None
            with open(path, "rb") as f:
                return f.read()
        return grpc.ssl_channel_credentials(content(self.authority), content(self.key), content(self.cert))



class Client:
    """gRPC over one connection of its own; messages are made from test/conformance/etcd-fields.tsv.  window: bytes of a stream that may be on
    their way to who does not read; else the library finds a number, of many MB at times."""

    def __init__(self, endpoint, tls=None, window=None):
        import grpc
        import vectors
        self.grpc, self.vectors = grpc, vectors
        # min_reconnect_backoff is also the time that a connection has to come about.  Who gives up early and begins anew leaves a connection that
        # the server has to begin with all the same: on a machine with much to do all of them are late then, and it does not end.
        options = [
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20000),
            ("grpc.max_reconnect_backoff_ms", 200)]
        if window:
            options += [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", window)]
        if tls:
            self.channel = grpc.secure_channel(endpoint, tls.credentials(), options=options)
        else:
            self.channel = grpc.insecure_channel(endpoint, options=options)
        self.stubs = {}

    def message(self, name, **fields):
        return self.vectors.TYPES["etcdserverpb." + name](**fields)

    def begin(self, method, request, timeout=PATIENCE):
        """Sends a call; its result() is the answer.  method is 'KV/Put'."""
        stub = self.stubs.get(method)
        if stub is None:
            path, req, rep, _ = self.vectors.METHODS[method]
            types = self.vectors.TYPES
            stub = self.stubs[method] = self.channel.unary_unary(path, types[req].SerializeToString, types[rep].FromString)
        return stub.future(request, timeout=timeout)

    def call(self, method, request, timeout=PATIENCE):
        return self.begin(method, request, timeout).result()

    def stream(self, method, request, timeout=PATIENCE, metadata=None):
        """Begins a call that is answered with many messages; what is returned iterates over them."""
        path, req, rep, _ = self.vectors.METHODS[method]
        types = self.vectors.TYPES
        return self.channel.unary_stream(path, types[req].SerializeToString, types[rep].FromString)(request, timeout=timeout, metadata=metadata)

    def put(self, key, value, timeout=PATIENCE):
        return self.call("KV/Put", self.message("PutRequest", key=key, value=value), timeout)

    def range(self, key, end=b"", timeout=PATIENCE, **fields):
        return self.call("KV/Range", self.message("RangeRequest", key=key, range_end=end, **fields), timeout)

    def hash(self, revision=0):
        return self.call("Maintenance/HashKV", self.message("HashKVRequest", revision=revision))

    def close(self):
        self.channel.close()


def error_of(call, *arguments, **named):
    """(code name, text) of a call that is to fail; None if it succeeds."""
    import grpc
    try:
        call(*arguments, **named)
        return None
    except grpc.RpcError as error:
        return error.code().name, error.details()
