#!/usr/bin/env python3
"""Writes seeds for the fuzz targets from the vectors in tests/vectors.

    fuzz/seed.py DIR    writes DIR/TARGET/...; then make the corpus of it:
    RUSTC_BOOTSTRAP=1 cargo fuzz cmin --target-dir target/fuzz TARGET

The state machines and the engine take scripts, whose bytes nobody writes by hand: theirs are
random, and only long enough for something to happen.
"""

import hashlib
import json
import pathlib
import sys

VECTORS = pathlib.Path(__file__).parent.parent / "tests" / "vectors"
ORIGIN = b"https://login.contoso.com\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
UPGRADE = b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
PROTOCOL = b"Sec-WebSocket-Protocol: fido.cable\r\n"
TUNNEL = "68656C6C6F2C20776562617574686E21"

ADDRESSES = """wss://cable.ua5v.com ws://127.0.0.1:8080 wss://[::1]:443/prefix/ WSS://Relay.Example:8443
https://cable.auth.com/cable/connect/090A0B/%s http://localhost/x?y=1 //other.example/cable /cable
ws://[2001:db8::1] wss://user@host/ wss://host:0 wss://host/a?b wss://host/a#b""".split()

PROXIES = ["http://user:p%40ss@proxy.example:3128", "https://[2001:db8::1]:8080/", "proxy.example",
           "localhost,.corp.example,*.b.example:8443 10.0.0.0/8 [2001:db8::1]:80,2001:db8::/32", "*"]

CREATION = {
    "rp": {"id": "contoso.com", "name": "Contoso"},
    "user": {"id": "dXNlcg", "name": "zoe@contoso.com", "displayName": "Zoë"},
    "challenge": "AAECAwQFBgcICQoLDA0ODw",
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -257}],
    "timeout": 300000,
    "excludeCredentials": [{"type": "public-key", "id": "AQI", "transports": ["hybrid"]}],
    "authenticatorSelection": {
        "residentKey": "required", "userVerification": "required",
        "authenticatorAttachment": "cross-platform", "requireResidentKey": True,
    },
    "hints": ["hybrid"],
    "attestation": "direct",
    "extensions": {
        "credProps": True, "prf": {"eval": {"first": "AQ", "second": "Ag"}},
        "credentialProtectionPolicy": "userVerificationRequired",
        "enforceCredentialProtectionPolicy": True, "largeBlob": {"support": "preferred"},
        "minPinLength": True, "credBlob": "AQID",
    },
}
REQUEST = {
    "challenge": "AAECAwQFBgcICQoLDA0ODw",
    "rpId": "contoso.com",
    "allowCredentials": [{"type": "public-key", "id": "AQI", "transports": ["internal"]}],
    "userVerification": "required",
    "extensions": {
        "prf": {"eval": {"first": "AQ"}, "evalByCredential": {"AQI": {"first": "AQ"}}},
        "largeBlob": {"read": True}, "getCredBlob": True,
    },
}


def cbor(value):
    """Encodes what the seeds need; maps come in canonical order already."""
    def head(major, n):
        size = next(i for i, top in enumerate((24, 1 << 8, 1 << 16, 1 << 32, 1 << 64)) if n < top)
        first = n if size == 0 else 23 + size
        return bytes([major << 5 | first]) + (b"" if size == 0 else n.to_bytes(1 << size - 1, "big"))
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def strings(value):
    """All texts of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for child in value.values() if isinstance(value, dict) else value:
            yield from strings(child)


def unhex(texts):
    """Those that are hex and not too long."""
    for text in texts:
        try:
            if 0 < len(text) <= 2000:
                yield bytes.fromhex(text)
        except ValueError:
            pass


def noise(name, length):
    """The same random bytes each time."""
    return hashlib.shake_128(name.encode()).digest(length)


def seeds():
    oracle, public, ctap, chromium = (
        json.loads((VECTORS / f"{name}.json").read_text())
        for name in ("oracle", "public", "ctap", "chromium-session"))
    every = [oracle, public, ctap, chromium]
    data = sorted(set(unhex(strings(every))))

    texts = [text for text in strings(every) if text[:6].upper() == "FIDO:/"]
    yield "qr_text", [text.encode() for text in texts]
    yield "qr_text", list(unhex(strings(oracle["qr"]))) + list(unhex(strings(public["qr"])))
    yield "cbor", [item for item in data if item[0] >> 5 in (4, 5)]
    plaintexts = [item for item in data if len(item) == 16 and item[0] == 0]
    suffixes = [b"", b"\xa1\x01\x18\x82", b"\xa1\x01\x19\x01\x00", b"\xa2\x01\x02\x03\x04", b"\xa0"]
    yield "advert", [plain + suffix for plain in plaintexts for suffix in suffixes]
    yield "noise", [bytes([linked, to_laptop]) + rest for linked in (0, 1) for to_laptop in (0, 1)
                    for rest in (b"", b"\0", b"\1", b"\x1a" + bytes(64) + b"\1", bytes(90))]
    yield "frame", [bytes([kind, 0]) + item for kind in range(4)
                    for item in (b"", b"\0", b"\x05abcdef", bytes(31) + b"\x1f", bytes(range(64)))]
    firsts = unhex(strings([oracle["post_handshake"], public["post_handshake_samples"], ctap]))
    yield "post_handshake", list(firsts)
    linking = [bytes.fromhex(oracle["handshake_KNpsk0"]["linking"]["map"])]
    linking.append(b"\xa1\x01" + linking[0])
    for header in (oracle["contact"], public["own_computed_state_assisted"]):
        linking.append(bytes.fromhex(header["client_payload_header"]))
    yield "linking", linking
    paths = [text for text in strings(every) if text.startswith("/cable/")]
    paths += [address % TUNNEL if "%" in address else address for address in ADDRESSES]
    paths += ["090a0b", oracle["contact"]["client_payload_header"], f"/cable/new/{TUNNEL}?a=b"]
    paths += PROXIES
    yield "tunnel_grammar", [text.encode() for text in paths]

    messages = list(unhex(strings(ctap)))
    framed = [message[1:] for message in messages if message[0] == 1]
    yield "ctap_request", [m for m in framed if m[0] in (1, 2)] + [bytes([n]) for n in range(14)]
    yield "ctap_response", [m for m in framed if m[0] == 0] + [m for m in messages if m[0] >> 5 == 5]
    yield "ctap_response", [b"\0" + cbor({1: "none", 2: bytes(37), 3: {}}),
                            bytes(32) + b"\x85" + bytes(4) + cbor({"credProtect": 3}),
                            cbor({1: ["FIDO_2_1"], 3: bytes(16), 4: {"rk": True}, 11: 5})]

    for path in (f"/cable/new/{TUNNEL}", f"/cable/connect/090A0B/{TUNNEL}", "/cable/contact/AQID"):
        line = f"GET {path} HTTP/1.1\r\nHost: a\r\n".encode()
        version = b"Sec-WebSocket-Version: 13\r\n"
        whole = line + UPGRADE + version + KEY + PROTOCOL + b"\r\n"
        yield "relay_head", [whole, whole + b"\x82\x01a", line + b"\r\n", whole[:-2],
                             line + UPGRADE + KEY + PROTOCOL + b"\r\n"]
    switch = b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + ACCEPT + PROTOCOL
    yield "relay_head", [switch + b"\r\n", switch + b"X-caBLE-Routing-ID: 090A0B\r\n\r\n\x82\0",
                         b"HTTP/1.1 302 Found\r\nLocation: wss://b.example/c\r\n\r\n",
                         b"HTTP/1.0 410 Gone\r\nContent-Length: 0\r\n\r\n",
                         b"HTTP/1.0 200 Connection established\r\n\r\n",
                         b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=x\r\n\r\nno"]

    four = bytes([192, 0, 2, 7, 198, 51, 100, 1, 48, 57, 1, 187])
    six = bytes.fromhex("20010db8") + bytes(11) + b"\x09" + bytes(16) + four[8:]
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    yield "relay_proxy", [signature + bytes([command, family]) + len(body).to_bytes(2, "big") + body
                          for command, family, body in ((33, 17, four), (33, 33, six), (32, 0, b""),
                                                        (33, 17, four + b"\4\0\1a"), (33, 49, bytes(216)))]
    yield "relay_proxy", [b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n", b"PROXY UNKNOWN x\r\n",
                          b"PROXY TCP6 2001:db8::9 ::1 0 65535\r\n",
                          b"198.51.100.1, 192.0.2.7:4711\n[2001:db8::9]:1, 10.0.0.1",
                          b'for=192.0.2.7;by=_x, For="[2001:db8::9]:1";host="a,\\"b"\nfor=unknown',
                          b'for="192.0.2.7:_p";;proto=https,, for=10.0.0.1']

    point = b"\x04" + bytes(80)
    for piece in (1, 7, 255):
        for how, frame in ((1, lambda m: len(m).to_bytes(4, "big") + m), (2, lambda m: m + b"\r\n")):
            line = b"".join(frame(m) for m in (point, b"", b"answer", bytes(300)))
            yield "l2cap_framing", [bytes([mode, piece]) + line[:cut]
                                    for mode in (0, how) for cut in (len(line), 3, 84, 90)]
    yield "l2cap_framing", [b"\1\1\0\x10\0\1", b"\1\1\0\x10\0\0ab", b"\2\1\r\r\n\n", b"\0\1\xff"]

    attested = b"\x45" + bytes(4) + bytes(16) + b"\0\x03\1\2\3"
    attested += cbor({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)})
    outputs = cbor({"prf": {"results": {"first": bytes(32)}, "enabled": True},
                    "largeBlob": {"blob": b"\x4b\x04\x00", "supported": True, "originalSize": 1}})
    answers = [b"", bytes([len(attested)]) + attested + outputs, b"\x05\x05" + bytes(4) + outputs]
    for options in (CREATION, REQUEST):
        text = json.dumps(options, separators=(",", ":")).encode()
        least = {key: options[key] for key in options if key in ("rp", "user", "challenge")}
        yield "webauthn_json", [ORIGIN + text + b"\0" + answer for answer in answers]
        padded = text.replace(b'"evalByCredential":{', b'"evalByCredential":{"AQI=":{"first":"Ag"},')
        yield "webauthn_json", [ORIGIN + padded]
        yield "webauthn_json", [b"http://localhost:80\n" + json.dumps(least).encode(),
                                ORIGIN + b'{"publicKey":' + text + b"}"]
    yield "webauthn_json", [ORIGIN + b"contoso.com", b"https://a.co.uk:444/\nco.uk",
                            b"http://[::1]\n1", "https://bücher.example\nexample".encode()]

    record = {1: bytes(32), 2: "contoso.com", 3: "Contoso", 4: b"user", 5: "zoe", 6: "Zoe", 7: True,
              8: 3, 9: "label", 10: 1700000000, 11: 1700000001, 12: 1700000002, 13: [b"\1"]}
    least = {key: record[key] for key in (1, 2, 4, 7, 8, 10)} | {13: []}
    yield "store_record", [bytes(96) + bytes(12) + cbor(record), bytes(96) + bytes(12) + cbor(least),
                           bytes(96) + bytes([0, 0, 0, 33]) + bytes(32) + bytes([0, 0, 0, 1, 0, 0, 0, 2, 7])
                           + cbor(record),
                           cbor({1: bytes(16), 2: 65536, 3: 3, 4: 1, 5: bytes(60)}),
                           cbor({1: 8, 2: 1700000000})]

    heads = [bytes([linked, linked ^ 1, hostile, honest])
             for linked in (0, 1) for hostile in (0, 1) for honest in range(11)]
    for target in ("client_machine", "authenticator_machine"):
        yield target, [head + noise(f"{target} {head.hex()}", 200) for head in heads]
    yield "engine", [noise(f"engine {n}", 300) for n in range(20)]
    yield "ctap_hid", [noise(f"ctap_hid {n}", 400) for n in range(20)]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for target, items in seeds():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for item in items:
            (folder / hashlib.sha1(item).hexdigest()).write_bytes(item)


if __name__ == "__main__":
    main()
