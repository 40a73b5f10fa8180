# SPDX-License-Identifier: Apache-2.0
"""Disks of servers in Ceph (images_type = rbd): clones of Glance's images there, their snapshots, resizes, and what remains."""
import hashlib
import json
import os

from lab import HOST, LabTest, agent, rbd, virsh, wait

MIB = 1 << 20


def rbd_json(*argv):
    return json.loads(rbd("--format", "json", *argv))


class RbdDisks(LabTest):
    settings = ("libvirt.images_type=rbd", "libvirt.images_rbd_glance_store_name=ceph",
                "libvirt.images_rbd_glance_copy_poll_interval=1")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        agent("stop", HOST)
        agent("start", HOST, *cls.settings)
        cls.addClassCleanup(agent, "start", HOST)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.assert_pool_empty)

    def assert_pool_empty(self):
        self.assertEqual(rbd_json("ls", "vms"), [])

    def image(self, name, store="file"):
        """One of the test's own, in one of Glance's stores."""
        image = self.cloud.image.create_image(name, filename=os.path.join(os.environ["LAB_DIR"], "images/hlt.raw"),
                                              disk_format="raw", container_format="bare", allow_duplicates=True, wait=True)
        self.addCleanup(self.delete_image, image.id)
        if store != "file":
            self.cloud.image.import_image(image, method="copy-image", stores=[{"id": store}])
            wait(60, "Glance's copy", lambda: store in self.stores(image.id))
        self.images[name] = image
        return image

    def delete_image(self, image_id):
        self.cloud.image.delete_image(image_id, ignore_missing=True)
        wait(60, "the image deleted", lambda: self.cloud.image.find_image(image_id) is None)

    def stores(self, image_id):
        return (self.cloud.image.get(f"/images/{image_id}").json().get("stores") or "").split(",")

    def disk(self, server):
        return rbd_json("info", f"vms/{server.id}_disk")

    def mib(self, server):
        return self.disk(server)["size"] // MIB

    def cached(self, image_id):
        """Has the image's data been here?"""
        name = hashlib.sha1(image_id.encode()).hexdigest()
        return os.path.exists(os.path.join(os.environ["LAB_DIR"], "hosts", HOST, "state/instances/_base", name))

    def test_clone_of_what_glance_has_there(self):
        image = self.image("there", store="ceph")
        server = self.create("clone", image="there", networks=["provider"])
        self.wait_console(server, "KILONOVA HLT UP")
        self.assertEqual(self.disk(server)["parent"]["pool"], "images")
        self.assertEqual(self.disk(server)["parent"]["image"], image.id)
        self.assertEqual(self.mib(server), 1024)  # the flavor's
        self.assertIn(f"name='vms/{server.id}_disk'", virsh("dumpxml", server.id))
        self.assertFalse(self.cached(image.id))
        self.compute.reboot_server(server.id, "HARD")
        self.wait_status(server, "ACTIVE")
        self.delete(server)
        self.assert_nothing_left()

    def test_glance_is_asked_for_a_copy(self):
        image = self.image("elsewhere")
        self.assertNotIn("ceph", self.stores(image.id))
        servers = [self.request(f"copied-{i}", image="elsewhere") for i in range(2)]
        for server in servers:
            self.wait_status(server, "ACTIVE", 120)
            self.assertEqual(self.disk(server)["parent"]["image"], image.id)
        self.assertIn("ceph", self.stores(image.id))
        self.assertFalse(self.cached(image.id))
        for server in servers:
            self.delete(server)
        self.assert_nothing_left()

    def test_image_of_another_format_comes_by_the_cache(self):
        server = self.create("imported", image="guest", flavor="disks", networks=["provider"], config_drive=True)
        self.assertNotIn("parent", self.disk(server))
        self.assertTrue(self.cached(self.images["guest"].id))
        self.assertEqual(sorted(rbd_json("ls", "vms")),
                         sorted(f"{server.id}_disk{part}" for part in ("", ".config", ".eph0", ".swap")))
        self.wait_console(server, "KILONOVA GUEST UP", 180)
        self.delete(server)
        self.assert_nothing_left()

    def test_resize_is_reverted_and_confirmed(self):
        self.image("resized", store="ceph")
        server = self.create("grows", image="resized", networks=["provider"])
        flavor = self.compute.create_flavor(name="two", ram=64, disk=2, vcpus=1)
        self.addCleanup(self.compute.delete_flavor, flavor)
        for end, mib in ((self.compute.revert_server_resize, 1024), (self.compute.confirm_server_resize, 2048)):
            self.compute.resize_server(server.id, flavor.id)
            self.wait_status(server, "VERIFY_RESIZE", 120)
            self.assertEqual(self.mib(server), 2048)
            end(server.id)
            self.wait_status(server, "ACTIVE", 120)
            self.assertEqual(self.mib(server), mib)
            self.assertEqual(rbd_json("snap", "ls", f"vms/{server.id}_disk"), [])
        self.delete(server)
        self.assert_nothing_left()

    def test_snapshot_stays_in_the_cluster(self):
        self.image("original", store="ceph")
        server = self.create("model", image="original", networks=["provider"])
        copy = self.compute.create_server_image(server.id, "a direct snapshot")
        self.addCleanup(self.delete_image, copy.id)
        wait(120, "its copy", lambda: self.cloud.image.get_image(copy.id).status == "active")
        self.wait_status(server, "ACTIVE")
        record = self.cloud.image.get(f"/images/{copy.id}").json()
        self.assertEqual([location["url"].split("/")[3:] for location in record["locations"]], [["images", copy.id, "snap"]])
        self.delete(server)
        self.images["copy"] = copy
        second = self.create("second", image="copy", networks=["provider"])
        self.assertEqual(self.disk(second)["parent"]["image"], copy.id)
        self.wait_console(second, "KILONOVA HLT UP")
        self.delete(second)
        self.assert_nothing_left()
