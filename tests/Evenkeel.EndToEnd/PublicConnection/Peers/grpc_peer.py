"""A gRPC server and a client of Google's C core: 'server PORT', or 'client TARGET AUTHORITY-FILE' ('ok' when all holds).

The client stops once, in the middle of an open stream, prints 'waiting' and goes on at a line on its standard input.
"""
import sys
import threading
from concurrent import futures

import grpc

SERVICE = "evenkeel.test.Echo"
# What the server learned of streams that their clients gave up.
cancelled = threading.Semaphore(0)


def unary(request, context):
    metadata = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-seen", metadata.get("x-sent", "nothing")), ("x-bytes-bin", bytes(range(256)))))
    return request


def refuse(request, context):
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no: " + request.decode())


def many(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def total(requests, context):
    return b"%d" % sum(len(one) for one in requests)


def both(requests, context):
    for one in requests:
        yield one


def endless(request, context):
    over = threading.Event()
    context.add_callback(over.set)
    yield b"begun"
    if over.wait(20):
        cancelled.release()


def was_cancelled(request, context):
    return b"yes" if cancelled.acquire(timeout=20) else b"no"


def serve(port):
    server = grpc.server(futures.ThreadPoolExecutor(16), options=(("grpc.max_receive_message_length", -1),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "Many": grpc.unary_stream_rpc_method_handler(many),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Both": grpc.stream_stream_rpc_method_handler(both),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
        "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
    }),))
    if server.add_insecure_port("127.0.0.1:" + port) == 0:
        raise SystemExit("port " + port + " is taken")
    server.start()
    print("serving", flush=True)
    sys.stdin.read()
    server.stop(None).wait()


def one_by_one(stream, mine, count):
    """Each answer must come before the next question is asked: nobody on the way may wait for more."""
    for number in range(count):
        mine.release_one(b"%d" % number)
        assert next(stream) == b"%d" % number


class Questions:
    def __init__(self):
        self.ready = threading.Condition()
        self.waiting = []
        self.ended = False

    def release_one(self, one):
        with self.ready:
            self.waiting.append(one)
            self.ready.notify()

    def end(self):
        with self.ready:
            self.ended = True
            self.ready.notify()

    def __iter__(self):
        while True:
            with self.ready:
                self.ready.wait_for(lambda: self.waiting or self.ended)
                if not self.waiting:
                    return
                one = self.waiting.pop(0)
            yield one


def ask(target, authority):
    with open(authority, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    channel = grpc.secure_channel(target, credentials, (("grpc.ssl_target_name_override", "a.example"), ("grpc.max_receive_message_length", -1)))
    path = "/" + SERVICE + "/"

    answer, call = channel.unary_unary(path + "Unary").with_call(b"hello", metadata=(("x-sent", "before"),), timeout=20)
    trailing = dict(call.trailing_metadata())
    assert (answer, trailing["x-seen"], trailing["x-bytes-bin"]) == (b"hello", "before", bytes(range(256))), trailing
    assert channel.unary_unary(path + "Unary")(b"", timeout=20) == b""
    large = bytes(range(256)) * 16384
    assert channel.unary_unary(path + "Unary")(large, timeout=20) == large

    try:
        channel.unary_unary(path + "Refuse")(b"why", timeout=20)
        raise AssertionError("a refusal was lost")
    except grpc.RpcError as refusal:
        assert (refusal.code(), refusal.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "no: why"), refusal

    assert list(channel.unary_stream(path + "Many")(b"2000", timeout=20)) == [b"%d" % number for number in range(2000)]
    assert channel.stream_unary(path + "Total")((b"x" * 1000 for _ in range(500)), timeout=20) == b"500000"

    questions = Questions()
    stream = channel.stream_stream(path + "Both")(iter(questions), timeout=60)
    one_by_one(stream, questions, 200)
    print("waiting", flush=True)
    sys.stdin.readline()
    one_by_one(stream, questions, 200)
    questions.end()
    assert list(stream) == []

    try:
        list(channel.unary_stream(path + "Endless")(b"", timeout=0.5))
        raise AssertionError("a deadline was lost")
    except grpc.RpcError as late:
        assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED, late
    assert channel.unary_unary(path + "WasCancelled")(b"", timeout=30) == b"yes"
    endless_one = channel.unary_stream(path + "Endless")(b"")
    assert next(endless_one) == b"begun"
    endless_one.cancel()
    assert channel.unary_unary(path + "WasCancelled")(b"", timeout=30) == b"yes"
    print("ok", flush=True)


if sys.argv[1] == "server":
    serve(sys.argv[2])
else:
    ask(sys.argv[2], sys.argv[3])
