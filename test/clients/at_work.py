"""A client at work while members of the cluster are killed, whatever the client is: what it did and saw goes to the standard output, in the lines
that README here describes.

    at_work.run(new_client)     returns when the standard input ends

new_client(endpoints, tls) makes an object with the methods that this file calls; each may raise what it likes, and is tried again.  The Go and npm
programs do the same.

test/clients/at_work.py
"""
import sys
import threading

KEYS = 20
PAUSE_S = 0.01

_stopping = threading.Event()


def say(*words):
    print(*words, flush=True)


def attempt(what, call, *arguments):
    """Tries until it works; None: it was told to stop before."""
    while True:
        try:
            return call(*arguments)
        except Exception as error:          # whatever the client makes of it
            say("error", what, " ".join(("%s %s" % (type(error).__name__, error)).split())[:300])
        if _stopping.wait(PAUSE_S):
            return None


def write(client, prefix):
    n = 0
    while not _stopping.wait(PAUSE_S):
        n += 1
        key, value = "%s/k/%d" % (prefix, n % KEYS), str(n)
        attempt("put", lambda: say("put", key, value, client.put(key, value)))
        attempt("get", lambda: say("got", key, *client.get(key)))
        attempt("txn", count, client, prefix + "/k/count")


def count(client, key):
    """Adds one to a number, unless somebody else changes it meanwhile."""
    value, revision = client.get(key)
    value = str(int(value) + 1 if revision else 1)
    written = client.replace(key, revision, value)
    if written is not None:
        say("put", key, value, written)


def run(new_client):
    prefix, endpoints, tls = sys.argv[1], sys.argv[2], sys.argv[3:]
    writer = threading.Thread(target=write, args=(new_client(endpoints, tls), prefix))
    writer.start()
    sys.stdin.readline()
    _stopping.set()
    writer.join()
