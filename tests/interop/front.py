"""A front of a tunnel service that ends TLS, and writes down what a laptop sends and how."""

import contextlib
import socket
import ssl
import threading


class Front:
    """Listens at port 443 of `address` and forwards to the tunnel service `inner`.

    `laptops` has, for each request for `/cable/connect`, a dict with the request's `path`, its
    `headers` with names in lower case, the `tls` version, and in `sent` and `received` the lengths of
    the WebSocket messages, which are there when the connection has ended. With `redirect`, such
    requests are sent to the inner service with status 302 instead.
    """

    def __init__(self, folder, address, inner, redirect):
        self.inner, self.redirect, self.laptops = inner, redirect, []
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self.client = ssl.create_default_context(cafile=folder / "cert.pem")
        self.listener = socket.create_server((address, 443))
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def close(self):
        """Takes no more connections and waits for the end of those that are there."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.listener.close()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self.serve, args=[plain]))
            self.threads[-1].start()

    def serve(self, plain):
        with self.server.wrap_socket(plain, server_side=True) as outer:
            head = read_head(outer)
            laptop = describe(head) | {"tls": outer.version()}
            if laptop["path"].startswith("/cable/connect/"):
                self.laptops.append(laptop)
                if self.redirect:
                    target = f"wss://{self.inner}{laptop['path']}"
                    answer = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
                    return outer.sendall(answer.encode())
            plain = socket.create_connection((self.inner, 443))
            with self.client.wrap_socket(plain, server_hostname=self.inner) as inner:
                inner.sendall(head)
                self.carry(outer, inner, laptop)

    def carry(self, outer, inner, laptop):
        back = bytearray()
        answers = threading.Thread(target=pass_on, args=[inner, outer, back])
        answers.start()
        there = bytearray()
        pass_on(outer, inner, there)
        answers.join()
        laptop["sent"] = message_lengths(bytes(there))
        laptop["received"] = message_lengths(bytes(back).partition(b"\r\n\r\n")[2])


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += stream.recv(1)
    return head


def describe(head):
    first, *lines = head.decode("ascii").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return {"path": first.split(" ")[1], "headers": headers}


def pass_on(source, sink, copy):
    """Carries bytes until the source ends, then ends the sink."""
    try:
        while data := source.recv(65536):
            copy += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def message_lengths(stream):
    """The payload lengths of the binary messages in a stream of WebSocket frames."""
    lengths = []
    while len(stream) >= 2:
        kind, length, masked = stream[0] & 15, stream[1] & 127, stream[1] >> 7
        start = 2
        if length == 126:
            length, start = int.from_bytes(stream[2:4], "big"), 4
        if length == 127:
            length, start = int.from_bytes(stream[2:10], "big"), 10
        if kind == 2:
            lengths.append(length)
        stream = stream[start + 4 * masked + length :]
    return lengths
