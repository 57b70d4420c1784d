"""What a client of the mesh sees over Kafka with a key, by librdkafka. One question as JSON, one answer as JSON.

`do`: `look` (everything it may and may not do once), or `wait` (consume until it is put out; says when, by time.time()).
"""

import json
import os
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

question = json.loads(sys.argv[1])
client, topic, other = question["client"], question["topic"], question["other"]
name = client["sasl.username"]
# Reasons come as errors; what librdkafka prints beside them is noise here.
quiet = {**client, "log_level": "0", "reconnect.backoff.ms": "20", "reconnect.backoff.max.ms": "100"}


def consumer(group, on_error=None):
    over = {"error_cb": on_error} if on_error else {}
    return Consumer({**quiet, "group.id": group, "auto.offset.reset": "earliest", "topic.metadata.refresh.interval.ms": "5000", **over})


def records(group, wanted, seconds):
    """Rows of `wanted` in a group, or the error that came instead."""
    errors = []
    one = consumer(group, lambda error: errors.append(error.name()))
    one.subscribe([wanted])
    rows, deadline = 0, time.monotonic() + seconds
    while rows < 3 and time.monotonic() < deadline and not errors:
        record = one.poll(0.1)
        if record is None:
            continue
        if record.error():
            errors.append(record.error().name())
        else:
            rows += 1
    if rows and not errors:
        one.commit()
    one.close()
    return rows if not errors else errors[0]


def refused(work):
    try:
        work()
    except KafkaException as error:
        return error.args[0].name()
    return "done"


def write():
    told = []
    producer = Producer({**quiet, "message.timeout.ms": "5000"})
    producer.produce(topic, b"forged", on_delivery=lambda error, _: told.append(error))
    producer.flush(10)
    if told and told[0] is not None:
        raise KafkaException(told[0])


def make():
    admin = AdminClient(quiet)
    admin.create_topics([NewTopic(f"{name}.made", 1, 1)])[f"{name}.made"].result(10)


def topics_of(one, errors):
    """Every topic it is told of, or why it is not let in; a refused log-in is tried again by librdkafka, not by us."""
    deadline = time.monotonic() + 4
    while True:
        try:
            return sorted(one.list_topics(timeout=0.5).topics)
        except KafkaException as error:
            one.poll(0)
            if "_AUTHENTICATION" in errors or time.monotonic() > deadline:
                return {"refused": errors[0] if errors else error.args[0].name()}


def look():
    errors = []
    first = consumer(name, lambda error: errors.append(error.name()))
    topics = topics_of(first, errors)
    if isinstance(topics, dict):
        return topics
    if topic not in topics:
        return {"topics": topics}
    low, high = first.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    first.close()
    return {
        "topics": topics,
        "high": high,
        "rows": records(f"{name}.look", topic, 15),
        "other": records(f"{name}.look2", other, 15),
        "other group": records("somebody-else", topic, 15),
        "write": refused(write),
        "make": refused(make),
    }


def wait():
    ended = []
    # A group of its own: a member that was put out stays in its group until its session ends.
    one = consumer(f"{name}.{os.getpid()}", lambda error: ended.append((time.time(), error.name())))
    one.subscribe([topic])
    rows, deadline = 0, time.monotonic() + 60
    while not ended and time.monotonic() < deadline:
        record = one.poll(0.02)
        if record is None:
            if rows:
                print("waiting", flush=True)
                rows = 0
        elif record.error():
            ended.append((time.time(), record.error().name()))
        else:
            rows += 1
    at, why = ended[0] if ended else (None, "nothing happened")
    return {"at": at, "why": why}


print(json.dumps({"look": look, "wait": wait}[question["do"]]()), flush=True)
# A consumer that was put out would wait for an answer to its good-bye.
os._exit(0)
