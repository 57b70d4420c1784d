"""Creates many topics: BOOTSTRAP TOPICS PARTITIONS. Prints how many are there in the end."""

import sys

from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topics, partitions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
admin = AdminClient({"bootstrap.servers": bootstrap})
AT_ONCE = 200
for start in range(0, topics, AT_ONCE):
    some = [NewTopic(f"crowd.{at:05}", partitions, 1) for at in range(start, min(start + AT_ONCE, topics))]
    for future in admin.create_topics(some, request_timeout=120, operation_timeout=120).values():
        future.result()
found = admin.list_topics(timeout=60).topics
print(sum(name.startswith("crowd.") for name in found))
