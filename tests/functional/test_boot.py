# SPDX-License-Identifier: Apache-2.0
"""Servers of every kind that the boot issue names, through the API."""
import pathlib
import tempfile

from lab import HOST, LabTest, run, virsh, wait


class Boot(LabTest):
    def test_without_network(self):
        server = self.create("no-nic", networks="none")
        self.assertEqual(virsh("domuuid", server.instance_name).strip(), server.id)
        self.assertEqual(server.hypervisor_hostname, HOST)
        self.assertEqual(self.actions(server)["create"], {"compute__do_build_and_run_instance": "Success"})
        self.delete(server)
        self.assertEqual(self.actions(server)["delete"], {"compute_terminate_instance": "Success"})
        self.assert_nothing_left()

    def test_guest_is_reached_and_has_its_data(self):
        name, key = self.keypair()
        server = self.create("guest", image="guest", flavor="guest", networks=["provider"], key_name=name,
                             user_data="token-1234")
        address = self.address(server)
        self.assertEqual(self.ssh(key, address, "cat /run/user-data").strip(), "token-1234")
        self.assertEqual(self.ssh(key, address, "hostname").strip(), "guest")
        run("ping", "-c", "1", "-W", "5", address)
        self.assertIn("KILONOVA GUEST UP", self.console(server))
        self.delete(server)
        self.assert_nothing_left()

    def test_config_drive(self):
        name, key = self.keypair()
        server = self.create("drive", image="guest", flavor="guest", networks=["provider"], key_name=name,
                             user_data="from-the-drive", config_drive=True, metadata={"colour": "blue"})
        self.assertTrue(self.get(server).has_config_drive)
        self.assertEqual(self.ssh(key, self.address(server), "cat /run/user-data").strip(), "from-the-drive")
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "config.iso"
            copy.write_bytes((self.instance_folder(server) / "disk.config").read_bytes())
            listing = run("isoinfo", "-J", "-f", "-i", copy).stdout
            label = run("isoinfo", "-d", "-i", copy).stdout
            meta = run("isoinfo", "-J", "-i", copy, "-x", "/openstack/latest/meta_data.json").stdout
        self.assertIn("Volume id: config-2", label)
        for folder in ("2012-08-10", "2017-02-22", "2018-08-27", "2020-10-14", "latest"):
            self.assertIn(f"/openstack/{folder}/meta_data.json", listing)
        self.assertIn("/openstack/latest/network_data.json", listing)
        self.assertIn('"colour": "blue"', meta)
        self.assertIn(server.id, meta)

    def test_several_ports_and_a_given_one(self):
        network = self.networks["provider"]
        port = self.cloud.network.create_port(network_id=network.id, name="given")
        self.addCleanup(self.cloud.network.delete_port, port.id)
        server = self.create("ports", networks=[{"port": port.id}, {"uuid": network.id},
                                                {"uuid": self.networks["tenant"].id}])
        ports = list(self.cloud.network.ports(device_id=server.id))
        self.assertEqual(len(ports), 3)
        self.assertEqual({p.binding_host_id for p in ports}, {HOST})
        self.assertEqual({p.status for p in ports}, {"ACTIVE"})
        macs = [line.split()[-1] for line in virsh("domiflist", server.id).splitlines()]
        self.assertEqual(set(macs), {p.mac_address for p in ports})
        self.assertEqual(macs[0], port.mac_address)
        self.delete(server)
        kept = self.cloud.network.get_port(port.id)
        self.assertEqual((kept.device_id, kept.device_owner, kept.binding_host_id or ""), ("", "", ""))
        self.assert_nothing_left()

    def test_swap_and_ephemeral_disks(self):
        server = self.create("disks", flavor="disks")
        folder = self.instance_folder(server)
        self.assertEqual({p.name for p in folder.iterdir()} & {"disk", "disk.eph0", "disk.swap"},
                         {"disk", "disk.eph0", "disk.swap"})
        targets = [line.split()[0] for line in virsh("domblklist", server.id).splitlines()]
        self.assertEqual(targets, ["vda", "vdb", "vdc"])

    def test_stop_start_reboot(self):
        server = self.create("power", networks=["provider"])
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        self.assertEqual(self.domain_state(server), "shut off")
        self.compute.start_server(server.id)
        self.wait_status(server, "ACTIVE")
        before = self.domain_id(server)
        self.compute.reboot_server(server.id, "SOFT")
        self.wait_status(server, "ACTIVE")
        self.assertEqual(self.domain_state(server), "running")
        soft = self.domain_id(server)
        self.assertNotEqual(before, soft)
        self.compute.reboot_server(server.id, "HARD")
        self.wait_status(server, "ACTIVE")
        self.assertNotEqual(self.domain_id(server), soft)
        actions = self.actions(server)
        self.assertEqual(actions["stop"], {"compute_stop_instance": "Success"})
        self.assertEqual(actions["start"], {"compute_start_instance": "Success"})
        self.assertEqual(actions["reboot"], {"compute_reboot_instance": "Success"})
        self.delete(server)
        self.assert_nothing_left()

    def test_console_log_tail(self):
        server = self.create("console")
        self.wait_console(server, "KILONOVA HLT UP", 30)
        tail = self.compute.get_server_console_output(server.id, length=1)["output"]
        self.assertLessEqual(tail.rstrip("\n").count("\n"), 1)

    def test_vnc_console(self):
        server = self.create("vnc")
        console = self.compute.create_console(server.id, console_type="novnc")
        self.assertIn("token", console["url"])


class Refused(LabTest):
    """What cannot be built ends in ERROR with Nova's fault, and leaves nothing."""

    def assert_error(self, server, text):
        fresh = self.wait_status(server, "ERROR", 90)
        self.assertIn(text, str(fresh.fault))
        self.delete(server)
        self.assert_nothing_left()

    def image(self, name, data, disk_format, container_format="bare"):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            image = self.cloud.create_image(name, filename=file.name, disk_format=disk_format,
                                            container_format=container_format, wait=True)
        self.addCleanup(self.cloud.image.delete_image, image.id)
        self.images[name] = image

    def test_image_that_lies_about_its_format(self):
        self.image("liar", b"\xeb\x63\x90" + bytes(65533), "qcow2")
        self.assert_error(self.request("liar", image="liar"), "mage")

    def test_image_with_a_backing_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "backed.qcow2"
            run("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", path, "1M")
            # Glance would refuse it, but it looks only into "bare" images.
            self.image("backed", path.read_bytes(), "qcow2", container_format="ovf")
        self.assert_error(self.request("backed", image="backed"), "mage")

    def test_port_that_cannot_be_bound(self):
        network = self.networks["provider"]
        port = self.cloud.network.create_port(network_id=network.id, binding_vnic_type="direct")
        self.addCleanup(self.cloud.network.delete_port, port.id)
        server = self.request("unbound", networks=[{"port": port.id}])
        self.wait_status(server, "ERROR", 90)
        self.delete(server)
        self.assert_nothing_left()

    def test_delete_while_building(self):
        servers = [self.request(f"race-{i}", image="guest", flavor="guest", networks=["provider"]) for i in range(3)]
        wait(60, "a build under way", lambda: any(self.get(s).task_state for s in servers))
        for server in servers:
            self.delete(server)
        self.assert_nothing_left()
