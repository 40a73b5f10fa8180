# SPDX-License-Identifier: Apache-2.0
"""What the crash matrix does to a server, and where each operation may end when the agent dies within it."""
import itertools
import threading

from audit import select
from lab import nova_rpc, virsh, wait


LARGE = "crash-large"


class Bench:
    """The API, by the calls that the operations need."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.compute = cloud.compute
        self.images = {i.name: i.id for i in cloud.image.images()}
        self.flavors = {f.name: f.id for f in self.compute.flavors()}
        if LARGE not in self.flavors:
            self.flavors[LARGE] = self.compute.create_flavor(name=LARGE, ram=96, vcpus=1, disk=1).id
        self.networks = {n.name: n.id for n in cloud.network.networks()}
        self.counter = itertools.count(1)
        self.kept = None  # a server that the next point may use
        self._volume = None

    def request(self, **more):
        body = {"name": f"crash-{next(self.counter)}", "image_id": self.images["hlt"],
                "flavor_id": self.flavors["tiny"], "networks": [{"uuid": self.networks["provider"]}], **more}
        return self.compute.create_server(**body)

    def create(self, **more):
        server = self.request(**more)
        return self.wait(server, "ACTIVE")

    def get(self, server):
        """The API's record, or None."""
        if not server.id:
            return None
        answer = self.compute.get(f"/servers/{server.id}")
        return answer.json()["server"] if answer.status_code == 200 else None

    def is_in(self, server, *statuses):
        record = self.get(server)
        if record is None:
            return "gone" in statuses
        return record["status"] in statuses and record["OS-EXT-STS:task_state"] is None

    def wait(self, server, *statuses, seconds=60):
        wait(seconds, f"{server.name} {statuses}", lambda: self.is_in(server, *statuses))
        return server

    def action(self, server, name, body=None):
        answer = self.compute.post(f"/servers/{server.id}/action", json={name: body})
        if answer.status_code >= 400:
            raise RuntimeError(f"{name}: {answer.status_code} {answer.text}")

    def go(self, server, way):
        name, body = way
        self.action(server, name, body(self, self.get(server)) if callable(body) else body)

    def attach(self, server):
        """Returns at once: whoever asks the API waits for the agent's answer."""
        body = {"interfaceAttachment": {"net_id": self.networks["tenant"]}}
        threading.Thread(target=self.compute.post, args=(f"/servers/{server.id}/os-interface",),
                         kwargs={"json": body}, daemon=True).start()

    def detach(self, server, port):
        answer = self.compute.delete(f"/servers/{server.id}/os-interface/{port}")
        if answer.status_code >= 400:
            raise RuntimeError(f"detaching {port}: {answer.status_code} {answer.text}")

    def ports(self, server):
        """{id: MAC address}, the oldest first, as Neutron has them."""
        ports = sorted(self.cloud.network.ports(device_id=server.id), key=lambda port: port.created_at)
        return {port.id: port.mac_address for port in ports}

    def volume(self):
        """The one that comes and goes."""
        if not self._volume:
            self._volume = self.cloud.block_storage.create_volume(name="crash", size=1, volume_type="ceph")
            wait(60, "a volume", lambda: self.cloud.block_storage.get_volume(self._volume.id).status == "available")
        return self._volume

    def describe(self, server):
        record = self.get(server)
        if record is None:
            return "gone"
        return (f"{record['status']} {record['OS-EXT-STS:vm_state']} {record['OS-EXT-STS:task_state']} "
                f"{record.get('fault', {}).get('message', '')}")

    def take(self, status):
        """A server in this status: the one before, if there is a way, or a new one."""
        kept, self.kept = self.kept, None
        record = kept and self.get(kept)
        way = WAYS.get((record["status"], status)) if record else None
        if record and (way or record["status"] == status):
            if way:
                self.go(kept, way)
            server = self.wait(kept, status)
        else:
            if record:
                self.remove(kept)
            server = self.create()
            if status != "ACTIVE":
                self.go(server, WAYS["ACTIVE", status])
                self.wait(server, status)
        self.kept = server
        return server

    def discard(self):
        if self.kept:
            self.remove(self.kept)
        self.kept = None

    def drop_volume(self):
        self.discard()
        if self._volume:
            wait(60, "a volume that nobody has", lambda: self.cloud.block_storage.get_volume(self._volume.id).status == "available")
            self.cloud.block_storage.delete_volume(self._volume.id)
        self._volume = None

    def close(self):
        self.drop_volume()

    def has_ceph(self):
        try:
            pools = self.cloud.block_storage.get("/scheduler-stats/get_pools", timeout=5).json()["pools"]
            return any(pool["name"].endswith("#ceph") for pool in pools)
        except Exception:  # nobody listens
            return False

    def remove(self, server):
        if self.get(server) is not None:
            self.compute.delete_server(server.id, ignore_missing=True)
        self.wait(server, "gone")


def resize_body(bench, record):
    """To whichever of the two flavors it has not."""
    is_tiny = record["flavor"]["original_name"] == "tiny"
    return {"flavorRef": bench.flavors[LARGE if is_tiny else "tiny"]}


WAYS = {
    ("ACTIVE", "SHUTOFF"): ("os-stop", None),
    ("SHUTOFF", "ACTIVE"): ("os-start", None),
    ("ACTIVE", "PAUSED"): ("pause", None),
    ("PAUSED", "ACTIVE"): ("unpause", None),
    ("ACTIVE", "SUSPENDED"): ("suspend", None),
    ("SUSPENDED", "ACTIVE"): ("resume", None),
    ("ACTIVE", "SHELVED_OFFLOADED"): ("shelve", None),
    ("SHELVED_OFFLOADED", "ACTIVE"): ("unshelve", None),
    ("ACTIVE", "RESCUE"): ("rescue", {}),
    ("RESCUE", "ACTIVE"): ("unrescue", None),
    ("ACTIVE", "VERIFY_RESIZE"): ("resize", resize_body),
    ("VERIFY_RESIZE", "ACTIVE"): ("confirmResize", None),
    ("SOFT_DELETED", "ACTIVE"): ("restore", None),
}


class Operation:
    """Asked for of a server in a status; done when it is in one of 'done'; after a death in the middle, in one
    of 'outcomes'."""

    needs_ceph = False

    def __init__(self, name, method, action=None, body=None, status="ACTIVE", done=("ACTIVE",), outcomes=None):
        self.name = name
        self.method = method
        self.action = action
        self.body = body
        self.status = status
        self.done = done
        self.outcomes = outcomes or done

    def prepare(self, bench):
        return bench.take(self.status)

    def act(self, bench, server):
        bench.action(server, self.action, self.body)

    def is_done(self, bench, server):
        return bench.is_in(server, *self.done)

    def leftovers(self, bench):
        """What the audit does not look for."""
        return []

    def spoilt(self):
        """What another service did, that this point says nothing of; else empty."""
        return ""


class Pending:
    """Stands for a server that is yet to be asked for."""
    id = name = None


class Build(Operation):
    def __init__(self, name, **more):
        super().__init__(name, "build_and_run_instance")
        self.more = more

    def prepare(self, bench):
        bench.discard()
        bench.kept = Pending()
        return bench.kept

    def act(self, bench, server):
        asked = bench.request(**self.more)
        server.id, server.name = asked.id, asked.name


class Delete(Operation):
    def __init__(self, name, status="ACTIVE"):
        super().__init__(name, "terminate_instance", status=status, done=("gone",))

    def act(self, bench, server):
        bench.compute.delete_server(server.id)


class Image(Operation):
    """Makes an image; one that is left must be complete."""

    def act(self, bench, server):
        before = {image.id for image in bench.cloud.image.images()}
        super().act(bench, server)
        bench.new_images = {image.id for image in bench.cloud.image.images()} - before

    def leftovers(self, bench):
        left = []
        for image in bench.cloud.image.images():
            if image.id in bench.new_images:
                if image.status != "active":
                    left.append(f"image {image.id} {image.status}")
                bench.cloud.image.delete_image(image.id)
        return left


class SoftDelete(Operation):
    """As an API does it that has reclaim_instance_interval; the lab's has not."""

    def act(self, bench, server):
        answer = nova_rpc(bench.cloud.session, "soft_delete_instance", server, "soft-deleting", "softDelete")
        if "error" in answer:
            raise RuntimeError(f"soft delete: {answer}")


class Restore(Operation):
    def prepare(self, bench):
        server = bench.take("ACTIVE")
        SoftDelete.act(self, bench, server)
        return bench.wait(server, "SOFT_DELETED")


class Move(Operation):
    """A step of a resize, its confirmation or its revert."""

    def act(self, bench, server):
        bench.action(server, self.action, resize_body(bench, bench.get(server)) if self.action == "resize" else None)


class Interface(Operation):
    """A second port comes or goes: the server has one or two before, the guest what Neutron has after."""

    def __init__(self, name, method, n_before, n_after):
        super().__init__(name, method)
        self.n_before, self.n_after = n_before, n_after

    def prepare(self, bench):
        server = bench.take("ACTIVE")
        for port in list(bench.ports(server))[1:]:
            bench.detach(server, port)
        wait(60, "one port", lambda: len(bench.ports(server)) == 1)
        if self.n_before == 2:
            bench.attach(server)
            wait(60, "two ports", lambda: self.macs(server) == set(bench.ports(server).values()) and
                 len(bench.ports(server)) == 2)
        return server

    def act(self, bench, server):
        if self.n_before < self.n_after:
            bench.attach(server)
        else:
            bench.detach(server, list(bench.ports(server))[-1])

    def macs(self, server):
        lines = virsh("domiflist", server.id, "--inactive").splitlines()
        return {words[4] for words in map(str.split, lines) if words}

    def is_done(self, bench, server):
        return len(bench.ports(server)) == len(self.macs(server)) == self.n_after

    def leftovers(self, bench):
        ports, macs = set(bench.ports(bench.kept).values()), self.macs(bench.kept)
        return [] if ports == macs else [f"ports {sorted(ports)}, in the guest {sorted(macs)}"]


class Volume(Operation):
    """A volume comes or goes: Nova, Cinder and the guest have to agree on it afterwards."""

    needs_ceph = True

    def __init__(self, name, method, is_attached_after):
        super().__init__(name, method)
        self.is_attached_after = is_attached_after

    def prepare(self, bench):
        server = bench.take("ACTIVE")
        if self.seen(bench, server) != self.all_see(not self.is_attached_after):
            self.ask(bench, server, not self.is_attached_after)
            wait(60, "the volume as it has to be before", lambda: self.seen(bench, server) ==
                 self.all_see(not self.is_attached_after))
        return server

    def ask(self, bench, server, attach):
        path = f"/servers/{server.id}/os-volume_attachments"
        if attach:
            answer = bench.compute.post(path, json={"volumeAttachment": {"volumeId": bench.volume().id}})
        else:
            answer = bench.compute.delete(f"{path}/{bench.volume().id}")
        if answer.status_code >= 400:
            raise RuntimeError(f"{self.name}: {answer.status_code} {answer.text}")

    def act(self, bench, server):
        self.ask(bench, server, self.is_attached_after)

    @staticmethod
    def all_see(attached):
        return (attached, attached, attached, attached, "in-use" if attached else "available")

    def seen(self, bench, server):
        """Whether the volume is there for Nova, for Cinder, in the guest and in its definition; and its status."""
        volume = bench.cloud.block_storage.get_volume(bench.volume().id)
        return (volume.id in {a.volume_id for a in bench.compute.volume_attachments(server.id)},
                server.id in {a["server_id"] for a in volume.attachments},
                volume.id in virsh("dumpxml", server.id), volume.id in virsh("dumpxml", "--inactive", server.id),
                volume.status)

    def is_done(self, bench, server):
        return self.seen(bench, server) == self.all_see(self.is_attached_after)

    def leftovers(self, bench):
        seen = self.seen(bench, bench.kept)
        return [] if seen in (self.all_see(True), self.all_see(False)) else [f"the volume: {seen}"]


class SwapVolume(Volume):
    """Cinder moves the volume to its other back end, under the guest; no second volume stays."""

    def __init__(self, name):
        super().__init__(name, "swap_volume", False)  # it is attached before

    def prepare(self, bench):
        if self.record(bench).size > 1:  # extended by another operation: there is little room in files
            bench.drop_volume()
        server = super().prepare(bench)
        self.strangers = self.ids(bench) - {bench.volume().id}  # of a run that was ended, or of a point that left one
        self.torn_before = self.torn()
        return server

    @staticmethod
    def torn():
        """Attachments that went, though attached, with a volume: no request of a compute's does that to them."""
        return select("SELECT id FROM cinder.volume_attachment WHERE deleted = 1 AND attach_status = 'attached'")

    def spoilt(self):
        """Cinder has the volume's source deleted before it gives its attachment to what took its place
        (migrate_volume_completion); when the deletion is faster, it takes the attachment with it."""
        torn = set(self.torn()) - set(self.torn_before)
        return f"Cinder deleted attachment {torn.pop()} with the migrated volume's source" if torn else ""

    @staticmethod
    def ids(bench):
        return {volume.id for volume in bench.cloud.block_storage.volumes()}

    def act(self, bench, server):
        self.kind = "files" if self.record(bench).volume_type == "ceph" else "ceph"
        bench.cloud.block_storage.retype_volume(bench.volume(), self.kind, "on-demand")

    @staticmethod
    def record(bench):
        return bench.cloud.block_storage.get_volume(bench.volume().id)

    def is_settled(self, bench, server):
        """Where it was or where it was to go."""
        in_ceph = self.record(bench).volume_type == "ceph"
        return (self.seen(bench, server) == self.all_see(True) and
                self.ids(bench) - self.strangers == {bench.volume().id} and
                all(("protocol='rbd'" in virsh("dumpxml", server.id, *more)) == in_ceph for more in ([], ["--inactive"])))

    def is_done(self, bench, server):
        return self.record(bench).volume_type == self.kind and self.is_settled(bench, server)

    def leftovers(self, bench):
        try:
            wait(120, "settled", lambda: self.is_settled(bench, bench.kept))
            return []
        except AssertionError:
            volumes = [(v.id, v.status, v.volume_type) for v in bench.cloud.block_storage.volumes()]
            return [f"the volume: {self.seen(bench, bench.kept)}, of {volumes}"]


class ExtendVolume(Volume):
    """The guest sees what Cinder has made it."""

    def __init__(self, name):
        super().__init__(name, "extend_volume", False)  # it is attached before

    @staticmethod
    def actions(bench, server):
        """Those of the server that extended it, each as whether it is over."""
        found = [a for a in bench.compute.server_actions(server.id) if a.action == "extend_volume"]
        events = [bench.compute.get_server_action(a.request_id, server.id).events for a in found]
        return [bool(of_one) and all(event["finish_time"] for event in of_one) for of_one in events]

    def act(self, bench, server):
        self.n_before = len(self.actions(bench, server))
        size = bench.cloud.block_storage.get_volume(bench.volume().id).size
        bench.cloud.block_storage.extend_volume(bench.volume(), size + 1)

    def sizes(self, bench, server):
        """In GiB, for Cinder and for the guest, whose first disk is not the volume."""
        disk = virsh("domblklist", server.id).splitlines()[1].split()[0]
        capacity = int(virsh("domblkinfo", server.id, disk).splitlines()[0].split()[1])
        return bench.cloud.block_storage.get_volume(bench.volume().id).size, capacity / (1 << 30)

    def is_done(self, bench, server):
        """QEMU sees by itself that an image of Ceph has grown; only what Nova notes tells that the guest was told."""
        in_cinder, in_guest = self.sizes(bench, server)
        actions = self.actions(bench, server)
        return (in_cinder == in_guest and self.seen(bench, server) == self.all_see(True) and
                len(actions) > self.n_before and all(actions))

    def leftovers(self, bench):
        try:
            wait(60, "settled", lambda: self.is_done(bench, bench.kept))
            return []
        except AssertionError:
            return [f"the volume: {self.seen(bench, bench.kept)}, GiB: {self.sizes(bench, bench.kept)}"]


class BuildOnVolume(Build):
    """The volume is made by the build and goes with the server."""

    needs_ceph = True

    def __init__(self, name):
        super().__init__(name, image_id="")

    def prepare(self, bench):
        self.more["block_device_mapping"] = [{
            "source_type": "image", "uuid": bench.images["hlt"], "destination_type": "volume", "volume_size": 1,
            "boot_index": 0, "delete_on_termination": True}]
        return super().prepare(bench)

    def leftovers(self, bench):
        return [f"volume {volume.id} {volume.status}" for volume in bench.cloud.block_storage.volumes()
                if volume.status != "in-use" and volume.name != "crash"]


class Rebuild(Operation):
    def act(self, bench, server):
        bench.action(server, "rebuild", {"imageRef": bench.images["hlt"]})


OPERATIONS = [
    Build("build"),
    Build("build-config-drive", config_drive=True, admin_pass="sesame"),
    Delete("delete"),
    Delete("delete-stopped", "SHUTOFF"),
    Operation("stop", "stop_instance", "os-stop", done=("SHUTOFF",)),
    Operation("start", "start_instance", "os-start", status="SHUTOFF"),
    Operation("reboot-hard", "reboot_instance", "reboot", {"type": "HARD"}),
    Operation("reboot-soft", "reboot_instance", "reboot", {"type": "SOFT"}),
    Operation("pause", "pause_instance", "pause", done=("PAUSED",)),
    Operation("unpause", "unpause_instance", "unpause", status="PAUSED"),
    Operation("suspend", "suspend_instance", "suspend", done=("SUSPENDED",)),
    Operation("resume", "resume_instance", "resume", status="SUSPENDED"),
    Image("snapshot-begin", "snapshot_instance", "createImage", {"name": "crash"}),
    Image("snapshot", "_snapshot_instance", "createImage", {"name": "crash"}),
    Image("snapshot-stopped", "_snapshot_instance", "createImage", {"name": "crash"}, status="SHUTOFF",
          done=("SHUTOFF",)),
    Rebuild("rebuild", "rebuild_instance", "rebuild"),
    Operation("shelve", "shelve_instance", "shelve", done=("SHELVED_OFFLOADED",)),
    Operation("unshelve", "unshelve_instance", "unshelve", status="SHELVED_OFFLOADED"),
    Operation("rescue", "rescue_instance", "rescue", {}, done=("RESCUE",)),
    Operation("unrescue", "unrescue_instance", "unrescue", status="RESCUE"),
    Move("resize-prepare", "prep_resize", "resize", done=("VERIFY_RESIZE",)),
    Move("resize-send", "resize_instance", "resize", done=("VERIFY_RESIZE",)),
    Move("resize-finish", "finish_resize", "resize", done=("VERIFY_RESIZE",)),
    Move("resize-confirm", "confirm_resize", "confirmResize", status="VERIFY_RESIZE"),
    Move("resize-revert", "revert_resize", "revertResize", status="VERIFY_RESIZE"),
    Move("resize-revert-finish", "finish_revert_resize", "revertResize", status="VERIFY_RESIZE"),
    SoftDelete("soft-delete", "soft_delete_instance", done=("SOFT_DELETED",)),
    Restore("restore", "restore_instance", "restore", status="SOFT_DELETED"),
    Interface("attach-interface", "attach_interface", 1, 2),
    Interface("detach-interface", "detach_interface", 2, 1),
    Volume("attach-volume", "attach_volume", True),
    Volume("detach-volume", "detach_volume", False),
    SwapVolume("swap-volume"),
    ExtendVolume("extend-volume"),
    BuildOnVolume("build-on-volume"),
    Image("backup", "backup_instance", "createBackup", {"name": "crash", "backup_type": "daily", "rotation": 1}),
]
