"""A client of the primary and its replica: docs/10-your-own.md tells how it is driven.

It asks the nodes in turn who is the primary, as such clients do, and stays with the one
that says so until an operation fails.
"""
import json
import socket
import sys


class Refused(Exception):
    """The operation certainly did not happen."""


class Redis:
    def __init__(self, address, timeout):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.file = self.socket.makefile("rwb")

    def command(self, timeout, *words):
        self.socket.settimeout(timeout)
        words = [str(w).encode() for w in words]
        self.file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        self.file.flush()
        return self.answer()

    def answer(self):
        line = self.file.readline().decode()
        kind, rest = line[:1], line[1:].rstrip()
        if kind == "*":
            return [self.answer() for _ in range(int(rest))]
        if kind == "$":
            return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == "-" and rest.split()[0] in ("READONLY", "LOADING", "MASTERDOWN"):
            raise Refused(rest)
        if kind not in ("+", ":"):
            raise ConnectionError(rest or "the connection was closed")
        return rest


def primary(nodes, timeout):
    for name, ports in nodes.items():
        try:
            redis = Redis(ports["6379"], timeout / 4)
            if redis.command(timeout / 4, "ROLE")[0] == "master":
                return name, redis
        except (OSError, Refused):
            pass
    raise Refused("no node says that it is the primary")


found = None
for text in sys.stdin:
    r = json.loads(text)
    timeout = r["timeout_ms"] / 1000
    answer = {"id": r["id"], "type": "ok"}
    try:
        if r["f"] in ("add", "read"):
            found = found or primary(r["nodes"], timeout)
            answer["node"], redis = found
            if r["f"] == "add":
                redis.command(timeout / 2, "SADD", r["key"], r["value"])
            else:
                answer["value"] = [int(v) for v in redis.command(timeout / 2, "SMEMBERS", r["key"])]
        elif r["f"] != "open":
            raise Refused("this client knows no " + r["f"])
    except Refused as e:
        found, answer = None, {"id": r["id"], "type": "fail", "error": str(e)}
    except (OSError, ValueError) as e:  # it may have happened, or may happen yet
        found, answer = None, {"id": r["id"], "type": "info", "error": str(e)}
    print(json.dumps(answer), flush=True)
