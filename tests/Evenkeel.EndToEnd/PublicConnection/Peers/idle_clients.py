"""'idle_clients.py PORT COUNT': COUNT connections that each ask once, lie idle, and ask once more at a line on standard input."""
import socket
import sys

port, count = int(sys.argv[1]), int(sys.argv[2])
REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def ask(one):
    one.sendall(REQUEST)
    answer = one.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200"), answer


clients = []
for number in range(count):
    # Of several addresses: the ports of one may not suffice.
    one = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=("127.0.0.%d" % (2 + number % 4), 0))
    clients.append(one)
    ask(one)
print("idle", flush=True)
sys.stdin.readline()
for one in clients:
    ask(one)
print("ok", flush=True)
