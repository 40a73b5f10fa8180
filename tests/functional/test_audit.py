# SPDX-License-Identifier: Apache-2.0
"""The audit notices each kind of leftover: one of each is planted."""
import os
import pathlib
import subprocess
import sys
import uuid

from lab import HOST, LAB, LIBVIRT, LabTest, run, sql

STRANGER = "5a5a5a5a-0000-4000-8000-" + uuid.uuid4().hex[:12]
FOLDER = pathlib.Path(os.environ["LAB_DIR"]) / "hosts" / HOST / "state" / "instances"


def virsh(*argv, **kwargs):
    return run("virsh", "-q", "-c", LIBVIRT, *argv, **kwargs).stdout


def ovs(*argv):
    return run("ovs-vsctl", f"--db={os.environ['LAB_OVSDB']}", *argv).stdout


class Audit(LabTest):
    def find(self):
        """{kind: [names]} of everything that the audit finds now."""
        lines = run(LAB / "audit", HOST, check=False).stdout.splitlines()
        return {line.split()[0]: line.split()[2:] for line in lines}

    def expect(self, kind, name):
        found = self.find()
        self.assertIn(name, found[kind])
        self.assertEqual([k for k, names in found.items() if name in names], [kind])

    def test_a_clean_host_has_nothing(self):
        self.assert_nothing_left()

    def test_domain(self):
        xml = (f"<domain type='qemu'><name>stranger</name><uuid>{STRANGER}</uuid><memory>1024</memory>"
               "<os><type>hvm</type></os></domain>")
        virsh("define", "/dev/stdin", input=xml)
        self.addCleanup(virsh, "undefine", STRANGER)
        self.expect("domains", STRANGER)

    def test_tap(self):
        run("ip", "tuntap", "add", "tap5a5a5a5a-00", "mode", "tap")
        self.addCleanup(run, "ip", "link", "del", "tap5a5a5a5a-00")
        self.expect("taps", "tap5a5a5a5a-00")

    def test_ovs_port(self):
        ovs("add-port", "br-int", "stranger0", "--", "set", "Interface", "stranger0", "type=internal",
            f"external_ids:iface-id={STRANGER}", f"external_ids:vm-uuid={STRANGER}")
        self.addCleanup(ovs, "del-port", "stranger0")
        self.expect("ovs_ports", "stranger0")

    def test_binding(self):
        port = self.cloud.network.create_port(network_id=self.networks["provider"].id, device_id=STRANGER,
                                              device_owner="compute:nova", binding_host_id=HOST)
        self.addCleanup(self.cloud.network.delete_port, port.id)
        self.expect("bindings", port.id)

    def test_allocation(self):
        provider = next(iter(self.cloud.placement.resource_providers(name=HOST)))
        body = {"allocations": {provider.id: {"resources": {"MEMORY_MB": 1}}}, "project_id": "p", "user_id": "u",
                "consumer_generation": None, "consumer_type": "INSTANCE"}
        answer = self.cloud.placement.put(f"/allocations/{STRANGER}", json=body, microversion="1.38")
        self.assertEqual(answer.status_code, 204, answer.text)
        self.addCleanup(self.cloud.placement.delete, f"/allocations/{STRANGER}")
        self.expect("allocations", STRANGER)

    def test_files(self):
        for name in (STRANGER, STRANGER + "_del", STRANGER + "_resize"):
            with self.subTest(name):
                (FOLDER / name).mkdir()
                self.addCleanup((FOLDER / name).rmdir)
                self.expect("files", name)

    def test_what_a_move_put_aside(self):
        server = self.create("moved")
        name = server.id + "_resize"
        (FOLDER / name).mkdir()
        self.expect("files", name)  # it goes with the server

    def test_half_an_image(self):
        path = FOLDER / "_base" / "stranger.part"
        path.touch()
        self.addCleanup(path.unlink)
        self.expect("files", str(path))

    def test_attachment(self):
        server = self.create("attached")
        self.delete(server)
        sql("INSERT INTO nova.block_device_mapping (created_at, deleted, instance_uuid, source_type, destination_type,"
            f" attachment_id, uuid) VALUES (NOW(), 0, '{server.id}', 'volume', 'volume', '{STRANGER}', '{STRANGER}')")
        self.addCleanup(sql, f"DELETE FROM nova.block_device_mapping WHERE uuid = '{STRANGER}'")
        self.expect("attachments", STRANGER)

    def test_secret(self):
        xml = (f"<secret ephemeral='yes' private='yes'><uuid>{STRANGER}</uuid>"
               f"<usage type='volume'><volume>{STRANGER}</volume></usage></secret>")
        virsh("secret-define", "/dev/stdin", input=xml)
        self.addCleanup(virsh, "secret-undefine", STRANGER)
        self.expect("secrets", STRANGER)

    def test_stuck_task(self):
        server = self.create("stuck")
        sql("UPDATE nova.instances SET task_state = 'pausing', updated_at = '2020-01-01' "
            f"WHERE uuid = '{server.id}'")
        self.addCleanup(sql, f"UPDATE nova.instances SET task_state = NULL WHERE uuid = '{server.id}'")
        self.expect("tasks", f"{server.id}:pausing")
        sql(f"UPDATE nova.instances SET task_state = NULL WHERE uuid = '{server.id}'")

    def test_a_server_that_runs_twice(self):
        argv = ["qemu-system-x86_64", "-c", "import time; time.sleep(60)", "-uuid", STRANGER]
        for process in [subprocess.Popen(argv, executable=sys.executable) for _ in range(2)]:
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        self.expect("twice", STRANGER)

    def test_what_a_server_elsewhere_left_is_seen(self):
        """A server that exists, but not on this host, owns nothing here."""
        server = self.create("elsewhere")
        sql(f"UPDATE nova.instances SET host = 'other' WHERE uuid = '{server.id}'")
        self.addCleanup(sql, f"UPDATE nova.instances SET host = '{HOST}' WHERE uuid = '{server.id}'")
        found = self.find()
        sql(f"UPDATE nova.instances SET host = '{HOST}' WHERE uuid = '{server.id}'")
        self.assertIn(server.id, found["domains"] + found["files"])
        self.assertIn(server.id, found["allocations"])
