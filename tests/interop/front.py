"""A front of a tunnel service that ends TLS, and writes down what a laptop sends and how."""

import asyncio
import contextlib
import ssl
import threading

# Only a hang lasts that long.
PATIENCE = 60


class Front:
    """Listens at port 443 of `address` and forwards to the tunnel service `inner`.

    `laptops` has, for each request for `/cable/connect`, a dict with the request's `path`, its
    `headers` with names in lower case, the `tls` version, and in `sent` and `received` the lengths of
    the WebSocket messages, which are there after `close`. With `redirect`, such requests are sent to
    the inner service with status 302 instead.
    """

    def __init__(self, folder, address, inner, redirect):
        self.inner, self.redirect, self.laptops, self.visits = inner, redirect, [], set()
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self.client = ssl.create_default_context(cafile=folder / "cert.pem")
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.listener = self.wait(asyncio.start_server(self.serve, address, 443, ssl=self.server))

    def wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def close(self):
        """Takes no more connections and waits for the end of those that are there."""
        if self.loop.is_closed():
            return
        try:
            self.wait(self.finish())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
            self.loop.close()

    async def finish(self):
        self.listener.close()
        await asyncio.gather(*self.visits)

    async def serve(self, reader, writer):
        self.visits.add(asyncio.current_task())
        with contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            laptop = describe(head) | {"tls": writer.get_extra_info("ssl_object").version()}
            if laptop["path"].startswith("/cable/connect/"):
                self.laptops.append(laptop)
                if self.redirect:
                    target = f"wss://{self.inner}{laptop['path']}"
                    answer = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
                    return writer.write(answer.encode())
            source, sink = await asyncio.open_connection(self.inner, 443, ssl=self.client)
            sink.write(head)
            there, back = await asyncio.gather(pass_on(reader, sink), pass_on(source, writer))
            laptop["sent"] = message_lengths(there)
            laptop["received"] = message_lengths(back.partition(b"\r\n\r\n")[2])


async def pass_on(source, sink):
    """Carries bytes until one of the two is gone, then closes the sink; gives what it carried."""
    carried = b""
    with contextlib.closing(sink), contextlib.suppress(OSError):
        while data := await source.read(65536):
            carried += data
            sink.write(data)
            await sink.drain()
    return carried


def describe(head):
    first, *lines = head.decode("ascii").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return {"path": first.split(" ")[1], "headers": headers}


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
