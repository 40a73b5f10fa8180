# SPDX-License-Identifier: Apache-2.0
"""Disks of servers in a volume group of the host (images_type = lvm), with the kernel's device mapper."""
import tempfile

import vm

GROUP = "servers"


class Lvm(vm.VmTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        vm.run(f"vgcreate -qq {GROUP} /dev/vdb")
        cls.addClassCleanup(vm.run, f"vgremove -qq {GROUP}")
        vm.start_agent("libvirt.images_type=lvm", f"libvirt.images_volume_group={GROUP}", "libvirt.volume_clear_size=8")
        cls.addClassCleanup(vm.start_agent)

    def volumes(self):
        """{name: MiB} of the group's logical volumes."""
        lines = vm.run(f"lvs --noheadings --nosuffix --units m -o lv_name,lv_size {GROUP}").splitlines()
        return {name: float(size) for name, size in map(str.split, lines)}

    def first_bytes(self, image):
        with tempfile.NamedTemporaryFile() as file:
            self.cloud.image.download_image(image, output=file.name)
            return file.read(512)

    def test_built_copied_refused_and_deleted(self):
        small, big = [self.flavor({"hw:cpu_policy": "dedicated"}, ram=64, disk=disk, vcpus=1) for disk in (0, 1)]
        server = self.settled(self.request(small), "ACTIVE")
        disk = f"{server.id}_disk"
        self.wait_console(server, "KILONOVA HLT UP")
        self.assertEqual(self.volumes(), {disk: 4})
        self.assertIn(f"/dev/{GROUP}/{disk}", vm.run(f"virsh domblklist {server.id}"))

        copy = self.compute.create_server_image(server.id, "copy of a logical volume")
        self.addCleanup(self.cloud.image.delete_image, copy.id)
        vm.wait(600, "its copy", lambda: self.cloud.image.get_image(copy.id).status == "active")
        self.settled(server, "ACTIVE")
        self.assertEqual(self.cloud.image.get_image(copy.id).disk_format, "raw")
        self.assertEqual(self.first_bytes(copy), self.first_bytes(self.cloud.image.find_image("hlt")))

        # Nova does not move logical volumes.
        self.ask(self.compute.resize_server, server, big)
        vm.wait(600, "the resize refused", lambda: any(
            action.action == "resize" and action.message == "Error" for action in self.compute.server_actions(server.id)))
        self.settled(server, "ACTIVE")
        self.assertEqual(self.volumes(), {disk: 4})

        self.ask(self.compute.reboot_server, server, "HARD")
        self.settled(server, "ACTIVE")
        self.ask(self.compute.rebuild_server, server, image=copy.id)
        self.settled(server, "ACTIVE")
        self.assertEqual(self.volumes(), {disk: 4})
        self.delete(server)
        self.assertEqual(self.volumes(), {})
        self.assertNotIn(server.id.replace("-", "--"), vm.run("dmsetup ls"))
