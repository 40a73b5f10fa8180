# SPDX-License-Identifier: Apache-2.0
"""Snapshots and backups: images of a server's root disk, while it runs and when it does not."""
import json
import pathlib
import tempfile
import time

from lab import LabTest, run, virsh, wait


class Snapshot(LabTest):
    def setUp(self):
        super().setUp()
        self.made = []

    def tearDown(self):
        super().tearDown()
        for image in self.made:
            self.cloud.image.delete_image(image, ignore_missing=True)

    def snapshot(self, server, name, **more):
        image = self.compute.create_server_image(server.id, name, **more)
        self.made.append(image.id)
        return image.id

    def image(self, image_id):
        return self.cloud.image.get_image(image_id)

    def wait_active(self, image_id, seconds=90):
        return wait(seconds, "image active", lambda: (lambda i: i if i.status == "active" else None)(self.image(image_id)))

    def wait_task_over(self, server, seconds=60):
        return wait(seconds, "task over", lambda: (lambda s: s if s.task_state is None else None)(self.get(server)))

    def download(self, image_id):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="kilonova-test-"))
        path = folder / "image"
        self.addCleanup(folder.rmdir)
        self.addCleanup(path.unlink)
        with open(path, "wb") as file:
            for chunk in self.cloud.image.download_image(image_id, stream=True).iter_content(1 << 20):
                file.write(chunk)
        return path

    def assert_whole(self, image_id, image_format="qcow2"):
        info = json.loads(run("qemu-img", "info", "--output=json", self.download(image_id)).stdout)
        self.assertEqual(info["format"], image_format)
        self.assertNotIn("backing-filename", info)
        return info

    def test_live(self):
        server = self.create("live")
        before = self.domain_id(server)
        image_id = self.snapshot(server, "live-image", metadata={"colour": "blue"})
        image = self.wait_active(image_id)
        fresh = self.wait_task_over(server)
        self.assertEqual(fresh.status, "ACTIVE")
        self.assertEqual(self.domain_id(server), before)
        self.assertEqual(self.domain_state(server), "running")
        self.assertRegex(virsh("dominfo", server.id), r"Persistent:\s+yes")  # defined again after the mirror
        self.assertEqual((image.disk_format, image.container_format), ("qcow2", "bare"))
        properties = self.cloud.image.get(f"/images/{image_id}").json()
        self.assertEqual({k: properties.get(k) for k in ("image_location", "image_state", "image_type", "colour")},
                         {"image_location": "snapshot", "image_state": "available", "image_type": "snapshot",
                          "colour": "blue"})
        self.assertEqual(properties["owner_id"], fresh.project_id)
        self.assert_whole(image_id)
        self.assertEqual(self.actions(server)["createImage"], {"compute_snapshot_instance": "Success"})
        folder = self.instance_folder(server).parent / "snapshots"
        self.assertEqual(list(folder.iterdir()), [])

    def test_a_server_boots_from_its_image(self):
        server = self.create("first")
        image_id = self.snapshot(server, "bootable")
        self.wait_active(image_id)
        self.wait_task_over(server)
        second = self.compute.create_server(name="second", image_id=image_id, flavor_id=self.flavors["tiny"].id,
                                            networks="none")
        self.servers.append(second)
        self.wait_status(second, "ACTIVE", 120)
        self.wait_console(second, "UP")

    def test_of_a_stopped_server(self):
        server = self.create("stopped")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        image_id = self.snapshot(server, "cold-image")
        self.wait_active(image_id)
        self.assertEqual(self.wait_task_over(server).status, "SHUTOFF")
        self.assertEqual(self.domain_state(server), "shut off")
        self.assert_whole(image_id)

    def test_of_a_paused_server(self):
        server = self.create("paused")
        virsh("suspend", server.id)
        image_id = self.snapshot(server, "paused-image")
        self.wait_active(image_id)
        self.wait_task_over(server)
        self.assertEqual(self.domain_state(server), "paused")
        virsh("resume", server.id)

    def test_deleting_the_image_cancels(self):
        server = self.create("cancelled")
        image_id = self.snapshot(server, "unwanted")
        self.cloud.image.delete_image(image_id)
        fresh = self.wait_task_over(server)
        self.assertEqual(fresh.status, "ACTIVE")
        self.assertEqual(self.domain_state(server), "running")

    def test_deleting_the_server_meanwhile_leaves_nothing(self):
        server = self.create("vanishing")
        image_id = self.snapshot(server, "orphan")
        time.sleep(0.7)
        self.delete(server)
        def settled():
            image = self.cloud.image.find_image(image_id)
            return image is None or image.status == "active"
        wait(60, "image gone or complete", settled)
        self.assert_nothing_left()

    def test_a_second_snapshot_is_refused_meanwhile(self):
        server = self.create("busy")
        image_id = self.snapshot(server, "one")
        with self.assertRaisesRegex(Exception, "(?i)task_state|conflict|409"):
            self.compute.create_server_image(server.id, "two")
        self.wait_active(image_id)
        self.wait_task_over(server)

    def test_backups_rotate(self):
        server = self.create("kept")
        made = []
        for number in range(3):
            self.compute.backup_server(server.id, f"backup-{number}", "daily", 2)
            image = wait(60, "backup", lambda n=number: self.cloud.image.find_image(f"backup-{n}"))
            made.append(image.id)
            self.made.append(image.id)
            self.wait_task_over(server)
            wait(60, "backup done", lambda: self.actions(server)["createBackup"].get("compute_backup_instance") == "Success")
            self.wait_active(image.id)
            second = image.created_at  # Glance knows no order of backups that are made in one second
            wait(5, "the next second", lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > second)
        wait(30, "rotated", lambda: self.cloud.image.find_image(made[0]) is None)
        for kept in made[1:]:
            image = self.image(kept)
            self.assertEqual((image.status, image.properties["backup_type"]), ("active", "daily"))
