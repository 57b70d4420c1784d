"""A consumer of a port that stays: BOOTSTRAP TOPIC GROUP PROTOCOL COMMIT. Commits one record of one partition, or nothing."""

import sys
import time

from confluent_kafka import Consumer

bootstrap, topic, group, protocol, commit = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": bootstrap,
    "group.id": group,
    "group.protocol": protocol,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
})
consumer.subscribe([topic])
record = None
while record is None or record.error():
    record = consumer.poll(1.0)
if commit == "one":
    consumer.commit(message=record, asynchronous=False)
print("ready", flush=True)
while True:
    consumer.poll(0.1)
    time.sleep(0.1)
