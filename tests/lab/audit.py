# SPDX-License-Identifier: Apache-2.0
"""What is there on a host, or in a service for it, that no server of the host owns: see audit."""
import datetime
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import openstack

OURS = {"_base", "locks", "compute_nodes", "snapshots"}  # of instances_path, for good
MOVES_THAT_HOLD = {"queued", "preparing", "pre-migrating", "migrating", "post-migrating", "finished", "running",
                   "confirming", "reverting", "accepted"}
HELD = {"reserved", "attaching", "in-use", "detaching"}  # of volumes


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def select(sql):
    """The words of the answer."""
    return run("mariadb", "-uroot", "-N", "-S", os.environ["LAB_DIR"] + "/state/mysql/mysqld.sock", "-e", sql).split()


class Audit:
    """One look at the whole; each method named in KINDS lists the leftovers of a kind."""

    KINDS = ("domains", "taps", "ovs_ports", "bindings", "allocations", "files", "attachments", "secrets", "tasks",
             "twice")

    def __init__(self, cloud, host, patience=60):
        self.cloud = cloud
        self.host = host
        self.patience = patience  # seconds that a task may take
        self.folder = pathlib.Path(os.environ["LAB_DIR"]) / "hosts" / host
        self.libvirt = f"qemu+unix:///system?socket={self.folder}/run/libvirt-sock"
        self.servers = {server["id"]: server for server in self.get_servers()}
        self.here = {uuid for uuid, server in self.servers.items()
                     if server["OS-EXT-SRV-ATTR:host"] == host or self.is_move_source(server)}
        self.ports = list(cloud.network.ports())

    def get_servers(self):
        """Also those that are soft-deleted, which Nova lists among the deleted ones."""
        path = "/servers/detail?all_tenants=1&limit=1000"
        return [server for query in ("", "&deleted=true&status=SOFT_DELETED")
                for server in self.cloud.compute.get(path + query).json()["servers"]]

    def is_move_source(self, server):
        """A server that was resized away keeps what it had here until that is confirmed."""
        return server["status"] in ("VERIFY_RESIZE", "RESIZE", "MIGRATING") and any(
            m["source_compute"] == self.host and m["instance_uuid"] == server["id"] for m in self.migrations())

    def migrations(self):
        if not hasattr(self, "_migrations"):
            answer = self.cloud.compute.get(f"/os-migrations?host={self.host}").json()["migrations"]
            self._migrations = [m for m in answer if m["status"] in MOVES_THAT_HOLD]
        return self._migrations

    def look(self):
        return {kind: getattr(self, kind)() for kind in self.KINDS}

    # ---- on the host ----

    def virsh(self, *argv):
        return run("virsh", "-q", "-c", self.libvirt, *argv)

    def domains(self):
        return [uuid for uuid in self.virsh("list", "--all", "--uuid").split() if uuid not in self.here]

    def taps(self):
        known = {f"tap{port.id[:11]}" for port in self.ports if port.device_id in self.here}
        return [link for _, link in socket.if_nameindex() if link.startswith("tap") and link not in known]

    def ovs_ports(self):
        found = json.loads(run("ovs-vsctl", f"--db={os.environ['LAB_OVSDB']}", "--format=json",
                               "--columns=name,external_ids", "list", "Interface"))
        found = {name: dict(ids[1]) for name, ids in found["data"]}
        return [name for name, ids in found.items()
                if "iface-id" in ids and ids.get("vm-uuid", ids.get("vm-id", "-")) not in self.here | {"-"}]

    def is_left_over(self, name):
        uuid = name[:36]
        if uuid not in self.here or name.endswith("_del"):
            return name not in OURS
        return name.endswith("_resize") and not re.search("RESIZE|MIGRAT", self.servers[uuid]["status"])

    def files(self):
        folder = self.folder / "state" / "instances"
        names = os.listdir(folder) if folder.exists() else []
        left = [name for name in names if self.is_left_over(name)]
        parts = [*(folder / "_base").glob("*.part"), *(folder / "_base").glob("*.converted"),
                 *folder.glob("*/*.part"), *folder.glob("*/*.tmp"), *folder.glob("snapshots/*")]
        return left + [str(path) for path in parts]

    def secrets(self):
        owners = self.here | {volume["id"] for uuid in self.here
                              for volume in self.servers[uuid].get("os-extended-volumes:volumes_attached", [])}
        left = []
        for line in self.virsh("secret-list").splitlines():
            if line.split()[1] == "ceph":
                continue  # the operator's, for all guests
            xml = self.virsh("secret-dumpxml", line.split()[0])
            usage = re.search(r"<(?:volume|name|target)>(.*?)</", xml)
            if not usage or not any(owner in usage.group(1) for owner in owners):
                left.append(line.split()[0])
        return left

    def twice(self):
        """A server with more than one emulator process."""
        seen = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "qemu-system" in line.split("\0")[0]:
                for uuid in re.findall(r"-uuid\0([0-9a-f-]{36})", line):
                    seen[uuid] = seen.get(uuid, 0) + 1
        return [uuid for uuid, n in seen.items() if n > 1]

    # ---- in the services ----

    def bindings(self):
        """Ports of servers that are gone, and ports bound to this host for a server that is not on it; a trunk's
        sub-ports are bound by Neutron alone."""
        return [port.id for port in self.ports if port.device_owner.startswith("compute:") and (
            port.device_id not in self.servers or
            (port.binding_host_id == self.host and port.device_id not in self.here))] + [
            port.id for port in self.ports if port.binding_host_id == self.host and not port.device_id and
            not port.device_owner.startswith("trunk:")]

    def allocations(self):
        provider = next(iter(self.cloud.placement.resource_providers(name=self.host)), None)
        if not provider:
            return []
        answer = self.cloud.placement.get(f"/resource_providers/{provider.id}/allocations")
        moves = {m["uuid"] for m in self.migrations()}
        return [consumer for consumer in answer.json()["allocations"] if consumer not in self.here | moves]

    def attachments(self):
        """Of volumes: what Nova's database still has of servers that are gone, what Cinder has of servers that have
        no such volume, and volumes that are in use without an attachment."""
        left, known = self.recorded_attachments("<>"), set(self.recorded_attachments("="))
        try:
            volumes = self.cloud.block_storage
            found = volumes.get("/attachments/detail?all_tenants=1", timeout=5).json()["attachments"]
            held = volumes.get("/volumes/detail?all_tenants=1", timeout=5).json()["volumes"]
        except Exception:  # there is no Cinder in this lab
            return left
        used = {attachment["volume_id"] for attachment in found}
        return (left + [a["id"] for a in found if a["instance"] and a["id"] not in known] +
                [f"{v['id']}:{v['status']}" for v in held if v["status"] in HELD and v["id"] not in used])

    def recorded_attachments(self, deleted):
        """In Nova's database, of servers whose 'deleted' is "=" or "<>" 0."""
        sql = ("SELECT b.attachment_id FROM nova.block_device_mapping b JOIN nova.instances i ON i.uuid ="
               f" b.instance_uuid WHERE b.deleted = 0 AND b.attachment_id IS NOT NULL AND i.deleted {deleted} 0")
        return select(sql)

    def tasks(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        return [f"{uuid}:{server['OS-EXT-STS:task_state']}" for uuid, server in self.servers.items()
                if server["OS-EXT-STS:task_state"] and
                (now - datetime.datetime.fromisoformat(server["updated"].replace("Z", "+00:00"))).total_seconds()
                > self.patience]


def main():
    left = Audit(openstack.connect(), sys.argv[1], int(os.environ.get("AUDIT_PATIENCE", 60))).look()
    for kind, names in left.items():
        print(kind, len(names), *names)
    return any(left.values())


if __name__ == "__main__":
    sys.exit(main())
