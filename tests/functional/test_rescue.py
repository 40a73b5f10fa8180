# SPDX-License-Identifier: Apache-2.0
"""Rescue, the old way and with stable devices, and the way back."""
import tempfile

from lab import LabTest, virsh, wait


class Rescue(LabTest):
    def disks(self, server):
        return [line.split() for line in virsh("domblklist", server.id).splitlines() if line.strip()]

    def names(self, server):
        return [(target, source.rsplit("/", 1)[-1]) for target, source in self.disks(server)]

    def rescue(self, server, image=None):
        body = {"rescue": {"rescue_image_ref": image.id} if image else {}}
        answer = self.compute.post(f"/servers/{server.id}/action", json=body, microversion="2.87")
        self.assertEqual(answer.status_code, 200, answer.text)

    def unrescue(self, server):
        self.compute.unrescue_server(server.id)
        return self.wait_status(server, "ACTIVE")

    def rescue_files(self, server):
        return sorted(p.name for p in self.instance_folder(server).iterdir() if "rescue" in p.name)

    def image(self, name, **properties):
        with tempfile.NamedTemporaryFile() as file:
            self.cloud.image.download_image(self.images["hlt"], output=file.name)
            image = self.cloud.create_image(name, filename=file.name, disk_format=self.images["hlt"].disk_format,
                                            wait=True, meta=properties)
        self.addCleanup(self.cloud.image.delete_image, image.id)
        return image

    def test_the_old_way(self):
        server = self.create("rescued", networks=["provider"], config_drive=True)
        before = self.names(server)
        launched = self.get(server).launched_at
        self.rescue(server)
        fresh = self.wait_status(server, "RESCUE")
        self.assertEqual(fresh.power_state, 1)
        self.assertNotEqual(fresh.launched_at, launched)
        self.assertEqual([name for _, name in self.names(server)], ["disk.rescue", "disk", "disk.config.rescue"])
        self.assertEqual(self.rescue_files(server), ["disk.config.rescue", "disk.rescue", "unrescue.xml"])
        self.unrescue(server)
        self.assertEqual(self.names(server), before)
        self.assertEqual(self.rescue_files(server), [])
        self.assertNotIn("rescue", (self.instance_folder(server) / "disk.info").read_text())
        self.assertEqual(self.actions(server)["rescue"], {"compute_rescue_instance": "Success"})
        self.assertEqual(self.actions(server)["unrescue"], {"compute_unrescue_instance": "Success"})
        self.delete(server)
        self.assert_nothing_left()

    def test_stable_devices(self):
        image = self.image("stable", hw_rescue_device="disk", hw_rescue_bus="virtio")
        server = self.create("stable", flavor="disks")
        before = self.names(server)
        self.rescue(server, image)
        self.wait_status(server, "RESCUE")
        self.assertEqual(self.names(server), before + [("vdd", "disk.rescue")])
        xml = virsh("dumpxml", server.id)
        self.assertIn("order='1'", xml)
        self.unrescue(server)
        self.assertEqual(self.names(server), before)

    def test_of_a_stopped_server_with_another_image(self):
        image = self.image("other")
        server = self.create("stopped")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.rescue(server, image)
        self.wait_status(server, "RESCUE")
        self.assertEqual(self.domain_state(server), "running")
        self.unrescue(server)

    def test_image_that_is_gone(self):
        """Found out before anything is touched: the server runs on."""
        server = self.create("no-image")
        self.rpc("rescue_instance", server, "rescuing", "rescue", rescue_password="p", clean_shutdown=False,
                 rescue_image_ref="00000000-0000-4000-8000-000000000000")
        wait(20, "the failure", lambda: self.actions(server).get("rescue") == {"compute_rescue_instance": "Error"})
        fresh = wait(10, "no task", lambda: self.get(server) if self.get(server).task_state is None else None)
        self.assertEqual((fresh.status, self.domain_state(server)), ("ACTIVE", "running"))

    def test_image_that_cannot_be_used(self):
        """Found out when the server is off already: ERROR, and a hard reboot brings it back."""
        image = self.image("bad-bus", hw_rescue_device="disk", hw_rescue_bus="lxc")
        server = self.create("bad")
        self.rescue(server, image)
        fresh = self.wait_status(server, "ERROR")
        self.assertIn(f"Instance {server.id} cannot be rescued: Driver Error: Requested rescue bus 'lxc' is not "
                      "supported by the", fresh.fault["message"])
        self.compute.reboot_server(server.id, "HARD")
        wait(60, "ACTIVE", lambda: self.get(server).status == "ACTIVE")
        self.assertEqual(self.rescue_files(server), [])

    def test_unrescue_without_its_file(self):
        server = self.create("lost", networks=["provider"])
        self.rescue(server)
        self.wait_status(server, "RESCUE")
        (self.instance_folder(server) / "unrescue.xml").unlink()
        self.unrescue(server)
        self.assertEqual([name for _, name in self.names(server)], ["disk"])
        self.delete(server)
        self.assert_nothing_left()
