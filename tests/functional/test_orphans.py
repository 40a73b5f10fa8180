# SPDX-License-Identifier: Apache-2.0
"""Ports without a guest in the switch. Takes the two minutes that the agent waits before it removes one."""
import os
import uuid

from lab import LabTest, ctl, run, wait


def ovs(*argv):
    return run("ovs-vsctl", f"--db={os.environ['LAB_OVSDB']}", *argv).stdout


class Orphans(LabTest):
    def plant(self, server_id):
        name = "tap" + uuid.uuid4().hex[:8] + "-00"
        ovs("add-port", "br-int", name, "--", "set", "Interface", name, "type=internal",
            f"external_ids:iface-id={uuid.uuid4()}", f"external_ids:vm-uuid={server_id}")
        self.addCleanup(ovs, "--if-exists", "del-port", name)
        return name

    def test_only_what_a_server_left_is_removed(self):
        gone, stays = self.create("gone"), self.create("stays", networks=["provider"])
        self.delete(gone)
        left, of_no_server = self.plant(gone.id), self.plant(uuid.uuid4())
        ports = set(ovs("list-ports", "br-int").split())
        wait(200, "the port removed", lambda: left not in ovs("list-ports", "br-int").split())
        self.assertEqual(ports - set(ovs("list-ports", "br-int").split()), {left})
        told = ctl("status")["switch"]
        self.assertGreaterEqual(told["orphan_ports_removed"], 1)
        self.assertGreaterEqual(told["orphan_ports"], 1)  # of_no_server
        ovs("del-port", of_no_server)
        self.delete(stays)
        self.assert_nothing_left()
