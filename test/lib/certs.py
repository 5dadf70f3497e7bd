"""Certificates for tests: an authority of its own, and what it signs (the openssl command).

    authority = Authority(directory, "authority")       authority.cert is its certificate
    cert, key = authority.issue("server", ip="127.0.0.1", dns="localhost")

All is PEM, keys are on P-256 and not encrypted; each certificate is good for server and client.

test/lib/certs.py
"""
import os
import subprocess


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

    def issue(self, name, ip=None, dns=None, days=1):
        """(certificate, key) with the common name, and the address and host name in the extension."""
        cert, key, request, extensions = [self.path("%s-%s.%s" % (self.name, name, x)) for x in ("crt", "key", "csr", "ext")]
        names = ["IP:" + ip] if ip else []
        names += ["DNS:" + dns] if dns else []
        with open(extensions, "w") as f:
            f.write("keyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n")
            if names:
                f.write("subjectAltName=%s\n" % ",".join(names))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", cert)
        return cert, key
