"""An HTTP/1.1 server that writes down each request whose head has reached it, before it answers: 'ADDRESS PORT FILE'.

The line is on its way before a byte of the body is read, so that a request of which it got any part is counted.
"""
import os
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def take(self):
        # One write of a line to a file opened for appending is whole, whoever else writes there, and outlives a kill of this process.
        os.write(received, f"{self.command} {self.path}\n".encode())
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(random.uniform(0, 0.02))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_GET = do_POST = do_PUT = take

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


received = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
server = Server((sys.argv[1], int(sys.argv[2])), Receiver)
print("serving", flush=True)
server.serve_forever()
