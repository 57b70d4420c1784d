"""aiokafka: asyncio, its own codec and coordinator."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from common import main, record, say, stop_when_stdin_ends


def consumer(bootstrap, group, *topics, **more):
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **more,
    )


async def produce(bootstrap, a):
    codec = a.get("codec", "none")
    p = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=1,
        request_timeout_ms=60000,
        compression_type=None if codec == "none" else codec,
    )
    await p.start()
    sent = []
    for number in range(a["from"], a["from"] + a["count"]):
        key, value = record(number)
        sent.append(await p.send(a["topic"], value=value, key=key))
        if a.get("pause_ms"):
            await asyncio.sleep(a["pause_ms"] / 1000)
    await asyncio.wait_for(asyncio.gather(*sent), 60)
    await p.stop()
    say(produced=a["count"])


async def consume(bootstrap, a):
    c = consumer(bootstrap, None, isolation_level=a.get("isolation", "read_committed"))
    await c.start()
    await c._client.fetch_all_metadata()
    c._client.add_topic(a["topic"])
    await c._client.force_metadata_update()
    partitions = [TopicPartition(a["topic"], p) for p in c.partitions_for_topic(a["topic"])]
    c.assign(partitions)
    await c.seek_to_beginning(*partitions)
    seen, deadline, until = 0, time.time() + 30, None
    while time.time() < (until or deadline):
        for messages in (await c.getmany(timeout_ms=100)).values():
            for message in messages:
                seen += 1
                say(key=message.key.decode(), partition=message.partition, offset=message.offset)
        if seen >= a["count"] and until is None:
            until = time.time() + 1
    await c.stop()


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        say(assigned=sorted(p.partition for p in assigned))


async def member(bootstrap, a):
    stop = stop_when_stdin_ends()
    c = consumer(bootstrap, a["group"], session_timeout_ms=6000, heartbeat_interval_ms=500)
    c.subscribe([a["topic"]], listener=Listener())
    await c.start()
    while not stop.is_set():
        for messages in (await c.getmany(timeout_ms=100)).values():
            for message in messages:
                say(key=message.key.decode())
            await c.commit()
    await c.stop()


async def transact(bootstrap, a):
    p = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=a["id"])
    await p.start()
    for step in range(3):
        await p.begin_transaction()
        for number in range(a["from"] + step * 10, a["from"] + step * 10 + 10):
            key, value = record(number)
            await p.send_and_wait(a["topic"], value=value, key=key)
        if step == 1:
            await p.abort_transaction()
        else:
            await p.commit_transaction()
    await p.stop()
    say(done=True)


async def copy(bootstrap, a):
    c = consumer(bootstrap, a["group"], a["source"], isolation_level="read_committed")
    await c.start()
    p = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=a["id"])
    await p.start()
    copied, deadline = 0, time.time() + 60
    while copied < a["count"] and time.time() < deadline:
        batch = await c.getmany(timeout_ms=500, max_records=25)
        if not batch:
            continue
        await p.begin_transaction()
        offsets = {}
        for partition, messages in batch.items():
            for message in messages:
                await p.send(a["topic"], value=message.value, key=message.key)
            offsets[partition] = messages[-1].offset + 1
            copied += len(messages)
        await p.send_offsets_to_transaction(offsets, a["group"])
        await p.commit_transaction()
    await c.stop()
    await p.stop()
    say(copied=copied)


def run(verb):
    return lambda bootstrap, a: asyncio.run(verb(bootstrap, a))


main({verb.__name__: run(verb) for verb in (produce, consume, member, transact, copy)})
