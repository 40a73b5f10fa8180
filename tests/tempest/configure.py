# SPDX-License-Identifier: Apache-2.0
"""configure.py FILE: writes the lab's tempest.conf, after making what it names.

Tempest makes its own projects and users (dynamic credentials); all of them share the lab's provider network, whose
addresses are reached from here without a router."""
import os
import pathlib
import sys
import time

import openstack

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))
import seed  # noqa: E402

FLAVORS = {"tempest": {"ram": 192, "disk": 1}, "tempest-bigger": {"ram": 256, "disk": 2}}
IMAGES = {"guest-other": seed.IMAGES["guest"]}  # the same bytes: Tempest rebuilds with it, and wants ssh afterwards

TEMPLATE = """\
[DEFAULT]
log_file = {lab}/log/tempest.log

[oslo_concurrency]
lock_path = {work}/tempest_lock

[auth]
use_dynamic_credentials = true
create_isolated_networks = false
tempest_roles = member
admin_username = {OS_USERNAME}
admin_password = {OS_PASSWORD}
admin_project_name = {OS_PROJECT_NAME}
admin_domain_name = {OS_USER_DOMAIN_NAME}

[identity]
uri_v3 = {OS_AUTH_URL}
auth_version = v3
region = {OS_REGION_NAME}

[service_available]
nova = true
glance = true
neutron = true
cinder = true
swift = false

[compute]
image_ref = {image}
image_ref_alt = {other_image}
flavor_ref = {flavor}
flavor_ref_alt = {bigger_flavor}
fixed_network_name = provider
build_timeout = 1200
build_interval = 1
min_compute_nodes = 1
max_microversion = latest
hypervisor_type = QEMU

[compute-feature-enabled]
resize = true
stable_rescue = true
vnc_console = true
hostname_fqdn_sanitization = true
cold_migration = false
live_migration = false
attach_encrypted_volume = true
volume_multiattach = true
scheduler_enabled_filters = {filters}

[validation]
run_validation = true
connect_method = fixed
network_for_ssh = provider
image_ssh_user = root
image_alt_ssh_user = root
connect_timeout = 30
ssh_timeout = {ssh_timeout}
ping_timeout = {ping_timeout}

[network]
project_network_cidr = 198.51.100.0/24
{public_network}

[network-feature-enabled]
ipv6 = false
floating_ips = {floating}
port_security = true
qos_min_bw_and_pps = true
qos_placement_physnet = physnet1
provider_net_base_segmentation_id = 150
api_extensions = {extensions}

[neutron_plugin_options]
firewall_driver = openvswitch
provider_vlans = physnet1
available_type_drivers = flat,vlan,vxlan
dns_domain = kilonova.test.

[volume]
max_microversion = latest
storage_protocol = ceph
volume_type_multiattach = multiattach

[placement]
max_microversion = latest

[volume-feature-enabled]
backup = false

[scenario]
target_dir = /boot
img_file = {lab}/images/guest.qcow2
img_disk_format = qcow2
"""
# Nova's default, which the lab's scheduler has.
FILTERS = ("ComputeFilter, ComputeCapabilitiesFilter, ImagePropertiesFilter, ServerGroupAntiAffinityFilter, "
           "ServerGroupAffinityFilter")


def wait_for_host(cloud, seconds=120):
    deadline = time.monotonic() + seconds
    while not any(service.binary == "nova-compute" and service.state == "up" for service in cloud.compute.services()):
        if time.monotonic() > deadline:
            sys.exit("no compute service is up")
        time.sleep(1)


def main(work):
    cloud = openstack.connect()
    wait_for_host(cloud)
    seed.seed_images(cloud, {**seed.IMAGES, **IMAGES})
    seed.seed_flavors(cloud, {**seed.FLAVORS, **FLAVORS})
    images = {image.name: image.id for image in cloud.image.images()}
    flavors = {flavor.name: flavor.id for flavor in cloud.compute.flavors()}
    extensions = sorted(extension.alias for extension in cloud.network.extensions())
    public = cloud.network.find_network("provider", ignore_missing=False).id
    patience = int(os.environ.get("TEMPEST_SSH_TIMEOUT", "1800"))
    # With a public network Tempest looks for a floating address also where it reaches servers by their fixed ones.
    for name, floating, public_network in (("tempest.conf", "false", ""),
                                           ("tempest-routed.conf", "true", f"public_network_id = {public}")):
        (work / name).write_text(TEMPLATE.format(
            **os.environ, lab=os.environ["LAB_DIR"], work=work, filters=FILTERS, extensions=", ".join(extensions),
            floating=floating, public_network=public_network,
            ssh_timeout=patience, ping_timeout=patience // 2, image=images["guest"], other_image=images["guest-other"],
            flavor=flavors["tempest"], bigger_flavor=flavors["tempest-bigger"]))


main(pathlib.Path(sys.argv[1]))
