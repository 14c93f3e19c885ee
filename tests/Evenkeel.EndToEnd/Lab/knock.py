"""Connects to every 'address port' of its input, all at once, and says of each: open, refused, silent or unreachable."""
import concurrent.futures
import socket
import sys


def knock(line):
    address, port = line.split()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
        client.settimeout(float(sys.argv[1]))
        try:
            client.connect((address, int(port)))
            return f"{address} {port} open"
        except TimeoutError:
            return f"{address} {port} silent"
        except ConnectionRefusedError:
            return f"{address} {port} refused"
        except OSError as problem:
            return f"{address} {port} unreachable ({problem.strerror})"


with concurrent.futures.ThreadPoolExecutor(64) as pool:
    for said in pool.map(knock, sys.stdin.read().splitlines()):
        print(said)
