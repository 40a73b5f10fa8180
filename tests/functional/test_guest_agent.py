# SPDX-License-Identifier: Apache-2.0
"""What qemu-guest-agent does in a guest that runs one: the administrator's password, file systems held still."""
import json
import tempfile

from lab import LabTest, run, virsh, wait

PASSWORD = "Secret-4711"
AGENT = {"hw_qemu_guest_agent": "yes", "os_require_quiesce": "yes"}


class GuestAgent(LabTest):
    """One guest for all: it takes a while to be up."""

    def setUp(self):
        super().setUp()
        self.add_image()
        name, self.key = self.keypair("-t", "rsa", "-m", "PEM")  # Nova encrypts the password with it
        self.server = self.create("agent", image="guest-with-agent", flavor="disks", networks=["provider"], key_name=name)
        self.guest("true", 600)
        wait(60, "guest agent", lambda: "{" in self.agent("guest-ping", check=False))

    def add_image(self):
        path = tempfile.NamedTemporaryFile()
        self.addCleanup(path.close)
        self.cloud.image.download_image(self.images["guest"], output=path.name)
        image = self.cloud.create_image("guest-with-agent", filename=path.name, wait=True, meta=AGENT,
                                        disk_format=self.images["guest"].disk_format)
        self.addCleanup(self.cloud.image.delete_image, image.id)
        self.images["guest-with-agent"] = image

    def guest(self, command, seconds=180):
        return self.ssh(self.key, self.address(self.server), command, seconds)

    def agent(self, command, check=True):
        return virsh("qemu-agent-command", self.server.id, json.dumps({"execute": command}), check=check)

    def frozen(self):
        return json.loads(self.agent("guest-fsfreeze-status"))["return"]

    def decrypted_password(self):
        """The owner reads it from the API with the server's key."""
        secret = self.compute.get(f"/servers/{self.server.id}/os-server-password").json()["password"]
        return run("sh", "-c", f"echo '{secret}' | base64 -d | openssl pkeyutl -decrypt -inkey '{self.key}'").stdout

    def test_password_and_quiesce(self):
        self.password_is_set()
        self.file_systems_are_held()
        self.live_snapshot_requires_it()

    def password_is_set(self):
        self.compute.change_server_password(self.server.id, PASSWORD)
        wait(60, "no task", lambda: self.get(self.server).task_state is None)
        self.assertEqual(self.actions(self.server)["changePassword"], {"compute_set_admin_password": "Success"})
        _, method, salt, hashed = self.guest("grep ^root: /etc/shadow").split(":")[1].split("$")
        self.assertEqual(method, "6")
        again = run("openssl", "passwd", "-6", "-salt", salt, PASSWORD).stdout.strip()
        self.assertEqual(again, f"$6${salt}${hashed}")
        self.assertEqual(self.decrypted_password(), PASSWORD)

    def file_systems_are_held(self):
        self.guest("modprobe -a crc32c_generic ext4; mke2fs /dev/vdb >/dev/null && mount -t ext4 /dev/vdb /mnt && echo before >/mnt/file")
        self.assertEqual(self.frozen(), "thawed")
        self.assertEqual(self.rpc("quiesce_instance", self.server), {"result": None})
        self.assertEqual(self.frozen(), "frozen")
        self.assertEqual(self.rpc("unquiesce_instance", self.server, mapping=None), {"result": None})
        self.assertEqual(self.frozen(), "thawed")
        self.guest("echo after >/mnt/file && sync")

    def live_snapshot_requires_it(self):
        image = self.compute.create_server_image(self.server.id, "quiesced")
        self.addCleanup(self.cloud.image.delete_image, image.id)
        wait(240, "image active", lambda: self.cloud.image.get_image(image.id).status == "active")
        wait(60, "task over", lambda: self.get(self.server).task_state is None)
        self.assertEqual(self.frozen(), "thawed")
        self.assertEqual(self.actions(self.server)["createImage"], {"compute_snapshot_instance": "Success"})
