#!/usr/bin/python3
"""etcdctl at work (at_work.py); ETCDCTL in the environment names it.

    survive_etcdctl.py PREFIX ENDPOINTS [AUTHORITY CERTIFICATE KEY]

A command for every operation.

test/clients/survive_etcdctl.py
"""
import base64
import json
import os
import subprocess

import at_work

LIMIT_S = 30                    # for a command


def text(encoded):
    return base64.b64decode(encoded).decode()


class Etcdctl:
    def __init__(self, endpoints, tls):
        self.argv = [os.environ.get("ETCDCTL", "etcdctl"), "--endpoints", endpoints] + \
            [x for pair in zip(("--cacert", "--cert", "--key"), tls) for x in pair]
        self.environment = dict(os.environ, ETCDCTL_API="3")

    def json(self, *words, stdin=""):
        done = subprocess.run(self.argv + list(words) + ["-w", "json"], input=stdin, capture_output=True, text=True, timeout=LIMIT_S, env=self.environment)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[-1:])
        return json.loads(done.stdout.splitlines()[-1])

    def put(self, key, value):
        return self.json("put", key, value)["header"]["revision"]

    def get(self, key):
        found = self.json("get", key).get("kvs")
        return (text(found[0]["value"]), found[0]["mod_revision"]) if found else ("-", 0)

    def replace(self, key, revision, value):
        done = self.json("txn", stdin='mod("%s") = "%d"\n\nput %s %s\n\n\n' % (key, revision, key, value))
        return done["header"]["revision"] if done.get("succeeded") else None


at_work.run(Etcdctl)
