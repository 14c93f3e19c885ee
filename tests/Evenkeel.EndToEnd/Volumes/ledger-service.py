"""A service that keeps lines in a file of its volume: each is answered once it is on stable storage.

Usage: ledger-service.py FILE ADDRESS PORT. A line is kept and answered with 'ok'; '?' is answered with every line kept, then '.'.
A failed fsync ends it: what was answered is safe, what was not may be gone, and nothing more can be promised.
"""
import os
import socketserver
import sys
import threading

path, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
kept = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
gate = threading.Lock()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if line.strip() == b"?":
                with open(path, "rb") as whole:
                    self.wfile.write(whole.read() + b".\n")
                continue
            try:
                with gate:
                    os.write(kept, line)
                    os.fsync(kept)
            except OSError as failure:
                print(f"ledger: {failure}", flush=True)
                os._exit(1)
            self.wfile.write(b"ok\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server((address, port), Handler).serve_forever()
