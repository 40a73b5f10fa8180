# SPDX-License-Identifier: Apache-2.0
"""Resizes on the same host, confirmed and reverted."""
import json
import os

from lab import HOST, LabTest, run, wait


class Resize(LabTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        flavor = cls.compute.create_flavor(name=f"larger-{os.getpid()}", vcpus=1, ram=96, disk=2, swap=8)
        cls.addClassCleanup(cls.compute.delete_flavor, flavor.id)
        cls.flavors["larger"] = flavor

    def resize(self, server, flavor):
        self.compute.resize_server(server.id, self.flavors[flavor].id)

    def placed(self, consumer):
        answer = self.cloud.session.get(f"/allocations/{consumer}", endpoint_filter={"service_type": "placement"})
        return [a["resources"] for a in answer.json()["allocations"].values()]

    def disk_gib(self, folder):
        info = json.loads(run("qemu-img", "info", "-U", "--output=json", folder / "disk").stdout)
        return info["virtual-size"] >> 30

    def used_mib(self):
        found = self.cloud.session.get("/os-hypervisors/detail", microversion="2.87",
                                       endpoint_filter={"service_type": "compute"}).json()["hypervisors"]
        return next(h["memory_mb_used"] for h in found if h["hypervisor_hostname"] == HOST)

    def migration(self, server):
        found = self.cloud.session.get(f"/os-migrations?instance_uuid={server.id}", microversion="2.59",
                                       endpoint_filter={"service_type": "compute"}).json()["migrations"]
        return max(found, key=lambda m: m["id"])

    def events(self, server, action):
        return {k: v for k, v in self.actions(server).get(action, {}).items() if k.startswith("compute_")}

    def resized(self, name, **more):
        server = self.create(name, **more)
        self.resize(server, "larger")
        return self.wait_status(server, "VERIFY_RESIZE", 120)

    def test_confirm(self):
        server = self.create("confirmed", networks=["provider"])
        address, folder, before = self.address(server), self.instance_folder(server), self.used_mib()
        self.resize(server, "larger")
        fresh = self.wait_status(server, "VERIFY_RESIZE", 120)
        self.assertEqual((fresh.flavor["ram"], fresh.hypervisor_hostname), (96, HOST))
        self.assertEqual(self.domain_state(server), "running")
        self.assertEqual(self.disk_gib(folder), 2)
        self.assertTrue((folder / "disk.swap").exists())
        self.assertTrue(folder.with_name(folder.name + "_resize").exists())
        migration = self.migration(server)
        self.assertEqual((migration["status"], migration["migration_type"]), ("finished", "resize"))
        self.assertEqual([r["MEMORY_MB"] for r in self.placed(server.id)], [96])
        self.assertEqual([r["MEMORY_MB"] for r in self.placed(migration["uuid"])], [64])
        self.assertEqual(self.used_mib(), before + 96)
        self.assertEqual(self.events(server, "resize"), {
            "compute_prep_resize": "Success", "compute_resize_instance": "Success", "compute_finish_resize": "Success"})

        self.compute.confirm_server_resize(server.id)
        self.wait_status(server, "ACTIVE")
        wait(30, "folder gone", lambda: not folder.with_name(folder.name + "_resize").exists())
        wait(30, "old size released", lambda: self.placed(migration["uuid"]) == [])
        self.assertEqual(self.migration(server)["status"], "confirmed")
        self.assertEqual(self.used_mib(), before + 32)
        self.assertEqual(self.address(server), address)
        wait(30, "event", lambda: self.events(server, "confirmResize") == {"compute_confirm_resize": "Success"})
        self.wait_console(server, "UP")
        self.delete(server)
        self.assert_nothing_left()

    def test_revert(self):
        server = self.create("reverted", networks=["provider"])
        folder, before = self.instance_folder(server), self.used_mib()
        self.resize(server, "larger")
        self.wait_status(server, "VERIFY_RESIZE", 120)
        migration = self.migration(server)
        self.compute.revert_server_resize(server.id)
        fresh = self.wait_status(server, "ACTIVE", 120)
        self.assertEqual(fresh.flavor["ram"], 64)
        self.assertEqual(self.domain_state(server), "running")
        self.assertEqual(self.disk_gib(folder), 1)
        self.assertFalse((folder / "disk.swap").exists())
        self.assertFalse(folder.with_name(folder.name + "_resize").exists())
        self.assertEqual(self.migration(server)["status"], "reverted")
        self.assertEqual([r["MEMORY_MB"] for r in self.placed(server.id)], [64])
        self.assertEqual(self.placed(migration["uuid"]), [])
        wait(30, "usage as before", lambda: self.used_mib() == before)
        wait(30, "events", lambda: self.events(server, "revertResize") == {
            "compute_revert_resize": "Success", "compute_finish_revert_resize": "Success"})
        self.delete(server)
        self.assert_nothing_left()

    def test_a_stopped_server_stays_stopped(self):
        server = self.create("off")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.resize(server, "larger")
        self.wait_status(server, "VERIFY_RESIZE", 120)
        self.assertEqual(self.domain_state(server), "shut off")
        self.compute.revert_server_resize(server.id)
        self.wait_status(server, "SHUTOFF", 120)
        self.assertEqual(self.domain_state(server), "shut off")
        self.resize(server, "larger")
        self.wait_status(server, "VERIFY_RESIZE", 120)
        self.compute.confirm_server_resize(server.id)
        self.wait_status(server, "SHUTOFF", 120)
        self.compute.start_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.delete(server)
        self.assert_nothing_left()

    def test_a_resized_server_is_deleted_with_all_it_holds(self):
        server = self.resized("deleted", networks=["provider"])
        migration = self.migration(server)
        self.delete(server)
        self.assertEqual(self.placed(migration["uuid"]), [])
        self.assert_nothing_left()

    def test_a_smaller_ephemeral_disk_is_refused_and_changes_nothing(self):
        server = self.create("small", flavor="disks")
        domain = self.domain_id(server)
        self.resize(server, "tiny")
        wait(60, "resize over", lambda: self.events(server, "resize").get("compute_resize_instance") == "Error")
        fresh = wait(30, "task over", lambda: (lambda s: s if s.task_state is None else None)(self.get(server)))
        self.assertEqual((fresh.status, fresh.flavor["ram"]), ("ACTIVE", 256))
        self.assertEqual(self.domain_id(server), domain)
        self.assertEqual(self.migration(server)["status"], "error")
        self.assertEqual([r["MEMORY_MB"] for r in self.placed(server.id)], [256])

    def test_migrating_to_the_same_host_is_refused(self):
        server = self.create("staying")
        try:
            self.compute.migrate_server(server.id)
        except Exception as error:  # the API may find no host at once
            self.assertIn("valid host", str(error))
        wait(60, "migration over", lambda: self.get(server).task_state is None)
        self.assertEqual(self.get(server).status, "ACTIVE")
        self.assertEqual([r["MEMORY_MB"] for r in self.placed(server.id)], [64])
