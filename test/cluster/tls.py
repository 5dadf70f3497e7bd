#!/usr/bin/python3
"""TLS for clients and for members: who is let in and who is not, with the reason in the log; resumed sessions; files that change under load; where
the key is.

    tls.py --server build/gcc/rusd

With --server .../etcd the same is asked of etcd, but for what only rusd has and what the log says.

test/cluster/tls.py
"""
import argparse
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from certs import Authority                                              # noqa: E402
from cluster import Cluster                                              # noqa: E402
from node import Client, Node, Tap, Tls, check, error_of, free_ports, wait_until         # noqa: E402


class Files:
    """An authority, certificates of all kinds, and another authority that nobody trusts."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="rusd-tls.")
        os.mkdir(os.path.join(self.directory, "other"))
        self.authority = Authority(self.directory, "authority")
        self.stranger = Authority(os.path.join(self.directory, "other"), "stranger")
        self.server = self.authority.issue("server", ip="127.0.0.1", dns="localhost")
        self.client = self.authority.issue("client", dns="client.example")
        self.revoked = self.authority.issue("revoked", dns="client.example")
        self.crl = self.authority.revoke(self.revoked[0])

    def flags(self, auth=True, crl=True):
        return ["--cert-file", self.server[0], "--key-file", self.server[1]] + \
            (["--trusted-ca-file", self.authority.cert, "--client-cert-auth"] if auth else []) + \
            (["--client-crl-file", self.crl] if auth and crl else [])

    def tls(self, pair=None):
        return Tls(self.authority.cert, *(pair or (None, None)))

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def ask(port, context, session=None, host="127.0.0.1", path="/version"):
    """GET: (status, session, whether it was resumed).  An OSError if it is refused."""
    with socket.create_connection(("127.0.0.1", port), 30) as plain:
        with context.wrap_socket(plain, server_hostname=host, session=session) as s:
            s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
            answer = b""
            while True:
                got = s.recv(65536)
                if not got:
                    break
                answer += got
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ConnectionResetError("no answer: %r" % answer[:60])
            return 200, s.session, s.session_reused


def refusal(port, context, **named):
    """Why it is refused; None if it is not."""
    try:
        ask(port, context, **named)
        return None
    except OSError as error:
        return str(error) or type(error).__name__


def is_rusd(program):
    return os.path.basename(program) == "rusd"


def told(server, text, place="client"):
    """The log has a refusal with that reason."""
    if is_rusd(server.program):
        wait_until(lambda: any("rejected connection on %s endpoint" % place in line and text in line for line in server.log()),
                   "the log tells of: %s" % text)


# ---- who is let in ----

def matrix(program, files):
    expired = files.authority.issue("expired", days=-1)
    for_servers = files.authority.issue("for-servers", use="serverAuth")
    strange = files.stranger.issue("client")
    with Node(program, files.flags(), tls=files.tls(files.client)) as server:
        port = server.client
        check(refusal(port, files.tls(files.client).context()) is None, "a good certificate is refused")
        for name, tls, reason in (
                ("none", files.tls(), "peer did not return a certificate"),
                ("of an unknown authority", files.tls(strange), "certificate CN=client: unable to get local issuer certificate"),
                ("that has expired", files.tls(expired), "certificate CN=expired: certificate has expired"),
                ("that is revoked", files.tls(files.revoked), "certificate CN=revoked: certificate revoked"),
                ("for servers only", files.tls(for_servers), "certificate CN=for-servers: unsuitable certificate purpose")):
            check(refusal(port, tls.context()) is not None, "a certificate %s is taken" % name)
            told(server, reason)
        check(refusal(port, Tls(files.stranger.cert, *files.client).context()) is not None, "the server's certificate is of another authority")
        told(server, "alert unknown ca")
        check(refusal(port, files.tls(files.client).context(), host="elsewhere.example") is not None, "the server is somebody else")
        context = files.tls(files.client).context()
        context.set_alpn_protocols(["spdy/1"])
        check(refusal(port, context) is not None, "a protocol that nobody speaks is agreed on")
        told(server, "no application protocol")
        with socket.create_connection(("127.0.0.1", port), 30) as plain:
            plain.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            check(b"etcdserver" not in plain.recv(1000), "plain text is answered at an https URL")
        told(server, "http request")
        check(refusal(port, files.tls(files.client).context()) is None, "a good certificate is refused at the end")


def protocols(program, files):
    """ALPN, and gRPC and HTTP/1.1 at one port (HTTP-1)."""
    with Node(program, files.flags(), tls=files.tls(files.client)) as server:
        for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), ([], None)):
            context = files.tls(files.client).context()
            if offered:
                context.set_alpn_protocols(offered)
            with socket.create_connection(("127.0.0.1", server.client), 30) as plain, \
                    context.wrap_socket(plain, server_hostname="localhost") as s:
                found = s.selected_alpn_protocol()
                check(found == chosen or (found is None and not is_rusd(program) and chosen == "http/1.1"), "of %s is chosen %s" % (offered, found))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = files.tls(files.client).context()
            context.minimum_version = context.maximum_version = version
            check(refusal(server.client, context) is None, "%s is refused" % version)
        client = Client(server.endpoint, files.tls(files.client))
        value = os.urandom(1000000)                 # many records each way
        for i in range(5):
            client.put(b"k%d" % i, value)
        answer = client.range(b"k", b"l")
        check([kv.value for kv in answer.kvs] == [value] * 5, "5 MB come back as they were")
        client.close()


def versions(program, files):
    with Node(program, files.flags() + ["--tls-min-version=TLS1.3"], tls=files.tls(files.client)) as server:
        context = files.tls(files.client).context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        check(refusal(server.client, context) is not None, "TLS 1.2 is spoken")
        told(server, "unsupported protocol")
    flags = ["--tls-max-version=TLS1.2", "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    with Node(program, files.flags() + flags, tls=files.tls(files.client)) as server:
        context = files.tls(files.client).context()
        check(refusal(server.client, context) is None, "TLS 1.2 is refused")
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        check(refusal(server.client, context) is not None, "a cipher suite that is not on the list is spoken")
        told(server, "no shared cipher")


def host_names(program, files):
    other = files.authority.issue("other", dns="other.example")
    nameless = files.authority.issue("client.example")
    with Node(program, files.flags() + ["--client-cert-allowed-hostname=a.example,client.example"], tls=files.tls(files.client)) as server:
        check(refusal(server.client, files.tls(files.client).context()) is None, "the host name is on the list")
        for pair, name in ((other, "other"), (nameless, "client.example")):
            check(refusal(server.client, files.tls(pair).context()) is not None, "%s has no host name of the list" % name)
            told(server, "certificate CN=%s: none of its host names is on the list" % name)


def lists_of_nobody(program, files):
    """Who names whom to let in and demands no certificates lets everybody in, as etcd does, and is told."""
    flags = ["--cert-file", files.server[0], "--key-file", files.server[1], "--client-cert-allowed-hostname", "client.example"]
    with Node(program, flags, tls=Tls(files.authority.cert)) as server:
        check(refusal(server.client, Tls(files.authority.cert).context()) is None, "a client without a certificate is refused")
        check(not is_rusd(program) or server.logged("everybody is let in"), "nobody is told")


def side_by_side(program, files):
    """http and https at two ports, and at one."""
    second, third = free_ports(2)
    with Node(program, files.flags(), start=False, tls=files.tls(files.client)) as server:
        first = server.client
        urls = "https://127.0.0.1:%d,http://127.0.0.1:%d,http://127.0.0.1:%d,https://127.0.0.1:%d" % (first, second, third, third)
        server.flags += ["--listen-client-urls=" + urls]
        server.start()
        for port in (first, third):
            check(refusal(port, files.tls(files.client).context()) is None, "TLS at port %d" % port)
            check(refusal(port, files.tls().context()) is not None, "without a certificate at port %d" % port)
        for port in (second, third):
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            c.request("GET", "/version")
            check(c.getresponse().status == 200, "plain text at port %d" % port)
            c.close()


def automatic(program, files):
    anybody = Tls()
    with Node(program, ["--auto-tls"], tls=anybody) as server:
        def shown():
            with socket.create_connection(("127.0.0.1", server.client), 30) as plain, \
                    anybody.context().wrap_socket(plain, server_hostname="localhost") as s:
                return s.getpeercert(binary_form=True)
        first = shown()
        key = os.path.join(server.data, "fixtures", "client", "key.pem")
        check(os.stat(key).st_mode & 0o77 == 0, "others may read %s" % key)
        Tls(key.replace("key", "cert")).context()
        server.stop()
        server.start()
        check(shown() == first, "another certificate after a restart")


def refused_files(program, files):
    """A node whose files are no good does not start, and says which and why."""
    garbage = os.path.join(files.directory, "garbage.pem")
    with open(garbage, "w") as f:
        f.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    missing = os.path.join(files.directory, "missing.pem")
    for flags, text in ((["--cert-file", missing], "%s: No such file or directory" % missing),
                        (["--cert-file", files.server[1]], "%s: no certificate in PEM form is in it" % files.server[1]),
                        (["--key-file", files.server[0]], "%s: there is no key in it that can be read: PEM, not encrypted" % files.server[0]),
                        (["--key-file", files.client[1]], "%s: is not the key of the certificate in %s" % (files.client[1], files.server[0])),
                        (["--trusted-ca-file", garbage], garbage),
                        (["--client-crl-file", garbage], "%s: no revocation list is in it" % garbage),
                        (["--cipher-suites", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_X"], "unexpected TLS cipher suite \\\"TLS_X\\\"")):
        with Node(program, files.flags(crl=False) + flags, start=False, tls=files.tls(files.client)) as server:
            server.launch()
            check(server.wait() == 1, "a node starts with %s" % flags)
            check(server.logged(text), "the log does not say: %s" % text)


# ---- sessions ----

def fixed(files, pair, version):
    context = files.tls(pair).context()
    context.minimum_version = context.maximum_version = version
    return context


def resumed(program, files):
    """A ticket is good for any backend of its listener, until files change; and a revoked certificate does not get in by one."""
    second = free_ports(1)[0]
    files.crl = files.authority.revoke()
    with Node(program, files.flags(), start=False, tls=files.tls(files.client)) as server:
        server.flags += ["--listen-client-urls=https://127.0.0.1:%d,https://127.0.0.1:%d" % (server.client, second)]
        server.start()
        contexts, sessions = {}, {}
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for pair in (files.client, files.revoked):
                context = contexts[version, pair] = fixed(files, pair, version)
                _, session, _ = ask(server.client, context)
                _, _, again = ask(server.client, context, session)
                check(again, "%s: the session is not resumed" % version)
                _, _, elsewhere = ask(second, context, session)
                check(not elsewhere, "%s: a ticket of one listener is good at another" % version)
                _, sessions[version, pair], _ = ask(server.client, context)
        files.authority.revoke(files.revoked[0])
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            reason = refusal(server.client, contexts[version, files.revoked], session=sessions[version, files.revoked])
            check(reason is not None, "%s: a revoked certificate is resumed" % version)
            _, _, again = ask(server.client, contexts[version, files.client], sessions[version, files.client])
            check(not again, "%s: a ticket from before the list of revoked certificates changed is resumed" % version)
        told(server, "certificate CN=revoked: certificate revoked")
        counted = {k: v for k, v in server.metrics().items() if k.startswith("rusd_tls_handshakes_total")}
        check(counted['rusd_tls_handshakes_total{result="resumed"}'] == 4, "counted: %s" % counted)
        check(counted['rusd_tls_handshakes_total{result="refused"}'] == 2, "counted: %s" % counted)


# ---- files that change ----

def replace(path, by):
    shutil.copy(by, path + ".new")
    os.rename(path + ".new", path)


def serial_shown(port, tls, host="localhost"):
    with socket.create_connection(("127.0.0.1", port), 30) as plain, tls.context().wrap_socket(plain, server_hostname=host) as s:
        return s.getpeercert()["serialNumber"]


def serial_of(path):
    text = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-serial"], capture_output=True, text=True, check=True).stdout
    return text.strip().split("=")[1]


def reload_under_load(program, files, rounds=5):
    cert, key = os.path.join(files.directory, "present.crt"), os.path.join(files.directory, "present.key")
    replace(cert, files.server[0])
    replace(key, files.server[1])
    tls = files.tls(files.client)
    flags = files.flags() + ["--cert-file", cert, "--key-file", key]
    with Node(program, flags, tls=tls) as server:
        failures, done, counts = [], threading.Event(), [0, 0]

        def write():
            client = Client(server.endpoint, tls)
            try:
                while not done.is_set():
                    client.put(b"k", b"v")
                    counts[0] += 1
            except Exception as error:              # whatever it is, it is what the test is about
                failures.append("a write on an open connection: %s" % error)
            finally:
                client.close()

        def connect():
            while not done.is_set():
                why = refusal(server.client, tls.context())
                if why is not None:
                    failures.append("a new connection: %s" % why)
                counts[1] += 1

        threads = [threading.Thread(target=f) for f in (write, write, connect)]
        for t in threads:
            t.start()
        try:
            for i in range(rounds):
                new = files.authority.issue("server%d" % i, ip="127.0.0.1", dns="localhost")
                replace(cert, new[0])               # for a moment without its key
                before = sum(counts)
                wait_until(lambda: min(counts) > 0 and sum(counts) > before + 20, "clients get on")
                replace(key, new[1])
                if is_rusd(program) and i % 2 == 0:
                    server.send(signal.SIGHUP)
                wait_until(lambda: serial_shown(server.client, tls) == serial_of(new[0]), "the new certificate is shown")
        finally:
            done.set()
            for t in threads:
                t.join()
        if is_rusd(program):                        # etcd takes certificate and key one by one, and fails between them
            check(not failures, "; ".join(failures[:3]))
            check(server.logged("is not the key of the certificate"), "a certificate without its key is not told of")
            with open(cert, "w") as f:
                f.write("nonsense")
            check(refusal(server.client, tls.context()) is None, "nonsense takes the place of a certificate")
            check(server.logged("%s: no certificate in PEM form is in it" % cert), "the log does not say which file is no good")
            check(server.logged("a certificate expires soon"), "nobody is warned of a certificate that ends tomorrow")


def authorities_change(program, files):
    """A client of an authority that comes in place of another is let in, one of the old authority no more."""
    path = os.path.join(files.directory, "present-authority.crt")
    replace(path, files.authority.cert)
    strange = Tls(files.authority.cert, *files.stranger.issue("newcomer"))
    with Node(program, files.flags(crl=False) + ["--trusted-ca-file", path], tls=files.tls(files.client)) as server:
        check(refusal(server.client, strange.context()) is not None, "a stranger is let in")
        replace(path, files.stranger.cert)
        check(refusal(server.client, strange.context()) is None, "the new authority is not known")
        check(refusal(server.client, files.tls(files.client).context()) is not None, "the old authority is still known")
        server.tls = strange


# ---- handshakes, and the key ----

def handshakes(program, files):
    """One that does not get on ends; while there are as many as may be, others wait and are served then."""
    tls = files.tls(files.client)
    with Node(program, files.flags() + ["--max-handshakes=3"], tls=tls) as server:
        def silent():
            s = socket.create_connection(("127.0.0.1", server.client), 60)
            s.sendall(b"\x16\x03\x01")
            return s
        held = [silent() for _ in range(3)]
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(refusal(server.client, tls.context())))
        wait_until(lambda: len(server.of_kind("backend")) == 3, "three handshakes are under way")
        waiting.start()
        check(held[0].recv(1) == b"", "a handshake that does not get on is ended")
        waiting.join(60)
        check(answers == [None], "who waited is not served: %s" % answers)
        told(server, "the handshake did not end in time")
        for s in held:
            s.close()


def key_is_gone(program, files):
    """The key's number is nowhere but in the postmaster when a handshake is over."""
    if os.geteuid() != 0:
        return "needs root, to look into processes"
    text = subprocess.run(["openssl", "ec", "-in", files.server[1], "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    number = bytes.fromhex(re.sub(r"[^0-9a-f]", "", re.search(r"priv:\n([0-9a-f:\s]+)pub:", text).group(1)))[-32:]

    def has_key(pid):
        found = False
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
            for line in maps:
                place, rights = line.split()[:2]
                low, high = [int(x, 16) for x in place.split("-")]
                if not rights.startswith("rw") or "memfd" in line or "[v" in line or high - low > 64 << 20:
                    continue
                memory.seek(low)
                try:
                    held = memory.read(high - low)
                except OSError:
                    continue
                found = found or number in held or number[::-1] in held
        return found
    with Node(program, files.flags(), tls=files.tls(files.client)) as server:
        client = Client(server.endpoint, files.tls(files.client))
        client.put(b"a", b"b")
        check(has_key(server.pid), "the postmaster has the key (or this test cannot find it)")
        kinds = server.processes()
        check("backend" in kinds.values() and "raft" in kinds.values(), "processes: %s" % kinds)
        for pid, kind in kinds.items():
            check(not has_key(pid), "the key is in a process %s" % kind)
        client.close()


# ---- members ----

class PeerFiles:
    """Of members: all have the address that they come from, but for the one that is of another host."""

    def __init__(self, files):
        self.authority, self.stranger = files.authority, files.stranger
        issue = files.authority.issue
        self.good = issue("member", ip="127.0.0.1", dns="member.example")
        self.other = issue("other", ip="127.0.0.1", dns="other.example")
        self.revoked = issue("revoked-member", ip="127.0.0.1", dns="member.example")
        self.crl = files.authority.revoke(self.revoked[0])
        # (what it is, certificate, reason for which it is refused)
        self.bad = [("of an unknown authority", files.stranger.issue("stranger", ip="127.0.0.1"), "certificate CN=stranger: unable to get local issuer certificate"),
                    ("that has expired", issue("expired-member", ip="127.0.0.1", days=-1), "certificate CN=expired-member: certificate has expired"),
                    ("that is revoked", self.revoked, "certificate CN=revoked-member: certificate revoked"),
                    ("of another host", issue("elsewhere", ip="192.0.2.1", dns="elsewhere.invalid"), "certificate CN=elsewhere: it names other hosts than the one it comes from")]

    def flags(self, pair=None, *more):
        cert, key = pair or self.good
        return ["--peer-cert-file=" + cert, "--peer-key-file=" + key, "--peer-trusted-ca-file=" + self.authority.cert, "--peer-client-cert-auth",
                "--peer-crl-file=" + self.crl] + list(more)

    def context(self, pair=None):
        return Tls(self.authority.cert, *(pair or (None, None))).context()


def peer_node(program, peers, *more):
    """One node that members reach by TLS; not started."""
    node = Node(program, peers.flags(None, *more), start=False)
    url = "https://127.0.0.1:%d" % node.peer
    node.flags += ["--listen-peer-urls=" + url, "--initial-advertise-peer-urls=" + url, "--initial-cluster=default=" + url]
    return node


def peer_matrix(program, files):
    peers = PeerFiles(files)
    for_servers = files.authority.issue("server-only", ip="127.0.0.1", use="serverAuth")
    nameless = files.authority.issue("nameless")
    with peer_node(program, peers) as node:
        node.start()
        for pair in (peers.good, peers.other, nameless):
            check(refusal(node.peer, peers.context(pair)) is None, "%s is refused" % pair[0])
        for name, pair, reason in peers.bad + [
                ("none", None, "peer did not return a certificate"),
                ("for servers only", for_servers, "certificate CN=server-only: unsuitable certificate purpose")]:
            check(refusal(node.peer, peers.context(pair)) is not None, "a certificate %s is taken" % name)
            told(node, reason, "peer")
    if is_rusd(program):                                # the etcd of the distribution is older than the flag
        with peer_node(program, peers, "--peer-skip-client-san-verification") as node:
            node.start()
            check(refusal(node.peer, peers.context(peers.bad[-1][1])) is None, "without a look at the address another host is refused")


def peer_names(program, files):
    """--peer-cert-allowed-cn, --peer-cert-allowed-hostname: etcd's etcdmain/config.go, one or the other."""
    peers = PeerFiles(files)
    nameless = files.authority.issue("member.example", ip="127.0.0.1")
    second = files.authority.issue("second", ip="127.0.0.1", dns="member.example")
    for flag, good, bad, reason in (
            ("--peer-cert-allowed-cn=member", (peers.good,), (peers.other, second), "its common name is not on the list of allowed ones"),
            ("--peer-cert-allowed-hostname=member.example", (peers.good, second), (peers.other, nameless), "none of its host names is on the list of allowed ones")):
        with peer_node(program, peers, flag) as node:
            node.start()
            for pair in good:
                check(refusal(node.peer, peers.context(pair)) is None, "%s: %s is refused" % (flag, pair[0]))
            for pair in bad:
                check(refusal(node.peer, peers.context(pair)) is not None, "%s: %s is taken" % (flag, pair[0]))
            told(node, reason, "peer")
            check(node.get("/health")[0] == 200, "clients are asked for nothing")
    if is_rusd(program):                                # the older etcd of the distribution takes one of either
        with peer_node(program, peers, "--peer-cert-allowed-cn=first,member") as node:
            node.start()
            check(refusal(node.peer, peers.context(peers.good)) is None, "the second of a list is refused")
    with peer_node(program, peers, "--peer-cert-allowed-cn=member", "--peer-cert-allowed-hostname=member.example") as node:
        node.launch()
        check(node.wait() != 0, "a node starts with names of both kinds")


def peer_sessions(program, files):
    """A session that a member resumes is judged again."""
    peers = PeerFiles(files)
    files.authority.revoke()
    with peer_node(program, peers) as node:
        node.start()
        context = peers.context(peers.revoked)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        _, session, _ = ask(node.peer, context)
        check(ask(node.peer, context, session)[2], "the session is not resumed")
        files.authority.revoke(peers.revoked[0])
        check(refusal(node.peer, context, session=session) is not None, "a revoked certificate is resumed")
        told(node, "certificate CN=revoked-member: certificate revoked", "peer")


def members_with_bad_certificates(program, files):
    """One of three that shows what is no good is refused, and says so; with good files in the same place it is let in, and nobody was started again."""
    peers = PeerFiles(files)
    cert, key = os.path.join(files.directory, "changing.crt"), os.path.join(files.directory, "changing.key")
    names = "--peer-cert-allowed-cn=member,revoked-member,expired-member,stranger,elsewhere"
    bad = peers.bad + [("of another name", peers.other, "certificate CN=other: its common name is not on the list of allowed ones")]

    def show(pair):
        replace(key, pair[1])
        replace(cert, pair[0])
    show(peers.good)
    with Cluster(program, 3, flags=peers.flags(None, names), scheme="https") as cluster:
        first, second, changing = cluster.members.values()
        changing.flags = peers.flags((cert, key), names)
        cluster.start()
        for name, pair, reason in bad:
            changing.stop()
            show(pair)
            before = len(changing.log())
            changing.launch()
            told(first, reason, "peer")
            told(second, reason, "peer")
            wait_until(lambda: any("no connection to a member" in line for line in changing.log()[before:]), "%s: it says that it gets nowhere" % name)
            check(not changing.healthy(), "%s: it serves" % name)
            write_until(first, b"without", name.encode())
            show(peers.good)
            cluster.all_write(b"with", 60)
            cluster.hashes_agree(30)
        dialled = [line for m in (first, second) for line in m.log() if "no connection to a member" in line and "certificate CN=" in line]
        check(any("CN=other" in line for line in dialled) and any("CN=stranger" in line for line in dialled),
              "who calls does not say what it was shown: %s" % dialled[-3:])


def peer_reload_under_load(program, files):
    """Certificates of members are replaced, one member after the other and several times: links are cut, so that they are made anew with them, and
    writes go on."""
    peers = PeerFiles(files)
    with Cluster(program, 3, flags=peers.flags(), scheme="https") as cluster:
        places = {}
        for name, m in cluster.members.items():
            places[name] = os.path.join(files.directory, name + ".crt"), os.path.join(files.directory, name + ".key")
            for place, source in zip(places[name], peers.good):
                replace(place, source)
            m.flags = peers.flags(places[name])
        cluster.start()
        failures, done, count = [], threading.Event(), [0]

        def write():
            client = Client(cluster.members["m0"].endpoint)
            try:
                while not done.is_set():
                    client.put(b"k", b"v")
                    count[0] += 1
            except Exception as error:              # whatever it is, it is what the test is about
                failures.append("a write: %s" % error)
            finally:
                client.close()
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for i in range(2):
                for name, m in cluster.members.items():
                    new = files.authority.issue("%s-%d" % (name, i), ip="127.0.0.1")
                    for place, source in zip(places[name], new):
                        replace(place, source)
                    shown = Tls(files.authority.cert, *peers.good)
                    wait_until(lambda: serial_shown(m.peer, shown, "127.0.0.1") == serial_of(new[0]), "%s shows its new certificate" % name)
                    for pid in m.of_kind("peer"):
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                    before = count[0]
                    wait_until(lambda: failures or count[0] > before + 20, "writes go on")
        finally:
            done.set()
            writer.join()
        check(not failures, "; ".join(failures))
        cluster.all_write(b"after", 30)
        cluster.hashes_agree(30)


def write_until(member, key, value):
    client = Client(member.endpoint)
    try:
        wait_until(lambda: error_of(client.put, key, value, timeout=5) is None, "a write through %s" % member.name)
    finally:
        client.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    tap = Tap()
    for function, only_rusd in ((matrix, False), (protocols, False), (versions, False), (host_names, False), (lists_of_nobody, False), (side_by_side, False),
                                (automatic, False),
                                (refused_files, True), (resumed, True), (reload_under_load, False), (authorities_change, True), (handshakes, True),
                                (key_is_gone, True), (peer_matrix, False), (peer_names, False), (peer_sessions, False),
                                (members_with_bad_certificates, True), (peer_reload_under_load, True)):
        if arguments.only not in function.__name__ or (only_rusd and not is_rusd(arguments.server)):
            continue
        files = Files()
        try:
            tap.run(function.__name__, function, arguments.server, files)
        finally:
            files.remove()
    tap.end()


if __name__ == "__main__":
    main()
