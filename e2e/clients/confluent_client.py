"""confluent-kafka: librdkafka from Python."""

import time

from common import main, record, say, stop_when_stdin_ends
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition


def producer(bootstrap, **more):
    return Producer({"bootstrap.servers": bootstrap, "log_level": 0, "linger.ms": 1, **more})


def consumer(bootstrap, group, **more):
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **more,
        }
    )


def checked(message):
    """The message if it is one; raises on an error that does not pass by itself."""
    if message is None:
        return None
    if message.error():
        if message.error().code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._PARTITION_EOF):
            return None
        raise SystemExit(f"consume: {message.error()}")
    return message


def produce(bootstrap, a):
    failures = []
    p = producer(bootstrap, **{"enable.idempotence": True, "compression.codec": a.get("codec", "none")})
    for number in range(a["from"], a["from"] + a["count"]):
        key, value = record(number)
        p.produce(a["topic"], value, key, on_delivery=lambda error, _: failures.append(str(error)) if error else None)
        p.poll(0)
        if a.get("pause_ms"):
            time.sleep(a["pause_ms"] / 1000)
    left = p.flush(60)
    if left or failures:
        raise SystemExit(f"{left} records unsent, failures {failures[:3]}")
    say(produced=a["count"])


def consume(bootstrap, a):
    c = consumer(bootstrap, "unused", **{"isolation.level": a.get("isolation", "read_committed")})
    metadata = c.list_topics(a["topic"], timeout=20).topics[a["topic"]]
    c.assign([TopicPartition(a["topic"], p, 0) for p in metadata.partitions])
    seen, deadline, until = 0, time.time() + 30, None
    while time.time() < (until or deadline):
        message = checked(c.poll(0.1))
        if message is None:
            continue
        seen += 1
        say(key=message.key().decode(), partition=message.partition(), offset=message.offset())
        if seen >= a["count"] and until is None:
            until = time.time() + 1
    c.close()


def member(bootstrap, a):
    stop = stop_when_stdin_ends()
    c = consumer(bootstrap, a["group"], **{"session.timeout.ms": 6000, "heartbeat.interval.ms": 500})

    def assigned(_, partitions):
        say(assigned=sorted(p.partition for p in partitions))

    c.subscribe([a["topic"]], on_assign=assigned, on_revoke=lambda *_: None)
    while not stop.is_set():
        message = checked(c.poll(0.1))
        if message is not None:
            say(key=message.key().decode())
            c.commit(message, asynchronous=False)
    c.close()


def transact(bootstrap, a):
    p = producer(bootstrap, **{"transactional.id": a["id"], "transaction.timeout.ms": 60000})
    p.init_transactions(30)
    for step in range(3):
        p.begin_transaction()
        for number in range(a["from"] + step * 10, a["from"] + step * 10 + 10):
            key, value = record(number)
            p.produce(a["topic"], value, key)
        p.flush(30)
        p.abort_transaction(30) if step == 1 else p.commit_transaction(30)
    say(done=True)


def copy(bootstrap, a):
    c = consumer(bootstrap, a["group"], **{"isolation.level": "read_committed"})
    c.subscribe([a["source"]])
    p = producer(bootstrap, **{"transactional.id": a["id"]})
    p.init_transactions(30)
    copied, deadline = 0, time.time() + 60
    while copied < a["count"] and time.time() < deadline:
        batch = [m for m in (checked(m) for m in c.consume(25, 0.5)) if m is not None]
        if not batch:
            continue
        p.begin_transaction()
        for message in batch:
            p.produce(a["topic"], message.value(), message.key())
        p.send_offsets_to_transaction(c.position(c.assignment()), c.consumer_group_metadata(), 30)
        p.commit_transaction(30)
        copied += len(batch)
    c.close()
    say(copied=copied)


main({"produce": produce, "consume": consume, "member": member, "transact": transact, "copy": copy})
