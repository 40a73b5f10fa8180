# SPDX-License-Identifier: Apache-2.0
"""consumed.py AMQP-URL QUEUE...: exit 0 when each queue has a consumer."""
import sys

import kombu

with kombu.Connection(sys.argv[1]) as connection:
    for queue in sys.argv[2:]:
        with connection.channel() as channel:
            if not channel.queue_declare(queue, passive=True).consumer_count:
                sys.exit(1)
