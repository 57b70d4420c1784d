"""Reads whole topics with librdkafka, read_committed, into DuckDB."""

import json
import pathlib
import time

from confluent_kafka import Consumer, KafkaError, TopicPartition


class Topics:
    """Follows topics, named without the mesh's prefix, from their beginning; every record becomes one line of a file per topic."""

    def __init__(self, bootstrap, topics, folder, client=None, prefix=""):
        self.folder, self.prefix = pathlib.Path(folder), prefix
        self.counts = dict.fromkeys(topics, 0)
        self.partitions = {}
        self.files = {topic: open(self.folder / f"{topic}.ndjson", "wb") for topic in topics}
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "__weft.flights.e2e-mesh-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.message.max.bytes": 4 << 20,
                "log_level": 0,
                **(client or {}),
            }
        )
        waiting = set(topics)
        deadline = time.time() + 60
        while waiting:
            known = self.consumer.list_topics(timeout=20).topics
            for topic in list(waiting):
                if prefix + topic in known and known[prefix + topic].partitions:
                    self.partitions[topic] = len(known[prefix + topic].partitions)
                    waiting.discard(topic)
            if waiting and time.time() > deadline:
                raise SystemExit(f"these topics never came to be: {sorted(waiting)}; there are {sorted(known)}")
            time.sleep(0.05 if waiting else 0)
        self.consumer.assign([TopicPartition(prefix + topic, p, 0) for topic, n in self.partitions.items() for p in range(n)])

    def read(self, seconds):
        """Reads for that long at most; how many records came."""
        until, came = time.time() + seconds, 0
        while time.time() < until:
            messages = self.consumer.consume(5000, 0.2)
            for message in messages:
                if message.error():
                    if message.error().code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._PARTITION_EOF):
                        continue
                    raise SystemExit(f"{message.topic()}: {message.error()}")
                came += 1
                self.keep(message)
        return came

    def keep(self, message):
        topic = message.topic().removeprefix(self.prefix)
        self.counts[topic] += 1
        key, value = message.key(), message.value()
        head = {"p": message.partition(), "o": message.offset(), "t": message.timestamp()[1], "k": None if key is None else key.decode("latin-1")}
        line = json.dumps(head).encode()[:-1] + b', "v": ' + (b"null" if value is None else value) + b"}\n"
        self.files[topic].write(line)

    def table(self, db, topic, name):
        """The records so far as table `name` (p partition, o offset, t timestamp, k key as Latin-1, v value as JSON)."""
        self.files[topic].flush()
        db.execute(
            f"""CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM read_json(?, format = 'newline_delimited', maximum_object_size = 16777216,
                columns = {{p: 'INTEGER', o: 'BIGINT', t: 'BIGINT', k: 'VARCHAR', v: 'JSON'}})""",
            [str(self.folder / f"{topic}.ndjson")],
        )

    def close(self):
        self.consumer.close()
        for file in self.files.values():
            file.close()


def murmur2(data):
    """Kafka's default partitioner's hash of a key, written from its published definition."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    at = 0
    while len(data) - at >= 4:
        k = int.from_bytes(data[at : at + 4], "little")
        k = (k * m) & mask
        k ^= k >> 24
        k = (k * m) & mask
        h = ((h * m) & mask) ^ k
        at += 4
    rest = data[at:]
    if len(rest) == 3:
        h ^= rest[2] << 16
    if len(rest) >= 2:
        h ^= rest[1] << 8
    if len(rest) >= 1:
        h ^= rest[0]
        h = (h * m) & mask
    h ^= h >> 13
    h = (h * m) & mask
    return h ^ (h >> 15)


def partition_of(key, partitions):
    return (murmur2(key) & 0x7FFFFFFF) % partitions
