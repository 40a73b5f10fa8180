# SPDX-License-Identifier: Apache-2.0
"""Servers made anew: rebuilt in their place, shelved and unshelved."""
import json

from lab import HOST, LabTest, run, wait


class OnDisk(LabTest):
    """The guest's own files are in its memory: what is to be found again is written on its disk."""
    SECTOR = 2000000

    def events(self, server, action):
        """The agent's: the conductor records its own part too."""
        return {k: v for k, v in self.actions(server)[action].items() if k.startswith("compute_")}

    def mark(self, key, address, text):
        self.ssh(key, address, f"echo {text} | dd of=/dev/vda bs=512 seek={self.SECTOR} conv=notrunc && sync", 240)

    def marked(self, key, address):
        return self.ssh(key, address, f"dd if=/dev/vda bs=512 skip={self.SECTOR} count=1 2>/dev/null | head -c 4", 240)


class Rebuild(OnDisk):
    def rebuild(self, server, image, **more):
        self.compute.rebuild_server(server.id, image=self.images[image].id, **more)

    def test_same_image(self):
        name, key = self.keypair()
        server = self.create("again", image="guest", flavor="guest", networks=["provider"], key_name=name)
        address = self.address(server)
        ports = [p.id for p in self.cloud.network.ports(device_id=server.id)]
        self.mark(key, address, "mine")
        self.rebuild(server, "guest")
        self.wait_status(server, "ACTIVE", 120)
        self.assertEqual(self.address(server), address)
        self.assertNotEqual(self.marked(key, address), "mine")
        self.assertEqual([p.id for p in self.cloud.network.ports(device_id=server.id)], ports)
        self.assertEqual(self.events(server, "rebuild"), {"compute_rebuild_instance": "Success"})
        self.delete(server)
        self.assert_nothing_left()

    def test_other_image(self):
        server = self.create("other", flavor="guest")
        self.rebuild(server, "guest")
        fresh = self.wait_status(server, "ACTIVE", 120)
        self.assertEqual(fresh.image.id, self.images["guest"].id)
        self.wait_console(server, "KILONOVA GUEST UP")
        self.delete(server)
        self.assert_nothing_left()

    def test_a_stopped_server_stays_stopped(self):
        server = self.create("off")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.rebuild(server, "hlt")
        self.wait_status(server, "SHUTOFF", 120)
        self.assertEqual(self.domain_state(server), "shut off")
        self.assertEqual(self.events(server, "rebuild"),
                         {"compute_rebuild_instance": "Success", "compute_stop_instance": "Success"})

    def test_preserving_ephemeral_disks_is_refused(self):
        server = self.create("kept")
        self.rebuild(server, "hlt", preserve_ephemeral=True)
        fresh = self.wait_status(server, "ERROR")
        self.assertIn("does not support preserving ephemeral partitions", fresh.fault["message"])
        self.assertEqual(self.events(server, "rebuild"), {"compute_rebuild_instance": "Error"})


class Shelve(OnDisk):
    def test_there_and_back(self):
        name, key = self.keypair()
        server = self.create("shelf", image="guest", flavor="guest", networks=["provider"], key_name=name)
        address = self.address(server)
        self.mark(key, address, "kept")
        self.compute.shelve_server(server.id)
        self.wait_status(server, "SHELVED_OFFLOADED", 120)
        wait(30, "host forgotten", lambda: not self.get(server).hypervisor_hostname)
        self.assertEqual(self.domain_state(server), "")
        self.assertEqual(self.allocations(server), {})
        image = self.cloud.image.find_image("shelf-shelved")
        self.assertEqual(image.status, "active")
        self.assertEqual(self.events(server, "shelve"), {"compute_shelve_instance": "Success"})
        port = next(self.cloud.network.ports(device_id=server.id))
        self.assertEqual(port.binding_host_id or "", "")

        self.compute.unshelve_server(server.id)
        fresh = self.wait_status(server, "ACTIVE", 120)
        self.assertEqual(fresh.hypervisor_hostname, HOST)
        self.assertEqual(fresh.image.id, self.images["guest"].id)
        self.assertEqual(fresh.key_name, name)
        self.assertEqual(self.marked(key, address), "kept")
        wait(30, "image deleted", lambda: self.cloud.image.find_image(image.id) is None)
        self.assertEqual(len(self.allocations(server)), 1)
        base = json.loads(run("qemu-img", "info", "-U", "--output=json", self.instance_folder(server) / "disk").stdout)
        self.assertIn("/_base/", base["backing-filename"])  # the image's own, not the shelved one's
        self.assertEqual(self.events(server, "unshelve"), {"compute_unshelve_instance": "Success"})
        self.delete(server)
        self.assert_nothing_left()

    def test_a_stopped_server(self):
        server = self.create("still")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.compute.shelve_server(server.id)
        self.wait_status(server, "SHELVED_OFFLOADED", 120)
        wait(30, "host forgotten", lambda: not self.get(server).hypervisor_hostname)
        self.compute.unshelve_server(server.id)
        self.wait_status(server, "ACTIVE", 120)
        self.assertEqual(self.domain_state(server), "running")
