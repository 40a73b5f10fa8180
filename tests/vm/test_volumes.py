# SPDX-License-Identifier: Apache-2.0
"""Cinder's volumes by iSCSI with CHAP: initiator, target, logical volumes and device mapper are the kernel's own, and none
of them may have anything left when the servers are gone."""
import os
import subprocess
import sys

import vm

GIB = 1 << 30
TEXT = "written by the guest"
# Writes once onto each disk that is plugged in.
WRITER = f"""#!/bin/sh
. /etc/boot/functions
while sleep 1; do
    if [ ! -b /dev/vdb ]; then written=; continue; fi
    [ -z "$written" ] || continue
    echo "{TEXT}" | dd of=/dev/vdb conv=fsync 2>/dev/null && written=1 && say "WROTE vdb"
done
"""


class Volumes(vm.VmTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cinder = cls.cloud.block_storage
        cls.start_cinder_volume()
        subprocess.run([sys.executable, "-B", vm.LAB / "volume_types.py", "iscsi"], check=True)

    @classmethod
    def start_cinder_volume(cls):
        """Beside the control plane; it works in the VM."""
        etc = f"{os.environ['LAB_DIR']}/etc/cinder"
        with open(vm.SHARE / "cinder-volume.log", "wb") as log:
            service = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{os.environ['LAB_NETNS']}", "--", "cinder-volume", "--config-file",
                 f"{etc}/cinder.conf", "--config-file", f"{etc}/cinder-vm.conf"],
                stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": os.getcwd()})
        cls.addClassCleanup(service.wait)
        cls.addClassCleanup(service.terminate)
        vm.wait(300, "Cinder's service for the VM", cls.is_cinder_up)

    @classmethod
    def is_cinder_up(cls):
        return any(s.host == f"{vm.HOST}@iscsi" and s.state == "up" for s in cls.cinder.services(binary="cinder-volume"))

    # ---- Cinder ----

    def volume(self, name, **more):
        volume = self.cinder.create_volume(name=name, size=1, volume_type="iscsi", **more)
        self.addCleanup(self.delete_volume, volume)
        return self.wait_volume(volume, "available")

    def wait_volume(self, volume, status):
        def check():
            fresh = self.cinder.get_volume(volume.id)
            self.assertNotIn("error", fresh.status)
            return fresh if fresh.status == status else None
        return vm.wait(600, f"volume {volume.name} {status}", check)

    def delete_volume(self, volume):
        self.cinder.delete_volume(volume.id, ignore_missing=True)
        vm.wait(300, f"volume {volume.name} deleted", lambda: self.cinder.find_volume(volume.id) is None)

    # ---- servers ----

    def boot(self, root, **more):
        flavor = self.flavor({"hw:cpu_policy": "dedicated"}, ram=256, disk=0, vcpus=1)
        device = {"source_type": "volume", "destination_type": "volume", "uuid": root.id, "boot_index": 0}
        return self.settled(self.request(flavor, image=None, block_device_mapping=[device], **more), "ACTIVE")

    def attach(self, server, volume):
        self.ask(self.compute.create_volume_attachment, server, volume_id=volume.id)
        self.wait_volume(volume, "in-use")

    def detach(self, server, volume):
        self.ask(self.compute.delete_volume_attachment, server, volume.id)
        self.wait_volume(volume, "available")
        vm.wait(60, "Nova's record gone", lambda: volume.id not in self.attached(server))

    def attached(self, server):
        return {attachment.volume_id for attachment in self.compute.volume_attachments(server)}

    # ---- the host ----

    @staticmethod
    def sessions():
        """IQNs of the targets that the initiator is logged in to."""
        return sorted(line.split()[3] for line in vm.run("iscsiadm -m session || [ $? = 21 ]").splitlines() if line.startswith("tcp:"))

    @staticmethod
    def scsi_disks():
        return vm.run("lsblk -Sno NAME || true").split()

    def iqns(self, *volumes):
        return sorted(f"iqn.2010-10.org.openstack:volume-{volume.id}" for volume in volumes)

    def assert_nothing_left(self):
        self.assertEqual(self.sessions(), [])
        self.assertEqual(self.scsi_disks(), [])
        self.assertEqual(vm.run("iscsiadm -m node 2>/dev/null || [ $? = 21 ]"), "")
        self.assertEqual(vm.run("dmsetup ls").strip(), "No devices found")
        self.assertEqual(vm.run("ls /sys/kernel/config/target/iscsi | grep iqn || true"), "")
        self.assertEqual(self.cinder.get("/attachments").json()["attachments"], [])

    # ---- tests ----

    def test_server_on_a_volume_and_with_another(self):
        root = self.volume("root", image_id=self.cloud.image.find_image("guest").id)
        data = self.volume("data")
        server = self.boot(root, config_drive=True, user_data=vm.encode(WRITER))
        self.assertEqual(self.sessions(), self.iqns(root))
        self.wait_console(server, "KILONOVA GUEST UP")
        self.attach(server, data)
        self.assertEqual(self.sessions(), self.iqns(root, data))
        self.wait_console(server, f"DISK vdb {GIB} {data.id[:20]}")
        self.wait_console(server, "WROTE vdb")
        self.cinder.extend_volume(data, 2)
        self.wait_console(server, f"DISK vdb {2 * GIB}")
        self.detach(server, data)
        self.wait_console(server, "DISK vdb removed")
        self.assertEqual(self.sessions(), self.iqns(root))
        self.assertEqual(len(self.scsi_disks()), 1)
        self.assertEqual(vm.run(f"head -c {len(TEXT)} /dev/cinder-volumes/volume-{data.id}"), TEXT)

        self.attach(server, data)
        self.ask(self.compute.reboot_server, server, "HARD")
        self.settled(server, "ACTIVE")
        self.assertEqual(self.sessions(), self.iqns(root, data))
        self.delete(server)
        for volume in (root, data):
            self.wait_volume(volume, "available")
        self.assertEqual(self.sessions(), [])
        self.assertEqual(self.scsi_disks(), [])
        for volume in (root, data):
            self.delete_volume(volume)
        self.assert_nothing_left()
