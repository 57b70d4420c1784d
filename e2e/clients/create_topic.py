"""Creates one topic: create_topic.py BOOTSTRAP TOPIC PARTITIONS [name=value …]; fine if it is there already."""

import sys

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic, partitions, *settings = sys.argv[1:]
config = dict(setting.split("=", 1) for setting in settings)
admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
new = NewTopic(topic, num_partitions=int(partitions), replication_factor=1, config=config)
try:
    admin.create_topics([new], operation_timeout=20, request_timeout=20)[topic].result(25)
except KafkaException as failure:
    if failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
        raise
