"""The client of a system under test: a JSON object a line comes in, one goes out.

It speaks Redis' protocol to db1, the primary. The replicas answer nobody: try what coup
says when reads go to r["address"], which is another node for each client.
"""
import json
import socket
import sys

PRIMARY, PORT = "db1", "6379"


class Refused(Exception):
    """The operation certainly did not happen."""


class Redis:
    def __init__(self):
        self.file = None

    def close(self):
        if self.file:
            self.file.close()
        self.file = None

    def command(self, address, timeout, *words):
        if not self.file:
            host, port = address.rsplit(":", 1)
            try:
                s = socket.create_connection((host, int(port)), timeout)
            except OSError as e:
                raise Refused(f"connect to {address}: {e}")  # nothing was sent
            self.file, self.socket = s.makefile("rwb"), s
        self.socket.settimeout(timeout)
        words = [str(w).encode() for w in words]
        self.file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        self.file.flush()
        line = self.file.readline().decode()
        kind, rest = line[:1], line[1:].rstrip()
        if kind == "$":
            return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == "-" and rest.split()[0] in ("READONLY", "LOADING", "MASTERDOWN"):
            raise Refused(rest)
        if kind in "+:" and kind:
            return rest
        raise ConnectionError(rest or "the connection was closed")  # nobody knows what happened


CAS = "local v = redis.call('GET', KEYS[1]); if (v or '') == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end; return v"


def perform(redis, r):
    def command(*words):
        return redis.command(r["nodes"][PRIMARY][PORT], r["timeout_ms"] / 1000, *words)

    number = lambda text: None if text is None else int(text)
    if r["f"] == "open":  # the first line: there is nothing to do yet
        return None
    if r["f"] == "read":
        return number(command("GET", r["key"]))
    if r["f"] == "write":
        return command("SET", r["key"], r["value"]) and None
    if r["f"] == "cas":  # answers what it saw, whether that was what it expected or not
        old, new = r["value"]
        return number(command("EVAL", CAS, 1, r["key"], "" if old is None else old, new))
    raise Refused(f"this client knows no {r['f']}")


redis = Redis()
for text in sys.stdin:
    r = json.loads(text)
    try:
        answer = {"id": r["id"], "type": "ok", "value": perform(redis, r)}
    except Refused as e:
        answer = {"id": r["id"], "type": "fail", "error": str(e)}
    except (OSError, ValueError) as e:  # it may have happened, or may happen yet
        answer = {"id": r["id"], "type": "info", "error": str(e)}
    if answer["type"] != "ok":
        redis.close()
    print(json.dumps(answer), flush=True)
