"""Plays a mesh: writes what every port must hold to topics of a broker, with faults planted on purpose.

planted.py '{"bootstrap": …, "files": …, "month": 1, "faults": true}'. For the test of mesh.py itself: every port in FAULTS then has one wrong row of its own kind.
"""

import json
import sys

import sources
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from mesh import ERRORS, LATE, PORTS, columns_of, key_text
from reader import partition_of

PARTITIONS = 4
ROW = 7
FAULTS = {"departures": "lost", "insights.delays.final.v1": "doubled", "alerts": "key", "flights": "text", "planes": "order", "turnarounds": "time", "airports": "partition"}
a = json.loads(sys.argv[1])
db = sources.load(a["files"], a.get("month"))
sources.expect(db)
admin = AdminClient({"bootstrap.servers": a["bootstrap"], "log_level": 0})
topics = [NewTopic(port.topic, PARTITIONS, 1, config={"retention.ms": "-1"}) for port in PORTS]
topics += [NewTopic(topic, 1, 1) for topic in [*ERRORS, *LATE.values()]]
for future in admin.create_topics(topics, operation_timeout=20).values():
    future.result(25)

producer = Producer({"bootstrap.servers": a["bootstrap"], "log_level": 0, "linger.ms": 20, "queue.buffering.max.messages": 1000000, "transactional.id": "planted"})
producer.init_transactions(30)
for port in PORTS:
    kinds = columns_of(db, port.table)
    fields = ", ".join(f"strftime({n}, '%Y-%m-%dT%H:%M:%S.%gZ') AS {n}" if kind == "TIMESTAMP" else n for n, kind in kinds)
    names = [name for name, _ in kinds]
    key = key_text(port.key, dict(kinds))
    rows = db.execute(f"SELECT {key}, {port.time_ms or 1}, {fields} FROM {port.table} ORDER BY 2, 1").fetchall()
    producer.begin_transaction()
    for number, (k, t, *values) in enumerate(rows):
        row = dict(zip(names, values))
        fault = (FAULTS.get(port.topic) or FAULTS.get(port.table)) if number == ROW and a["faults"] else None
        if fault == "lost":
            continue
        if fault == "key":
            k = k.replace("[", "[ ")
        if fault == "text":
            row["distance"] = str(row["distance"])
        if fault == "order":
            row = dict(reversed(row.items()))
        if fault == "time":
            t += 1
        partition = partition_of(k.encode(), PARTITIONS)
        if fault == "partition":
            partition = (partition + 1) % PARTITIONS
        body = json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()
        for _ in range(2 if fault == "doubled" else 1):
            producer.produce(port.topic, body, k.encode(), partition=partition, timestamp=t)
        if number % 5000 == 0:
            producer.poll(0)
    producer.commit_transaction(60)
