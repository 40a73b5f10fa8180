# SPDX-License-Identifier: Apache-2.0
"""Volumes of NVMe over TCP: target and initiator are the kernel's own, the connector is asked without the agent around it."""
import vm


class Nvmeof(vm.VmTest):
    def test_connected_grown_and_disconnected(self):
        said = vm.run("tests/vm/nvmeof", seconds=600)
        self.assertIn("ok nothing is left of failures", said, said)
