"""A subscriber of AppSync Events: a WebSocket with its protocol.

https://docs.aws.amazon.com/appsync/latest/eventapi/event-api-websocket-protocol.html
"""

import base64
import json
import os
import socket
import struct
import time

SUBPROTOCOL = "aws-appsync-event-ws"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Closed(Exception):
    """The server has ended the connection."""


class EventSocket:
    """`address` is where the server listens, `realtime_host` and `http_host` are its names, `token` is the subscriber's."""

    def __init__(self, address, realtime_host, http_host, token, path="/event/realtime"):
        self.authorization = {"host": http_host, "Authorization": token}
        self.heard, self.waiting, self.received = [], [], b""
        self.socket = socket.create_connection(address, timeout=30)
        packed = base64.urlsafe_b64encode(json.dumps(self.authorization).encode()).rstrip(b"=").decode()
        head = [
            f"GET {path} HTTP/1.1",
            f"Host: {realtime_host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}, header-{packed}",
        ]
        self.socket.sendall("\r\n".join([*head, "", ""]).encode())
        while b"\r\n\r\n" not in self.received:
            self._more()
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        self.status, *lines = head.decode().split("\r\n")
        pairs = [line.split(":", 1) for line in lines]
        self.headers = {name.lower(): value.strip() for name, value in pairs}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, **message):
        self._frame(TEXT, json.dumps(message).encode())

    def init(self):
        """The answer to the first message."""
        self.send(type="connection_init")
        return self.answer("connection_ack", "connection_error")

    def subscribe(self, name, channel, token=None):
        """The answer to a subscription."""
        authorization = self.authorization if token is None else self.authorization | {"Authorization": token}
        self.send(type="subscribe", id=name, channel=channel, authorization=authorization)
        return self.answer("subscribe_success", "subscribe_error")

    def unsubscribe(self, name):
        self.send(type="unsubscribe", id=name)
        return self.answer("unsubscribe_success", "unsubscribe_error")

    def answer(self, *types, seconds=15):
        """The next message of one of these types; messages of channels wait meanwhile."""
        limit = time.monotonic() + seconds
        while (message := self._message(limit)) is not None:
            if message["type"] in types:
                return message
            self.waiting.append(message)
        raise TimeoutError(f"no {' or '.join(types)} within {seconds} s: {self.heard[-3:]}")

    def data(self, until, seconds=15):
        """The next message of a channel whose event is as `until` wants it; None if none comes."""
        limit = time.monotonic() + seconds
        while True:
            message = self.waiting.pop(0) if self.waiting else self._message(limit)
            if message is None:
                return None
            if message["type"] == "data" and until(json.loads(message["event"])):
                return message

    def drain(self, seconds):
        """The messages of channels that come within this time."""
        limit, found = time.monotonic() + seconds, self.waiting
        self.waiting = []
        while (message := self._message(limit)) is not None:
            found.append(message)
        return [message for message in found if message["type"] == "data"]

    def _message(self, limit):
        """The next message; None if none comes until `limit`."""
        while True:
            frame = self._next_frame()
            if frame is None:
                if time.monotonic() >= limit:
                    return None
                self.socket.settimeout(max(0.01, limit - time.monotonic()))
                try:
                    self._more()
                except TimeoutError:
                    return None
                continue
            kind, payload = frame
            if kind == PING:
                self._frame(PONG, payload)
            elif kind == CLOSE:
                raise Closed(payload[2:].decode())
            elif kind == TEXT:
                message = json.loads(payload)
                self.heard.append(message)
                if message["type"] != "ka":
                    return message

    def _next_frame(self):
        """The kind and the content of the next whole frame that was received; None if there is none."""
        data = self.received
        if len(data) < 2:
            return None
        length, begin = data[1] & 127, 2
        if length > 125:
            size, form = (2, ">H") if length == 126 else (8, ">Q")
            if len(data) < 2 + size:
                return None
            (length,), begin = struct.unpack(form, data[2 : 2 + size]), 2 + size
        if len(data) < begin + length:
            return None
        self.received = data[begin + length :]
        return data[0] & 15, data[begin : begin + length]

    def _more(self):
        if not (part := self.socket.recv(65536)):
            raise Closed(self.received.decode(errors="replace"))
        self.received += part

    def _frame(self, kind, payload):
        mask, length = os.urandom(4), len(payload)
        size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + struct.pack(">H", length)
        self.socket.sendall(bytes([0x80 | kind]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))
