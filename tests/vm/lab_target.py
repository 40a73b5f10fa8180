# SPDX-License-Identifier: Apache-2.0
"""Cinder back ends whose volumes are in the test VM: logical volumes that its kernel exports by iSCSI (tests/vm/target), files
that it exports by NFS (tests/vm/nfs).  Cinder's own drivers would have to run in the VM: emulated, their service takes minutes
to start and one to export a volume."""
import secrets

from cinder import exception
from cinder import interface
from cinder.image import image_utils
from cinder.volume import driver

import ask

class VmDriver(driver.VolumeDriver):
    VERSION = "1.0"
    script = protocol = None

    def run(self, *words):
        status, output = ask.run(" ".join([self.script, *map(str, words)]))
        if status:
            raise exception.VolumeBackendAPIException(data=f"{words}: {output}")

    def do_setup(self, context):
        self.run("start")

    def check_for_setup_error(self):
        pass

    def _update_volume_stats(self):
        name = self.configuration.volume_backend_name
        self._stats = {
            "volume_backend_name": name, "vendor_name": "lab", "driver_version": self.VERSION, "storage_protocol": self.protocol,
            "pools": [{"pool_name": name, "total_capacity_gb": 4, "free_capacity_gb": 4, "reserved_percentage": 0,
                       "thick_provisioning_support": True}]}

    def create_volume(self, volume):
        self.run("create", volume["name"], volume["size"])

    def delete_volume(self, volume):
        self.run("remove", volume["name"])

    def extend_volume(self, volume, new_size):
        self.run("extend", volume["name"], new_size)

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        path = ask.SHARE / volume["name"]
        image_utils.fetch_to_raw(context, image_service, image_id, str(path), "1M", size=volume["size"], run_as_root=False)
        self.run("fill", volume["name"], f"/vmrun/{path.name}")
        path.unlink()

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass


@interface.volumedriver
class TargetDriver(VmDriver):
    script, protocol = "tests/vm/target", "iSCSI"

    def initialize_connection(self, volume, connector):
        password = secrets.token_hex(8)
        self.run("export", volume["name"], connector["initiator"], "kilonova", password)
        return {"driver_volume_type": "iscsi",
                "data": {"target_discovered": False, "target_portal": f"{connector['ip']}:3260", "target_lun": 0,
                         "target_iqn": f"iqn.2010-10.org.openstack:{volume['name']}", "volume_id": volume["id"],
                         "auth_method": "CHAP", "auth_username": "kilonova", "auth_password": password}}

    def terminate_connection(self, volume, connector, **kwargs):
        self.run("unexport", volume["name"])


@interface.volumedriver
class NfsDriver(VmDriver):
    script, protocol = "tests/vm/nfs", "nfs"

    def initialize_connection(self, volume, connector):
        return {"driver_volume_type": "nfs",
                "data": {"export": f"{connector['ip']}:/", "name": volume["name"], "options": "-o vers=4.2", "format": "raw"}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass
