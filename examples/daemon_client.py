#!/usr/bin/env python3
"""A program that has the laptop's daemon sign in with a passkey on a phone.

It hands over what a relying party's server sends, shows the code, and prints what goes back to the server.

    pip install grpcio grpcio-tools
    python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. cabled/control/v1/control.proto
    cabled daemon &
    python examples/daemon_client.py options.json https://contoso.com

The second command makes cabled/control/v1/control_pb2.py and its sibling; they have to be on PYTHONPATH.
"""

import os
import sys

import grpc
from cabled.control.v1 import control_pb2 as messages
from cabled.control.v1 import control_pb2_grpc as calls


def socket():
    """Where the daemon listens, unless it was told another place."""
    path = os.environ.get("CABLED_DAEMON_SOCKET")
    return path or os.path.join(os.environ["XDG_RUNTIME_DIR"], "cabled/laptop.sock")


def main(file, origin):
    with open(file, encoding="utf-8") as options:
        request = messages.SignIn(options=options.read(), origin=origin)
    # A name for the far end that is none of a socket's path, which HTTP/2 does not take.
    settings = [("grpc.default_authority", "cabled")]
    with grpc.insecure_channel("unix:" + socket(), options=settings) as channel:
        daemon = calls.ControlStub(channel)
        response = None
        # Whoever lets go of this stream before the end withdraws the request.
        for event in daemon.Begin(messages.BeginRequest(sign_in=request)):
            what = event.WhichOneof("what")
            if what == "listening":
                # The same is there as a picture, in event.listening.svg.
                print("scan", event.listening.text, file=sys.stderr, flush=True)
            elif what == "connected":
                print("connected:", event.connected.via, file=sys.stderr, flush=True)
            elif what == "waiting_for_user":
                print("look at the phone", file=sys.stderr, flush=True)
            elif what == "answered":
                response = event.answered.response
            elif what == "ended" and event.ended.HasField("failure"):
                failure = event.ended.failure
                sys.exit(f"{failure.text}; {failure.hint}")
    if response is None:
        sys.exit("the daemon stopped")
    print(response)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: daemon_client.py OPTIONS.json https://SITE")
    main(*sys.argv[1:])
