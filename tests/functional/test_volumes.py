# SPDX-License-Identifier: Apache-2.0
"""Cinder's volumes, in Ceph and in files: attached to servers, detached from them, and booted from."""
import concurrent.futures
import json
import os
import re
import time
import urllib.parse

from lab import CEPH, HOST, LAB, LabTest, agent, rbd, run, sql, virsh, wait

GIB = 1 << 30


class VolumeTest(LabTest):
    """Volumes and snapshots that are made here are deleted after the servers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cinder = cls.cloud.block_storage

    def setUp(self):
        super().setUp()
        self.volumes = []

    def tearDown(self):
        super().tearDown()
        for volume in self.volumes:
            self.cinder.delete_volume(volume.id, ignore_missing=True)
        for volume in self.volumes:
            self.wait_volume_gone(volume)

    # ---- Cinder ----

    def volume(self, name, kind="ceph", size=1, **more):
        volume = self.cinder.create_volume(name=name, size=size, volume_type=kind, **more)
        self.volumes.append(volume)
        return self.wait_volume(volume, "available")

    def bootable(self, name):
        return self.volume(name, image_id=self.images["hlt"].id)

    def wait_volume(self, volume, status, seconds=120):
        def check():
            fresh = self.cinder.get_volume(volume.id)
            if fresh.status.startswith("error"):
                self.fail(f"volume {volume.name}: {fresh.status}")
            return fresh if fresh.status == status else None
        return wait(seconds, f"volume {volume.name} {status}", check)

    def wait_volume_gone(self, volume):
        wait(120, f"volume {volume.name} deleted", lambda: self.cinder.find_volume(volume.id) is None)

    def holders(self, volume):
        """The servers that Cinder has attachments for."""
        return {a["server_id"] for a in self.cinder.get_volume(volume.id).attachments}

    # ---- Ceph ----

    def rbd_image(self, volume):
        """A migration leaves a volume its id, but not its name."""
        name = self.cinder.get_volume(volume.id).migration_id or volume.id
        return f"volumes/volume-{name}"

    def is_open(self, volume):
        return "watcher=" in rbd("status", self.rbd_image(volume))

    def first_bytes(self, volume, count=64):
        return run("sh", "-c", f"rbd -c {CEPH} --no-progress export {self.rbd_image(volume)} - | head -c {count}",
                   errors="replace").stdout

    # ---- Nova ----

    def attach(self, server, volume, **more):
        self.compute.create_volume_attachment(server, volume_id=volume.id, **more)
        self.wait_volume(volume, "in-use")

    def ask_to_detach(self, server, volume):
        return self.compute.delete(f"/servers/{server.id}/os-volume_attachments/{volume.id}").status_code

    def detach(self, server, volume):
        self.assertEqual(self.ask_to_detach(server, volume), 202)
        wait(120, f"{volume.name} detached", lambda: server.id not in self.holders(volume))
        wait(60, "Nova's record of it gone", lambda: volume.id not in self.attached(server))

    def attached(self, server):
        return {attachment.volume_id for attachment in self.compute.volume_attachments(server)}

    def wait_action(self, server, action, event, result="Success", seconds=120):
        wait(seconds, f"{action}: {result}", lambda: self.actions(server).get(action, {}).get(event) == result)

    def stopped(self, name):
        server = self.create(name)
        self.compute.stop_server(server.id)
        return self.wait_status(server, "SHUTOFF")

    # ---- the host ----

    def disks(self, server, inactive=False):
        """Serial numbers of the guest's disks: a volume's is its id."""
        xml = virsh("dumpxml", server.id, *(["--inactive"] if inactive else []))
        return set(re.findall(r"<serial>([0-9a-f-]{36})</serial>", xml))

    def assert_disks(self, server, *volumes):
        for inactive in (False, True):
            self.assertEqual(self.disks(server, inactive), {volume.id for volume in volumes})

    def size_in_guest(self, server):
        """Bytes of its second disk."""
        disk = virsh("domblklist", server.id).splitlines()[1].split()[0]
        return int(virsh("domblkinfo", server.id, disk).splitlines()[0].split()[1])

    def secrets_of_volumes(self):
        return {words[2] for words in map(str.split, virsh("secret-list").splitlines()) if words[1] == "volume"}


class Attached(VolumeTest):
    def booted(self, name):
        key_name, key = self.keypair()
        server = self.create(name, image="guest", flavor="guest", networks=["provider"], key_name=key_name)
        self.wait_console(server, "KILONOVA GUEST UP", 300)
        address = self.address(server)
        return server, lambda command: self.ssh(key, address, command, 300)

    def disk_in_guest(self, guest, volume):
        """(name, bytes) of the disk with the volume's serial number, of which virtio shows 20 letters; or None."""
        for words in map(str.split, guest("lsblk").splitlines()):
            if words[2] == volume.id[:20]:
                return words[0], int(words[1])
        return None

    def test_of_a_running_guest(self):
        server, guest = self.booted("hot")
        in_ceph, in_files = self.volume("in-ceph"), self.volume("in-files", "files")
        self.attach(server, in_ceph, tag="data")
        self.attach(server, in_files)
        self.assert_disks(server, in_ceph, in_files)
        metadata = sql(f"SELECT device_metadata FROM nova.instance_extra WHERE instance_uuid = '{server.id}'")
        self.assertIn('"data"', metadata)
        for volume in (in_ceph, in_files):
            disk, size = wait(120, "the guest sees it", lambda v=volume: self.disk_in_guest(guest, v))
            self.assertEqual(size, GIB)
            guest(f"echo to-{volume.name} | dd of=/dev/{disk} conv=fsync 2>/dev/null")
        self.assertEqual(self.holders(in_ceph), {server.id})
        self.assertTrue(self.is_open(in_ceph))
        self.cinder.extend_volume(in_ceph, 2)
        wait(120, "the guest sees it grown", lambda: self.disk_in_guest(guest, in_ceph)[1] == 2 * GIB)
        for volume in (in_ceph, in_files):
            self.detach(server, volume)
            wait(120, "gone from the guest", lambda v=volume: not self.disk_in_guest(guest, v))
        self.assert_disks(server)
        self.assertFalse(self.is_open(in_ceph))
        self.assertIn("to-in-ceph", self.first_bytes(in_ceph))
        self.attach(server, in_files)
        disk, _ = wait(120, "the guest sees it", lambda: self.disk_in_guest(guest, in_files))
        self.assertIn("to-in-files", guest(f"dd if=/dev/{disk} bs=64 count=1 2>/dev/null"))
        self.delete(server)
        self.wait_volume(in_files, "available")
        self.assert_nothing_left()

    def test_of_a_stopped_server(self):
        server = self.stopped("cold")
        volumes = self.volume("first"), self.volume("second", "files")
        for volume in volumes:
            self.attach(server, volume)
        self.assertEqual(self.disks(server, inactive=True), {v.id for v in volumes})
        self.compute.start_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.assert_disks(server, *volumes)
        self.compute.reboot_server(server.id, "HARD")
        self.wait_status(server, "ACTIVE")
        self.assert_disks(server, *volumes)
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        for volume in volumes:
            self.detach(server, volume)
            self.wait_volume(volume, "available")
        self.assertEqual(self.disks(server, inactive=True), set())
        self.delete(server)
        self.assert_nothing_left()

    def test_volume_that_ceph_does_not_have(self):
        server, volume = self.create("hopeful"), self.volume("lost")
        rbd("--no-progress", "rm", self.rbd_image(volume))
        self.compute.create_volume_attachment(server, volume_id=volume.id)
        self.wait_action(server, "attach_volume", "compute_attach_volume", "Error")
        self.wait_volume(volume, "available")
        self.assertEqual(self.holders(volume) | self.attached(server), set())
        self.assert_disks(server)
        self.assertEqual(self.get(server).status, "ACTIVE")
        self.assert_nothing_left()

    def test_detached_twice(self):
        server, volume = self.create("twice"), self.volume("once")
        self.attach(server, volume)
        self.assertEqual(self.ask_to_detach(server, volume), 202)
        self.assertIn(self.ask_to_detach(server, volume), (400, 404, 409))
        self.wait_volume(volume, "available")
        wait(60, "Nova's record of it gone", lambda: not self.attached(server))
        self.assertEqual(self.ask_to_detach(server, volume), 404)
        self.assert_disks(server)

    def test_deleted_with_its_volumes(self):
        server, kept, goes = self.create("gone"), self.volume("kept"), self.volume("goes")
        self.attach(server, kept)
        self.attach(server, goes, delete_on_termination=True)
        self.delete(server)
        self.wait_volume(kept, "available")
        self.wait_volume_gone(goes)
        self.assertFalse(self.is_open(kept))
        self.assert_nothing_left()

    def test_guest_that_does_not_let_go(self):
        self.addCleanup(agent, "start", HOST)
        agent("start", HOST, "libvirt.device_detach_timeout=1", "libvirt.device_detach_attempts=2")
        wait(120, "service up", self.is_service_up)
        server, volume = self.create("stubborn"), self.volume("held")
        self.wait_console(server, "KILONOVA HLT UP")
        self.attach(server, volume)
        self.compute.pause_server(server.id)
        self.wait_status(server, "PAUSED")
        self.assertEqual(self.ask_to_detach(server, volume), 202)
        self.wait_action(server, "detach_volume", "compute_detach_volume", "Error")
        self.wait_volume(volume, "in-use")
        self.assertEqual(self.attached(server), {volume.id})
        self.compute.unpause_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.detach(server, volume)
        self.assert_disks(server)
        self.delete(server)
        self.assert_nothing_left()

    def test_of_two_servers(self):
        servers, volume = [self.create(f"both-{i}") for i in range(2)], self.volume("shared", "multiattach")
        for server in servers:
            self.attach(server, volume)
            self.assertIn("<shareable/>", virsh("dumpxml", server.id))
        self.assertEqual(self.holders(volume), {server.id for server in servers})
        self.detach(servers[0], volume)
        self.assertEqual(self.holders(volume), {servers[1].id})
        self.assert_disks(servers[1], volume)
        self.delete(servers[1])
        self.wait_volume(volume, "available")
        self.assert_nothing_left()

    def test_encrypted(self):
        server, volume = self.create("private"), self.volume("sealed", "luks")
        self.attach(server, volume)
        self.assertIn("<encryption format='luks'", virsh("dumpxml", server.id))
        self.assertEqual(self.secrets_of_volumes(), {volume.id})
        self.cinder.extend_volume(volume, 2)
        wait(120, "the guest sees it grown, without its header", lambda: GIB < self.size_in_guest(server) < 2 * GIB)
        self.detach(server, volume)
        self.assertEqual(self.secrets_of_volumes(), set())
        self.attach(server, volume)
        self.delete(server)
        self.assertEqual(self.secrets_of_volumes(), set())
        self.assert_nothing_left()

    def test_moved_to_another_back_end_and_back(self):
        """By Cinder, which asks Nova to swap it for a new volume under the guest."""
        server, volume = self.create("stays"), self.bootable("moves")
        begin = self.first_bytes(volume, 512)
        self.attach(server, volume)
        for kind in ("files", "ceph"):
            self.cinder.retype_volume(volume, kind, "on-demand")
            wait(300, f"the volume in {kind}", lambda k=kind: self.cinder.get_volume(volume.id).volume_type == k)
            self.wait_volume(volume, "in-use")
            self.assertEqual((self.attached(server), self.holders(volume)), ({volume.id}, {server.id}))
            self.assert_disks(server, volume)
            for inactive in ([], ["--inactive"]):
                self.assertEqual("protocol='rbd'" in virsh("dumpxml", server.id, *inactive), kind == "ceph")
        self.detach(server, volume)
        self.wait_volume(volume, "available")
        self.assertEqual(self.first_bytes(volume, 512), begin)
        self.delete(server)
        self.assertEqual([v.id for v in self.cinder.volumes()], [volume.id])
        self.assert_nothing_left()

    def test_many_at_once(self):
        """20 times attached and detached, or as often as KILONOVA_VOLUME_CYCLES says, over five servers."""
        servers = [self.create(f"many-{i}") for i in range(5)]
        volumes = [self.volume(f"many-{i}") for i in range(5)]
        cycles = int(os.environ.get("KILONOVA_VOLUME_CYCLES", 20)) // len(servers)

        def cycle(server, volume):
            for _ in range(cycles):
                self.attach(server, volume)
                self.detach(server, volume)
                self.wait_volume(volume, "available")

        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(cycle, servers, volumes))
        print(f"# {cycles * len(servers)} cycles in {time.monotonic() - began:.1f} s")
        for server, volume in zip(servers, volumes):
            self.assertEqual(self.get(server).status, "ACTIVE")
            self.assert_disks(server)
            self.assertFalse(self.is_open(volume))
            self.delete(server)
        self.assert_nothing_left()

    # ---- snapshots of files, as Cinder's drivers for NFS and its like take them ----

    def snapshot_with_help(self, volume, snapshot, file):
        info = {"type": "qcow2", "snapshot_id": snapshot.id, "new_file": file}
        body = {"snapshot": {"volume_id": volume.id, "create_info": info}}
        self.assertEqual(self.compute.post("/os-assisted-volume-snapshots", json=body).status_code, 200)

    def merge_with_help(self, volume, snapshot, file, target):
        info = {"type": "qcow2", "volume_id": volume.id, "file_to_merge": file, "merge_target_file": target}
        path = f"/os-assisted-volume-snapshots/{snapshot.id}?delete_info={urllib.parse.quote(json.dumps(info))}"
        self.assertEqual(self.compute.delete(path).status_code, 204)

    def wait_chain(self, server, *files):
        """The files that the guest's second disk stands on."""
        def check():
            disk = virsh("dumpxml", server.id).split("<disk ")[2]
            return tuple(re.findall(r"<source file='[^']*/([^'/]+)'", disk)) == files
        wait(60, f"the chain {files}", check)

    def test_snapshots_in_files(self):
        """Cinder's own snapshot stands for one that it has completed; as its files do, ours name those below without a folder."""
        server, volume = self.create("helps"), self.volume("in-files", "files")
        self.attach(server, volume)
        snapshot = self.cinder.create_snapshot(volume_id=volume.id, name="helped", is_forced=True)
        wait(120, "the snapshot", lambda: self.cinder.get_snapshot(snapshot.id).status == "available")
        path = re.search(rf"<source file='([^']*{volume.id})'", virsh("dumpxml", server.id)).group(1)
        base, files = os.path.basename(path), []
        try:
            for file, backing in (("first", "raw"), ("second", "qcow2")):
                files.append(os.path.join(os.path.dirname(path), file))
                run("qemu-img", "create", "-q", "-f", "qcow2", "-F", backing, "-b", os.path.basename(path), files[-1])
                path = files[-1]
                self.snapshot_with_help(volume, snapshot, file)
                self.wait_chain(server, *reversed([base, *map(os.path.basename, files)]))
            self.merge_with_help(volume, snapshot, "first", base)
            self.wait_chain(server, "second", base)
            self.merge_with_help(volume, snapshot, None, None)
            self.wait_chain(server, "second")
            self.detach(server, volume)
            self.delete(server)
        finally:
            self.cinder.delete_snapshot(snapshot.id)
            wait(120, "snapshot deleted", lambda: self.cinder.find_snapshot(snapshot.id) is None)
            for file in files:
                os.unlink(file)
        self.assert_nothing_left()


class BootedFrom(VolumeTest):
    def boot(self, name, *devices):
        """The first of the devices is booted from; the others are not."""
        mapping = [{"destination_type": "volume", "boot_index": -1 if i else 0, **device}
                   for i, device in enumerate(devices)]
        return self.request(name, image=None, block_device_mapping=mapping)

    def booted(self, name, *devices):
        server = self.wait_status(self.boot(name, *devices), "ACTIVE", 120)
        self.wait_console(server, "KILONOVA HLT UP")
        return server

    def only_volume(self, server):
        volume, = self.attached(server)
        return self.cinder.get_volume(volume)

    def test_image_in_a_new_volume(self):
        server = self.booted("from-image", {"source_type": "image", "uuid": self.images["hlt"].id, "volume_size": 1,
                                            "delete_on_termination": True})
        volume = self.only_volume(server)
        self.assertEqual((volume.status, self.holders(volume)), ("in-use", {server.id}))
        self.assert_disks(server, volume)
        self.compute.reboot_server(server.id, "HARD")
        self.wait_status(server, "ACTIVE")
        self.assert_disks(server, volume)
        self.delete(server)
        self.wait_volume_gone(volume)
        self.assert_nothing_left()

    def test_volume_and_a_blank_one(self):
        root = self.bootable("root")
        server = self.booted("from-volume", {"source_type": "volume", "uuid": root.id},
                             {"source_type": "blank", "volume_size": 1, "delete_on_termination": True})
        blank, = self.attached(server) - {root.id}
        self.assertEqual(self.disks(server), {root.id, blank})
        self.assertIn(self.ask_to_detach(server, root), (400, 403, 409))  # it stands on it
        self.delete(server)
        self.wait_volume(root, "available")
        self.assertIsNone(self.cinder.find_volume(blank))
        self.assert_nothing_left()

    def test_snapshot_of_a_volume(self):
        root = self.bootable("root")
        snapshot = self.cinder.create_snapshot(volume_id=root.id, name="root")
        wait(120, "the snapshot", lambda: self.cinder.get_snapshot(snapshot.id).status == "available")
        try:
            server = self.booted("from-snapshot", {"source_type": "snapshot", "uuid": snapshot.id, "volume_size": 1,
                                                   "delete_on_termination": True})
            volume = self.only_volume(server)
            self.assertEqual(volume.snapshot_id, snapshot.id)
            self.delete(server)
            self.wait_volume_gone(volume)
        finally:
            self.cinder.delete_snapshot(snapshot.id)
            wait(120, "snapshot deleted", lambda: self.cinder.find_snapshot(snapshot.id) is None)
        self.assert_nothing_left()

    def test_volume_that_ceph_does_not_have(self):
        root = self.bootable("lost")
        rbd("--no-progress", "rm", self.rbd_image(root))
        server = self.boot("hopeless", {"source_type": "volume", "uuid": root.id})
        server = self.wait_status(server, "ERROR", 120)
        self.delete(server)
        self.wait_volume(root, "available")
        self.assert_nothing_left()


class Audited(VolumeTest):
    """What the audit must notice is planted."""

    def expect(self, name):
        lines = run(LAB / "audit", HOST, check=False).stdout.splitlines()
        found = next(line.split()[2:] for line in lines if line.startswith("attachments "))
        self.assertIn(name, found)

    def test_attachment_of_nobody(self):
        volume, server = self.volume("planted"), self.create("innocent")
        attachment = self.cinder.create_attachment(volume.id, connector=None, instance=server.id)
        self.expect(attachment.id)
        self.cinder.delete_attachment(attachment.id)
        self.wait_volume(volume, "available")

    def test_volume_that_nobody_detaches(self):
        volume = self.volume("planted")
        self.cinder.reset_volume_status(volume.id, status="detaching")
        self.expect(f"{volume.id}:detaching")
        self.cinder.reset_volume_status(volume.id, status="available")
