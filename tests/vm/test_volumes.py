# SPDX-License-Identifier: Apache-2.0
"""Cinder's volumes by iSCSI with CHAP and by NFS: initiator, target, logical volumes, device mapper, NFS client and server are
the kernel's own, and none of them may have anything left when the servers are gone."""
import os
import re
import subprocess
import sys

import vm

BACK_ENDS = ("iscsi", "nfs")
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
        for back_end in BACK_ENDS:
            subprocess.run([sys.executable, "-B", vm.LAB / "volume_types.py", back_end], check=True)

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
        vm.wait(600, "Cinder's services for the VM", cls.are_back_ends_up)

    @classmethod
    def are_back_ends_up(cls):
        up = {service.host for service in cls.cinder.services(binary="cinder-volume") if service.state == "up"}
        return up >= {f"{vm.HOST}@{back_end}" for back_end in BACK_ENDS}

    # ---- Cinder ----

    def volume(self, name, back_end, **more):
        volume = self.cinder.create_volume(name=name, size=1, volume_type=back_end, **more)
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

    def boot(self, root):
        flavor = self.flavor({"hw:cpu_policy": "dedicated"}, ram=256, disk=0, vcpus=1)
        device = {"source_type": "volume", "destination_type": "volume", "uuid": root.id, "boot_index": 0}
        server = self.request(flavor, image=None, block_device_mapping=[device], config_drive=True, user_data=vm.encode(WRITER))
        return self.settled(server, "ACTIVE")

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

    @staticmethod
    def iqns(*volumes):
        return sorted(f"iqn.2010-10.org.openstack:volume-{volume.id}" for volume in volumes)

    @staticmethod
    def exports():
        """NFS exports that are mounted."""
        return re.findall(r"^(\S+) \S+ nfs4? ", vm.run("cat /proc/mounts"), re.M)

    def assert_nothing_left(self):
        self.assertEqual(self.exports(), [])
        self.assertEqual(self.sessions(), [])
        self.assertEqual(self.scsi_disks(), [])
        self.assertEqual(vm.run("iscsiadm -m node 2>/dev/null || [ $? = 21 ]"), "")
        self.assertEqual(vm.run("dmsetup ls").strip(), "No devices found")
        self.assertEqual(vm.run("ls /sys/kernel/config/target/iscsi | grep iqn || true"), "")
        self.assertEqual(self.cinder.get("/attachments").json()["attachments"], [])

    # ---- tests ----

    def assert_written_and_grown(self, server, data):
        """The guest sees a volume that was attached, writes onto it and sees it grow."""
        self.wait_console(server, f"DISK vdb {GIB} {data.id[:20]}")
        self.wait_console(server, "WROTE vdb")
        self.cinder.extend_volume(data, 2)
        self.wait_console(server, f"DISK vdb {2 * GIB}")

    def assert_detached(self, server, data, path):
        self.detach(server, data)
        self.wait_console(server, "DISK vdb removed")
        self.assertEqual(vm.run(f"head -c {len(TEXT)} {path}/volume-{data.id}"), TEXT)

    def delete_all(self, server, *volumes):
        self.delete(server)
        for volume in volumes:
            self.wait_volume(volume, "available")

    def test_iscsi(self):
        root = self.volume("root", "iscsi", image_id=self.cloud.image.find_image("guest").id)
        data = self.volume("data", "iscsi")
        server = self.boot(root)
        self.assertEqual(self.sessions(), self.iqns(root))
        self.wait_console(server, "KILONOVA GUEST UP")
        self.attach(server, data)
        self.assertEqual(self.sessions(), self.iqns(root, data))
        self.assert_written_and_grown(server, data)
        self.assert_detached(server, data, "/dev/cinder-volumes")
        self.assertEqual(self.sessions(), self.iqns(root))
        self.assertEqual(len(self.scsi_disks()), 1)

        self.attach(server, data)
        self.ask(self.compute.reboot_server, server, "HARD")
        self.settled(server, "ACTIVE")
        self.assertEqual(self.sessions(), self.iqns(root, data))
        self.delete_all(server, root, data)
        self.assertEqual(self.sessions(), [])
        self.assertEqual(self.scsi_disks(), [])
        for volume in (root, data):
            self.delete_volume(volume)
        self.assert_nothing_left()

    def test_nfs(self):
        """Two files of one export, which is mounted for as long as one of them is used; an agent started anew knows by whom."""
        root = self.volume("root", "nfs", image_id=self.cloud.image.find_image("guest").id)
        data = self.volume("data", "nfs")
        self.assertEqual(self.exports(), [])
        server = self.boot(root)
        mounted = self.exports()
        self.assertEqual(len(mounted), 1)
        self.wait_console(server, "KILONOVA GUEST UP")
        self.attach(server, data)
        self.assertEqual(self.exports(), mounted)
        self.assert_written_and_grown(server, data)
        vm.start_agent()
        self.assert_detached(server, data, "/srv/volumes")
        self.assertEqual(self.exports(), mounted)

        self.attach(server, data)
        self.ask(self.compute.reboot_server, server, "HARD")
        self.settled(server, "ACTIVE")
        self.assertEqual(self.exports(), mounted)
        self.delete_all(server, root, data)
        for volume in (root, data):
            self.delete_volume(volume)
        self.assert_nothing_left()
