#!/usr/bin/python3
"""python3-etcd3 at work (at_work.py).

    survive_etcd3.py PREFIX ENDPOINTS [AUTHORITY CERTIFICATE KEY]

The client is given all addresses as one target of gRPC, which goes from one to the next by itself.

test/clients/survive_etcd3.py
"""
import etcd3

import at_work

LIMIT_S = 3                     # for a call


class Etcd3:
    def __init__(self, endpoints, tls):
        host, _, port = endpoints.rpartition(":")
        named = dict(zip(("ca_cert", "cert_cert", "cert_key"), tls))
        options = [("grpc.max_reconnect_backoff_ms", 1000)] + ([("grpc.ssl_target_name_override", "localhost")] if tls else [])
        self.client = etcd3.client(host="ipv4:" + host, port=port, timeout=LIMIT_S, grpc_options=options, **named)

    def put(self, key, value):
        return self.client.put(key, value).header.revision

    def get(self, key):
        value, meta = self.client.get(key)
        return (value.decode(), meta.mod_revision) if meta else ("-", 0)

    def replace(self, key, revision, value):
        """What a transaction of this client returns has no revision."""
        t = self.client.transactions
        done, _ = self.client.transaction(compare=[t.mod(key) == revision], success=[t.put(key, value)], failure=[])
        return "-" if done else None


at_work.run(Etcd3)
