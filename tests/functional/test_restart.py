# SPDX-License-Identifier: Apache-2.0
"""Ending and starting the agent with work under way, and with many guests; what kilonovactl says of it.

How many servers: KILONOVA_STORM, KILONOVA_MANY_GUESTS."""
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import uuid

from lab import CTL, HOST, LAB, SOCKET, LabTest, agent, agent_pid, ctl, run, sql, wait

STORM = int(os.environ.get("KILONOVA_STORM", 5))
MANY = int(os.environ.get("KILONOVA_MANY_GUESTS", 10))


def ctl_or_none(*argv):
    result = run(CTL, "--socket", SOCKET, "--json", *argv, check=False)
    return json.loads(result.stdout) if result.returncode == 0 else None


class Restart(LabTest):
    def start(self):
        agent("start", HOST)
        wait(120, "the agent running", lambda: (ctl_or_none("status") or {}).get("state") == "running")

    def end(self, number):
        """Seconds until the process had gone."""
        pid, began = agent_pid(), time.monotonic()
        os.kill(pid, number)
        while os.path.exists(f"/proc/{pid}"):
            self.assertLess(time.monotonic() - began, 30)
            time.sleep(0.02)
        return time.monotonic() - began

    def all_active(self, servers, seconds):
        for server in servers:
            self.wait_status(server, "ACTIVE", seconds)

    def storm(self, number):
        """STORM servers are asked for; the agent is ended amid their builds and started again. Seconds that the end took."""
        servers = []
        asking = threading.Thread(
            target=lambda: servers.extend(self.request(f"storm-{i}", networks=["provider"]) for i in range(STORM)))
        asking.start()
        try:
            wait(120, "builds under way",
                 lambda: sum(job["state"] == "running" for job in ctl("status")["jobs"]) >= min(2, STORM))
            seconds = self.end(number)
            self.start()
        finally:
            asking.join()
        self.assertEqual(len(servers), STORM)
        self.all_active(servers, 600)
        for server in servers:
            self.delete(server)
        self.assert_nothing_left()
        return seconds

    def test_restart_in_a_storm_of_builds_fails_none(self):
        seconds = self.storm(signal.SIGTERM)
        print(f"{STORM} builds under way: TERM took {seconds:.2f} s")
        # The agent waits 2 s for what is under way; amid eight builds its process was gone up to 2 s later.
        self.assertLess(seconds, 5)

    def test_kill_in_a_storm_of_builds_fails_none(self):
        self.storm(signal.SIGKILL)

    def test_restart_with_many_guests(self):
        """Halted guests, so that they cost nothing: made once, then the agent is started anew."""
        servers = []
        for i in range(MANY):
            servers.append(self.request(f"many-{i}", flavor="tiny"))
            if i % 10 == 9:
                self.all_active(servers[-10:], 300)
        self.end(signal.SIGTERM)
        program = os.environ.get("KILONOVAD", str(CTL.parent / "kilonovad"))
        conf = pathlib.Path(os.environ["LAB_DIR"]) / "etc" / f"nova-{HOST}.conf"
        began = time.monotonic()
        process = subprocess.Popen([program, "--config-file", conf], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            while not (status := ctl_or_none("status")) or not status["connections"]["requests"]:
                self.assertLess(time.monotonic() - began, 30)
                time.sleep(0.01)
            consuming = time.monotonic() - began
            wait(60, "running", lambda: ctl("status")["state"] == "running")
            running = time.monotonic() - began
            rows = ctl("instances")
            load = os.getloadavg()[0]
            print(f"{MANY} guests: consuming after {consuming:.2f} s, all managed after {running:.2f} s, load {load:.1f}")
            ours = {server.id for server in servers}
            managed = [row for row in rows if row["uuid"] in ours and row["libvirt"] in ("running", "shutdown") and
                       row.get("vm_state")]
            self.assertEqual(len(managed), MANY)
            self.assertEqual(ctl("verify", check=False)["drift"], [])
            # A figure of the long form, on a machine that does little else.
            self.assertLess(consuming, 1 if MANY >= 100 and load < 2 * os.cpu_count() else 10)
        finally:
            process.terminate()
            process.wait()
            self.start()

    def test_what_was_deleted_while_no_agent_ran_is_removed(self):
        server = self.create("late", networks=["provider"])
        self.end(signal.SIGKILL)
        event = {"name": "network-vif-deleted", "server_uuid": server.id, "tag": str(uuid.uuid4())}
        for _ in range(20):  # which keep the server busy when the agent is back and looks for what to remove
            self.cloud.compute.post("/os-server-external-events", json={"events": [event]})
        run("mariadb", "-uroot", "-S", os.environ["LAB_DIR"] + "/state/mysql/mysqld.sock", "-e",
            "UPDATE nova.services SET last_seen_up = '2020-01-01', updated_at = '2020-01-01' "
            f"WHERE `binary` = 'nova-compute' AND host = '{HOST}'")
        self.compute.delete_server(server.id)  # the API deletes by itself what a dead host has
        self.wait_gone(server)
        self.start()
        self.assert_nothing_left()

    def test_server_that_another_host_has_taken_meanwhile(self):
        """As after an evacuation to a host on the same storage: this one plays it, too."""
        server = self.create("evacuated", networks=["provider"])
        folder = self.instance_folder(server)
        port = next(iter(self.cloud.network.ports(device_id=server.id)))
        self.end(signal.SIGKILL)
        sql("INSERT INTO nova.migrations (created_at, uuid, instance_uuid, source_compute, source_node, dest_compute, dest_node, "
            f"status, migration_type, hidden, deleted) SELECT NOW(), UUID(), uuid, host, node, host, 'other', 'done', "
            f"'evacuation', 0, 0 FROM nova.instances WHERE uuid = '{server.id}'; "
            f"UPDATE nova.instances SET host = 'other', node = 'other' WHERE uuid = '{server.id}'")
        try:
            self.start()
            wait(60, "the evacuation completed", lambda: "completed" in sql(
                f"SELECT status FROM nova.migrations WHERE instance_uuid = '{server.id}'"))
            self.assertEqual(self.domain_state(server), "")
            self.assertNotIn(f"tap{port.id[:11]}", run("ovs-vsctl", f"--db={os.environ['LAB_OVSDB']}", "show").stdout)
            self.assertTrue((folder / "disk").exists())
            self.assertEqual(self.allocations(server), {})
        finally:
            sql(f"UPDATE nova.instances SET host = '{HOST}', node = '{server.hypervisor_hostname}' WHERE uuid = '{server.id}'")
        self.delete(server)
        self.assert_nothing_left()

    def test_what_older_releases_did_not_note_is_noted(self):
        server = self.create("old", networks=["provider"])
        noted = "FROM nova.instance_system_metadata WHERE deleted = 0 AND `key` LIKE 'image_hw_%' " \
                f"AND instance_uuid = '{server.id}'"
        before = sql(f"SELECT `key`, value {noted} ORDER BY `key`")
        self.assertEqual(len(before.splitlines()), 7, before)
        self.end(signal.SIGKILL)
        sql(f"DELETE {noted}")
        self.start()
        self.assertEqual(sql(f"SELECT `key`, value {noted} ORDER BY `key`"), before)
        self.delete(server)
        self.assert_nothing_left()

    def test_verify_finds_and_heals(self):
        server = self.create("drifting", networks=["provider"])
        port = next(iter(self.cloud.network.ports(device_id=server.id)))
        self.assertEqual(ctl("verify")["drift"], [])
        run("ovs-vsctl", f"--db={os.environ['LAB_OVSDB']}", "del-port", f"tap{port.id[:11]}")
        found = ctl("verify", check=False)["drift"]
        self.assertEqual([(d["kind"], d["instance"], d["ours"]) for d in found], [("port-missing", server.id, True)])
        self.assertEqual(run(CTL, "--socket", SOCKET, "verify", check=False).returncode, 1)
        self.assertEqual(ctl("verify", "--heal")["drift"][0]["state"], "mended")
        self.assertEqual(ctl("verify")["drift"], [])

    def test_verify_leaves_alone_what_nobody_knows(self):
        folder = SOCKET.parent / "instances" / "5a5a5a5a-0000-4000-8000-000000000001"
        folder.mkdir()
        self.addCleanup(folder.rmdir)
        found = ctl("verify", "--heal", check=False)["drift"]
        self.assertEqual([(d["kind"], d["state"]) for d in found], [("files-unowned", "found")])

    def test_status_shows_what_is_under_way(self):
        server = self.request("watched", networks=["provider"])
        job = wait(30, "the build in the status", lambda: next(
            (j for j in ctl("status")["jobs"] if j["instance"] == server.id and j["step"]), None))
        self.assertEqual(job["method"], "build_and_run_instance")
        self.wait_status(server, "ACTIVE", 120)
        self.assertEqual([j for j in ctl("status")["jobs"] if j["instance"] == server.id], [])

    def test_drain_takes_no_more_requests(self):
        server = self.create("drained")
        run(CTL, "--socket", SOCKET, "drain")
        self.assertEqual(ctl("status")["state"], "draining")
        self.compute.stop_server(server.id)
        time.sleep(2)
        self.assertEqual(self.get(server).task_state, "powering-off")
        self.end(signal.SIGTERM)
        self.start()
        self.wait_status(server, "SHUTOFF", 60)
