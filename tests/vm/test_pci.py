# SPDX-License-Identifier: Apache-2.0
"""Guests with PCI devices of the host: an NVMe, and a virtual function of another one.  Nova's data base, libvirt and the
kernel say who has them; the scheduler chooses by the pools that the node reports, or by Placement."""
import xml.etree.ElementTree as ET

from nova import objects

import vm

NVME, PHYSICAL, VIRTUAL = "0000:00:07.0", "0000:00:1e.0", ("0000:00:1e.1", "0000:00:1e.2")


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

    def flavor_with(self, aliases, ram=64):
        return self.flavor({"pci_passthrough:alias": aliases, "hw:cpu_policy": "dedicated"}, ram=ram, disk=1, vcpus=1)

    def server(self, aliases, status):
        return self.settled(self.request(self.flavor_with(aliases)), status)

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

        # The scheduler knows; where it is not asked (a forced host), the claim does.
        flavor = self.flavor_with("nvme:1")
        chosen = self.settled(self.request(flavor, availability_zone="nova"), "ERROR")
        forced = self.settled(self.request(flavor), "ERROR")
        self.assertRegex(chosen.fault["message"], "No valid host")
        self.assertRegex(forced.fault["message"], "Claim pci failed")

        self.delete(server)
        self.wait_until_free()

    def test_a_resize_takes_another_device(self):
        server = self.server("nvme-vf:1", "ACTIVE")
        old, = self.held(server)
        bigger = self.flavor_with("nvme-vf:1", ram=128)

        self.ask(self.compute.resize_server, server, bigger)
        self.settled(server, "VERIFY_RESIZE")
        self.assertEqual(self.held(server), set(VIRTUAL))
        self.assertEqual(self.hostdevs(server), set(VIRTUAL) - {old})
        self.ask(self.compute.revert_server_resize, server)
        self.settled(server, "ACTIVE")
        self.assertEqual(self.held(server), {old})
        self.assertEqual(self.hostdevs(server), {old})

        self.ask(self.compute.resize_server, server, bigger)
        self.settled(server, "VERIFY_RESIZE")
        self.ask(self.compute.confirm_server_resize, server)
        self.settled(server, "ACTIVE")
        self.assertEqual(self.held(server), set(VIRTUAL) - {old})
        self.delete(server)
        self.wait_until_free()

    def wait_until_free(self):
        vm.wait(600, "the devices are free", lambda: set(self.devices().values()) == {("available", None)})
        vm.wait(600, "the pools are as before", lambda: self.pools() == {"type-PCI": 1, "type-PF": 1, "type-VF": 2})
        vm.wait(600, "the host has its device again", lambda: self.driver(NVME) == "nvme")

    def providers(self):
        """{name: (uuid, {resource class: total})} of the devices in Placement."""
        found = {}
        for provider in self.cloud.placement.resource_providers():
            if provider.name.startswith(f"{vm.HOST}_"):
                inventory = self.cloud.placement.get(f"/resource_providers/{provider.id}/inventories").json()["inventories"]
                found[provider.name] = (provider.id, {name: record["total"] for name, record in inventory.items()})
        return found

    def test_placement_knows_devices_and_who_has_them(self):
        """The last of all: an agent that has reported devices in Placement must go on with it."""
        spec = [{"address": NVME, "resource_class": "nvme"}, {"address": "0000:00:1e.1"}, {"address": "0000:00:1e.2"}]
        vm.start_agent("pci.report_in_placement=true", devices=spec)
        expected = {"vm1_0000:00:07.0": {"CUSTOM_NVME": 1}, "vm1_0000:00:1E.0": {"CUSTOM_PCI_1B36_0010": 2}}
        vm.wait(600, "the devices are in Placement",
                lambda: {name: totals for name, (_, totals) in self.providers().items()} == expected)
        providers = self.providers()
        self.assertNotIn(PHYSICAL, self.devices())

        # Not the plain NVMe: the emulation hangs when it is given away a second time.
        server = self.server("nvme-vf:1", "ACTIVE")
        allocation = self.cloud.placement.get(f"/allocations/{server.id}").json()["allocations"]
        physical, _ = providers["vm1_0000:00:1E.0"]
        self.assertEqual(allocation[physical]["resources"], {"CUSTOM_PCI_1B36_0010": 1})
        self.assertEqual({pool.tags["dev_type"]: pool.tags["rp_uuid"] for pool in self.node().pci_device_pools},
                         {"type-PCI": providers["vm1_0000:00:07.0"][0], "type-VF": physical})
