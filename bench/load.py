"""Load on a Kafka through librdkafka. One JSON object of figures at the end.

load.py produce BOOTSTRAP TOPIC RECORDS BYTES      acks=all, linger 5 ms
load.py consume BOOTSTRAP TOPIC RECORDS
load.py follow BOOTSTRAP SECONDS TOPIC=RECORDS …   read_committed, until every topic has so many records
load.py group BOOTSTRAP TOPIC                      from subscribe to the assignment of a group of one, median of five
"""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition


def produce(bootstrap, topic, records, size):
    records, value = int(records), b"x" * int(size)
    failures = []
    # Told of failures only: a call into Python for each record would make this client the limit.
    failed = lambda error, _: failures.append(str(error)) if error else None
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "linger.ms": 5, "batch.size": 1 << 20, "queue.buffering.max.kbytes": 1 << 18, "message.timeout.ms": 120000, "delivery.report.only.error": True, "on_delivery": failed})
    began = time.time()
    for _ in range(records):
        while True:
            try:
                producer.produce(topic, value)
                break
            except BufferError:
                producer.poll(0.01)
    producer.flush(120)
    seconds = time.time() - began
    if failures:
        raise SystemExit(f"{len(failures)} records failed, such as {failures[0]}")
    print(json.dumps({"seconds": seconds, "mb": records * len(value) / 1e6}))


def reader(bootstrap, topics):
    # With its queue full librdkafka sleeps fetch.queue.backoff.ms, by default a whole second: the faster the broker, the more of a run that is.
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False, "log_level": 0, "isolation.level": "read_committed", "fetch.message.max.bytes": 8 << 20, "fetch.queue.backoff.ms": 5})
    deadline = time.time() + 60
    while True:
        known = consumer.list_topics(timeout=20).topics
        if all(topic in known and known[topic].partitions for topic in topics):
            break
        if time.time() > deadline:
            raise SystemExit(f"no topics {topics}")
        time.sleep(0.02)
    consumer.assign([TopicPartition(topic, p, 0) for topic in topics for p in known[topic].partitions])
    return consumer


def consume(bootstrap, topic, records):
    consumer, read, size, began = reader(bootstrap, [topic]), 0, 0, time.time()
    deadline = began + 120
    while read < int(records) and time.time() < deadline:
        for message in consumer.consume(10000, 0.5):
            if not message.error():
                read += 1
                size += len(message.value())
    seconds = time.time() - began
    consumer.close()
    if read != int(records):
        raise SystemExit(f"{read} of {records} records came")
    print(json.dumps({"seconds": seconds, "mb": size / 1e6}))


def follow(bootstrap, limit, *wanted):
    wanted = {topic: int(count) for topic, count in (pair.split("=") for pair in wanted)}
    began = time.time()
    consumer, counts = reader(bootstrap, list(wanted)), dict.fromkeys(wanted, 0)
    while counts != wanted and time.time() < began + float(limit):
        for message in consumer.consume(10000, 0.1):
            if not message.error():
                counts[message.topic()] += 1
    consumer.close()
    if counts != wanted:
        raise SystemExit(f"{counts} of {wanted} came in {limit} s")
    print(json.dumps({"seconds": time.time() - began, "records": sum(counts.values())}))


def group(bootstrap, topic):
    times = []
    for n in range(5):
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"bench-forms-{n}", "log_level": 0})
        assigned, began = [], time.time()
        consumer.subscribe([topic], on_assign=lambda _, partitions: assigned.append(time.time()))
        while not assigned and time.time() < began + 30:
            consumer.poll(0.005)
        consumer.close()
        if not assigned:
            raise SystemExit("the group did not form in 30 s")
        times.append(assigned[0] - began)
    print(json.dumps({"ms": sorted(times)[2] * 1e3}))


{"produce": produce, "consume": consume, "follow": follow, "group": group}[sys.argv[1]](*sys.argv[2:])
