"""Certificates for tests: an authority of its own, and what it signs (the openssl command).

    authority = Authority(directory, "authority")       authority.cert is its certificate
    cert, key = authority.issue("server", ip="127.0.0.1", dns="localhost")

All is PEM, keys are on P-256 and not encrypted; each certificate is good for server and client.

test/lib/certs.py
"""
import os
import subprocess
import time


def openssl(*words):
    done = subprocess.run(("openssl",) + words, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (words[0], done.stderr))


class Authority:
    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.cert, self.key = self.path(name + ".crt"), self.path(name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                "-keyout", self.key, "-out", self.cert, "-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=keyCertSign,cRLSign")

    def path(self, name):
        return os.path.join(self.directory, name)

    def issue(self, name, ip=None, dns=None, days=1, use="serverAuth,clientAuth", seconds=None):
        """(certificate, key) with the common name, and the address and host name in the extension.  days -1: expired; seconds: ends so soon."""
        cert, key, request, extensions = [self.path("%s-%s.%s" % (self.name, name, x)) for x in ("crt", "key", "csr", "ext")]
        names = ["IP:" + ip] if ip else []
        names += ["DNS:" + dns] if dns else []
        with open(extensions, "w") as f:
            f.write("keyUsage=digitalSignature\nextendedKeyUsage=%s\n" % use)
            if names:
                f.write("subjectAltName=%s\n" % ",".join(names))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", key, "-out", request)
        if seconds is not None:
            ends = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
            openssl("ca", "-batch", "-notext", "-config", self.configure(), "-cert", self.cert, "-keyfile", self.key, "-in", request, "-extfile", extensions, "-enddate", ends, "-out", cert)
            return cert, key
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", cert)
        return cert, key

    def configure(self):
        """Writes what the command "ca" wants, without a memory of what was signed; the path of its file."""
        database, config = self.path("index.txt"), self.path("ca.cnf")
        open(database, "w").close()
        with open(config, "w") as f:
            f.write("[ca]\ndefault_ca=a\n[a]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\ndefault_crl_days=2\nnew_certs_dir=%s\npolicy=any\nrand_serial=yes\n"
                    "[any]\ncommonName=supplied\n" % (database, self.path("crlnumber"), self.directory))
        return config

    def revoke(self, *certificates):
        """Writes the list of these (and no others) that are revoked, by a rename; its path."""
        config, path = self.path("ca.cnf"), self.path(self.name + ".crl")
        with open(self.path("crlnumber"), "a") as f:
            if f.tell() == 0:
                f.write("01\n")
        self.configure()
        words = ("ca", "-config", config, "-cert", self.cert, "-keyfile", self.key)
        for certificate in certificates:
            openssl(*words, "-revoke", certificate)
        openssl(*words, "-gencrl", "-out", path + ".new")
        os.rename(path + ".new", path)
        return path
