# SPDX-License-Identifier: Apache-2.0
"""Versioned payloads against Nova's own samples, doc/notification_samples of its source distribution, which pip fetches.

Each sample of a notification that a compute emits is turned into what the agent would know (an Instance, mappings, an
exception), rendered by render_notification, and has to come out as the sample says."""
import copy
import glob
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

NOVA = "nova==34.0.0"
RENDER = os.environ.get("RENDER_NOTIFICATION", str(pathlib.Path(__file__).parent / "render_notification"))

# Samples of what a compute does not emit: the API, the conductor and the scheduler do.
ELSEWHERE = {"instance-lock", "instance-lock-with-reason", "instance-unlock", "instance-rebuild_scheduled", "instance-evacuate",
             "instance-update", "instance-update-tags-action", "instance-delete-start_compute_down",
             "instance-delete-end_compute_down", "instance-delete-start_not_scheduled", "instance-delete-end_not_scheduled"}
POWER = {"pending": 0, "running": 1, "paused": 3, "shutdown": 4, "crashed": 6, "suspended": 7}
# payload's member → Instance's, where the names differ
RENAMED = {"tenant_id": "project_id", "host_name": "hostname", "image_uuid": "image_ref", "state": "vm_state"}
SAME = ("uuid", "user_id", "reservation_id", "display_name", "display_description", "host", "node", "os_type", "architecture",
        "availability_zone", "key_name", "kernel_id", "ramdisk_id", "created_at", "launched_at", "terminated_at", "deleted_at",
        "updated_at", "task_state", "progress", "metadata", "locked")
OWN = ("volume_id", "old_volume_id", "new_volume_id", "share_id", "snapshot_image_id", "rescue_image_ref")


def fetch():
    """The folder of samples, unless KILONOVA_NOTIFICATION_SAMPLES says where they lie already."""
    if "KILONOVA_NOTIFICATION_SAMPLES" in os.environ:
        return pathlib.Path(os.environ["KILONOVA_NOTIFICATION_SAMPLES"])
    folder = tempfile.mkdtemp(prefix="nova-samples-")
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "nova", "-d", folder, NOVA],
                   check=True, capture_output=True)
    with tarfile.open(glob.glob(f"{folder}/*.tar.gz")[0]) as archive:
        archive.extractall(folder, [m for m in archive.getmembers() if "/doc/notification_samples/" in m.name])
    return pathlib.Path(glob.glob(f"{folder}/nova-*/doc/notification_samples")[0])


def merge(base, over):
    result = copy.deepcopy(base)
    for key, value in over.items():
        result[key] = merge(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
    return result


def resolve(folder, value):
    """JSON references, with what stands beside them laid over, as Nova's own tests do."""
    if isinstance(value, list):
        return [resolve(folder, item) for item in value]
    if not isinstance(value, dict):
        return value
    value = dict(value)
    reference = value.pop("$ref", None)
    own = {key: resolve(folder, item) for key, item in value.items()}
    if reference is None:
        return own
    path = (folder / reference.rstrip("#")).resolve()
    return merge(resolve(path.parent, json.loads(path.read_text())), own)


def obj(name, data):
    return {"nova_object.name": name, "nova_object.namespace": "nova", "nova_object.version": "1.0", "nova_object.data": data}


def data_of(payload):
    return payload["nova_object.data"]


def vifs_of(addresses):
    return [{"id": ip["port_uuid"], "address": ip["mac"], "devname": ip["device_name"], "meta": ip["meta"],
             "network": {"label": ip["label"], "subnets": [{"ips": [{"address": ip["address"], "type": "fixed",
                                                                     "version": ip["version"]}]}]}}
            for ip in map(data_of, addresses)]


def instance_of(data):
    """The Instance whose payload that would be."""
    instance = {key: data[key] for key in SAME} | {theirs: data[ours] for ours, theirs in RENAMED.items()}
    instance["power_state"] = POWER.get(data["power_state"])
    instance["auto_disk_config"] = data["auto_disk_config"] == "AUTO"
    instance["flavor"] = obj("Flavor", data_of(data["flavor"]))
    instance["system_metadata"] = {"locked_reason": data["locked_reason"]} if data["locked_reason"] else {}
    instance["info_cache"] = obj("InstanceInfoCache", {"network_info": json.dumps(vifs_of(data["ip_addresses"]))})
    instance["keypairs"] = obj("KeyPairList", {"objects": [obj("KeyPair", data_of(k)) for k in data.get("keypairs", [])]})
    instance["tags"] = obj("TagList", {"objects": [obj("Tag", {"tag": tag}) for tag in data.get("tags", [])]})
    certificates = data.get("trusted_image_certificates")
    instance["trusted_certs"] = obj("TrustedCerts", {"ids": certificates}) if certificates else None
    return instance


def error_of(data):
    return {"class": data["exception"], "message": data["exception_message"], "module": "nova.exception"}


def facts_of(data):
    facts = {"instance": instance_of(data), "instance_name": data.get("instance_name"),
             "context": {"_context_request_id": data["request_id"], "_context_user_id": data["action_initiator_user"],
                         "_context_project_id": data["action_initiator_project"]},
             "fields": {key: data[key] for key in OWN if key in data},
             "shares": None if data["shares"] is None else [
                 obj("ShareMapping", {"uuid": s["share_mapping_uuid"], "share_id": s["share_id"], "status": s["status"],
                                      "tag": s["tag"]}) for s in map(data_of, data["shares"])],
             "bdms": None if data["block_devices"] is None else [data_of(b) for b in data["block_devices"]]}
    if data.get("new_flavor"):
        facts["fields"]["new_flavor"] = obj("Flavor", data_of(data["new_flavor"]))
    if data.get("fault"):
        facts["error"] = error_of(data_of(data["fault"]))
    return facts


def without_program(value):
    """Which Python function raised, and its stack, is not what another program can say. The samples' export_location
    is in no payload of nova.notifications.objects.instance.SharePayload."""
    if isinstance(value, list):
        return [without_program(item) for item in value]
    if isinstance(value, dict):
        return {k: without_program(v) for k, v in value.items()
                if k not in ("module_name", "function_name", "traceback", "export_location")}
    return value


class Samples(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = fetch()
        cls.render = subprocess.Popen([RENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @classmethod
    def tearDownClass(cls):
        cls.render.stdin.close()
        cls.render.wait()
        cls.render.stdout.close()

    def rendered(self, facts):
        self.render.stdin.write(json.dumps(facts) + "\n")
        self.render.stdin.flush()
        return json.loads(self.render.stdout.readline())

    def sample(self, name):
        return resolve(self.folder, json.loads((self.folder / f"{name}.json").read_text()))

    def assert_equal(self, sample, facts):
        self.assertEqual(without_program(sample["payload"]), without_program(self.rendered(facts)))

    def test_every_instance_action(self):
        names = sorted(p.stem for p in self.folder.glob("instance-*.json"))
        checked, different = 0, []
        for name in names:
            if name in ELSEWHERE or name == "instance-exists":
                continue
            sample = self.sample(name)
            action = sample["event_type"].split(".")[1]
            try:
                self.assert_equal(sample, facts_of(data_of(sample["payload"])) | {"action": action})
            except AssertionError as error:
                different.append(f"{name}: {error}")
            checked += 1
        self.assertEqual(different, [])
        self.assertGreater(checked, 70)

    def test_exists(self):
        sample = self.sample("instance-exists")
        data = data_of(sample["payload"])
        period = data_of(data["audit_period"])
        self.assert_equal(sample, facts_of(data) | {"kind": "exists", "begin": period["audit_period_beginning"],
                                                    "end": period["audit_period_ending"]})

    def test_exceptions(self):
        sample = self.sample("compute-exception")
        self.assert_equal(sample, {"kind": "exception", "error": error_of(data_of(sample["payload"]))})
        sample = self.sample("libvirt-connect-error")
        data = data_of(sample["payload"])
        self.assert_equal(sample, {"kind": "libvirt", "ip": data["ip"], "error": error_of(data_of(data["reason"]))})


if __name__ == "__main__":
    unittest.main()
