# SPDX-License-Identifier: Apache-2.0
"""Many servers at once, and the audit that says whether anything is left of them."""
import pathlib
import uuid

from lab import LabTest, audit, run, virsh, wait

TINY_DOMAIN = """<domain type='qemu'><name>kilonova-planted</name><uuid>{uuid}</uuid><memory>8192</memory>
<metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'/></metadata>
<os><type arch='x86_64'>hvm</type></os></domain>"""


class Scale(LabTest):
    def test_twenty_servers_at_once(self):
        n = 20
        servers = [self.request(f"many-{i}", networks=["provider"]) for i in range(n)]
        for server in servers:
            self.wait_status(server, "ACTIVE", 180)
        self.assertEqual(sum(self.domain_state(s) == "running" for s in servers), n)
        for server in servers:
            self.compute.delete_server(server.id)
        for server in servers:
            self.wait_gone(server, 180)
        self.servers = []
        self.assert_nothing_left()


class Audit(LabTest):
    """A test of the audit: it must see one planted leftover of each of its six kinds."""

    def assert_seen(self, kind):
        report = audit()
        lines = [line for line in report.splitlines() if kind in line.lower()]
        self.assertTrue(any(not line.rstrip().endswith(" 0") for line in lines), f"{kind} not in:\n{report}")

    def test_domain(self):
        domain = str(uuid.uuid4())
        xml = pathlib.Path("/tmp") / f"{domain}.xml"
        xml.write_text(TINY_DOMAIN.format(uuid=domain))
        self.addCleanup(xml.unlink)
        virsh("define", str(xml))
        self.addCleanup(virsh, "undefine", domain)
        self.assert_seen("domain")

    def test_tap(self):
        run("ip", "tuntap", "add", "dev", "tap00000000-00", "mode", "tap")
        self.addCleanup(run, "ip", "link", "del", "tap00000000-00")
        self.assert_seen("tap")

    def test_ovs_port(self):
        import os
        vsctl = ["ovs-vsctl", f"--db={os.environ['LAB_OVSDB']}", "--no-wait"]
        run(*vsctl, "add-port", "br-int", "tap00000000-01", "--", "set", "interface", "tap00000000-01",
            f"external_ids:iface-id={uuid.uuid4()}", f"external_ids:vm-uuid={uuid.uuid4()}")
        self.addCleanup(run, *vsctl, "del-port", "br-int", "tap00000000-01")
        self.assert_seen("ovs")

    def test_neutron_port(self):
        port = self.cloud.network.create_port(network_id=self.networks["provider"].id, device_id=str(uuid.uuid4()),
                                              device_owner="compute:nova")
        self.addCleanup(self.cloud.network.delete_port, port.id)
        self.assert_seen("bindings")

    def test_files(self):
        server = self.create("where")
        folder = self.instance_folder(server).parent / str(uuid.uuid4())
        folder.mkdir()
        self.addCleanup(folder.rmdir)
        self.assert_seen("file")

    def test_allocation(self):
        placement = self.cloud.placement
        provider = next(iter(placement.resource_providers()))
        consumer = str(uuid.uuid4())
        headers = {"OpenStack-API-Version": "placement 1.28"}
        body = {"allocations": {provider.id: {"resources": {"MEMORY_MB": 1}}}, "consumer_generation": None,
                "project_id": self.cloud.current_project_id, "user_id": self.cloud.current_user_id}
        answer = placement.put(f"/allocations/{consumer}", json=body, headers=headers)
        self.assertEqual(answer.status_code, 204, answer.text)
        self.addCleanup(placement.delete, f"/allocations/{consumer}")
        self.assert_seen("allocation")

    def test_clean_host_is_clean(self):
        self.assert_nothing_left()
