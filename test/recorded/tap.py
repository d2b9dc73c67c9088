#!/usr/bin/env python3
"""Sits between two ends of forkwire, hands on what each says and writes down the whole of it.

    tap.py <file for the notes> <descriptor limit of the child, or 0> <preload> program argument...

It is started in place of the child and starts the child itself. The file gets { parent: [...], child: [...] }: a list
of chunks for what each end said (see record.js).
"""

import base64
import json
import os
import selectors
import socket
import struct
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))
import raw_peer

BLOCK_AT = {True: raw_peer.HEADER.size + 8, False: raw_peer.HEADER.size}  # behind a total, or at once


class Stream:
    """What one end said."""

    def __init__(self):
        self.reader = raw_peer.FrameReader()
        self.chunks = []
        self.kinds = []  # of descriptors whose BATCH did not come yet
        self.owed = 0
        self.keys = {}  # server's key -> id of the first handle that had it
        self.said = {"messages": 0, "handleFds": 0, "ends": 0}

    def read(self, data, fds, other):
        self.kinds += [kind_of(fd) for fd in fds]
        for each in self.reader.feed(data):
            self.note(each, other)

    def note(self, each, other):
        if each.name == "BATCH" or not self.chunks or self.chunks[-1]["after"] != other.said:
            self.chunks.append({"after": dict(other.said), "frames": [], "bytes": b"", "descriptors": [], "patches": []})
        chunk = self.chunks[-1]
        if each.name == "BATCH":
            count = struct.unpack("<I", each.payload)[0]
            chunk["descriptors"], self.kinds = self.kinds[:count], self.kinds[count:]
            self.owed = 0
        self.note_patches(each, chunk, other)
        id = f" id {each.id}" if each.id else ""
        chunk["frames"].append(f"{each.name} {len(each.payload)} bytes{id}")
        chunk["bytes"] += raw_peer.HEADER.pack(len(each.payload), *each[:5]) + each.payload
        self.count(each)

    def note_patches(self, each, chunk, other):
        """Where numbers stand that belong to this run."""
        start = len(chunk["bytes"])
        if each.handles:
            is_first_of_more = each.name in raw_peer.LANES and bool(each.flags & raw_peer.MORE)
            at = start + BLOCK_AT[is_first_of_more]
            chunk["patches"].append({"at": at, "inodeOf": self.owed})
            self.owed += 1
            if each.name in raw_peer.LANES:
                key = struct.unpack_from("<Q", each.payload, at - start - raw_peer.HEADER.size + 8)[0]
                self.note_key(key, at + 8, each.id, chunk, other)
        if each.name == "COUNTS":
            for index, (key, _) in enumerate(raw_peer.pairs_of(each.payload)):
                self.note_key(key, start + raw_peer.HEADER.size + 16 * index, None, chunk, other)

    def note_key(self, key, at, id, chunk, other):
        if key in other.keys:
            chunk["patches"].append({"at": at, "keyOfHandle": other.keys[key]})
        elif key and id:
            self.keys.setdefault(key, id)

    def count(self, each):
        if each.name in raw_peer.LANES and not each.flags & raw_peer.MORE:
            self.said["messages"] += 1
        if each.name == "HANDLE_FD":
            self.said["handleFds"] += 1
        if each.name == "END":
            self.said["ends"] += 1

    def as_json(self):
        for chunk in self.chunks:
            data = chunk.pop("bytes")
            if len(data) <= 2048:
                chunk["hex"] = data.hex()
            else:
                chunk["deflated"] = base64.b64encode(zlib.compress(data, 9)).decode()
        return self.chunks


def kind_of(fd):
    with socket.socket(fileno=os.dup(fd)) as each:
        is_listening = each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if each.family == socket.AF_UNIX:
            return "unix"
        if each.type == socket.SOCK_DGRAM:
            return "udp"
        return "tcp-server" if is_listening else "tcp"


def hand_on(source, target, stream, other):
    """One read. False at the end of the stream."""
    try:
        data, fds, _ = raw_peer.receive(source)
    except OSError:
        return False
    if not data:
        return False
    stream.read(data, fds, other)
    try:
        sent = socket.send_fds(target, [data], fds) if fds else 0
        target.sendall(data[sent:])
    except OSError:
        pass
    for fd in fds:
        os.close(fd)
    return True


def main(file, limit, preload, *program):
    suffix = ":" + os.environ["FORKWIRE_CHANNEL"].split(":", 2)[2]
    parent, _ = raw_peer.take_channel()
    limited = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh"] if int(limit) else []
    environment = {"NODE_OPTIONS": f'--require "{preload}"'}
    child, process = raw_peer.start_program([*limited, *program], environment, suffix)
    ends = {parent: (child, Stream()), child: (parent, Stream())}
    with selectors.DefaultSelector() as selector:
        selector.register(parent, selectors.EVENT_READ)
        selector.register(child, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                source = key.fileobj
                target, stream = ends[source]
                if not hand_on(source, target, stream, ends[target][1]):
                    selector.unregister(source)
                    try:
                        target.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
    said = process.stdout.read().decode()
    process.wait()
    notes = {"parent": ends[parent][1].as_json(), "child": ends[child][1].as_json(), "childSaw": said}
    Path(file).write_text(json.dumps(notes))


if __name__ == "__main__":
    main(*sys.argv[1:])
