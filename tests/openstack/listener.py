"""Prints what is published on topic `notifications`, as any oslo.messaging listener hears it: an object in a line.

listener.py BROKER EXCHANGE: "ready" first, then {"event_type": .., "publisher_id": .., "payload": {..}}. It has a pool, that
is a queue, of its own, so that it takes nothing away from Ceilometer. Ends with its standard input.
"""
import json
import sys

import kombu
import oslo_messaging
from oslo_config import cfg

BROKER, EXCHANGE = sys.argv[1:]
POOL = "fenix-tests"


class Heard:
    def info(self, context, publisher_id, event_type, payload, metadata):
        line = {"event_type": event_type, "publisher_id": publisher_id, "payload": payload}
        print(json.dumps(line), flush=True)


conf = cfg.ConfigOpts()
conf([])
transport = oslo_messaging.get_notification_transport(conf, url=BROKER)
target = oslo_messaging.Target(topic="notifications", exchange=EXCHANGE)
# One thread below, so that events keep their order.
listener = oslo_messaging.get_notification_listener(transport, [target], [Heard()], executor="threading", pool=POOL)
listener.start(override_pool_size=1)
print("ready", flush=True)
sys.stdin.read()
listener.stop()
listener.wait()
# The queue of a pool outlives its listener.
with kombu.Connection(BROKER.replace("rabbit://", "amqp://")) as connection:
    connection.default_channel.queue_delete(POOL)
