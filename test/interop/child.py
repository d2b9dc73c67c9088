#!/usr/bin/env python3
"""The child of a cell that is no Node: stock's wire, 'json', as any program can speak it that reads NODE_CHANNEL_FD. Does what
test/interop/child.js does, with Python's standard library."""

import json
import os
import selectors
import socket
import sys
import threading

TEXT = b"used by the other end"
HOSTS = {"udp4": (socket.AF_INET, "127.0.0.1"), "udp6": (socket.AF_INET6, "::1")}


class Channel:
    """One handle in flight each way; what is sent behind one waits for its acknowledgement."""

    def __init__(self, fd):
        self.socket = socket.socket(fileno=fd)
        self.socket.setblocking(True)
        self.lines = b""
        self.fds = []  # arrived, of handle messages that are not read yet
        self.waiting = []
        self.is_in_flight = False

    def send(self, message, kind=None, fd=None, **fields):
        if kind is not None:
            message = {"cmd": "NODE_HANDLE", "type": kind.split()[0], "msg": message, **fields}
        self.waiting.append((json.dumps(message).encode() + b"\n", fd))
        self.flush()

    def flush(self):
        while self.waiting and not self.is_in_flight:
            data, fd = self.waiting.pop(0)
            self.is_in_flight = fd is not None
            self.write(data, fd)

    def write(self, data, fd=None):
        sent = 0 if fd is None else socket.send_fds(self.socket, [data], [fd])
        self.socket.sendall(data[sent:])

    def messages(self):
        """[(message, handle or None)] of one read; None at the end."""
        try:
            data, fds, _, _ = socket.recv_fds(self.socket, 65536, 64)
        except ConnectionResetError:
            return None
        self.fds += fds
        if not data:
            return None
        *lines, self.lines = (self.lines + data).split(b"\n")
        return [each for line in lines for each in self.read(json.loads(line))]

    def read(self, message):
        command = message.get("cmd", "") if isinstance(message, dict) else ""
        if command == "NODE_HANDLE_ACK":
            self.is_in_flight = False
            self.flush()
        elif command == "NODE_HANDLE":
            self.write(b'{"cmd":"NODE_HANDLE_ACK"}\n')
            yield message["msg"], (self.fds.pop(0), message.get("key"))
        elif command == "NODE_SOCKET_GET_COUNT":
            self.send({"cmd": "NODE_SOCKET_COUNT", "key": message["key"], "count": len(held.get(message["key"], []))})
        elif command == "NODE_SOCKET_NOTIFY_CLOSE":
            asked.append(message["key"])
            tell_closed()
        else:
            yield message, None


channel = Channel(int(os.environ["NODE_CHANNEL_FD"]))
held = {}  # key -> sockets
asked = []  # keys whose last close is to be told
made = None  # what check() of the latest kind is


def tell_closed():
    for key in [each for each in asked if not held.get(each)]:
        asked.remove(key)
        channel.send({"cmd": "NODE_SOCKET_ALL_CLOSED", "key": key})


# ------------------------------------------------------------------ kinds

def listen(family):
    server = socket.socket(family)
    server.bind(("127.0.0.1", 0) if family == socket.AF_INET else "")  # a free name
    server.listen()
    return server


def read_all(client):
    data = b""
    while part := client.recv(4096):
        data += part
    client.close()
    return data


def make_connection(family):
    server = listen(family)
    client = socket.create_connection(server.getsockname()) if family == socket.AF_INET else socket.socket(family)
    if family == socket.AF_UNIX:
        client.connect(server.getsockname())
    accepted, _ = server.accept()
    server.close()
    return accepted, {}, lambda: read_all(client)


def make_server(family):
    server = listen(family)

    def check():
        client = socket.socket(family)
        client.connect(address)
        return read_all(client)

    address = server.getsockname()
    return server, {}, check


def make_datagrams(type):
    family, host = HOSTS[type]
    ours = socket.socket(family, socket.SOCK_DGRAM)
    ours.bind((host, 0))
    address = ours.getsockname()

    def check():
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.sendto(b"question", address)
            return client.recv(4096)

    return ours, {"dgramType": type}, check


def accept_once(fd):
    with socket.socket(fileno=fd) as server, server.accept()[0] as client:
        client.sendall(TEXT)


def answer_once(fd):
    with socket.socket(fileno=fd) as ours:
        ours.setblocking(True)
        _, address = ours.recvfrom(4096)
        ours.sendto(TEXT, address)


def write_and_close(fd):
    with socket.socket(fileno=fd) as client:
        client.sendall(TEXT)


def in_thread(action):
    def start(fd):
        os.set_blocking(fd, True)
        threading.Thread(target=action, args=(fd,)).start()
    return start


TCP, UNIX = socket.AF_INET, socket.AF_UNIX
KINDS = {
    "net.Socket tcp": (lambda: make_connection(TCP), write_and_close),
    "net.Socket unix": (lambda: make_connection(UNIX), write_and_close),
    "net.Server tcp": (lambda: make_server(TCP), in_thread(accept_once)),
    "net.Server unix": (lambda: make_server(UNIX), in_thread(accept_once)),
    "net.Native TCP": (lambda: make_server(TCP), in_thread(accept_once)),
    "net.Native Pipe": (lambda: make_server(UNIX), in_thread(accept_once)),
    "dgram.Socket udp4": (lambda: make_datagrams("udp4"), in_thread(answer_once)),
    "dgram.Socket udp6": (lambda: make_datagrams("udp6"), in_thread(answer_once)),
    "dgram.Native UDP": (lambda: make_datagrams("udp4"), in_thread(answer_once)),
}


# --------------------------------------------------------------- commands

def use(message, handle):
    KINDS[message["kind"]][1](handle[0])
    channel.send({"used": message["kind"]})


def make(message, _):
    global made
    kind = message["kind"]
    ours, fields, made = KINDS[kind][0]()
    channel.send({"made": kind}, kind, os.dup(ours.fileno()), **fields)
    ours.close()


def check(_, __):
    assert made() == TEXT
    channel.send("checked")


def share(message, handle):
    with socket.socket(fileno=handle[0]) as client:
        client.sendall(message["text"].encode())
    channel.send("shared")


def keep(message, handle):
    fd, key = handle
    client = socket.socket(fileno=fd)
    held.setdefault(key, []).append(client)
    selector.register(client, selectors.EVENT_READ, key)
    os.write(fd, str(message["index"]).encode())
    channel.send({"kept": message["index"]})


def drop(client, key):
    held[key].remove(client)
    selector.unregister(client)
    client.close()
    tell_closed()


def close(_, __):
    for key, clients in held.items():
        for client in [*clients]:
            drop(client, key)


def count(_, __):
    counted = 0
    channel.send("counting")
    while (messages := channel.messages()) is not None:
        counted += len(messages)
    os._exit(counted)


def witness(_, __):
    sizes = []
    channel.send("watching")
    while (messages := channel.messages()) is not None:
        sizes += [len(str(message)) for message, _ in messages]
    print(json.dumps({"witness": [len(sizes), sum(sizes)]}), flush=True)
    os._exit(0)


COMMANDS = {
    "nothing": lambda _, __: None,
    "about": lambda _, __: channel.send({"version": sys.version}),
    "echo": lambda message, _: channel.send({"value": message["value"]}),
    "plain": lambda message, _: channel.send({"plain": message["index"]}),
    "disconnect": lambda _, __: os._exit(0),
    "exit": lambda message, _: os._exit(message["code"]),
    **{each.__name__: each for each in (use, make, check, share, keep, close, count, witness)},
}


def on_channel():
    messages = channel.messages()
    if messages is None:
        os._exit(0)
    for message, handle in messages:
        if isinstance(message, dict) and "do" in message:
            COMMANDS[message["do"]](message, handle)


selector = selectors.DefaultSelector()
selector.register(channel.socket, selectors.EVENT_READ)
while True:
    for entry, _ in selector.select():
        if entry.fileobj is channel.socket:
            on_channel()
        elif entry.fileobj in held.get(entry.data, []) and not entry.fileobj.recv(4096):
            drop(entry.fileobj, entry.data)
