# SPDX-License-Identifier: Apache-2.0
"""A Cinder back end for a machine without device-mapper, iSCSI, NFS or Ceph: a volume is a sparse file that
the compute host of the same machine opens.  Its connections are of type 'gpfs', the one of Nova's types
that is nothing but a file."""
import os
import subprocess

from cinder import interface
from cinder.image import image_utils
from cinder.volume import driver
from cinder.volume import volume_utils
from oslo_config import cfg

OPTIONS = [cfg.StrOpt('files_folder', help='where the volumes are')]
cfg.CONF.register_opts(OPTIONS)


@interface.volumedriver
class FilesDriver(driver.VolumeDriver):
    VERSION = '1.0'

    def do_setup(self, context):
        self.configuration.append_config_values(OPTIONS)
        self.folder = self.configuration.files_folder
        os.makedirs(self.folder, exist_ok=True)

    def check_for_setup_error(self):
        pass

    def _update_volume_stats(self):
        self._stats = {
            'volume_backend_name': self.configuration.safe_get('volume_backend_name'),
            'vendor_name': 'lab', 'driver_version': self.VERSION, 'storage_protocol': 'file',
            'pools': [{'pool_name': 'files', 'total_capacity_gb': 100, 'free_capacity_gb': 100,
                       'reserved_percentage': 0, 'multiattach': True, 'thick_provisioning_support': True}]}

    def _path(self, volume_or_snapshot):
        return os.path.join(self.folder, volume_or_snapshot['name'])

    def _copy(self, source, target, gibibytes=None):
        subprocess.run(['cp', '--sparse=always', source, target], check=True)
        if gibibytes:
            os.truncate(target, gibibytes << 30)

    def _remove(self, path):
        if os.path.exists(path):
            os.unlink(path)

    # ---- volumes and snapshots ----

    def create_volume(self, volume):
        with open(self._path(volume), 'wb') as file:
            file.truncate(volume['size'] << 30)

    def create_cloned_volume(self, volume, source):
        self._copy(self._path(source), self._path(volume), volume['size'])

    def create_volume_from_snapshot(self, volume, snapshot):
        self._copy(self._path(snapshot), self._path(volume), volume['size'])

    def delete_volume(self, volume):
        self._remove(self._path(volume))

    def extend_volume(self, volume, new_size):
        os.truncate(self._path(volume), new_size << 30)

    def create_snapshot(self, snapshot):
        self._copy(self._path(snapshot['volume']), self._path(snapshot))

    def delete_snapshot(self, snapshot):
        self._remove(self._path(snapshot))

    # ---- images ----

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        image_utils.fetch_to_raw(context, image_service, image_id, self._path(volume), '1M',
                                 size=volume['size'], run_as_root=False)
        os.truncate(self._path(volume), volume['size'] << 30)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        volume_utils.upload_volume(context, image_service, image_meta, self._path(volume), volume, run_as_root=False)

    # ---- connections ----

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        return {'driver_volume_type': 'gpfs',
                'data': {'device_path': self._path(volume), 'access_mode': 'rw', 'name': volume['name']}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass
