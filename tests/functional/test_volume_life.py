# SPDX-License-Identifier: Apache-2.0
"""What servers go through with their volumes: reboots, rescue, rebuilds, shelving, resizes, a killed agent."""
import os
import tempfile

from lab import HOST, agent, virsh, wait
from test_volumes import VolumeTest

HLT = "KILONOVA HLT UP"


class Lived(VolumeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        flavor = cls.compute.create_flavor(name=f"grown-{os.getpid()}", vcpus=1, ram=96, disk=1)
        cls.addClassCleanup(cls.compute.delete_flavor, flavor.id)
        cls.grown = flavor

    def ask(self, name, **more):
        """A server on a volume of its own, made from an image, with a blank one beside it."""
        own = {"destination_type": "volume", "volume_size": 1, "delete_on_termination": True}
        return self.request(name, image=None, **more, block_device_mapping=[
            {"source_type": "image", "uuid": self.images["hlt"].id, "boot_index": 0, **own},
            {"source_type": "blank", "boot_index": -1, **own}])

    def booted(self, name, **more):
        server = self.wait_status(self.ask(name, **more), "ACTIVE", 120)
        self.wait_console(server, HLT)
        return server, self.attached(server)

    def act(self, server, action, status=202, **body):
        answer = self.compute.post(f"/servers/{server.id}/action", json={action: body or None}, microversion="2.93")
        self.assertEqual(answer.status_code, status, answer.text)

    def assert_has(self, server, volumes):
        """One attachment each, complete, and all of them the guest's."""
        self.assertEqual(self.attached(server), volumes)
        for volume in volumes:
            fresh = self.cinder.get_volume(volume)
            self.assertEqual((fresh.status, [a["server_id"] for a in fresh.attachments]), ("in-use", [server.id]))
        self.assertEqual(self.disks(server), volumes)

    def end(self, server, volumes):
        self.delete(server)
        for volume in volumes:
            wait(60, "its volume deleted", lambda v=volume: self.cinder.find_volume(v) is None)
        self.assert_nothing_left()

    def test_stopped_and_started(self):
        server, volumes = self.booted("stopped")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.compute.start_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.assert_has(server, volumes)
        self.end(server, volumes)

    def test_a_hard_reboot_forgets_an_attachment_of_nobody(self):
        server, volumes = self.booted("rebooted")
        stray = self.volume("stray")
        self.cinder.create_attachment(stray.id, connector=None, instance=server.id)
        self.compute.reboot_server(server.id, "HARD")
        self.wait_status(server, "ACTIVE")
        self.wait_volume(stray, "available")
        self.assert_has(server, volumes)
        self.end(server, volumes)

    def test_rescued(self):
        with tempfile.NamedTemporaryFile() as file:
            self.cloud.image.download_image(self.images["hlt"], output=file.name)
            image = self.cloud.create_image("stable", filename=file.name, disk_format=self.images["hlt"].disk_format,
                                            wait=True, meta={"hw_rescue_device": "disk", "hw_rescue_bus": "virtio"})
        self.addCleanup(self.cloud.image.delete_image, image.id)
        server, volumes = self.booted("rescued")
        self.act(server, "rescue", 200, rescue_image_ref=image.id)
        self.wait_status(server, "RESCUE")
        self.assertIn("disk.rescue", virsh("domblklist", server.id))
        self.assertEqual(self.disks(server), volumes)
        self.compute.unrescue_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.assert_has(server, volumes)
        self.end(server, volumes)

    def test_rebuilt_with_a_volume_beside_its_disk(self):
        server, volume = self.create("rebuilt"), self.volume("data")
        self.attach(server, volume)
        self.compute.rebuild_server(server.id, image=self.images["hlt"].id)
        self.wait_status(server, "ACTIVE", 120)
        self.assert_has(server, {volume.id})
        self.delete(server)
        self.wait_volume(volume, "available")
        self.assert_nothing_left()

    def test_rebuilt_onto_another_image(self):
        server, volumes = self.booted("reimaged", flavor="guest")
        self.act(server, "rebuild", imageRef=self.images["guest"].id)
        self.wait_status(server, "ACTIVE", 240)
        self.wait_console(server, "KILONOVA GUEST UP", 180)
        self.assert_has(server, volumes)
        self.end(server, volumes)

    def test_shelved_and_unshelved(self):
        server, volumes = self.booted("shelved")
        self.compute.shelve_server(server.id)
        self.wait_status(server, "SHELVED_OFFLOADED", 120)
        for volume in volumes:
            self.assertEqual(self.cinder.get_volume(volume).status, "reserved")
        self.compute.unshelve_server(server.id)
        self.wait_status(server, "ACTIVE", 120)
        self.assert_has(server, volumes)
        self.end(server, volumes)

    def test_resized(self):
        server, volumes = self.booted("resized")
        for answer in ("confirmResize", "revertResize"):
            self.compute.resize_server(server.id, self.grown.id if answer == "confirmResize" else self.flavors["tiny"].id)
            self.wait_status(server, "VERIFY_RESIZE", 120)
            self.assert_has(server, volumes)
            self.act(server, answer, 204 if answer == "confirmResize" else 202)
            self.wait_status(server, "ACTIVE", 120)
            self.assert_has(server, volumes)
        self.assertEqual(self.get(server).flavor["ram"], 96)
        self.end(server, volumes)

    def test_deleted_while_its_volume_is_made(self):
        before = {v.id for v in self.cinder.volumes()}
        server = self.ask("short")
        wait(60, "a volume of its own", lambda: {v.id for v in self.cinder.volumes()} - before)
        self.delete(server)
        wait(60, "its volumes deleted", lambda: {v.id for v in self.cinder.volumes()} <= before)
        self.assert_nothing_left()

    def test_killed_while_its_volume_is_made(self):
        before = {v.id for v in self.cinder.volumes()}
        server = self.ask("killed")
        wait(60, "a volume of its own", lambda: {v.id for v in self.cinder.volumes()} - before)
        agent("kill", HOST)
        agent("start", HOST)
        self.wait_status(server, "ACTIVE", 180)
        volumes = self.attached(server)
        self.assertEqual({v.id for v in self.cinder.volumes()} - before, volumes)
        self.assertEqual({self.cinder.get_volume(v).name for v in volumes}, {"", f"{server.id}-blank-vol"})
        self.assert_has(server, volumes)
        self.end(server, volumes)
