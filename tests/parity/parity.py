# SPDX-License-Identifier: Apache-2.0
"""Asks the same operations of nova-compute and of kilonovad and compares what users, operators and the notification bus
see of each: see run and operations.txt."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import uuid

import openstack
from nova import config, context, exception, objects
from nova.compute import rpcapi

HERE = pathlib.Path(__file__).resolve().parent
LAB = HERE.parent / "lab"
sys.path.insert(0, str(LAB))
from notification_bus import Bus  # noqa: E402

HOST = os.environ["LAB_HOST"]
AGENTS = ("nova-compute", "kilonovad")
KEPT = pathlib.Path(os.environ.get("KILONOVA_PARITY_DIR") or pathlib.Path(os.environ["LAB_DIR"]) / "parity")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SHARE = "00000000-0000-4000-8000-000000000001"
# Both agents hold libvirt's event of a guest that stopped back for 15 s; after these it would come amid the next operation.
LEAVES_GUEST_OFF = ("guest_stops", "rescue_bad_image", "rebuild_bad_image")
PATIENCE = float(os.environ.get("KILONOVA_PARITY_PATIENCE", 180))

# Members of payloads that show the program and not what it did, and numbers of the data base.
PROGRAM = ("instance_type_id", "new_instance_type_id", "traceback", "module_name", "function_name")


def lab(*argv):
    result = subprocess.run([str(LAB / argv[0]), *argv[1:]], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{argv}: exit {result.returncode}\n{result.stdout}{result.stderr}")


def virsh(*argv):
    subprocess.run(["virsh", "-q", "-c", os.environ["LAB_LIBVIRT_URI"], *argv], check=True, capture_output=True)


class Cloud:
    def __init__(self):
        self.cloud = openstack.connect()
        self.compute = self.cloud.compute
        self.ctxt = context.get_admin_context().elevated(read_deleted="yes")
        self.cell = next(c for c in objects.CellMappingList.get_all(self.ctxt) if not c.is_cell0())
        context.set_target_cell(self.ctxt, self.cell)
        self.agent = rpcapi.ComputeAPI()
        self.server = None
        self.prepare()

    # ---- what both agents get alike ----

    def prepare(self):
        data = (pathlib.Path(os.environ["LAB_DIR"]) / "images/hlt.raw").read_bytes()
        for image in self.cloud.image.images():
            if image.name.startswith("parity"):
                self.cloud.image.delete_image(image)
        self.images = {name: self.cloud.image.create_image(f"parity-{name}", data=data, disk_format="raw",
                                                           container_format="bare", **properties)
                       for name, properties in (("one", {}), ("two", {}), ("machine", {"hw_machine_type": "none-such"}),
                                                ("stable", {"hw_rescue_device": "disk", "hw_rescue_bus": "virtio"}),
                                                ("agent", {"hw_qemu_guest_agent": "yes", "os_require_quiesce": "yes"}))}
        self.images["bad"] = self.cloud.image.create_image("parity-liar", data=b"no image" * 4096, disk_format="qcow2",
                                                           container_format="bare")
        for flavor in self.compute.flavors():
            if flavor.name.startswith("parity"):
                self.compute.delete_flavor(flavor)
        self.flavors = {name: self.compute.create_flavor(name=f"parity-{name}", ram=ram, disk=disk, vcpus=1)
                        for name, ram, disk in (("small", 64, 1), ("large", 96, 2))}
        network = self.cloud.network.find_network("provider")
        self.port = self.cloud.network.find_port("parity") or self.cloud.network.create_port(
            network_id=network.id, name="parity")
        self.named = {self.port.id: "PORT", network.id: "NETWORK", **{i.id: f"IMAGE {n}" for n, i in self.images.items()},
                      **{f.id: f"FLAVOR {n}" for n, f in self.flavors.items()}}

    def new_server(self, image):
        self.server = self.compute.create_server(
            name="parity", flavor_id=self.flavors["small"].id, image_id=self.images[image].id,
            networks=[{"port": self.port.id}], metadata={"a": "b"})

    def ask(self, method, task_state=None, action=None, **args):
        """What Nova's own client answers, where no request to the lab's API leads to the method."""
        ctxt = context.RequestContext(user_id=self.ctxt.user_id, project_id=self.cloud.current_project_id,
                                      is_admin=True, roles=["admin"])
        context.set_target_cell(ctxt, self.cell)
        instance = objects.Instance.get_by_uuid(
            ctxt, self.server.id, expected_attrs=["metadata", "system_metadata", "info_cache", "flavor"])
        if action:
            objects.InstanceAction.action_start(ctxt, instance.uuid, action, want_result=False)
        if task_state:
            instance.task_state = task_state
            instance.save()
        return getattr(self.agent, method)(ctxt, instance=instance, **args)

    def console(self, protocol, kind):
        self.compute.create_server_remote_console(self.server, protocol=protocol, type=kind)

    def host(self, method, path="", **kwargs):
        answer = self.compute.request(f"/os-hosts/{HOST}{path}", method, microversion="2.1", raise_exc=False, **kwargs)
        return [answer.status_code, answer.json()]

    # ---- the operations: what they return is compared, too ----

    def create(self):
        self.new_server("one")

    def create_with_agent(self):
        self.new_server("agent")

    def create_bad_image(self):
        self.new_server("bad")

    def create_bad_machine(self):
        self.remove()
        self.new_server("machine")

    def console_output(self):
        self.compute.get_server_console_output(self.server, length=5)

    def vnc_console(self):
        self.console("vnc", "novnc")

    def serial_console(self):
        self.console("serial", "serial")

    def spice_console(self):
        self.console("spice", "spice-html5")

    def mks_console(self):
        self.console("mks", "webmks")

    def validate_port(self):
        return self.ask("validate_console_port", port="1", console_type="novnc")

    def set_password(self):
        self.compute.change_server_password(self.server, "secret")

    def quiesce(self):
        self.ask("quiesce_instance")

    def unquiesce(self):
        self.ask("unquiesce_instance", mapping=None)

    def diagnostics(self):
        return sorted(self.compute.get(f"/servers/{self.server.id}/diagnostics", microversion="2.1").json())

    def diagnostics_standard(self):
        found = self.compute.get(f"/servers/{self.server.id}/diagnostics", microversion="2.48").json()
        return {name: [sorted(item) for item in value] if isinstance(value, list) else
                sorted(value) if isinstance(value, dict) else "" if name == "uptime" else value
                for name, value in found.items()}

    def network_info(self):
        self.compute.post(f"/servers/{self.server.id}/action", json={"injectNetworkInfo": None})

    def cache_images(self):
        aggregate = self.compute.create_aggregate(name="parity")
        self.compute.add_host_to_aggregate(aggregate, HOST)
        try:
            self.compute.aggregate_precache_images(aggregate, [self.images["one"].id])
            time.sleep(5)
        finally:
            self.compute.remove_host_from_aggregate(aggregate, HOST)
            self.compute.delete_aggregate(aggregate)

    def share(self, method):
        """Of a share of Manila's, which the lab does not have."""
        ctxt = context.get_admin_context()
        context.set_target_cell(ctxt, self.cell)
        mapping = objects.ShareMapping(
            ctxt, uuid=str(uuid.uuid4()), instance_uuid=self.server.id, share_id=SHARE, status="attaching", tag="parity",
            export_location="192.0.2.1:/share", share_proto="NFS")
        mapping.create()
        try:
            self.ask(method, action=method.replace("allow", "attach").replace("deny", "detach"), share_mapping=mapping)
            time.sleep(5)
        finally:
            mapping.delete()

    def allow_share(self):
        self.share("allow_share")

    def deny_share(self):
        self.share("deny_share")

    def host_disable(self):
        return self.host("PUT", json={"status": "disable"})

    def host_enable(self):
        return self.host("PUT", json={"status": "enable"})

    def host_maintenance(self):
        return self.host("PUT", json={"maintenance_mode": "enable"})

    def host_reboot(self):
        return self.host("GET", "/reboot")

    def pause(self):
        self.compute.pause_server(self.server)

    def unpause(self):
        self.compute.unpause_server(self.server)

    def suspend(self):
        self.compute.suspend_server(self.server)

    def resume(self):
        self.compute.resume_server(self.server)

    def reboot_soft(self):
        self.compute.reboot_server(self.server, "SOFT")

    def reboot_hard(self):
        self.compute.reboot_server(self.server, "HARD")

    def crash_dump(self):
        self.compute.trigger_server_crash_dump(self.server)

    def stop(self):
        self.compute.stop_server(self.server)

    def start(self):
        self.compute.start_server(self.server)

    def rescue(self):
        self.compute.rescue_server(self.server, image_ref=self.images["two"].id)

    def rescue_stable(self):
        self.compute.rescue_server(self.server, image_ref=self.images["stable"].id)

    def rescue_bad_image(self):
        self.compute.rescue_server(self.server, image_ref=self.images["bad"].id)

    def unrescue(self):
        self.compute.unrescue_server(self.server)

    def snapshot(self):
        self.compute.create_server_image(self.server, "parity-snapshot", wait=True, timeout=PATIENCE)

    def backup(self):
        self.compute.backup_server(self.server, "parity-backup", "daily", 1)

    def rebuild(self):
        self.compute.rebuild_server(self.server, self.images["one"].id)

    def rebuild_other_image(self):
        self.compute.rebuild_server(self.server, self.images["two"].id)

    def rebuild_preserving(self):
        self.compute.rebuild_server(self.server, self.images["two"].id, preserve_ephemeral=True)

    def rebuild_bad_image(self):
        self.compute.rebuild_server(self.server, self.images["bad"].id)

    def resize(self):
        self.compute.resize_server(self.server, self.flavors["large"].id)

    def resize_down(self):
        self.compute.resize_server(self.server, self.flavors["small"].id)

    def migrate(self):
        self.compute.migrate_server(self.server)

    def revert_resize(self):
        self.compute.revert_server_resize(self.server)

    def confirm_resize(self):
        self.compute.confirm_server_resize(self.server)

    def shelve(self):
        self.compute.shelve_server(self.server)

    def shelve_offload(self):
        self.compute.shelve_offload_server(self.server)

    def unshelve(self):
        self.compute.unshelve_server(self.server)

    def guest_stops(self):
        virsh("destroy", self.server.id)

    def soft_delete(self):
        self.ask("soft_delete_instance", "soft-deleting", "softDelete")

    def restore(self):
        self.compute.restore_server(self.server)

    def force_delete(self):
        self.compute.delete_server(self.server, force=True)

    def delete(self):
        self.compute.delete_server(self.server)

    # ---- what is seen of it ----

    def settled(self, state):
        try:
            fresh = self.compute.get_server(self.server.id)
        except openstack.exceptions.NotFoundException:
            return "DELETED"
        if fresh.task_state is None and (fresh.status == state or fresh.status == "ERROR"):
            return fresh.status
        return None

    def actions(self):
        """{request: lines of an action with its events}"""
        found = {}
        for action in reversed(objects.InstanceActionList.get_by_instance_uuid(self.ctxt, self.server.id)):
            lines = [f"{action.action}: {action.message}"]
            for event in reversed(objects.InstanceActionEventList.get_by_action(self.ctxt, action.id)):
                lines.append(f"{event.event} on {event.host}: {event.result} {event.details}"
                             f"{'' if event.finish_time else ' (not finished)'}")
            found[action.request_id] = lines
        return found

    def fault(self):
        try:
            faults = objects.InstanceFaultList.get_by_instance_uuids(self.ctxt, [self.server.id])
        except exception.NovaException:
            return None
        return [f"{fault.code} {fault.message} on {fault.host}" for fault in faults]

    def last_seen(self):
        services = objects.ServiceList.get_by_binary(self.ctxt, "nova-compute", include_disabled=True)
        return next((service.last_seen_up for service in services if service.host == HOST), None)

    def remove_all(self):
        """What an interrupted run left."""
        for server in self.compute.servers(name="parity"):
            self.compute.delete_server(server)
            self.compute.wait_for_delete(server, wait=PATIENCE)

    def remove(self):
        if not self.server:
            return
        self.compute.delete_server(self.server, ignore_missing=True)
        try:
            self.compute.wait_for_delete(self.server, wait=PATIENCE)
        except openstack.exceptions.SDKException:
            pass
        self.server = None

    def scrub(self, value):
        """Ids and times, which are new each time."""
        text = json.dumps(value, sort_keys=True)
        text = re.sub(r"req-" + UUID.pattern, "REQUEST", text)
        text = UUID.sub(lambda m: self.named.get(m.group(), "UUID"), text)
        text = re.sub(r"instance-[0-9a-f]{8}", "INSTANCE", text)
        text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?", "TIME", text)
        text = re.sub(r"r-[0-9a-z]{8}\b", "RESERVATION", text)
        text = re.sub(r" 0x[0-9a-f]+|\b\d+\.\d+ seconds", "", text)
        return json.loads(text)


def without_program(value):
    if isinstance(value, dict):
        return {k: without_program(v) for k, v in value.items() if k not in PROGRAM}
    if isinstance(value, list):
        return [without_program(v) for v in value]
    return value


def notices(found):
    result = {}
    for topic, is_versioned in (("legacy", False), ("versioned", True)):
        result[topic] = []
        for notice in found:
            if ":" not in notice["publisher_id"] if is_versioned else ":" in notice["publisher_id"]:
                continue
            payload = without_program(notice["payload"])
            if set(payload) == {"exception", "args"}:  # Nova's shows the context with its token
                payload["args"] = sorted(payload["args"])
            result[topic].append([notice["event_type"], notice["priority"], payload])
    return result


def run_one(cloud, bus, name, state):
    """What the operation left."""
    before = cloud.actions() if cloud.server and not name.startswith("create") else {}
    faults = len(cloud.fault()) if cloud.server and not name.startswith("create") else 0
    answer = None
    try:
        answer = getattr(cloud, name)()
    except openstack.exceptions.SDKException as error:
        answer = f"{getattr(error, 'status_code', None)} {getattr(error, 'details', None) or error}"
    except exception.NovaException as error: # raised in the agent
        answer = f"{type(error).__name__.removesuffix('_Remote')} {str(error).splitlines()[0]}"
    except (subprocess.CalledProcessError, AttributeError, TypeError) as error:
        answer = repr(error)
    deadline = time.monotonic() + PATIENCE
    if name in LEAVES_GUEST_OFF:
        time.sleep(17)
    time.sleep(0.5)
    while not (now := cloud.settled(state)) and time.monotonic() < deadline:
        time.sleep(0.5)
    found = bus.take()
    return cloud.scrub({
        "answer": answer,
        "state": now or "not settled",
        "actions": [lines for request, lines in cloud.actions().items() if before.get(request) != lines],
        "faults": cloud.fault()[:len(cloud.fault()) - faults],
        **notices(found),
    })


def run_agent(agent, lines):
    cloud = Cloud()
    cloud.remove_all()
    for other in AGENTS:
        lab("agent", other, "stop", HOST)
    seen = cloud.last_seen()
    lab("agent", agent, "start", HOST, "oslo_messaging_notifications.driver=messagingv2",
        "notifications.notification_format=both", "DEFAULT.sync_power_state_interval=-1",
        "DEFAULT.shelved_offload_time=-1")
    while cloud.last_seen() == seen:
        time.sleep(0.5)
    time.sleep(10)  # its first report to Placement
    bus = Bus()
    results = []
    try:
        for name, state, fails in lines:
            if name.startswith("create"):
                cloud.remove()
                bus.take()
            elif results and results[-1]["state"] != results[-1]["wanted"] or cloud.server is None:
                cloud.remove()
                cloud.new_server("one")
                deadline = time.monotonic() + PATIENCE
                while not cloud.settled("ACTIVE") and time.monotonic() < deadline:
                    time.sleep(0.5)
                bus.take()
            result = run_one(cloud, bus, name, state)
            result.update(name=name, wanted=state, fails=fails)
            results.append(result)
            print(f"{agent} {name}: {result['state']}", file=sys.stderr, flush=True)
    finally:
        cloud.remove()
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{agent}.json").write_text(json.dumps(results, indent=1))


def flat(value, path=""):
    if isinstance(value, dict):
        for key in sorted(value):
            yield from flat(value[key], f"{path}/{key}")
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from flat(item, f"{path}/{n}")
        yield f"{path} has {len(value)}"
    else:
        yield f"{path} = {value!r}"


def differences(expected, actual):
    found = []
    for part in ("answer", "state", "actions", "faults"):
        if expected[part] != actual[part]:
            found.append(f"{part}: nova-compute {expected[part]!r}, kilonovad {actual[part]!r}")
    for topic in ("legacy", "versioned"):
        names = [[n[0] for n in side[topic]] for side in (expected, actual)]
        if names[0] != names[1]:
            found.append(f"{topic} notifications: nova-compute {names[0]}, kilonovad {names[1]}")
            continue
        for left, right in zip(expected[topic], actual[topic]):
            ours, theirs = set(flat(without_program(right))), set(flat(without_program(left)))
            found += [f"{left[0]} nova-compute: {line}" for line in sorted(theirs - ours)]
            found += [f"{left[0]} kilonovad: {line}" for line in sorted(ours - theirs)]
    return found


def short(line):
    """For a cell of the table: whole words."""
    text = line if len(line) <= 160 else line[:160].rpartition(" ")[0] + " ..."
    return text.replace("|", "\\|")


def main():
    lines = []
    for line in (HERE / "operations.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, state, *fails = line.split()
            lines.append((name, state, bool(fails)))
    wanted = os.environ.get("KILONOVA_PARITY_ONLY")
    if wanted:
        lines = [line for line in lines if line[0] in wanted.split(",")]
    config.parse_args(["parity", "--config-file", f"{os.environ['LAB_DIR']}/etc/nova/nova.conf"])
    objects.register_all()
    for agent in AGENTS:
        if agent in sys.argv[1:] or not (KEPT / f"{agent}.json").exists():
            run_agent(agent, lines)
    nova, kilonova = (json.loads((KEPT / f"{agent}.json").read_text()) for agent in AGENTS)
    commit = subprocess.run(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    report = ["# The same operations through nova-compute 34.0.0 and kilonovad", "",
              f"`tests/parity/run` at {commit.strip()}: instance actions with their events, faults and notifications of both "
              "formats, but for ids, times and what names the program (module, function and stack of an exception).", "",
              "| operation | result | what differs |", "|---|---|---|"]
    equal = 0
    for expected, actual in zip(nova, kilonova):
        found = differences(expected, actual)
        equal += not found
        verdict = "different" if found else "equal"
        print(f"{verdict} {expected['name']}")
        for line in found:
            print("   ", line[:600])
        shown = "<br>".join(short(line) for line in found[:6])
        report.append(f"| {expected['name']}{' (fails)' if expected['fails'] else ''} | {verdict} | {shown} |")
    report += ["", f"{equal} of {len(nova)} equal."]
    print(report[-1])
    if not wanted:
        (HERE.parent / "results/parity.md").write_text("\n".join(report) + "\n")
    return 0 if equal == len(nova) else 1


if __name__ == "__main__":
    sys.exit(main())
