# SPDX-License-Identifier: Apache-2.0
"""Cinder's volume types and quotas, made where they are missing, and the wait until a back end can be scheduled to:
volume_types.py BACK_END, with the administrator's OS_* variables."""
import sys
import time

import openstack

TYPES = {  # name: (extra specs, encryption)
    "ceph": ({"volume_backend_name": "ceph"}, None),
    "files": ({"volume_backend_name": "files"}, None),
    "iscsi": ({"volume_backend_name": "iscsi"}, None),
    "nfs": ({"volume_backend_name": "nfs"}, None),
    "multiattach": ({"volume_backend_name": "ceph", "multiattach": "<is> True"}, None),
    "luks": ({"volume_backend_name": "ceph"},
             {"provider": "luks", "cipher": "aes-xts-plain64", "key_size": 256, "control_location": "front-end"}),
}


def make_types(volumes, back_end):
    have = {kind.name for kind in volumes.types()}
    for name, (specs, encryption) in TYPES.items():
        if specs["volume_backend_name"] == back_end and name not in have:
            kind = volumes.create_type(name=name, extra_specs=specs)
            if encryption:
                volumes.create_type_encryption(kind, **encryption)


def wait_for_back_end(volumes, back_end, seconds=150):
    """cinder-volume says what it has when it starts and then each minute: the first word is lost on a scheduler that starts later."""
    deadline = time.monotonic() + seconds
    while back_end not in {pool.name.split("#")[1] for pool in volumes.backend_pools()}:
        if time.monotonic() > deadline:
            raise SystemExit(f"Cinder's scheduler does not know {back_end}")
        time.sleep(0.2)


cloud = openstack.connect()
make_types(cloud.block_storage, sys.argv[1])
cloud.set_volume_quotas(cloud.current_project_id, volumes=-1, snapshots=-1, gigabytes=-1)
wait_for_back_end(cloud.block_storage, sys.argv[1])
