# SPDX-License-Identifier: Apache-2.0
"""agents_alive.py HOST NANOSECONDS TYPE...: exit 0 when these agents of HOST reported to Neutron since that time."""
import datetime
import sys

import openstack

since = datetime.datetime.fromtimestamp(int(sys.argv[2]) // 10 ** 9, datetime.timezone.utc)
alive = {agent.agent_type for agent in openstack.connect().network.agents(host=sys.argv[1])
         if str(agent.last_heartbeat_at) >= since.strftime('%Y-%m-%d %H:%M:%S')}
sys.exit(0 if set(sys.argv[3:]) <= alive else 1)
