"""Produces until the broker refuses, and prints how many records it acknowledged: fill.py BOOTSTRAP TOPIC."""

import sys

from confluent_kafka import Producer

bootstrap, topic = sys.argv[1:]
acknowledged, refused = 0, 0


def delivered(error, _):
    global acknowledged, refused
    if error:
        refused += 1
    else:
        acknowledged += 1


producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "message.timeout.ms": 8000, "linger.ms": 1, "batch.size": 16384})
number = 0
while refused == 0 and number < 40_000:
    producer.produce(topic, (f"v{number}-" + "x" * 1000).encode(), f"k{number}".encode(), on_delivery=delivered)
    number += 1
    producer.poll(0)
    if number % 200 == 0:
        producer.flush(20)
producer.flush(30)
if refused == 0:
    raise SystemExit(f"{acknowledged} records and the disk is not full")
print(acknowledged)
