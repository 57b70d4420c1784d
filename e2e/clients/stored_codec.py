"""Prints the codec of the first record batch of a topic as it is stored: stored_codec.py BOOTSTRAP TOPIC.

No client library tells, so this speaks the two requests itself: Metadata is not needed (one broker), Fetch v4 is.
"""

import socket
import struct
import sys

NAMES = ["none", "gzip", "snappy", "lz4", "zstd"]


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def answer(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise SystemExit("the broker closed the connection")
        data += piece
    return data


def fetch(connection, topic, partition):
    """The records of one partition from its beginning, as bytes."""
    header = struct.pack(">hhi", 1, 4, 7) + text("stored-codec")
    body = struct.pack(">iiiib", -1, 500, 1, 1 << 20, 0)
    body += struct.pack(">i", 1) + text(topic) + struct.pack(">i", 1) + struct.pack(">iqi", partition, 0, 1 << 20)
    connection.sendall(struct.pack(">i", len(header + body)) + header + body)
    data = answer(connection, struct.unpack(">i", answer(connection, 4))[0])
    at = 4 + 4 + 4  # correlation id, throttle time, number of topics
    at += 2 + struct.unpack_from(">h", data, at)[0] + 4 + 4  # name, number of partitions, partition
    error = struct.unpack_from(">h", data, at)[0]
    if error:
        raise SystemExit(f"fetch: error {error}")
    at += 2 + 8 + 8  # error, high watermark, last stable offset
    aborted = struct.unpack_from(">i", data, at)[0]
    at += 4 + 16 * max(aborted, 0) + 4
    return data[at:]


bootstrap, topic = sys.argv[1:]
host, port = bootstrap.rsplit(":", 1)
for partition in (0, 1):
    with socket.create_connection((host, int(port)), 10) as connection:
        records = fetch(connection, topic, partition)
    if len(records) > 23:
        attributes = struct.unpack_from(">h", records, 21)[0]  # after offset 8, length 4, epoch 4, magic 1, crc 4
        print(NAMES[attributes & 7])
        break
