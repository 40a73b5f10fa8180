# SPDX-License-Identifier: Apache-2.0
"""What the lab's compute agent says on the notification bus."""
import json
import os
import time

import kombu

TOPICS = ("notifications", "versioned_notifications")
HOST = os.environ["LAB_HOST"]


class Bus:
    """The agent's notifications, from the queues that oslo.messaging's notifier declares."""

    def __init__(self):
        self.connection = kombu.Connection(os.environ["LAB_TRANSPORT_URL"].replace("rabbit://", "pyamqp://"))
        exchange = kombu.Exchange("nova", "topic", durable=False, channel=self.connection)
        self.queues = [kombu.Queue(f"{topic}.{level}", exchange, f"{topic}.{level}", durable=False,
                                   channel=self.connection)
                       for topic in TOPICS for level in ("info", "error")]
        for queue in self.queues:
            queue.declare()
            queue.purge()

    def take(self):
        """What came until the queues were quiet for a second."""
        found, quiet_since = [], time.monotonic()
        while time.monotonic() - quiet_since < 1:
            for queue in self.queues:
                while message := queue.get(no_ack=True):
                    body = json.loads(message.body)
                    found.append(json.loads(body["oslo.message"]))
                    quiet_since = time.monotonic()
            time.sleep(0.1)
        return [n for n in found if n["publisher_id"] in (f"compute.{HOST}", f"nova-compute:{HOST}")]
