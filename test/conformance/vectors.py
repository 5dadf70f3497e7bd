#!/usr/bin/python3
"""Replay recorded conversations with an etcd v3 server, and say where the answers differ.

Needs Debian's python3-grpcio and python3-protobuf. README.md beside this file describes the format. The output is TAP.

    vectors.py replay --server 'rusd --data-dir {data} ...' [-j N] [-k WORD] FILE.json | FILE.list ...
    vectors.py record --server 'etcd ...' --out DIR FILE.json ...
"""
import argparse, concurrent.futures, hashlib, http.client, itertools, json, os, queue, re, shlex, shutil, signal
import socket, subprocess, sys, tempfile, threading, time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 15.0       # seconds until an answer that has to come is given up
PAGES = concurrent.futures.ThreadPoolExecutor(16)             # HTTP requests that a scenario starts and joins later
SCALARS = {"int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}
ENUMS = {
    "etcdserverpb.RangeRequest.SortOrder": ["NONE", "ASCEND", "DESCEND"],
    "etcdserverpb.RangeRequest.SortTarget": ["KEY", "VERSION", "CREATE", "MOD", "VALUE"],
    "etcdserverpb.Compare.CompareResult": ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"],
    "etcdserverpb.Compare.CompareTarget": ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"],
    "etcdserverpb.WatchCreateRequest.FilterType": ["NOPUT", "NODELETE"],
    "mvccpb.Event.EventType": ["PUT", "DELETE"],
    "etcdserverpb.AlarmRequest.AlarmAction": ["GET", "ACTIVATE", "DEACTIVATE"],
    "etcdserverpb.DowngradeRequest.DowngradeAction": ["VALIDATE", "ENABLE", "CANCEL"],
    "etcdserverpb.AlarmType": ["NONE", "NOSPACE", "CORRUPT"],
    "authpb.Permission.Type": ["READ", "WRITE", "READWRITE"],
    "grpc.health.v1.HealthCheckResponse.ServingStatus": ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"],
}
# Reply fields whose value is the server's own choice. NAMED: the same value keeps the same name in a scenario.
NAMED = {"cluster_id", "member_id", "memberID", "leader", "token", "hash", "Member.ID"}
ANY = {"raft_term", "raftTerm", "raftIndex", "raftAppliedIndex", "dbSize", "dbSizeInUse", "version", "storageVersion",
       "etcdserver", "etcdcluster", "storage"}

UNORDERED = {"LeaseTimeToLiveResponse.keys"}      # lists that come in no particular order: compared sorted


# ---- messages, from the field table ---------------------------------------------------------------------------

def load_types(tsv):
    """Build message classes from etcd-fields.tsv. Returns {full name: class} and {(message, field): enum names}."""
    rows, names = [], []
    for line in open(tsv):
        line = line.rstrip("\n")
        if line.startswith("# messages without fields:"):
            names += line.split(":", 1)[1].split()
        elif line and not line.startswith("#"):
            rows.append(line.split("\t"))
            names.append(rows[-1][0])
    rows = [r for r in rows if "google.protobuf.Any" not in r[3]]
    fd = {}
    enums, files = {}, {}
    for full in dict.fromkeys(names):
        pkg, name = full.rsplit(".", 1)
        f = files.setdefault(pkg, descriptor_pb2.FileDescriptorProto(name=pkg + ".proto", package=pkg, syntax="proto3"))
        fd[full] = f.message_type.add(name=name)
    deps = {p: set() for p in files}
    for msg, num, field, typ, label in rows:
        m, pkg = fd[msg], msg.rsplit(".", 1)[0]
        f = m.field.add(name=field, number=int(num), label=3 if label == "repeated" else 1)
        if typ.startswith("map<"):
            key, val = typ[4:-1].split(",")
            entry = m.nested_type.add(name=field.title() + "Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, label=1, type=SCALARS[key])
            entry.field.add(name="value", number=2, label=1, type=11, type_name="." + val)
            f.type, f.type_name, f.label = 11, ".%s.%s" % (msg, entry.name), 3
        elif typ in SCALARS:
            f.type = SCALARS[typ]
        elif typ in ENUMS:
            f.type = 5
            enums[(msg, field)] = ENUMS[typ]
        else:
            f.type, f.type_name = 11, "." + typ
            deps[pkg].add(typ.rsplit(".", 1)[0])
        if label.startswith("oneof "):
            one = label[6:]
            known = [o.name for o in m.oneof_decl]
            if one not in known:
                m.oneof_decl.add(name=one)
                known.append(one)
            f.oneof_index = known.index(one)
    pool, done = descriptor_pool.DescriptorPool(), set()

    def add(pkg):
        if pkg in done:
            return
        done.add(pkg)
        for d in sorted(deps[pkg] - {pkg}):
            add(d)
            files[pkg].dependency.append(d + ".proto")
        pool.Add(files[pkg])
    for pkg in files:
        add(pkg)
    get = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
    return {n: get(pool.FindMessageTypeByName(n)) for n in fd}, enums


def load_methods(tsv):
    out = {}
    for line in open(tsv):
        if not line.startswith("#"):
            service, method, path, req, rep, kind = line.rstrip("\n").split("\t")[:6]
            out[service.split(".")[-1] + "/" + method] = (path, req, rep, kind)
    return out


TYPES, ENUM_FIELDS = load_types(os.path.join(HERE, "etcd-fields.tsv"))
METHODS = load_methods(os.path.join(HERE, "etcd-methods.tsv"))


class Names:
    """Values that the server chose (ids, tokens, hashes) and the $names that a scenario gives them."""

    def __init__(self):
        self.value, self.name, self.count = {}, {}, 0

    def bind(self, name, value):
        self.value[name], self.name[value] = value, name

    def of(self, value):
        if value in (0, "", b"", None, "0"):
            return value
        key = str(value)
        if key not in self.name:
            self.count += 1
            self.bind("$%d" % self.count, key)
        return self.name[key]


def fill(text, names):
    """Text with the $names in it replaced by their values."""
    return re.sub(r"\$\w+", lambda m: names.value.get(m.group(0), m.group(0)), text)


def to_bytes(v, names):
    if isinstance(v, dict):                                   # {"repeat": ["x", 1000]}
        return v["repeat"][0].encode("latin-1") * v["repeat"][1]
    if v.startswith("$") and v in names.value:
        v = names.value[v]
    return v.encode("latin-1")


def to_message(cls, src, names):
    """JSON object to message. Bytes are text of one character a byte; enums go by name; $names are looked up."""
    msg = cls()
    d = msg.DESCRIPTOR
    for field, v in src.items():
        f = d.fields_by_name[field]
        enum = ENUM_FIELDS.get((d.full_name, field))

        def scalar(x):
            if enum:
                return enum.index(x) if isinstance(x, str) else x
            if f.type == f.TYPE_BYTES:
                return to_bytes(x, names)
            if isinstance(x, str) and x.startswith("$"):
                x = names.value[x]
            if f.type == f.TYPE_STRING:
                return x
            return bool(x) if f.type == f.TYPE_BOOL else int(x)
        if f.type == f.TYPE_MESSAGE:
            sub = TYPES[f.message_type.full_name]
            if f.label == f.LABEL_REPEATED:
                getattr(msg, field).extend(to_message(sub, x, names) for x in v)
            else:
                getattr(msg, field).CopyFrom(to_message(sub, v, names))
        elif f.label == f.LABEL_REPEATED:
            getattr(msg, field).extend(scalar(x) for x in v)
        else:
            setattr(msg, field, scalar(v))
    return msg


def own_choice(field, value):
    """A reply field that every server fills as it likes. A key's version is a number, a server's has a dot."""
    return field in ANY and (field != "version" or "." in str(value))


def from_message(msg, names, loose=()):
    """Message to JSON object: default values left out, the server's own choices replaced by $names or '*'."""
    out, d = {}, msg.DESCRIPTOR
    for f, v in msg.ListFields():
        enum = ENUM_FIELDS.get((d.full_name, f.name))

        def one(x):
            if f.name in loose:
                return "*"
            if f.type == f.TYPE_MESSAGE:
                return from_message(x, names, loose)
            if enum:
                return enum[x] if 0 <= x < len(enum) else x
            if own_choice(f.name, x):
                return "*"
            if f.name == "errors":                            # protobuf's text form: blanks as it likes
                return re.sub(r"\d{7,}", lambda m: names.of(m.group()), " ".join(x.split()))
            if f.name in NAMED or "%s.%s" % (d.name, f.name) in NAMED or str(x) in names.name and len(str(x)) > 6:
                return names.of(x)
            if f.type == f.TYPE_BYTES:
                return "sha256:%s:%d" % (hashlib.sha256(x).hexdigest()[:16], len(x)) if len(x) > 256 else x.decode("latin-1")
            return x
        if f.label == f.LABEL_REPEATED and f.type == f.TYPE_MESSAGE and f.message_type.GetOptions().map_entry:
            out[f.name] = {k: from_message(v[k], names, loose) for k in sorted(v)}
        elif f.label == f.LABEL_REPEATED:
            out[f.name] = [one(x) for x in (sorted(v) if "%s.%s" % (d.name, f.name) in UNORDERED else v)]
        else:
            out[f.name] = one(v)
    return out


def from_json(v, names, loose=(), key=""):
    """The same for the JSON of the gateway and the HTTP pages."""
    if isinstance(v, list):
        return [from_json(x, names, loose, key) for x in v]
    if key in loose:
        return "*"
    if isinstance(v, dict):
        return {k: from_json(x, names, loose, k) for k, x in v.items()}
    if own_choice(key, v):
        return "*"
    return names.of(v) if key in NAMED or str(v) in names.name and len(str(v)) > 6 else v


# ---- a server under test --------------------------------------------------------------------------------------

def free_ports(n):
    socks = [socket.socket() for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def channel_to(port):
    return grpc.insecure_channel("127.0.0.1:%d" % port, options=[
        ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)])


def ends(process, seconds):
    """Whether it ends within this time."""
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


class Server:
    def __init__(self, command, flags, log):
        self.dir = tempfile.mkdtemp(prefix="vectors.")
        self.client, self.peer, self.extra = free_ports(3)    # extra: a port for the scenario's flags
        place = {"client": self.client, "peer": self.peer, "extra": self.extra, "data": self.dir + "/data"}
        self.argv = [a.format(**place) for a in shlex.split(command) + list(flags)]
        self.log = open(log, "ab") if log else subprocess.DEVNULL
        try:
            self.start()
        except Exception:
            self.proc.kill()
            shutil.rmtree(self.dir, ignore_errors=True)
            raise

    def start(self):
        self.proc = subprocess.Popen(self.argv, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        end = time.time() + PATIENCE
        while True:
            try:
                c = http.client.HTTPConnection("127.0.0.1", self.client, timeout=2)
                c.request("GET", "/health")
                ready = re.search(rb'"true"|ALARM', c.getresponse().read())
            except (OSError, http.client.HTTPException):
                ready = False
            if ready:
                break
            if self.proc.poll() is not None or time.time() > end:
                raise RuntimeError("the server did not become healthy: %s" % " ".join(self.argv))
            self.gone(0.03)
        self.channel = channel_to(self.client)

    def present(self, answer):
        """Changes an answer (a message, or what JSON stands for) to what it is compared as: not at all."""

    def gone(self, seconds):
        """Whether the server ends within this time."""
        return ends(self.proc, seconds)

    def stop(self, sig=signal.SIGTERM):
        self.channel.close()
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
            try:
                self.proc.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()

    def remove(self):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)


class WatchOrder:
    """What holds on every watch stream: revisions grow; the events of one revision of a watch come in one message, or in
    fragments if that was asked for; fragments follow one another, and only the last one is unmarked."""

    def __init__(self):
        self.last, self.unfinished, self.fragments = {}, None, False

    def complaint(self, msg):
        """Take the next message in; what is wrong with it, or None."""
        wid, revs = msg.watch_id, [e.kv.mod_revision for e in msg.events]
        before, self.unfinished = self.unfinished, wid if msg.fragment else None
        if before is not None and (before != wid or not revs):
            return "watch %d: a message between the fragments of watch %d" % (wid, before)
        if msg.fragment and not self.fragments:
            return "watch %d: a fragment that was not asked for" % wid
        if msg.created or msg.canceled:
            self.last.pop(wid, None)
        if not revs:
            return None
        last, self.last[wid] = self.last.get(wid, 0), revs[-1]
        if revs != sorted(revs) or revs[0] < last or revs[0] == last and before is None:
            return "watch %d: revisions %s after %d" % (wid, revs, last)
        if msg.header.revision < revs[-1]:
            return "watch %d: header revision %d with an event of %d" % (wid, msg.header.revision, revs[-1])
        return None


class Stream:
    """A stream of a call: what the server sends is queued by a thread of its own."""

    def __init__(self, server, call, metadata, first=None, unread=False):
        path, req, rep, kind = METHODS[call]
        self.req, self.kind = TYPES[req], kind
        self.out, self.inbox, self.tail = queue.Queue(), queue.Queue(), None
        ser, des = self.req.SerializeToString, TYPES[rep].FromString
        if kind == "server":
            self.call = server.channel.unary_stream(path, ser, des)(first, metadata=metadata)
        else:
            self.call = server.channel.stream_stream(path, ser, des)(iter(self.out.get, None), metadata=metadata)
        self.order, self.reader = WatchOrder(), threading.Thread(target=self.read, daemon=True)
        if not unread:
            self.reader.start()

    def read(self):
        try:
            for msg in self.call:
                self.inbox.put(msg)
            self.inbox.put({"code": "OK"})
        except grpc.RpcError as e:
            self.inbox.put({"code": e.code().name, "message": e.details()})

    def send(self, msg):
        if msg.DESCRIPTOR.name == "WatchRequest" and msg.create_request.fragment:
            self.order.fragments = True
        self.out.put(msg)

    def get(self, timeout):
        if self.reader.ident is None:
            self.reader.start()
        try:
            return self.inbox.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            return None


# ---- steps ------------------------------------------------------------------------------------------------------

def begin(server, step, names):
    """Send a unary call; its answer is for finish() to wait for."""
    if step["call"].startswith("/"):                          # a method that does not exist
        path, message, parse = step["call"], b"", None
    else:
        path, req, rep, _ = METHODS[step["call"]]
        message, parse = to_message(TYPES[req], step.get("send", {}), names).SerializeToString(), TYPES[rep].FromString
    message += step.get("extra", "").encode("latin-1")
    meta = [(k, fill(v, names)) for k, v in step.get("metadata", {}).items()]
    return server.channel.unary_unary(path, None, parse).future(
        message, metadata=meta, timeout=step.get("timeout", PATIENCE),
        compression=grpc.Compression[step["compress"]] if "compress" in step else None)


def finish(server, call, step, names):
    try:
        reply = call.result(step.get("quiet"))
        if isinstance(reply, dict):                           # a page
            return reply
    except (grpc.FutureTimeoutError, concurrent.futures.TimeoutError):
        if "quiet" not in step:
            raise
        return {"pending": True}
    except grpc.FutureCancelledError:
        return {"code": "CANCELLED"}
    except grpc.RpcError as e:
        got = {"code": e.code().name}
        if step.get("text", True):
            got["message"] = e.details()
        return got
    server.present(reply)
    for name, field in step.get("let", {}).items():
        v = reply
        for part in field.split("."):
            v = v[int(part)] if part.isdigit() else getattr(v, part)
        names.bind("$" + name, v.decode("latin-1") if isinstance(v, bytes) else str(v))
    shown = from_message(reply, names, step.get("loose", ()))
    for field in step.get("unordered", ()):
        shown.get(field, []).sort(key=json.dumps)
    if "ties" in step:                                        # keys that sort alike come in any order (KV-43)
        groups = itertools.groupby(shown.get("kvs", []), key=lambda kv: kv.get(step["ties"]))
        shown["kvs"] = [kv for _, group in groups for kv in sorted(group, key=lambda kv: kv["key"])]
    return {"code": "OK", "reply": shown}


def flatten(msg, names, loose):
    """A response as items that do not depend on how the server cut its events or keys into responses."""
    whole = from_message(msg, names, loose)
    if msg.DESCRIPTOR.name == "RangeStreamResponse":
        rest = whole.get("range_response", {})
        return rest.pop("kvs", []) + ([rest] if rest else [])
    events = whole.pop("events", [])
    if msg.DESCRIPTOR.name != "WatchResponse":
        return [whole]
    if not events:
        if not (msg.created or msg.canceled):
            whole["progress"] = True
        return [whole]
    return [{"watch_id": whole.get("watch_id", 0), "event": e} for e in events]


def framing(parts):
    """What has to hold of a snapshot stream, whatever the file in it is."""
    data, left = b"".join(p.blob for p in parts[:-1]), 0
    countdown = parts[-1].remaining_bytes == 0
    for p in reversed(parts[:-1]):
        countdown = countdown and p.remaining_bytes == left
        left += len(p.blob)
    return {"countdown": countdown, "chunks of 32 KiB": all(len(p.blob) == 32768 for p in parts[:-2]),
            "digest": parts[-1].blob == hashlib.sha256(data).digest(), "length % 512": (len(data) + 32) % 512,
            "version": "*" if all("." in p.version for p in parts) else parts[0].version}


def receive(stream, step, names):
    """recv: {"items": n} waits for n items; "quiet": seconds asks for silence; "end": true waits for the status."""
    want, items, parts = step["recv"], [], []
    if "quiet" in want:
        msg = stream.get(want["quiet"])
        return {"items": [] if msg is None else ["unexpected: %s" % msg]}
    end = time.time() + want.get("timeout", PATIENCE)
    while want.get("end") or len(items) < want["items"]:
        msg = stream.get(end - time.time())
        if msg is None:
            items.append("nothing more came")
            break
        if isinstance(msg, dict):
            if parts:
                items.append(framing(parts))
            if not step.get("text", True):
                msg.pop("message", None)
            return {"items": items, "end": msg} if items else {"end": msg}
        if msg.DESCRIPTOR.name == "SnapshotResponse":
            parts.append(msg)
            continue
        items += flatten(msg, names, step.get("loose", ()))
        if msg.DESCRIPTOR.name == "WatchResponse":
            wrong = stream.order.complaint(msg)
            if wrong:
                items.append(wrong)
            if len(msg.events) > 1 and msg.ByteSize() >= want.get("below", 1 << 40):
                items.append("%d events in a message of %d bytes" % (len(msg.events), msg.ByteSize()))
    if want.get("sorted", True):
        items.sort(key=lambda i: i.get("watch_id", 0) if isinstance(i, dict) else 1 << 62)
    return {"items": items}


def chunks(response, n):
    """n chunks of a chunked answer, blank ones not counted: some clients take each chunk for one JSON document."""
    out = []
    while len(out) < n:
        piece = response.read1(1 << 20)
        if not piece:
            break
        if piece.strip():
            out.append(piece)
    return out


def page(server, step, names):
    verb, path = step["http"].split(" ", 1)
    body = step.get("body")
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    if body:
        body = fill(body, names)
    port = getattr(server, step.get("port", "client"))
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=step.get("timeout", PATIENCE))
    headers = {k: fill(v, names) for k, v in step.get("headers", {}).items()}
    c.request(verb, path, body if body is None else body.encode(), headers)
    r = c.getresponse()
    several = "lines" in step or "chunks" in step
    if "chunks" in step:
        lines = chunks(r, step["chunks"])
    else:
        lines = [r.readline() for _ in range(step["lines"])] if "lines" in step else [r.read()]
    raw = b"".join(lines).decode("utf-8", "replace")
    c.close()
    got = {"status": r.status}
    for h in step.get("show", ["content-type"]):
        got[h] = r.getheader(h)
    if "has" in step:
        got["has"] = [x for x in step["has"] if re.search("^" + re.escape(x), raw, re.M)]
    elif step.get("text", True):
        if step.get("sort"):
            raw = "\n".join(sorted(raw.split("\n")))
        try:
            parsed = [json.loads(x) for x in lines if x.strip()] if several else json.loads(raw)
            server.present(parsed)
            for name, field in step.get("let", {}).items():
                v = parsed
                for part in field.split("."):
                    v = v[int(part)] if part.isdigit() else v[part]
                names.bind("$" + name, str(v))
            got["body"] = from_json(parsed, names, step.get("loose", ()))
        except ValueError:
            got["body"] = raw
    return got


def same(want, got):
    if want == "*":
        return got not in (None, 0, "", [])
    if isinstance(want, dict) and isinstance(got, dict):
        return want.keys() == got.keys() and all(same(v, got[k]) for k, v in want.items())
    if isinstance(want, list) and isinstance(got, list):
        return len(want) == len(got) and all(map(same, want, got))
    return want == got


def perform(server, streams, step, names):
    if "restart" in step:
        server.stop(getattr(signal, step["restart"]))
        server.start()
    elif "sleep" in step:
        if server.gone(step["sleep"]):
            raise RuntimeError("the server ended by itself")
    elif "open" in step:
        meta = [(k, fill(v, names)) for k, v in step.get("metadata", {}).items()]
        first = to_message(TYPES[METHODS[step["call"]][1]], step.get("send", {}), names)
        streams[step["open"]] = Stream(server, step["call"], meta, first, step.get("unread", False))
    elif "recv" in step:
        return receive(streams[step["stream"]], step, names)
    elif "send" in step and "stream" in step:
        s = streams[step["stream"]]
        s.send(to_message(s.req, step["send"], names))
    elif "close" in step:
        streams[step["close"]].out.put(None)
    elif "cancel" in step:
        s = streams[step["cancel"]]
        getattr(s, "call", s).cancel()
    elif "start" in step:
        streams[step["start"]] = PAGES.submit(page, server, step, names) if "http" in step else begin(server, step, names)
    elif "join" in step:
        return finish(server, streams[step["join"]], step, names)
    elif "http" in step:
        return page(server, step, names)
    elif "call" in step:
        for _ in range(step.get("times", 1) - 1):
            finish(server, begin(server, step, names), step, names)
        return finish(server, begin(server, step, names), step, names)
    return None


def run(scenario, serve, recording=False, keep_going=False):
    """One scenario against a fresh server, which serve(flags) starts. Returns the answers seen, and the differences to those
    recorded: (number of the step, text)."""
    names, streams, seen, diffs = Names(), {}, [], []
    server = None
    try:
        server = serve(scenario.get("flags", []))
        for i, step in enumerate(scenario["steps"]):
            if "within" in step and recording:
                server.gone(step["within"])
            end = time.time() + PATIENCE
            while True:
                got = perform(server, streams, step, names)
                if recording or got is None or same(step.get("expect"), got) or "within" not in step or time.time() > end:
                    break
                server.gone(0.05)
            seen.append(got)
            if recording and "items" in step.get("recv", {}):     # other servers cut their messages elsewhere
                items = got.get("items", [])
                if len(items) != step["recv"]["items"] or any(isinstance(x, str) for x in items):
                    diffs.append((i + 1, "asked for %d items, got %s" % (step["recv"]["items"], json.dumps(got)[:400])))
            if not recording and got is not None and not same(step.get("expect"), got):
                diffs.append((i + 1, "%s\n      expected %s\n      got      %s" % (
                    json.dumps({k: v for k, v in step.items() if k != "expect"})[:400],
                    json.dumps(step.get("expect")), json.dumps(got))))
                if not keep_going:
                    break
    except Exception as e:                                    # a server that dies fails its scenario, not the run
        diffs.append((len(seen) + 1, "%s: %s" % (type(e).__name__, e)))
        if recording:
            raise
    finally:
        if server:
            server.remove()
    return seen, diffs


def load(files, word=""):
    """The scenarios of files and lists of them whose name contains the word."""
    found, paths = [], []
    for path in files:
        if path.endswith(".list"):                            # names of files beside it
            paths += [os.path.join(os.path.dirname(path), name) for name in open(path).read().split()]
        else:
            paths.append(path)
    for path in paths:
        s = json.load(open(path))
        s.setdefault("name", os.path.splitext(os.path.basename(path))[0])
        if word in s["name"]:
            found.append(s)
    return found


def explain(diffs):
    """Differences as comments of TAP; number 0: of no step."""
    for number, text in diffs:
        print("\n".join("# " + line for line in (("step %d: " % number if number else "") + text).split("\n")), flush=True)


def write(path, scenario):
    with open(path, "w") as f:
        head = {k: v for k, v in scenario.items() if k != "steps"}
        f.write("{" + "".join("%s: %s,\n " % (json.dumps(k), json.dumps(v)) for k, v in head.items()))
        f.write('"steps": [\n  ' + ",\n  ".join(json.dumps(s) for s in scenario["steps"]) + "\n ]}\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("verb", choices=["replay", "record"])
    p.add_argument("--server", required=True, help="command line; {client}, {peer} (ports) and {data} (directory) are filled in")
    p.add_argument("--out", help="record: directory for the recorded files")
    p.add_argument("--log", help="append what the server prints to this file")
    p.add_argument("-j", type=int, default=2, help="scenarios side by side")
    p.add_argument("-k", default="", help="only scenarios whose name contains this")
    p.add_argument("--keep-going", action="store_true", help="go on in a scenario after a difference")
    p.add_argument("--seconds", type=float, default=1e9, help="begin no further scenario after this time")
    p.add_argument("files", nargs="+")
    args = p.parse_args()
    end = time.time() + args.seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    todo = load(args.files, args.k)

    def one(scenario):
        if time.time() >= end:
            return None, None
        return run(scenario, lambda flags: Server(args.server, flags, args.log), args.verb == "record", args.keep_going)
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for s, (seen, diffs) in zip(todo, pool.map(one, todo)):
            if seen is None:
                skipped += 1
                continue
            if args.verb == "record":
                for step, got in zip(s["steps"], seen):
                    step.pop("expect", None)
                    if got is not None:
                        step["expect"] = got
                write(os.path.join(args.out, s["name"].replace("/", "-") + ".json"), s)
            if diffs:
                failed += 1
                print("not ok %d - %s (%s)" % (passed + failed, s["name"], " ".join(s.get("rules", []))))
                explain(diffs)
            else:
                passed += 1
                print("ok %d - %s" % (passed + failed, s["name"]), flush=True)
    print("1..%d" % (passed + failed))
    print("# %d passed, %d failed" % (passed, failed) + (", %d not begun" % skipped if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
