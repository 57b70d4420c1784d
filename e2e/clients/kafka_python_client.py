"""kafka-python: the protocol written anew in Python, threads."""

import time
import uuid

from common import main, record, say, stop_when_stdin_ends
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata


def producer(bootstrap, **more):
    return KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=1, retries=1000, **more)


def consumer(bootstrap, group, **more):
    return KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **more,
    )


def produce(bootstrap, a):
    codec = a.get("codec", "none")
    p = producer(bootstrap, enable_idempotence=True, compression_type=None if codec == "none" else codec)
    sent = []
    for number in range(a["from"], a["from"] + a["count"]):
        key, value = record(number)
        sent.append(p.send(a["topic"], value=value, key=key))
        if a.get("pause_ms"):
            time.sleep(a["pause_ms"] / 1000)
    for future in sent:
        future.get(timeout=60)
    p.close()
    say(produced=a["count"])


def consume(bootstrap, a):
    c = consumer(bootstrap, None, isolation_level=a.get("isolation", "read_committed"))
    partitions = [TopicPartition(a["topic"], p) for p in c.partitions_for_topic(a["topic"])]
    c.assign(partitions)
    c.seek_to_beginning(*partitions)
    seen, deadline, until = 0, time.time() + 30, None
    while time.time() < (until or deadline):
        for messages in c.poll(100).values():
            for message in messages:
                seen += 1
                say(key=message.key.decode(), partition=message.partition, offset=message.offset)
        if seen >= a["count"] and until is None:
            until = time.time() + 1
    c.close()


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        say(assigned=sorted(p.partition for p in assigned))


def member(bootstrap, a):
    stop = stop_when_stdin_ends()
    c = consumer(bootstrap, a["group"], session_timeout_ms=6000, heartbeat_interval_ms=500)
    c.subscribe([a["topic"]], listener=Listener())
    while not stop.is_set():
        for messages in c.poll(100).values():
            for message in messages:
                say(key=message.key.decode())
            c.commit()
    c.close()


def transact(bootstrap, a):
    p = producer(bootstrap, transactional_id=a["id"])
    p.init_transactions()
    for step in range(3):
        p.begin_transaction()
        for number in range(a["from"] + step * 10, a["from"] + step * 10 + 10):
            key, value = record(number)
            p.send(a["topic"], value=value, key=key)
        p.flush()
        p.abort_transaction() if step == 1 else p.commit_transaction()
    p.close()
    say(done=True)


def copy(bootstrap, a):
    c = consumer(bootstrap, a["group"], isolation_level="read_committed")
    c.subscribe([a["source"]])
    p = producer(bootstrap, transactional_id=a["id"])
    p.init_transactions()
    copied, deadline = 0, time.time() + 60
    while copied < a["count"] and time.time() < deadline:
        batch = c.poll(500, max_records=25)
        if not batch:
            continue
        p.begin_transaction()
        offsets = {}
        for partition, messages in batch.items():
            for message in messages:
                p.send(a["topic"], value=message.value, key=message.key)
            offsets[partition] = OffsetAndMetadata(messages[-1].offset + 1, "", -1)
            copied += len(messages)
        p.send_offsets_to_transaction(offsets, c.group_metadata())
        p.commit_transaction()
    c.close()
    p.close()
    say(copied=copied)


main({"produce": produce, "consume": consume, "member": member, "transact": transact, "copy": copy})
