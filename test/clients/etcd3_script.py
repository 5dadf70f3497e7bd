#!/usr/bin/python3
"""KV and transactions through python3-etcd3; prints what comes back. etcd3_script.py PORT

test/clients/etcd3_script.py
"""
import sys

import etcd3


def show(what, answer):
    print("%s: %s" % (what, answer))


def pair(found):
    value, meta = found
    if meta is None:
        return None
    return (meta.key, value, meta.create_revision, meta.mod_revision, meta.version)


def failing(what, call, *arguments, **named):
    """What the client makes of an error."""
    try:
        show(what, call(*arguments, **named))
    except Exception as error:
        code = getattr(error, "code", lambda: "")()
        print("%s: %s %s %s" % (what, type(error).__name__, getattr(code, "name", code), getattr(error, "details", lambda: error)()))


def main():
    c = etcd3.client(host="127.0.0.1", port=int(sys.argv[1]))
    show("get of nothing", c.get("k"))
    show("put", c.put("k", "1").header.revision)
    show("get", pair(c.get("k")))
    show("put with prev_kv", c.put("k", "2", prev_kv=True).prev_kv.value)
    show("get", pair(c.get("k")))
    for i in range(5):
        c.put("p/%d" % i, "v%d" % (9 - i))
    c.put("bytes", bytes(range(256)))
    show("bytes", pair(c.get("bytes")))
    show("get_prefix", [pair(x) for x in c.get_prefix("p/")])
    show("get_prefix, descending by value", [pair(x) for x in c.get_prefix("p/", sort_order="descend", sort_target="value")])
    show("get_prefix, keys only", [pair(x) for x in c.get_prefix("p/", keys_only=True)])
    show("get_range", [pair(x) for x in c.get_range("p/1", "p/4")])
    show("get_all", [pair(x) for x in c.get_all()])
    show("count", c.get_prefix_response("p/", count_only=True).count if hasattr(c, "get_prefix_response") else "")
    show("put_if_not_exists of one that does", c.put_if_not_exists("k", "3"))
    show("put_if_not_exists", c.put_if_not_exists("new", "3"))
    show("replace, right", c.replace("new", "3", "4"))
    show("replace, wrong", c.replace("new", "3", "5"))
    show("get", pair(c.get("new")))
    show("delete", c.delete("new"))
    show("delete again", c.delete("new"))
    show("delete with prev_kv", c.delete("k", prev_kv=True, return_response=True).prev_kvs[0].value)
    show("delete_prefix", c.delete_prefix("p/").deleted)
    t = c.transactions
    ok, answers = c.transaction(compare=[t.version("a") == 0, t.create("a") == 0, t.mod("a") == 0],
                                success=[t.put("a", "1"), t.put("b", "2"), t.get("a"), t.delete("nothing")], failure=[t.get("a")])
    show("transaction", (ok, [[pair(x) for x in a] if isinstance(a, list) else type(a).__name__ for a in answers]))
    ok, answers = c.transaction(compare=[t.value("a") == "0", t.version("a") > 0], success=[t.put("a", "3")], failure=[t.get("a"), t.delete("b")])
    show("transaction that fails", (ok, [[pair(x) for x in a] if isinstance(a, list) else type(a).__name__ for a in answers]))
    ok, answers = c.transaction(compare=[t.value("a") > "0", t.value("a") < "2", t.value("a") != "7"],
                                success=[t.txn(compare=[t.version("c") == 0], success=[t.put("c", "1")], failure=[t.put("c", "2")])], failure=[])
    show("nested transaction", ok)
    failing("transaction of one key twice", c.transaction, compare=[], success=[t.put("d", "1"), t.put("d", "2")], failure=[])
    failing("empty key", c.put, "", "v")
    failing("lease that is not there", c.put, "k", "v", lease=1234)
    show("get", pair(c.get("c")))
    show("compact", c.compact(5))
    failing("compact again", c.compact, 5)
    failing("compact in the future", c.compact, 5000)
    show("physical", c.compact(7, physical=True))
    show("get_all", [pair(x) for x in c.get_all()])
    show("alarms", list(c.list_alarms()))
    show("members", [m.name for m in c.members])
    c.close()


main()
