# SPDX-License-Identifier: Apache-2.0
"""A Cinder back end whose volumes are logical volumes of the test VM, exported by the VM's kernel (tests/vm/target).
Cinder's own LVM driver would have to run in the VM: emulated, its service takes minutes to start and one to export a volume."""
import os
import pathlib
import secrets
import time

from cinder import exception
from cinder import interface
from cinder.image import image_utils
from cinder.volume import driver

SHARE = pathlib.Path(os.environ["KILONOVA_VM_SHARE"])


def target(*words, seconds=300):
    name = f"target-{secrets.token_hex(8)}"
    (SHARE / f"{name}.new").write_text(" ".join(["tests/vm/target", *map(str, words)]))
    (SHARE / f"{name}.new").rename(SHARE / f"{name}.ask")
    status = SHARE / f"{name}.status"
    deadline = time.monotonic() + seconds
    while not status.exists():
        if time.monotonic() > deadline:
            raise exception.VolumeBackendAPIException(data=f"{words}: no answer from the VM")
        time.sleep(0.1)
    if int(status.read_text()):
        raise exception.VolumeBackendAPIException(data=f"{words}: {(SHARE / f'{name}.out').read_text()}")


@interface.volumedriver
class TargetDriver(driver.VolumeDriver):
    VERSION = "1.0"

    def do_setup(self, context):
        target("start")

    def check_for_setup_error(self):
        pass

    def _update_volume_stats(self):
        self._stats = {
            "volume_backend_name": "iscsi", "vendor_name": "lab", "driver_version": self.VERSION, "storage_protocol": "iSCSI",
            "pools": [{"pool_name": "iscsi", "total_capacity_gb": 4, "free_capacity_gb": 4, "reserved_percentage": 0,
                       "thick_provisioning_support": True}]}

    def create_volume(self, volume):
        target("create", volume["name"], volume["size"])

    def delete_volume(self, volume):
        target("remove", volume["name"])

    def extend_volume(self, volume, new_size):
        target("extend", volume["name"], new_size)

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        path = SHARE / volume["name"]
        image_utils.fetch_to_raw(context, image_service, image_id, str(path), "1M", size=volume["size"], run_as_root=False)
        target("fill", volume["name"], f"/vmrun/{path.name}")
        path.unlink()

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        password = secrets.token_hex(8)
        target("export", volume["name"], connector["initiator"], "kilonova", password)
        return {"driver_volume_type": "iscsi",
                "data": {"target_discovered": False, "target_portal": f"{connector['ip']}:3260", "target_lun": 0,
                         "target_iqn": f"iqn.2010-10.org.openstack:{volume['name']}", "volume_id": volume["id"],
                         "auth_method": "CHAP", "auth_username": "kilonova", "auth_password": password}}

    def terminate_connection(self, volume, connector, **kwargs):
        target("unexport", volume["name"])
