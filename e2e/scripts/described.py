"""A client that knows nothing but an AsyncAPI document: described.py '{"document": "http://…/asyncapi.json", "rows": {…}}'.

It connects to the servers that the document names, reads every channel to its end (Kafka) or to `live` (server-sent
events), and checks every message against the schema that the document gives it. `rows` says how many rows a channel must
have had, because a client that reads nothing finds nothing wrong.
"""

import http.client
import json
import sys
import time
import urllib.request

import jsonschema
from confluent_kafka import Consumer, TopicPartition

a = json.loads(sys.argv[1])
with urllib.request.urlopen(a["document"], timeout=30) as answer:
    document = json.load(answer)


def follow(value):
    """The value, or what its `$ref` points to."""
    while isinstance(value, dict) and "$ref" in value:
        found = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        value = found
    return value


def checker(schema):
    schema = follow(schema)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)


def refuse(channel, message, wrong):
    raise SystemExit(f"{channel}: {str(message)[:500]}\n  does not fit: {wrong.message[:500]}")


def check(channel, validator, value):
    for wrong in validator.iter_errors(value):
        refuse(channel, value, wrong)


def key_of(schema, key):
    """The key's bytes as the value that its schema speaks of."""
    if key is None:
        return None
    if schema.get("format") == "binary":
        return key.decode("latin-1")
    return json.loads(key) if schema["type"] == "array" else key.decode()


def read_kafka(name, channel):
    servers = [follow(server) for server in channel["servers"]]
    assert all(server["protocol"] == "kafka" for server in servers), servers
    messages = {which: follow(message) for which, message in channel["messages"].items()}
    row, tombstone = checker(messages["row"]["payload"]), "delete" in messages
    key_schema = messages["row"].get("bindings", {}).get("kafka", {}).get("key")
    key = checker(key_schema) if key_schema else None
    kafka = channel["bindings"]["kafka"]
    topic = kafka.get("topic", channel["address"])
    consumer = Consumer(
        {
            "bootstrap.servers": ",".join(server["host"] for server in servers),
            "group.id": "described",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    found = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    if len(found) != kafka["partitions"]:
        raise SystemExit(f"{name}: the topic has {len(found)} partitions, the document says {kafka['partitions']}")
    left = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1] for p in found}
    consumer.assign([TopicPartition(topic, p, 0) for p in found])
    rows, deadline = 0, time.time() + 60
    while any(at < end for at, end in ((position(consumer, topic, p), end) for p, end in left.items())):
        for record in consumer.consume(2000, timeout=0.5):
            if record.error():
                continue
            rows += 1
            if record.value() is None:
                assert tombstone, f"{name}: a null value, and the document has no deletion"
            else:
                check(name, row, json.loads(record.value()))
            if key:
                check(f"{name} key", key, key_of(key_schema, record.key()))
        if time.time() > deadline:
            raise SystemExit(f"{name}: not at the end after a minute, {rows} rows")
    consumer.close()
    return rows


def position(consumer, topic, partition):
    return max(0, consumer.position([TopicPartition(topic, partition)])[0].offset)


def read_stream(name, channel):
    (server,) = [follow(server) for server in channel["servers"]]
    assert server["protocol"] == "http", server
    (operation,) = [one for one in document["operations"].values() if follow(one["channel"]) is channel]
    assert operation["action"] == "send", operation
    validators = {which: checker(follow(message)["payload"]) for which, message in channel["messages"].items()}
    connection = http.client.HTTPConnection(server["host"], timeout=60)
    connection.request(operation["bindings"]["http"]["method"], channel["address"], headers={"Accept": "text/event-stream"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{name}: {answer.status} {answer.read()[:500]}")
    rows, event, data = 0, None, []
    for line in answer:
        line = line.decode().rstrip("\n")
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data.append(line.removeprefix("data: "))
        elif not line and event:
            if event not in validators:
                raise SystemExit(f"{name}: event \"{event}\" is not in the document")
            check(f"{name} {event}", validators[event], json.loads("\n".join(data)))
            if event == "live":
                break
            rows += event == "row"
            event, data = None, []
    connection.close()
    return rows


counts = {}
for name, channel in document["channels"].items():
    read = read_kafka if "kafka" in channel.get("bindings", {}) else read_stream
    counts[name] = read(name, channel)
    print(f"ok  {name}: {counts[name]} rows")
for name, least in a["rows"].items():
    if counts.get(name, 0) < least:
        raise SystemExit(f"{name}: {counts.get(name)} rows, there must be {least}")
