# SPDX-License-Identifier: Apache-2.0
"""The agent itself: killed, restarted, cut off, told wrong things."""
import os
import signal
import time

from lab import HOST, LabTest, agent, agent_pid, wait


class Agent(LabTest):
    def restart(self):
        agent("start", HOST)
        wait(30, "service up", self.is_service_up)

    def test_killed_and_restarted_with_guests(self):
        server = self.create("survivor", networks=["provider"])
        domain = self.domain_id(server)
        os.kill(agent_pid(), signal.SIGKILL)
        wait(10, "the agent gone", lambda: agent_pid() is None)
        self.assertEqual(self.domain_state(server), "running")
        self.restart()
        self.assertEqual(self.domain_id(server), domain)
        self.compute.reboot_server(server.id, "HARD")
        self.wait_status(server, "ACTIVE")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.delete(server)
        self.assert_nothing_left()

    def test_killed_while_building(self):
        server = self.request("half", image="guest", flavor="guest", networks=["provider"])
        wait(60, "the build under way", lambda: self.get(server).task_state in ("networking", "spawning",
                                                                              "block_device_mapping"))
        os.kill(agent_pid(), signal.SIGKILL)
        self.restart()
        final = wait(60, "the server settled", lambda: self.get(server) if self.get(server).task_state is None else None)
        self.assertIn(final.status, ("ERROR", "ACTIVE"))
        self.delete(server)
        self.assert_nothing_left()

    def test_term_ends_it_quickly(self):
        pid = agent_pid()
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        wait(10, "the agent gone", lambda: agent_pid() is None)
        self.assertLess(time.monotonic() - began, 5)
        self.restart()

    def test_service_is_up_within_two_seconds(self):
        os.kill(agent_pid(), signal.SIGTERM)
        wait(10, "the agent gone", lambda: agent_pid() is None)
        record = next(s for s in self.compute.services() if s.binary == "nova-compute" and s.host == HOST)
        before = record.updated_at
        agent("start", HOST)
        began = time.monotonic()

        def reported():
            fresh = next(s for s in self.compute.services() if s.binary == "nova-compute" and s.host == HOST)
            return fresh.state == "up" and fresh.updated_at != before
        wait(5, "a new report", reported)
        self.assertLess(time.monotonic() - began, 2)
