# SPDX-License-Identifier: Apache-2.0
"""Guests with PCI devices of the host: an NVMe, and a virtual function of another one.  Nova's data base, libvirt and the
kernel say who has them; the scheduler chooses by the pools that the node reports."""
import re
import xml.etree.ElementTree as ET

from nova import objects

import vm

NVME, PHYSICAL, VIRTUAL = "0000:00:07.0", "0000:00:1e.0", ("0000:00:1e.1", "0000:00:1e.2")
SIZES = dict(ram=64, disk=1, vcpus=1)


class Pci(vm.VmTest):
    def devices(self):
        """{address: (status, instance)} of the node's rows."""
        rows = objects.PciDeviceList.get_by_compute_node(self.context, self.node().id)
        return {row.address: (row.status, row.instance_uuid) for row in rows}

    def pools(self):
        """{dev_type: free devices} of the compute node's record."""
        free = {}
        for pool in self.node().pci_device_pools:
            free[pool.tags["dev_type"]] = free.get(pool.tags["dev_type"], 0) + pool.count
        return free

    def server(self, aliases, status):
        return self.settled(self.request(self.flavor({"pci_passthrough:alias": aliases}, **SIZES)), status)

    def held(self, server):
        return {address for address, row in self.devices().items() if row == ("allocated", server.id)}

    @staticmethod
    def hostdevs(server):
        """Addresses of the devices in the guest, all of which libvirt takes from the host by itself."""
        hostdevs = ET.fromstring(vm.run(f"virsh dumpxml {server.id}")).findall("devices/hostdev")
        assert {hostdev.get("managed") for hostdev in hostdevs} <= {"yes"}
        parts = [[hostdev.find("source/address").get(k)[2:] for k in ("domain", "bus", "slot", "function")] for hostdev in hostdevs]
        return {"{}:{}:{}.{}".format(*part) for part in parts}

    @staticmethod
    def driver(address):
        return vm.run(f"basename $(readlink /sys/bus/pci/devices/{address}/driver)").strip()

    def test_devices_go_to_the_guest_and_come_back(self):
        self.assertEqual(self.devices(), {address: ("available", None) for address in (NVME, PHYSICAL, *VIRTUAL)})
        self.assertEqual(self.pools(), {"type-PCI": 1, "type-PF": 1, "type-VF": 2})
        self.assertEqual(self.driver(NVME), "nvme")

        server = self.server("nvme:1,nvme-vf:1", "ACTIVE")
        rows = self.devices()
        mine = self.held(server)
        self.assertEqual(len(mine), 2, rows)
        self.assertIn(NVME, mine)
        self.assertEqual(rows[PHYSICAL], ("unavailable", None))
        self.assertEqual({k: n for k, n in self.pools().items() if n}, {"type-VF": 1})
        self.assertEqual({device.address for device in self.instance(server).pci_devices}, mine)
        self.assertEqual(self.hostdevs(server), mine)
        for address in mine:
            self.assertEqual(self.driver(address), "vfio-pci")

        self.compute.reboot_server(server, "HARD")
        self.settled(server, "ACTIVE")
        self.assertEqual(self.hostdevs(server), mine)

        self.assertRegex(self.compute.get_server(self.server("nvme:1", "ERROR").id).fault["message"], re.compile("No valid host"))

        self.delete(server)
        self.wait_until_free()

    def test_a_resize_takes_another_device(self):
        server = self.server("nvme-vf:1", "ACTIVE")
        old, = self.held(server)
        bigger = self.flavor({"pci_passthrough:alias": "nvme-vf:1"}, ram=128, disk=1, vcpus=1)

        self.compute.resize_server(server, bigger)
        self.settled(server, "VERIFY_RESIZE")
        self.assertEqual(self.held(server), set(VIRTUAL))
        self.assertEqual(self.hostdevs(server), set(VIRTUAL) - {old})
        self.compute.revert_server_resize(server)
        self.settled(server, "ACTIVE")
        self.assertEqual(self.held(server), {old})
        self.assertEqual(self.hostdevs(server), {old})

        self.compute.resize_server(server, bigger)
        self.settled(server, "VERIFY_RESIZE")
        self.compute.confirm_server_resize(server)
        self.settled(server, "ACTIVE")
        self.assertEqual(self.held(server), set(VIRTUAL) - {old})
        self.delete(server)
        self.wait_until_free()

    def wait_until_free(self):
        vm.wait(90, "the devices are free", lambda: set(self.devices().values()) == {("available", None)})
        vm.wait(90, "the pools are as before", lambda: self.pools() == {"type-PCI": 1, "type-PF": 1, "type-VF": 2})
        vm.wait(90, "the host has its device again", lambda: self.driver(NVME) == "nvme")
