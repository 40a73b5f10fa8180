#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the configuration files of the lab.  A file whose text stays the same is left alone.

    conf.py control                                 everything of the control plane and of Neutron's agents
    conf.py compute HOST FILE [SECTION.KEY=VALUE]   nova.conf of a compute agent, kilonovad or nova-compute

lib.sh exports the LAB_* variables that say where and on which addresses.
"""
import base64
import hashlib
import os
import re
import shutil
import sys

LAB = os.environ['LAB_DIR']
ADDR = os.environ['LAB_ADDR']
HOST_ADDR = os.environ['LAB_HOST_ADDR']
HOST = os.environ['LAB_HOST']
OVSDB = os.environ['LAB_OVSDB']
OVS_RUN = os.environ['LAB_OVS_RUN']
DPDK = bool(os.environ.get('LAB_DPDK'))
CEPH_ID = os.environ['LAB_CEPH_ID']
VENV = os.environ['LAB_VENV']
NC_VENV = os.environ['LAB_NC_VENV']
ETC, STATE, RUN, LOG = (f'{LAB}/{part}' for part in ('etc', 'state', 'run', 'log'))

PASSWORD = 'lab'
KEYSTONE = f'http://{ADDR}:5000'
GLANCE = f'http://{ADDR}:9292'
TRANSPORT = f'rabbit://openstack:{PASSWORD}@{ADDR}:5672/'
MEMCACHED = f'{ADDR}:11211'
REGION = 'RegionOne'
FIXED_KEY = '6b' * 32  # of encrypted volumes: there is no Barbican
# Nova's default filters, and the one that looks at the pools of PCI devices that a node reports.
SCHEDULER_FILTERS = ','.join(f'{name}Filter' for name in (
    'Compute', 'ComputeCapabilities', 'ImageProperties', 'ServerGroupAntiAffinity', 'ServerGroupAffinity', 'PciPassthrough'))
# The emulated devices of the test VM (tests/lab/vm).
PCI_ALIASES = [f'{{"name": "{name}", "vendor_id": "1b36", "product_id": "0010", "device_type": "{kind}"}}'
               for name, kind in (('nvme', 'type-PCI'), ('nvme-vf', 'type-VF'), ('nvme-pf', 'type-PF'))]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path) as old:
            if old.read() == text:
                return
    except FileNotFoundError:
        pass
    with open(path + '.new', 'w') as new:
        new.write(text)
    os.replace(path + '.new', path)


def ini(sections):
    """{'section': {'key': value}} as text; a list value becomes one line each (MultiStrOpt)."""
    lines = []
    for name, options in sections.items():
        lines.append(f'[{name}]')
        for key, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                lines.append(f'{key} = {one}'.rstrip())
        lines.append('')
    return '\n'.join(lines)


def database(name):
    return {'connection': f'mysql+pymysql://lab:{PASSWORD}@{ADDR}:3306/{name}?charset=utf8'}


def auth(user, **more):
    return dict({'auth_type': 'password', 'auth_url': f'{KEYSTONE}/v3', 'username': user,
                 'password': PASSWORD, 'project_name': 'service', 'user_domain_name': 'Default',
                 'project_domain_name': 'Default', 'region_name': REGION}, **more)


def tokens(user):
    """How a service checks tokens it is given, and sends its own along with a user's."""
    return {
        'keystone_authtoken': auth(user, www_authenticate_uri=KEYSTONE, memcached_servers=MEMCACHED,
                                   service_token_roles_required='true', service_token_roles='service'),
        'service_user': auth(user, send_service_user_token='true'),
    }


def cache():
    return {'enabled': 'true', 'backend': 'dogpile.cache.pymemcache', 'memcache_servers': MEMCACHED}


def copy_defaults(project):
    """Policies, paste files and the like as the project ships them."""
    shutil.copytree(f'{VENV}/etc/{project}', f'{ETC}/{project}', dirs_exist_ok=True)


# ---- what OpenStack stands on ----------------------------------------------------------------------

def mariadb():
    write(f'{ETC}/my.cnf', ini({'mysqld': {
        'user': 'mysql', 'datadir': f'{STATE}/mysql', 'socket': f'{STATE}/mysql/mysqld.sock',
        'pid-file': f'{STATE}/mysql/mysqld.pid', 'bind-address': ADDR, 'port': 3306,
        'max_connections': 600, 'innodb_buffer_pool_size': '256M',
        'innodb_flush_log_at_trx_commit': 2, 'sync_binlog': 0, 'skip-name-resolve': 1,
        'character-set-server': 'utf8mb3', 'performance_schema': 0}}))


def rabbitmq():
    salt = b'kilo'
    digest = base64.b64encode(salt + hashlib.sha256(salt + PASSWORD.encode()).digest()).decode()
    write(f'{ETC}/rabbitmq/rabbitmq.conf', '\n'.join([
        f'listeners.tcp.lab = {ADDR}:5672', 'loopback_users = none', 'consumer_timeout = 86400000',
        'disk_free_limit.absolute = 100MB', f'load_definitions = {ETC}/rabbitmq/definitions.json', '']))
    write(f'{ETC}/rabbitmq/plugins', '[].\n')
    write(f'{ETC}/rabbitmq/definitions.json', '''{
  "vhosts": [{"name": "/"}],
  "users": [{"name": "openstack", "password_hash": "%s", "tags": "administrator",
             "hashing_algorithm": "rabbit_password_hashing_sha256"}],
  "permissions": [{"user": "openstack", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
  "policies": [{"name": "unread-notifications", "vhost": "/", "apply-to": "queues", "priority": 0,
                "pattern": "^(notifications|versioned_notifications)", "definition": {"max-length": 2000}}]
}
''' % digest)


# ---- the services ----------------------------------------------------------------------------------

def keystone():
    keys = f'{ETC}/keystone'
    write(f'{ETC}/keystone/keystone.conf', ini({
        'DEFAULT': {'debug': 'false'},
        'database': database('keystone'),
        'token': {'provider': 'fernet'},
        'identity': {'password_hash_rounds': 4},  # Tempest makes users all the time; nobody steals them here
        'fernet_tokens': {'key_repository': f'{keys}/fernet-keys'},
        'fernet_receipts': {'key_repository': f'{keys}/receipt-keys'},
        'credential': {'key_repository': f'{keys}/credential-keys'},
        'cache': cache()}))


def placement():
    write(f'{ETC}/placement/placement.conf', ini({
        'DEFAULT': {'debug': 'false'},
        'api': {'auth_strategy': 'keystone'},
        'placement_database': database('placement'),
        **tokens('placement')}))


def glance():
    copy_defaults('glance')
    stores = {name: f'{STATE}/glance/{name}' for name in ('images', 'staging', 'tasks')}
    for folder in stores.values():
        os.makedirs(folder, exist_ok=True)
    has_ceph = 'LAB_CEPH' in os.environ  # a store that cannot be reached when Glance starts is none
    write(f'{ETC}/glance/glance-api.conf', ini({
        'DEFAULT': {'debug': 'false', 'enabled_backends': 'file:file,ceph:rbd' if has_ceph else 'file:file',
                    'bind_host': ADDR, 'transport_url': TRANSPORT, 'show_image_direct_url': 'false',
                    'show_multiple_locations': str(has_ceph).lower(),
                    'worker_self_reference_url': GLANCE, 'use_keystone_limits': 'false'},
        'database': database('glance'),
        'glance_store': {'default_backend': 'file'},
        'file': {'filesystem_store_datadir': stores['images']},
        'ceph': {'rbd_store_pool': 'images', 'rbd_store_user': 'cinder', 'rbd_store_ceph_conf': f'{ETC}/ceph/ceph.conf',
                 'rados_connect_timeout': 20},
        'oslo_concurrency': {'lock_path': f'{STATE}/glance/lock'},
        'os_glance_staging_store': {'filesystem_store_datadir': stores['staging']},
        'os_glance_tasks_store': {'filesystem_store_datadir': stores['tasks']},
        # A store of old has images that lie: the agent must not trust what it is given.
        'image_format': {'require_image_format_match': 'false'},
        'paste_deploy': {'flavor': 'keystone'},
        'oslo_messaging_notifications': {'driver': 'noop'},
        **tokens('glance')}))


def nova():
    copy_defaults('nova')
    write(f'{ETC}/nova/nova.conf', ini({
        'DEFAULT': {'debug': 'false', 'transport_url': TRANSPORT, 'my_ip': ADDR, 'host': 'control',
                    'state_path': f'{STATE}/nova', 'enabled_apis': 'osapi_compute',
                    'osapi_compute_workers': 1, 'metadata_workers': 1, 'max_local_block_devices': 3,
                    'allow_resize_to_same_host': 'true'},
        'api': {'auth_strategy': 'keystone'},
        'api_database': database('nova_api'),
        'database': database('nova'),
        'conductor': {'workers': 1},
        'scheduler': {'workers': 1, 'discover_hosts_in_cells_interval': 15},
        'filter_scheduler': {'track_instance_changes': 'true', 'enabled_filters': SCHEDULER_FILTERS},
        'pci': {'alias': PCI_ALIASES},
        'quota': {'instances': 500, 'cores': 2000, 'ram': 2000000},
        'oslo_concurrency': {'lock_path': f'{STATE}/nova/lock'},
        'oslo_messaging_notifications': {'driver': 'noop'},
        'vnc': {'enabled': 'true', 'novncproxy_host': ADDR, 'novncproxy_port': 6080,
                'server_proxyclient_address': ADDR},
        'placement': auth('placement'),
        'glance': auth('glance', api_servers=GLANCE),
        'neutron': auth('neutron', service_metadata_proxy='true',
                        metadata_proxy_shared_secret=PASSWORD),
        'cinder': auth('cinder', os_region_name=REGION,
                       catalog_info='block-storage:cinder:publicURL'),
        'cache': cache(),
        **tokens('nova')}))


def cinder():
    copy_defaults('cinder')
    conf = f'{ETC}/cinder'
    helper = {'helper_command': f'{VENV}/bin/privsep-helper --config-file {conf}/cinder.conf'}
    write(f'{conf}/cinder.conf', ini({
        'DEFAULT': {'debug': 'false', 'transport_url': TRANSPORT, 'my_ip': ADDR, 'host': 'control',
                    'state_path': f'{STATE}/cinder', 'auth_strategy': 'keystone',
                    'glance_api_servers': GLANCE, 'api_paste_config': f'{conf}/api-paste.ini',
                    'resource_query_filters_file': f'{conf}/resource_filters.json',
                    'rootwrap_config': f'{conf}/rootwrap.conf', 'enabled_backends': 'files',
                    'default_volume_type': os.environ.get('LAB_VOLUME_TYPE', 'files')},
        'files': {'volume_driver': 'lab_files.FilesDriver', 'volume_backend_name': 'files',
                  'files_folder': f'{STATE}/cinder/volumes'},
        'database': database('cinder'),
        'oslo_concurrency': {'lock_path': f'{STATE}/cinder/lock'},
        'oslo_messaging_notifications': {'driver': 'noop'},
        'cinder_sys_admin': helper, 'privsep_osbrick': helper,
        'nova': auth('nova', interface='public'),
        'key_manager': {'backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager', 'fixed_key': FIXED_KEY},
        **tokens('cinder')}))
    write(f'{conf}/cinder-ceph.conf', ini({  # read after it by the service of that back end
        'DEFAULT': {'enabled_backends': 'ceph'},
        'ceph': {'volume_driver': 'cinder.volume.drivers.rbd.RBDDriver', 'volume_backend_name': 'ceph',
                 'rbd_ceph_conf': f'{ETC}/ceph/ceph.conf', 'rbd_pool': 'volumes', 'rbd_user': 'cinder',
                 'rbd_secret_uuid': CEPH_ID, 'rados_connect_timeout': 20}}))
    write(f'{conf}/cinder-vm.conf', ini({  # likewise, of the test VM's
        'DEFAULT': {'enabled_backends': 'iscsi,nfs', 'host': 'vm1'},
        'iscsi': {'volume_driver': 'lab_target.TargetDriver', 'volume_backend_name': 'iscsi'},
        'nfs': {'volume_driver': 'lab_target.NfsDriver', 'volume_backend_name': 'nfs'}}))


# ---- Ceph, see ceph.sh ------------------------------------------------------------------------------

def ceph():
    home = f'{STATE}/ceph'
    write(f'{ETC}/ceph/ceph.conf', ini({
        'global': {'fsid': CEPH_ID, 'mon_host': f'[v2:{ADDR}:3300,v1:{ADDR}:6789]', 'public_network': f'{ADDR}/32',
                   'keyring': f'{home}/keyring', 'run_dir': RUN, 'admin_socket': '""',
                   'auth_cluster_required': 'cephx', 'auth_service_required': 'cephx', 'auth_client_required': 'cephx',
                   'auth_allow_insecure_global_id_reclaim': 'false',
                   'log_to_file': 'false', 'log_to_stderr': 'true', 'mon_cluster_log_to_file': 'false',
                   'osd_pool_default_size': 1, 'osd_pool_default_min_size': 1, 'osd_pool_default_pg_num': 8,
                   'osd_pool_default_pgp_num': 8, 'osd_pool_default_pg_autoscale_mode': 'off',
                   'osd_crush_chooseleaf_type': 0, 'setuser_match_path': ''},
        'mon': {'mon_data': f'{home}/mon', 'mon_allow_pool_delete': 'true', 'mon_allow_pool_size_one': 'true',
                'mon_warn_on_pool_no_redundancy': 'false', 'mon_data_avail_warn': 1, 'mon_data_avail_crit': 1},
        'mgr': {'mgr_data': f'{home}/mgr', 'mgr_initial_modules': ''},
        'osd': {'osd_data': f'{home}/osd', 'osd_objectstore': 'bluestore', 'bluestore_block_size': 32 << 30,
                'osd_memory_target': 939524096, 'bluestore_cache_autotune': 'false', 'bluestore_cache_size': 64 << 20,
                'osd_op_num_shards': 2, 'osd_op_num_threads_per_shard': 1}}))


# ---- Neutron ---------------------------------------------------------------------------------------

def privsep_sections():
    """Each of Neutron's privsep contexts reads a section of its own."""
    for path in os.listdir(f'{VENV}/lib'):
        with open(f'{VENV}/lib/{path}/site-packages/neutron/privileged/__init__.py') as source:
            return sorted({'privsep', *re.findall(r"cfg_section=.*['\"](\w+)['\"]", source.read())})


def neutron():
    copy_defaults('neutron')
    conf = f'{ETC}/neutron'
    helper = (f'{VENV}/bin/privsep-helper --config-file {conf}/neutron.conf'
              f' --config-file {conf}/ovs_agent.ini')
    write(f'{conf}/neutron.conf', ini({
        'DEFAULT': {'debug': 'false', 'core_plugin': 'ml2', 'service_plugins': 'router,qos,placement,trunk,segments',
                    'transport_url': TRANSPORT, 'auth_strategy': 'keystone',
                    'state_path': f'{STATE}/neutron', 'notify_nova_on_port_status_changes': 'true',
                    'notify_nova_on_port_data_changes': 'true', 'api_workers': 1, 'rpc_workers': 1,
                    'rpc_state_report_workers': 0, 'dhcp_agents_per_network': 1,
                    'global_physnet_mtu': 1500, 'dns_domain': 'kilonova.test.'},
        'database': database('neutron'),
        'oslo_concurrency': {'lock_path': f'{STATE}/neutron/lock'},
        'nova': auth('nova'),
        'placement': auth('placement'),
        'agent': {'root_helper': '', 'report_interval': 30},
        **{section: {'helper_command': helper} for section in privsep_sections()},
        'quotas': {'quota_port': -1, 'quota_network': -1, 'quota_subnet': -1},
        'oslo_messaging_notifications': {'driver': 'noop'},
        **tokens('neutron')}))
    write(f'{conf}/ml2_conf.ini', ini({
        'ml2': {'type_drivers': 'flat,vlan,vxlan', 'tenant_network_types': 'vxlan',
                'mechanism_drivers': 'openvswitch', 'extension_drivers': 'port_security,qos,dns,data_plane_status'},
        'ml2_type_flat': {'flat_networks': 'physnet1'},
        'ml2_type_vlan': {'network_vlan_ranges': 'physnet1:100:199'},
        'ml2_type_vxlan': {'vni_ranges': '1:1000'},
        'securitygroup': {'enable_security_group': 'true'}}))
    agents(conf)


def agents(conf):
    """Neutron's agents run on the compute host: they need its Open vSwitch."""
    ovs = {'datapath_type': 'netdev', 'ovsdb_connection': OVSDB, 'vhostuser_socket_dir': OVS_RUN}
    write(f'{conf}/host.ini', ini({'DEFAULT': {'host': HOST}}))
    write(f'{conf}/ovs_agent.ini', ini({
        'ovs': {**ovs, 'bridge_mappings': 'physnet1:br-phys', 'local_ip': HOST_ADDR,
                'of_listen_address': '127.0.0.1', 'of_listen_port': 6633,
                'integration_bridge': 'br-int', 'resource_provider_bandwidths': 'br-phys:1000000:1000000',
                'resource_provider_packet_processing_without_direction': ':1000000',
                'resource_provider_default_hypervisor': HOST},
        'agent': {'tunnel_types': 'vxlan', 'l2_population': 'false', 'polling_interval': 1, 'extensions': 'qos'},
        'securitygroup': {'firewall_driver': os.environ.get('LAB_FIREWALL', 'noop'), 'enable_security_group': 'true'}}))
    write(f'{conf}/dhcp_agent.ini', ini({
        'DEFAULT': {'interface_driver': 'openvswitch', 'enable_isolated_metadata': 'true',
                    'force_metadata': 'true', 'metadata_proxy_socket': f'{RUN}/metadata_proxy'},
        'ovs': ovs}))
    write(f'{conf}/l3_agent.ini', ini({
        'DEFAULT': {'interface_driver': 'openvswitch', 'metadata_proxy_socket': f'{RUN}/metadata_proxy'},
        'ovs': ovs}))
    write(f'{conf}/metadata_agent.ini', ini({
        'DEFAULT': {'nova_metadata_host': ADDR, 'nova_metadata_port': 8775,
                    'metadata_proxy_shared_secret': PASSWORD, 'metadata_workers': 1,
                    'metadata_proxy_socket': f'{RUN}/metadata_proxy'}}))


# ---- a compute host --------------------------------------------------------------------------------

def compute(host, path, overrides):
    """A plain deployment's nova.conf; nothing in it is for one of the two agents only, but the
    privsep helpers, which kilonovad does not need and ignores."""
    home = f'{LAB}/hosts/{host}'
    for folder in ('state/instances', 'state/lock'):
        os.makedirs(f'{home}/{folder}', exist_ok=True)
    helper = {'helper_command': f'{NC_VENV}/bin/privsep-helper --config-file {path}'}
    sections = {
        'DEFAULT': {'debug': 'false', 'host': host, 'my_ip': HOST_ADDR, 'state_path': f'{home}/state',
                    'instances_path': f'{home}/state/instances', 'transport_url': TRANSPORT,
                    'compute_driver': 'libvirt.LibvirtDriver', 'allow_resize_to_same_host': 'true',
                    'cpu_allocation_ratio': 50, 'instance_usage_audit': 'false'},
        'libvirt': {'virt_type': 'qemu', 'cpu_mode': 'none', 'images_type': 'qcow2',
                    'inject_password': 'false', 'images_rbd_pool': 'vms', 'images_rbd_ceph_conf': f'{ETC}/ceph/ceph.conf',
                    'rbd_user': 'cinder', 'rbd_secret_uuid': CEPH_ID,
                    'connection_uri': f'qemu+unix:///system?socket={home}/run/libvirt-sock'},
        'vnc': {'enabled': 'true', 'server_listen': HOST_ADDR,
                'server_proxyclient_address': HOST_ADDR,
                'novncproxy_base_url': f'http://{ADDR}:6080/vnc_lite.html'},
        'placement': auth('placement'),
        'glance': auth('glance', api_servers=GLANCE),
        'neutron': auth('neutron'),
        'cinder': auth('cinder', os_region_name=REGION,
                       catalog_info='block-storage:cinder:publicURL'),
        'key_manager': {'backend': 'nova.keymgr.conf_key_mgr.ConfKeyManager', 'fixed_key': FIXED_KEY},
        'service_user': auth('nova', send_service_user_token='true'),
        'keystone_authtoken': auth('nova'),
        'os_vif_ovs': {'ovsdb_connection': OVSDB},
        'oslo_concurrency': {'lock_path': f'{home}/state/lock'},
        'oslo_messaging_notifications': {'driver': 'noop'},
        'notifications': {'notification_format': 'both', 'notify_on_state_change': 'vm_and_task_state'},
        'nova_sys_admin': helper, 'vif_plug_ovs_privileged': helper, 'privsep_osbrick': helper}
    if DPDK:  # a switch that is no part of QEMU reads and writes the guests' memory
        sections['DEFAULT'] |= {'ram_allocation_ratio': 1.0}
        sections['libvirt'] |= {'file_backed_memory': 4096}
    for override in overrides:
        match = re.fullmatch(r'(\w+)\.(\w+)=(.*)', override, re.DOTALL)
        if not match:
            sys.exit(f'conf.py: "{override}" is not SECTION.KEY=VALUE')
        section, key, value = match.groups()
        sections.setdefault(section, {})[key] = value
    write(path, ini(sections))


def main(arguments):
    if arguments == ['control']:
        for part in (mariadb, rabbitmq, keystone, placement, glance, nova, ceph, cinder, neutron):
            part()
    elif len(arguments) >= 3 and arguments[0] == 'compute':
        compute(arguments[1], os.path.abspath(arguments[2]), arguments[3:])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
