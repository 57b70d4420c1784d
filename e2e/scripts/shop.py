"""A Python service that owns the topic legacy_orders, and what products over it must say.

shop.py write BOOTSTRAP           300 orders, one of them no JSON, at most ten minutes out of order
shop.py check BOOTSTRAP           the ports of shop.revenue against plain Python over the same orders
"""

import datetime
import json
import random
import sys
import time
from collections import defaultdict

from confluent_kafka import Consumer, Producer, TopicPartition

START = datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc)
BROKEN = b"this is no JSON"


def text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def orders():
    draw = random.Random(2013)
    for number in range(300):
        moment = START + datetime.timedelta(minutes=2 * number, seconds=-draw.randrange(500))
        # Amounts with few binary digits: sums are exact in any order.
        yield {"order_id": number, "customer": draw.choice("ada bob cyd eve".split()), "amount": draw.randrange(1, 800) / 4, "ordered_at": text(moment)}


def write(bootstrap):
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    for order in orders():
        producer.produce("legacy_orders", json.dumps(order), order["customer"])
        if order["order_id"] == 150:
            producer.produce("legacy_orders", BROKEN, "ada")
    if producer.flush(30):
        raise SystemExit("orders were not written")


def read(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "shop-check", "isolation.level": "read_committed", "enable.auto.commit": False, "log_level": 0})
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    rows, quiet = [], 0
    while quiet < 3:
        messages = [m for m in consumer.consume(1000, 0.5) if not m.error()]
        quiet = 0 if messages else quiet + 1
        rows += [(m.key(), json.loads(m.value())) for m in messages]
    consumer.close()
    return rows


def check(bootstrap):
    wanted = [order for order in orders() if order["amount"] > 100]
    hours = defaultdict(lambda: [0, 0.0])
    for order in orders():
        hour = order["ordered_at"][:13] + ":00:00.000Z"
        hours[order["customer"], hour][0] += 1
        hours[order["customer"], hour][1] += order["amount"]
    for _ in range(30):
        large = sorted((row for _, row in read(bootstrap, "shop.revenue.large.v1")), key=lambda row: row["order_id"])
        last = {key: row for key, row in read(bootstrap, "shop.revenue.hourly.v1")}
        hourly = {(row["customer"], row["window_start"]): [row["orders"], row["revenue"]] for row in last.values()}
        errors = [row for _, row in read(bootstrap, "shop.revenue.errors.v1")]
        if large == wanted and hourly == dict(hours) and len(errors) == 1:
            print(f"{len(large)} large orders, {len(hourly)} hours, the broken order: {errors[0]['reason']}")
            return
        time.sleep(1)
    raise SystemExit(f"large {len(large)} of {len(wanted)}, hours {len(hourly)} of {len(hours)}, errors {errors}; first large {large[:1]} wanted {wanted[:1]}")


{"write": write, "check": check}[sys.argv[1]](sys.argv[2])
