# SPDX-License-Identifier: Apache-2.0
"""Pausing, suspending, deleting with a way back, looking inside: each with its failure."""
from lab import LabTest, virsh, wait


class States(LabTest):
    def assert_action(self, server, action, method, result="Success"):
        wait(10, f"{action}: {result}",
             lambda: self.actions(server).get(action, {}).get(f"compute_{method}_instance") == result)

    def power_state(self, server):
        return self.get(server).power_state

    def test_pause_and_unpause(self):
        server = self.create("pause")
        self.compute.pause_server(server.id)
        self.wait_status(server, "PAUSED")
        self.assertEqual(self.domain_state(server), "paused")
        self.assertEqual(self.power_state(server), 3)
        self.assert_action(server, "pause", "pause")
        self.compute.unpause_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.assertEqual(self.domain_state(server), "running")
        self.assertEqual(self.power_state(server), 1)
        self.assert_action(server, "unpause", "unpause")

    def test_suspend_keeps_the_guest(self):
        server = self.create("suspend", networks=["provider"])
        self.compute.suspend_server(server.id)
        self.wait_status(server, "SUSPENDED")
        self.assertEqual(self.domain_state(server), "shut off")
        self.assertIn(server.id, virsh("list", "--all", "--with-managed-save", "--uuid"))
        self.assertEqual(self.power_state(server), 4)
        self.compute.resume_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.assertEqual(self.domain_state(server), "running")
        self.assertNotIn(server.id, virsh("list", "--all", "--with-managed-save", "--uuid"))
        self.assert_action(server, "suspend", "suspend")
        self.assert_action(server, "resume", "resume")
        self.delete(server)
        self.assert_nothing_left()

    def test_suspended_server_is_deleted_with_its_memory(self):
        server = self.create("asleep", networks=["provider"])
        self.compute.suspend_server(server.id)
        self.wait_status(server, "SUSPENDED")
        self.delete(server)
        self.assert_nothing_left()

    def test_guest_that_is_gone(self):
        """Each operation fails with InstanceNotFound: the task ends, no fault is recorded."""
        server = self.create("gone")
        virsh("destroy", server.id)
        virsh("undefine", server.id, "--nvram")
        self.compute.pause_server(server.id)
        self.assert_action(server, "pause", "pause", "Error")
        fresh = wait(10, "no task", lambda: self.get(server) if self.get(server).task_state is None else None)
        self.assertEqual((fresh.status, fresh.fault), ("ACTIVE", None))
        self.compute.suspend_server(server.id)
        self.assert_action(server, "suspend", "suspend", "Error")
        self.wait_status(server, "ERROR")
        self.compute.reboot_server(server.id, "HARD")
        self.assert_action(server, "reboot", "reboot")
        self.wait_status(server, "ACTIVE")
        self.assertEqual(self.domain_state(server), "running")

    def test_pause_of_a_guest_that_is_off(self):
        """The state in the database is behind: libvirt refuses, its text is the fault's details."""
        server = self.create("off")
        virsh("destroy", server.id)
        self.compute.pause_server(server.id)
        self.assert_action(server, "pause", "pause", "Error")
        events = [e for a in self.compute.server_actions(server.id) if a.action == "pause"
                  for e in self.compute.get_server_action(a.request_id, server.id).events]
        self.assertIn("domain is not running", str(events[0]))

    def test_soft_delete_and_restore(self):
        server = self.create("soft", networks=["provider"])
        answer = self.rpc("soft_delete_instance", server, "soft-deleting", "softDelete")
        self.assertEqual(answer, {"result": None})
        fresh = wait(30, "SOFT_DELETED", lambda: self.get(server) if self.get(server).vm_state == "soft-delete" else None)
        self.assertEqual((fresh.status, fresh.task_state, fresh.power_state), ("SOFT_DELETED", None, 4))
        self.assertEqual(self.domain_state(server), "shut off")
        self.compute.restore_server(server.id)
        self.wait_status(server, "ACTIVE")
        self.assertEqual(self.domain_state(server), "running")
        self.assert_action(server, "restore", "restore")

    def test_force_delete_of_a_soft_deleted_server(self):
        server = self.create("forced", networks=["provider"])
        self.rpc("soft_delete_instance", server, "soft-deleting", "softDelete")
        wait(30, "SOFT_DELETED", lambda: self.get(server).status == "SOFT_DELETED")
        self.compute.delete_server(server.id, force=True)
        self.wait_gone(server)
        self.assert_nothing_left()

    def test_diagnostics(self):
        server = self.create("diagnosed", networks=["provider"])
        answer = self.compute.get(f"/servers/{server.id}/diagnostics", microversion="2.48").json()
        self.assertEqual((answer["state"], answer["driver"], answer["num_cpus"], answer["num_nics"]),
                         ("running", "libvirt", 1, 1))
        self.assertGreater(answer["cpu_details"][0]["time"], 0)
        self.assertIsNotNone(answer["nic_details"][0]["rx_octets"])
        legacy = self.compute.get(f"/servers/{server.id}/diagnostics", microversion="2.1").json()
        self.assertGreater(legacy["memory"], 0)
        self.assertIn("vda_read_req", legacy)
        self.compute.pause_server(server.id)
        self.wait_status(server, "PAUSED")
        refused = self.rpc("get_instance_diagnostics", server)
        self.assertEqual(refused["error"], [
            "InstanceInvalidState", f"Instance {server.id} in power state paused. Cannot get_diagnostics while the "
            "instance is in this state."])

    def test_crash_dump(self):
        server = self.create("crashed")
        self.compute.trigger_server_crash_dump(server.id)
        self.assert_dump(server, "Success")
        self.assertEqual(self.get(server).status, "ACTIVE")
        virsh("destroy", server.id)
        self.rpc("trigger_crash_dump", server, api_action="trigger_crash_dump")
        self.assert_dump(server, "Error")
        self.assertEqual(self.get(server).task_state, None)

    def assert_dump(self, server, result):
        def newest():
            action = next(iter(self.compute.server_actions(server.id)))
            events = self.compute.get_server_action(action.request_id, server.id).events
            return [(e["event"], e["result"]) for e in events] == [("compute_trigger_crash_dump", result)]
        wait(10, f"trigger_crash_dump: {result}", newest)
