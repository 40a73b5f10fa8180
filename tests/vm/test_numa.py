# SPDX-License-Identifier: Apache-2.0
"""A guest under KVM on two NUMA nodes with huge pages and CPUs of its own: what was asked for, what Nova's data base says,
what libvirt defined and what the kernel does are one and the same."""
import re
import xml.etree.ElementTree as ET

from nova import objects

import vm

PAGES = {"hw:numa_nodes": "2", "hw:mem_page_size": "2MB", "hw:cpu_policy": "dedicated"}


class Numa(vm.VmTest):
    def usage(self):
        """{cell: (pinned CPUs, used pages of 2 MiB)} of the compute node's record."""
        topology = objects.NUMATopology.obj_from_db_obj(self.node().numa_topology)
        return {cell.id: (set(cell.pinned_cpus), next(p.used for p in cell.mempages if p.size_kb == 2048))
                for cell in topology.cells}

    def test_pinned_guest_with_huge_pages_on_two_nodes(self):
        before = self.usage()
        server = self.settled(self.request(self.flavor(PAGES, ram=128, disk=1, vcpus=2)), "ACTIVE")
        cells = self.instance(server).numa_topology.cells
        domain = ET.fromstring(vm.run(f"virsh dumpxml {server.id}"))
        pid = vm.run(f"cat /run/libvirt/qemu/{domain.findtext('name')}.pid").strip()

        self.assertEqual(domain.get("type"), "kvm")
        self.assertEqual(sorted(cell.id for cell in cells), [0, 1])
        pinning = {cpu: pinned for cell in cells for cpu, pinned in cell.cpu_pinning.items()}
        self.assertEqual(sorted(pinning.values()), [1, 3])
        self.assertEqual({int(pin.get("vcpu")): int(pin.get("cpuset")) for pin in domain.iter("vcpupin")}, pinning)
        self.assertEqual([int(node.get("nodeset")) for node in domain.iter("memnode")], [cell.id for cell in cells])
        self.assertEqual({page.get("size") for page in domain.iter("page")}, {"2048"})

        for cpu, pinned in pinning.items():
            affinity = vm.run(f"grep -l '^CPU {cpu}/KVM' /proc/{pid}/task/*/comm | "
                              "sed 's/comm$/status/' | xargs grep Cpus_allowed_list:").split()[-1]
            self.assertEqual(affinity, str(pinned))
        maps = vm.run(f"grep huge /proc/{pid}/numa_maps")
        for cell in cells:
            self.assertRegex(maps, rf"bind:{cell.id} .*huge.* N{cell.id}=32 kernelpagesize_kB=2048")

        after = self.usage()
        for cell in cells:
            self.assertEqual(after[cell.id], ({1 + 2 * cell.id}, before[cell.id][1] + 32))
        self.delete(server)
        vm.wait(600, "the node's record is as before", lambda: self.usage() == before)

    def test_more_pages_than_there_are_fit_nowhere(self):
        server = self.settled(self.request(self.flavor(PAGES, ram=1024, disk=1, vcpus=2)), "ERROR")
        self.assertRegex(self.compute.get_server(server.id).fault["message"], re.compile("No valid host|cannot fit"))
