# SPDX-License-Identifier: Apache-2.0
"""Images, flavors, networks and quotas of the lab, made where they are missing."""
import hashlib
import os
import pathlib

import openstack

IMAGES = {"guest": ("guest.qcow2", "qcow2"), "hlt": ("hlt.raw", "raw")}
FLAVORS = {
    "guest": {"ram": 256, "disk": 1},
    "tiny": {"ram": 64, "disk": 1},
    "disks": {"ram": 256, "disk": 1, "ephemeral": 1, "swap": 64},
}
# The provider network's addresses are the machine's own on physnet1: guests answer without a router, and routers (up
# router) have their floating addresses there.
PREFIX = os.environ["LAB_PHYS_ADDR"].rsplit(".", 1)[0]
NETWORKS = {
    "provider": ({"provider:network_type": "flat", "provider:physical_network": "physnet1"},
                 {"cidr": f"{PREFIX}.0/24", "gateway_ip": f"{PREFIX}.1",
                  "allocation_pools": [{"start": f"{PREFIX}.100", "end": f"{PREFIX}.250"}]}),
    "tenant": ({}, {"cidr": "10.99.0.0/24"}),
}
RULES = [{"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}]


def seed_images(cloud, images):
    folder = pathlib.Path(os.environ["LAB_DIR"]) / "images"
    have = {image.name: image for image in cloud.image.images()}
    for name, (file, disk_format) in images.items():
        path = folder / file
        digest = hashlib.sha512(path.read_bytes()).hexdigest()
        if name in have and have[name].hash_value == digest:
            continue
        if name in have:
            cloud.image.delete_image(have[name])
        cloud.create_image(name, filename=str(path), disk_format=disk_format, container_format="bare",
                           visibility="public", wait=True)
        print(f"image {name}")


def seed_flavors(cloud, flavors):
    have = {flavor.name: flavor for flavor in cloud.compute.flavors()}
    for name, sizes in flavors.items():
        if name in have:
            if all(have[name][key] == value for key, value in sizes.items()):
                continue
            cloud.compute.delete_flavor(have[name])
        cloud.compute.create_flavor(name=name, vcpus=1, **sizes)
        print(f"flavor {name}")


def seed_networks(cloud):
    have = {network.name: network for network in cloud.network.networks()}
    for name, (network, subnet) in NETWORKS.items():
        if name not in have:
            have[name] = cloud.network.create_network(name=name, shared=True, **network)
            print(f"network {name}")
        if name == "provider" and not have[name].is_router_external:
            cloud.network.update_network(have[name], is_router_external=True)
        if not have[name].subnet_ids:
            cloud.network.create_subnet(name=name, network_id=have[name].id, ip_version=4, **subnet)


def seed_rules(cloud, project):
    group = next(cloud.network.security_groups(project_id=project, name="default"))
    have = {(rule["protocol"], rule["direction"]) for rule in group.security_group_rules}
    for rule in RULES:
        if (rule["protocol"], "ingress") not in have:
            cloud.network.create_security_group_rule(security_group_id=group.id, direction="ingress", **rule)


def seed_quotas(cloud, project):
    if cloud.get_compute_quotas(project).cores != -1:
        cloud.set_compute_quotas(project, cores=-1, instances=-1, ram=-1, key_pairs=-1)
        cloud.set_network_quotas(project, port=-1)


if __name__ == "__main__":
    lab = openstack.connect()
    seed_images(lab, IMAGES)
    seed_flavors(lab, FLAVORS)
    seed_networks(lab)
    seed_rules(lab, lab.current_project_id)
    seed_quotas(lab, lab.current_project_id)
