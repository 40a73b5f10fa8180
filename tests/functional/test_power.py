# SPDX-License-Identifier: Apache-2.0
"""Switching off and on: with patience, without, and after the host has been down."""
import tempfile
import time

from lab import AGENT_LOG, HOST, LabTest, agent, agent_pid, sql, virsh, wait


class Power(LabTest):
    def start_agent(self, *options):
        agent("start", HOST, *options)
        wait(90, "the agent ready",
             lambda: any(f" {agent_pid()} INFO " in line and " is up, node " in line
                         for line in AGENT_LOG.read_text(errors="replace").splitlines()[-200:]))

    def configure(self, *options):
        self.start_agent(*options)
        self.addCleanup(self.start_agent)

    def deaf_image(self, name, **properties):
        """Nothing boots from it: the firmware does not hear the power button."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(1 << 20))
            file.flush()
            image = self.cloud.create_image(name, filename=file.name, wait=True, disk_format="raw", meta=properties)
        self.addCleanup(self.cloud.image.delete_image, image.id)
        self.images[name] = image

    def took(self, server, action, status):
        began = time.monotonic()
        action(server.id)
        self.wait_status(server, status)
        return time.monotonic() - began

    def test_guest_that_will_not_shut_down(self):
        """It is asked until the time-out, then cut off."""
        self.configure("DEFAULT.shutdown_timeout=6", "compute.shutdown_retry_interval=2")
        self.deaf_image("deaf")
        server = self.create("stubborn", image="deaf")
        seconds = self.took(server, self.compute.stop_server, "SHUTOFF")
        self.assertGreaterEqual(seconds, 6)
        self.assertLess(seconds, 20)
        self.assertEqual(self.domain_state(server), "shut off")

    def test_image_has_its_own_patience(self):
        self.configure("DEFAULT.shutdown_timeout=60")
        self.deaf_image("impatient", os_shutdown_timeout="2")
        server = self.create("impatient", image="impatient")
        seconds = self.took(server, self.compute.stop_server, "SHUTOFF")
        self.assertGreaterEqual(seconds, 2)
        self.assertLess(seconds, 30)

    def test_soft_reboot_becomes_a_hard_one(self):
        self.configure("libvirt.wait_soft_reboot_seconds=2")
        self.deaf_image("deaf")
        server = self.create("reboot", image="deaf", networks=["provider"])
        before = self.domain_id(server)
        seconds = self.took(server, lambda uuid: self.compute.reboot_server(uuid, "SOFT"), "ACTIVE")
        self.assertGreaterEqual(seconds, 2)
        self.assertNotEqual(self.domain_id(server), before)
        self.assertEqual(self.actions(server)["reboot"], {"compute_reboot_instance": "Success"})

    def test_hard_reboot_mends_what_is_broken(self):
        """The domain, its definition and its port in the switch are gone: all made again."""
        server = self.create("broken", networks=["provider"])
        mac = virsh("domiflist", server.id).split()[-1]
        virsh("destroy", server.id)
        virsh("undefine", server.id, "--nvram")
        self.compute.reboot_server(server.id, "HARD")
        wait(60, "running", lambda: self.domain_state(server) == "running")
        self.wait_status(server, "ACTIVE")
        self.assertEqual(virsh("domiflist", server.id).split()[-1], mac)
        self.delete(server)
        self.assert_nothing_left()

    def test_guests_that_ran_before_the_host_went_down(self):
        """They run again; one that was off stays off, one that was paused is left alone."""
        ran, lost, was_off = (self.create(name, networks=["provider"]) for name in ("ran", "lost", "was-off"))
        self.compute.stop_server(was_off.id)
        self.wait_status(was_off, "SHUTOFF")
        agent("kill", HOST)
        for server in (ran, lost):
            virsh("destroy", server.id)
        virsh("undefine", lost.id, "--nvram")
        self.configure("DEFAULT.resume_guests_state_on_host_boot=true")
        for server in (ran, lost):
            wait(30, f"{server.name} running", lambda server=server: self.domain_state(server) == "running")
            fresh = self.get(server)
            self.assertEqual((fresh.status, fresh.task_state, fresh.power_state), ("ACTIVE", None, 1))
        self.assertEqual(self.domain_state(was_off), "shut off")
        for server in (ran, lost, was_off):
            self.delete(server)
        self.assert_nothing_left()

    def test_what_the_api_deleted_by_itself_is_removed(self):
        """It takes the host for dead, empties the info cache and tells nobody: the port is looked for in the switch."""
        self.configure("DEFAULT.running_deleted_instance_poll_interval=2", "DEFAULT.periodic_fuzzy_delay=0")
        service = f"WHERE `binary` = 'nova-compute' AND host = '{HOST}'"
        server = self.create("unseen", networks=["provider"])
        folder = self.instance_folder(server)
        self.addCleanup(sql, f"UPDATE nova.services SET forced_down = 0 {service}")
        sql(f"UPDATE nova.services SET forced_down = 1 {service}")
        self.compute.delete_server(server.id)
        self.wait_gone(server)
        wait(30, "its files removed", lambda: not folder.exists())
        self.assert_nothing_left()
        self.assertNotIn("Periodic cleanup failed", AGENT_LOG.read_text(errors="replace").split(f"{server.id}] Destroying")[-1])
