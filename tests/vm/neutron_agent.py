# SPDX-License-Identifier: Apache-2.0
"""Neutron's Open vSwitch agent for the test VM.  It runs beside the control plane, because in the emulated machine it takes minutes
to start: the VM's switch it reaches by TCP, its commands (iptables, ipset, conntrack, sysctl) are run in the VM."""
import shlex

from neutron import privileged
from neutron.agent.ovsdb.native import helpers
from neutron.cmd.agents import ovs_neutron_agent
from neutron.privileged.agent.linux import utils
from oslo_privsep import priv_context

import ask


def execute_process(command, process_input, addl_env):
    words = shlex.join([*(f"{name}={value}" for name, value in (addl_env or {}).items()), *map(str, command)])
    if process_input is not None:
        words += f" <<'END OF INPUT'\n{process_input.decode()}\nEND OF INPUT"
    status, output = ask.run(words)
    return output, "", status


utils.execute_process = execute_process
helpers.enable_connection_uri = lambda *_, **__: None  # by ovs-vsctl of this machine; the VM's data base listens in any case
for context in vars(privileged).values():
    if isinstance(context, priv_context.PrivContext):
        context.set_client_mode(False)  # no process of its own for each kind
ovs_neutron_agent.main()
