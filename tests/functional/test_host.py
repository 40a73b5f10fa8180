# SPDX-License-Identifier: Apache-2.0
"""What is asked of the host rather than of a server, and of the agent inside of a guest."""
import os
import pathlib
import tempfile
import uuid

from lab import HOST, LabTest, agent, wait

DISABLED = "COMPUTE_STATUS_DISABLED"


PROVIDER_CONFIG = """\
meta: {schema_version: '1.0'}
providers:
- identification: {uuid: $COMPUTE_NODE}
  inventories:
    additional:
    - CUSTOM_LICENCE: {total: 5, reserved: 1}
  traits: {additional: [CUSTOM_QUIET]}
"""


class Host(LabTest):
    def placement(self, path):
        return self.cloud.session.get(path, endpoint_filter={"service_type": "placement"},
                                      headers={"OpenStack-API-Version": "placement 1.36"}).json()

    def provider(self):
        return self.placement(f"/resource_providers?name={HOST}")["resource_providers"][0]["uuid"]

    def traits(self):
        return self.placement(f"/resource_providers/{self.provider()}/traits")["traits"]

    def inventories(self):
        return self.placement(f"/resource_providers/{self.provider()}/inventories")["inventories"]

    def restart(self, *settings):
        agent("stop", HOST)
        agent("start", HOST, *settings)

    def test_operators_provider_configs_are_reported(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        before = self.inventories()
        pathlib.Path(folder.name, "a.yaml").write_text(PROVIDER_CONFIG)
        self.restart(f"compute.provider_config_location={folder.name}")
        self.addCleanup(wait, 60, "service up", self.is_service_up)
        self.addCleanup(self.restart)
        wait(60, "the class", lambda: "CUSTOM_LICENCE" in self.inventories())
        record = self.inventories()["CUSTOM_LICENCE"]
        self.assertEqual((record["total"], record["reserved"]), (5, 1))
        self.assertIn("CUSTOM_QUIET", self.traits())
        self.assertEqual(self.inventories().keys() - before.keys(), {"CUSTOM_LICENCE"})
        self.restart()
        wait(60, "it gone", lambda: self.inventories() == before)

    def test_disabled_service_is_told_to_the_scheduler(self):
        service = next(s for s in self.compute.services() if s.binary == "nova-compute" and s.host == HOST)
        self.addCleanup(self.compute.enable_service, service.id)
        self.compute.disable_service(service.id, disabled_reason="test")
        wait(10, "the trait set", lambda: DISABLED in self.traits())
        self.compute.enable_service(service.id)
        wait(10, "the trait gone", lambda: DISABLED not in self.traits())
        self.assertEqual(self.rpc("set_host_enabled", host=HOST, enabled=True), {"result": "enabled"})

    def test_what_libvirt_does_not_do(self):
        self.assertEqual(self.rpc("host_power_action", host=HOST, action="reboot")["error"], ["NotImplementedError", ""])
        self.assertEqual(self.rpc("host_maintenance_mode", host=HOST, host_param=HOST, mode="enable")["error"],
                         ["NotImplementedError", ""])

    def test_images_are_cached_by_request(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(os.urandom(4096) + bytes(1 << 20))
            file.flush()
            image = self.cloud.create_image("cached", filename=file.name, disk_format="raw", wait=True)
        self.addCleanup(self.cloud.image.delete_image, image.id)
        missing = "00000000-0000-4000-8000-000000000000"
        self.assertEqual(self.rpc("cache_images", host=HOST, image_ids=[image.id, missing])["result"],
                         {image.id: "cached", missing: "error"})
        self.assertEqual(self.rpc("cache_images", host=HOST, image_ids=[image.id])["result"], {image.id: "existing"})


class GuestAgent(LabTest):
    """The lab's guests run no agent: what is seen are the ways to fail."""

    def image_with_agent(self):
        path = tempfile.NamedTemporaryFile()
        self.addCleanup(path.close)
        self.cloud.image.download_image(self.images["hlt"], output=path.name)
        image = self.cloud.create_image("with-agent", filename=path.name, disk_format=self.images["hlt"].disk_format,
                                        wait=True, meta={"hw_qemu_guest_agent": "yes"})
        self.addCleanup(self.cloud.image.delete_image, image.id)
        self.images["with-agent"] = image

    def set_password(self, server):
        answer = self.compute.post(f"/servers/{server.id}/action", json={"changePassword": {"adminPass": "secret-1"}})
        fresh = wait(20, "no task", lambda: self.get(server) if self.get(server).task_state is None else None)
        return answer.status_code, answer.text, fresh

    def test_without_an_agent(self):
        server = self.create("no-agent")
        code, text, fresh = self.set_password(server)
        self.assertEqual(code, 409, text)
        self.assertEqual(fresh.status, "ACTIVE")
        self.assertEqual(self.actions(server)["changePassword"], {"compute_set_admin_password": "Error"})
        self.assertEqual(self.rpc("quiesce_instance", server)["error"],
                         ["QemuGuestAgentNotEnabled", "QEMU guest agent is not enabled"])

    def test_agent_that_does_not_answer(self):
        self.image_with_agent()
        server = self.create("silent", image="with-agent")
        code, text, fresh = self.set_password(server)
        self.assertEqual(code, 501, text)
        self.assertEqual(fresh.status, "ACTIVE")
        error = self.rpc("quiesce_instance", server)["error"]
        self.assertEqual(error[0], "InstanceQuiesceFailed")
        self.assertIn(f"Error from libvirt while quiescing {server.instance_name}: [Error Code 86]", error[1])
        self.compute.pause_server(server.id)
        self.wait_status(server, "PAUSED")
        self.compute.unpause_server(server.id)
        self.wait_status(server, "ACTIVE")

    def test_password_of_a_guest_that_is_off(self):
        server = self.create("off")
        self.compute.stop_server(server.id)
        self.wait_status(server, "SHUTOFF")
        error = self.rpc("set_admin_password", server, "updating_password", "changePassword", new_pass="secret-1")["error"]
        self.assertEqual(error, ["InstancePasswordSetFailed", f"Failed to set admin password on {server.id} because "
                                 f"instance {server.id} is not running"])
        self.assertIsNone(self.get(server).task_state)

    def test_network_info_is_read_again(self):
        server = self.create("network", networks=["provider"])
        port = next(self.cloud.network.ports(device_id=server.id))
        before = self.get(server).updated_at
        self.assertEqual(self.rpc("inject_network_info", server), {"result": None})
        self.assertEqual([p.id for p in self.cloud.network.ports(device_id=server.id)], [port.id])
        self.assertEqual(self.get(server).updated_at, before)

    def test_share_without_manila(self):
        """Nobody grants the access, and the server can be deleted all the same."""
        server = self.create("shared")
        share = {"uuid": str(uuid.uuid4()), "instance_uuid": server.id, "share_id": str(uuid.uuid4()), "tag": "tag",
                 "status": "attaching", "export_location": "192.0.2.1:/share", "share_proto": "NFS"}
        self.assertEqual(self.rpc("allow_share", server, api_action="attach_share", share_mapping=share), {"result": None})
        wait(30, "failure", lambda: self.actions(server).get("attach_share") == {"compute_allow_share": "Error"})
        self.assertEqual(self.get(server).status, "ACTIVE")
        self.delete(server)
