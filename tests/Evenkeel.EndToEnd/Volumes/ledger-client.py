"""Clients of ledger-service.py that keep their own account of what was answered. Usage: ledger-client.py ADDRESS PORT CLIENTS.

Prints 'writing' after the first answer, and for each line of its standard input how many lines were answered so far. When that input
ends it stops writing, reads back what the service has, and prints the verdict as JSON: lines answered, those of them that are missing,
the longest time between two answers in seconds.
"""
import json
import socket
import sys
import threading
import time

address, port, clients = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
stop = threading.Event()
answered, times, gate = set(), [], threading.Lock()
begun = threading.Event()
# The service keeps what earlier runs wrote: no line of theirs may stand in for one of this run's.
run = f"{time.time_ns():x}"


def connect():
    link = socket.create_connection((address, port), timeout=2)
    # A frozen write is waited for; a lost node answers nothing for ever.
    link.settimeout(8)
    return link, link.makefile("rb")


def write(client):
    # Counts what was answered, so that lost lines which follow each other are one gap; what is sent again is kept twice.
    sequence, link, replies = 1, None, None
    while not stop.is_set():
        line = f"{run}.{client}:{sequence}"
        try:
            if link is None:
                link, replies = connect()
            link.sendall(line.encode() + b"\n")
            if replies.readline() != b"ok\n":
                raise OSError("no answer")
            with gate:
                answered.add(line)
                times.append(time.monotonic())
            sequence += 1
            begun.set()
        except OSError:
            if link is not None:
                link.close()
            link = None
            time.sleep(0.05)


def read_back():
    for _ in range(300):
        try:
            link, replies = connect()
            link.sendall(b"?\n")
            lines = []
            while True:
                line = replies.readline()
                if not line:
                    raise OSError("cut short")
                if line == b".\n":
                    return {text.decode().strip() for text in lines}
                lines.append(line)
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the service cannot be read")


threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(clients)]
for thread in threads:
    thread.start()
begun.wait()
print("writing", flush=True)
for _ in sys.stdin:
    with gate:
        print(len(answered), flush=True)
stop.set()
for thread in threads:
    thread.join(15)
present = read_back()
with gate:
    times.sort()
    longest = max((after - before for before, after in zip(times, times[1:])), default=0.0)
    lost = sorted(answered - present)
print(json.dumps({"answered": len(answered), "lost": lost, "longest": longest}), flush=True)
