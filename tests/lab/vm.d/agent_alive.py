# SPDX-License-Identifier: Apache-2.0
"""agent_alive.py HOST SECONDS: exit 0 when Neutron's Open vSwitch agent of HOST reported since that time."""
import datetime
import sys

import openstack

since = datetime.datetime.fromtimestamp(int(sys.argv[2]), datetime.timezone.utc)
agents = openstack.connect().network.agents(host=sys.argv[1], binary='neutron-openvswitch-agent')
sys.exit(not any(str(agent.last_heartbeat_at) >= since.strftime('%Y-%m-%d %H:%M:%S') for agent in agents))
