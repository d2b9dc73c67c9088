#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets to test/fuzz/corpus/<target>: short inputs that each reach one part of the code.
The op codes are those of operate() in the targets."""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"

HELLO, BATCH, USER, INTERNAL, CREDIT, LANDED, TAKEN, REFUSED, RESEND = range(1, 10)
HANDLE_FD, WRITES_DONE, COUNTS, END = range(10, 14)
MORE, CONTINUED = 1, 2
JSON, BYTES = 1, 6


def write(target, seeds):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, data in seeds.items():
        (folder / name).write_bytes(bytes(data))


def header(kind, size=0, flags=0, encoding=0, handles=0, number=0):
    return struct.pack("<IBBBBQ", size, kind, flags, encoding, handles, number)


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def hello(lowest=1, highest=1):
    return b"forkwire" + struct.pack("<HHIQQ", lowest, highest, 77, 0, 1 << 30)


def block(inode=1, key=0, kind=1, kind_of_handle=1, flags=0, buffered=0):
    return struct.pack("<QQBBBBI", inode, key, kind, kind_of_handle, flags, 0, buffered)


# ------------------------------------------------------------------------ frame

FRAME = {
    "hello": header(HELLO, 32) + hello(),
    "hello-payload": hello(),
    "hello-version": hello(2, 3),
    "batch": header(BATCH, 4) + struct.pack("<I", 253),
    "user": header(USER, 2, encoding=JSON) + b"{}",
    "user-more": header(USER, 262144, MORE, BYTES) + u64(1 << 20),
    "user-handle": header(USER, 26, encoding=JSON, handles=1, number=1) + block() + b"{}",
    "block": block(5, 6, 3, 4, 15, 7),
    "taken": header(TAKEN, 32) + u64(1, 2, 4, 9),
    "ranges": u64(1, 1, 3, 8, 9, 9),
    "resend": header(RESEND, 24) + u64(1, 2, 7),
    "end": header(END),
}

# ------------------------------------------------------------------- read_queue

# Bits of the first byte.
SENT_HANDLES, NO_HELLO, SMALL_LIMIT = 1, 2, 4
FOUR_SENT = SENT_HANDLES | 4 << 5

RAW, FRAME_OP, NUMBERS, ID, HANDLE, FD_FRAME, BATCH_OP, ATTACH = 0, 1, 3, 4, 5, 7, 8, 9
FEED_SOME, FEED, ANSWER, CREDIT_OP, ASK, DROP, FLUSH = 10, 11, 12, 13, 14, 207, 15
TRUNCATED = 32
NEXT_ID, IN_USER = 2, 1


def raw(data):
    parts = [data[i : i + 255] for i in range(0, len(data), 255)]
    return b"".join(bytes([RAW, len(part)]) + part for part in parts)


def attach(count, first=1, truncated=False):
    return bytes([ATTACH, count | first << 3 | (TRUNCATED if truncated else 0)])


def handle(socket=1, user=True, shape=0):
    return bytes([HANDLE, NEXT_ID | (IN_USER if user else 0) | shape, socket])


def text(kind, body):
    return raw(header(kind, len(body), encoding=JSON) + body)


PIECES = (
    raw(header(USER, 13, MORE, BYTES) + u64(15) + b"12345")
    + text(INTERNAL, b"between")
    + raw(header(USER, 10, CONTINUED, BYTES) + b"67890abcde")
)
MISSING = attach(0, truncated=True) + bytes([BATCH_OP, 2]) + handle() + handle(user=False)

READ_QUEUE = {
    "text": [0] + list(text(USER, b"{}") + text(INTERNAL, b"[1]") + bytes([FEED, CREDIT_OP, 19])),
    "no-hello": [NO_HELLO] + list(text(USER, b"{}")),
    "byte-by-byte": [8] + list(PIECES),
    "pieces": [0] + list(PIECES + bytes([FEED])),
    "large": [0, FRAME_OP, USER, 16 | 64, 200, FEED_SOME, 9, FEED],
    "too-large": [SMALL_LIMIT, FRAME_OP, USER, 16 | 64, 100, FEED],
    "handle": [0] + list(attach(1) + bytes([BATCH_OP, 1]) + handle() + bytes([FEED, ANSWER, 64])),
    "two-handles": [0]
    + list(attach(2) + bytes([BATCH_OP, 2]) + handle(1) + handle(2, False))
    + [FEED, ANSWER, 0, ANSWER, 65, FLUSH],
    "mismatch": [0] + list(attach(1) + bytes([BATCH_OP, 1]) + handle(0) + bytes([FEED, FLUSH])),
    "missing": [0] + list(MISSING + text(USER, b"behind") + bytes([FEED, ASK, 1]))
    + list(attach(1) + bytes([BATCH_OP, 1, FD_FRAME, 1, 1, FEED])),
    "missing-in-pieces": [0]
    + list(attach(0, truncated=True) + bytes([BATCH_OP, 1]) + handle(1, True, 4) + bytes([5, FEED, ASK, 1])),
    "dropped": [0] + list(MISSING + bytes([FEED, ASK, 2, DROP]) + text(USER, b"late")) + [FEED],
    "unannounced": [0] + list(attach(5) + text(USER, b"{}")) + [FEED],
    "acknowledged": [FOUR_SENT, ID, 0, 2, NUMBERS, 20, 1, 1, FEED],
    "resend": [FOUR_SENT] + list(raw(header(RESEND, 16) + u64(1, 3))) + [FEED, FLUSH],
    "taken": [FOUR_SENT] + list(raw(header(TAKEN, 32) + u64(1, 1, 3, 4) + header(LANDED, number=4))),
    "end": [FOUR_SENT] + list(raw(header(END, 16) + u64(1, 2) + header(LANDED, number=2))) + [FEED],
    "counts": [0] + list(raw(header(COUNTS, 16) + u64(9, 1) + header(CREDIT, 16) + u64(1 << 25, 1 << 21))),
}

# ----------------------------------------------------------------------- ledger

SEGMENT = 1  # not cut: choose(4) != 0
WHOLE = [1]  # room for all descriptors


def op(end, code, *arguments):
    return [end, code, SEGMENT, *arguments]


def send(end, internal=False):
    return op(end, 10 if internal else 0, 255, 9)


MOVED, SERVER, WRONG, DUP, WRITES = 8, 2, 3, 5, 14


def send_handle(end, what=MOVED, internal=False):
    return op(end, 9 if internal else 4, 255, 9, what, 1)


def flush(end):
    return op(end, 13)


def flush_some(end, size):
    return op(end, 11, size >> 8, size & 255)


def receive(end, room=None):
    return op(end, 19, *(WHOLE if room is None else [0, room]))


def deliver(end, fate=3, internal=False):
    return op(end, 26 if internal else 23, fate)


def ask(end, count):
    return op(end, 28, count)


def finish_writes(end, failed=False):
    return op(end, 29, 0, 0 if failed else 1)


def rare(end, what, *arguments):
    return op(end, 31, 1, what, *arguments)


def end_of(end):
    return rare(end, 0, 1)


MANY = send_handle(0) + send_handle(0, DUP) + send_handle(0, SERVER) + send(0) + send_handle(0, MOVED, True)

LEDGER = {
    "one": send_handle(0) + flush(0) + receive(1) + deliver(1) + flush(1) + receive(0),
    "kinds": MANY + send_handle(0, WRONG) + flush(0) + receive(1) + deliver(1) * 3,
    "both-ways": MANY + send_handle(1) * 3 + flush(0) + flush(1) + receive(0) + receive(1),
    "missing": send_handle(0) * 3 + send(0) + flush(0) + receive(1, 1) + ask(1, 1) + flush(1) + receive(0)
    + flush(0) + receive(1) + deliver(1) * 2,
    "missing-again": send_handle(0) * 3 + flush(0) + receive(1, 0)
    + (ask(1, 3) + flush(1) + receive(0) + flush(0) + receive(1, 1)) * 2,
    "refused": send_handle(0) * 3 + flush(0) + receive(1) + deliver(1, 0) + deliver(1, 2) + deliver(1, 1),
    "reset": send_handle(0) * 2 + op(0, 30, 0) + flush(0) + receive(1),
    "writes": send_handle(0, WRITES) * 2 + flush(0) + finish_writes(0) + receive(1) + finish_writes(0, True),
    "writes-before": send_handle(0, WRITES) * 2 + finish_writes(0, True) + finish_writes(0) + flush(0),
    "end": MANY + flush_some(0, 200) + receive(1) + deliver(1) + end_of(0) + receive(1),
    "both-end": MANY + send_handle(1) + end_of(0) + end_of(1),
    "cut": send_handle(0, WRITES) * 4 + flush_some(0, 130) + rare(0, 0, 0, 0, 10) + rare(0, 12) + receive(1),
    "end-while-missing": send_handle(0) * 3 + flush(0) + receive(1, 0) + ask(1, 2) + flush(1) + end_of(1),
    "drop-while-missing": send_handle(0) * 3 + flush(0) + receive(1, 0) + ask(1, 2) + flush(1) + rare(1, 18),
    "death": MANY + flush(0) + receive(1) + deliver(1) + rare(1, 20),
    "sender-dies": MANY + flush(0) + receive(1, 1) + rare(0, 20),
    "close": MANY + flush(0) + receive(1) + rare(0, 22) + deliver(1),
    "burst": rare(0, 24, 1, 43, 1) + flush(0) + receive(1),
}

# ---------------------------------------------------------------------- channel

# Sending is as above, give_one() like deliver() but with other codes.


def run(end, room=None):
    # The last bytes: listeners that are entered in the batch, and how much may be written until the next run.
    return op(end, 13, *(WHOLE if room is None else [0, room]), 0, 1)


def run_some(end, size, room):
    return op(end, 11, size, room >> 8, room & 255, *WHOLE, 0, 1)


def give(end, fate=3, internal=False):
    return op(end, 23 if internal else 20, fate)


def wait(ms):
    return op(0, 26, ms)


def rare_of(end, what, *arguments):
    return op(end, 31, 1, what, *arguments)


CHANNEL = {
    "one": send_handle(0) + run(0) + run(1) + give(1) + run(1) + run(0),
    "kinds": MANY + send_handle(0, WRONG) + run(0) + run(1) + give(1) * 3 + run(1),
    "both-ways": MANY + send_handle(1) * 3 + run(0) + run(1) + run(0) + run(1),
    "missing": send_handle(0) * 3 + send(0) + run(0) + run(1, 1) + wait(20) + run(1) + run(0) + run(1),
    "refused": send_handle(0) * 3 + run(0) + run(1) + give(1, 0) + give(1, 2) + give(1, 1),
    "writes": send_handle(0, WRITES) * 2 + run(0) + op(0, 28, 0, 1) + run(0) + run(1),
    "end": MANY + run_some(0, 100, 200) + run(1) + give(1) + rare_of(0, 0) + run(0) + run(1),
    "end-with-writes": send_handle(0, WRITES) * 2 + run(0) + run(1) + rare_of(0, 0) + run(0) + run(1),
    "both-end": MANY + send_handle(1) + rare_of(0, 0) + rare_of(1, 0) + run(0) + run(1),
    "stall": MANY + rare_of(0, 0) + rare_of(0, 36) + run(0) + run(1),
    "death": MANY + run(0) + run(1) + give(1) + rare_of(1, 16) + rare_of(0, 28) + run(0),
    "close": MANY + run(0) + run(1) + rare_of(0, 18) + give(1) + run(1),
    "exit": MANY + rare_of(0, 20, 1, 1, 1) + run(1),
    "exit-both": MANY + send_handle(1) + rare_of(0, 20, 1, 1, 1) + rare_of(1, 20, 1, 1, 1),
    "hold": MANY + run(0) + rare_of(1, 24) + run(1) + rare_of(0, 0) + run(0) + run(1) + rare_of(1, 40),
    "short": op(0, 31, 0) + MANY + run(0) + wait(40) + run(0) + op(0, 31, 0) + run(0) + run(1),
}

write("frame", FRAME)
write("read_queue", READ_QUEUE)
write("ledger", LEDGER)
write("channel", CHANNEL)
