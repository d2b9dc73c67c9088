#!/usr/bin/env python3
"""Says to an end of forkwire what another end said when it was recorded.

    replay.py child <recording>
    replay.py parent <recording> <preload> program argument...

Each chunk waits until the other end has said as much as it had when the chunk was recorded. Descriptors are made
anew, with one end in this process. What happens is printed, a JSON object a line, as raw_peer.py does.
"""

import base64
import json
import os
import socket
import struct
import sys
import threading
import zlib
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))
import raw_peer


class Descriptors:
    """What is sent, and this process's ends of it."""

    def __init__(self, clients):
        self.clients = deque(clients)
        self.threads = []
        self.kept = []

    def make(self, kind):
        if kind == "tcp-server":
            return socket.create_server(("127.0.0.1", 0)).detach()
        if kind == "udp":
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            return udp.detach()
        ours, theirs = self.pair(kind)
        client = self.clients.popleft() if self.clients else None
        thread = threading.Thread(target=self.converse, args=(ours, client))
        thread.start()
        self.threads.append(thread)
        return theirs.detach()

    def pair(self, kind):
        if kind == "unix":
            return socket.socketpair()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            return ours, listener.accept()[0]

    def converse(self, ours, client):
        """The client of a socket: what it had said before is in the recording. Prints what it gets."""
        text = b""
        try:
            ours.shutdown(socket.SHUT_WR)
            while data := ours.recv(65536):
                text += data
        except OSError as error:
            text += error.strerror.encode()
        ours.close()
        if client is not None:
            raw_peer.say({"event": "client", "gets": client["gets"], "got": text[:100].decode()})


class Replay:
    def __init__(self, channel, recording):
        self.channel = channel
        self.chunks = deque(recording["chunks"])
        self.descriptors = Descriptors(recording.get("clients", []))
        self.said = {"messages": 0, "handleFds": 0, "ends": 0}
        self.peer = raw_peer.Peer(channel, self.seen)
        self.peer.grants_by_itself = False

    def seen(self, event):
        name = event["event"]
        if name in raw_peer.LANES:
            self.said["messages"] += 1
        if name == "END":
            self.said["ends"] += 1
        if name == "HANDLE_FD":
            self.said["handleFds"] += 1
        if name == "broken":
            raw_peer.say(event)
        for handle in self.peer.handles.values():
            if handle.fd is not None:
                os.close(handle.fd)
                handle.fd = None

    def may_go_on(self):
        after = self.chunks[0]["after"]
        return all(self.said[name] >= count for name, count in after.items())

    def run(self):
        while not self.peer.is_over:
            while self.chunks and self.may_go_on():
                self.say_chunk(self.chunks.popleft())
            if not self.chunks and self.said["ends"] > 0:
                self.channel.shutdown(socket.SHUT_WR)
            self.peer.read()
        self.channel.close()
        for thread in self.descriptors.threads:
            thread.join()
        raw_peer.say({"event": "unsaid", "chunks": [chunk["frames"] for chunk in self.chunks]})

    def say_chunk(self, chunk):
        data = bytearray.fromhex(chunk["hex"]) if "hex" in chunk else bytearray(
            zlib.decompress(base64.b64decode(chunk["deflated"])))
        fds = [self.descriptors.make(kind) for kind in chunk["descriptors"]]
        for patch in chunk["patches"]:
            if "inodeOf" in patch:
                value = raw_peer.inode_of(fds[patch["inodeOf"]])
            else:
                value = self.peer.handles[patch["keyOfHandle"]].key
            struct.pack_into("<Q", data, patch["at"], value)
        self.peer.write(bytes(data), fds)
        for fd in fds:
            os.close(fd)


def main(role, file, preload=None, *program):
    recording = json.loads(Path(file).read_text())
    if role == "child":
        channel, process = raw_peer.take_channel()[0], None
    else:
        suffix = f":serialization={recording['serialization']}"
        channel, process = raw_peer.start_program(list(program), {"NODE_OPTIONS": f'--require "{preload}"'}, suffix)
    Replay(channel, recording).run()
    if process:
        for line in process.stdout:
            raw_peer.say({"event": "output", "line": line.decode().rstrip("\n")})
        raw_peer.say({"event": "exit", "code": process.wait()})


if __name__ == "__main__":
    main(*sys.argv[1:])
