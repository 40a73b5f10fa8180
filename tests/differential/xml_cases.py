# SPDX-License-Identifier: Apache-2.0
"""Random cases for `kilonovactl xml`: one seed, one case.

`Generator(oracle).case(seed)` draws host, options, flavor, image, ports and disks, lets nova fit the guest to
the host's NUMA cells and writes everything down as the command reads it.  About one case in ten carries something
that nova refuses; a profile makes some combinations likely that would hardly ever meet by chance.
"""
import json
import random
import uuid

from nova import context, exception, objects
from nova.objects import fields
from nova.objects.pci_device import PciDevice
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.virt import hardware
from nova.virt.libvirt import blockinfo

X86_MODELS = ['Penryn', 'Haswell', 'IvyBridge', 'qemu64', 'Nehalem', 'SandyBridge', 'Cascadelake-Server',
              'EPYC', 'Haswell-noTSX']
FLAGS = ['pcid', 'ssbd', 'pdpe1gb', '+vmx', '-mtrr', 'SPEC-CTRL', '-PCID', 'md-clear', '+aes']
TRAITS = ['HW_CPU_X86_SSE42', 'HW_CPU_X86_AVX2', 'HW_CPU_X86_VMX', 'HW_CPU_X86_SSSE3', 'COMPUTE_NODE',
          'HW_CPU_X86_SVM', 'HW_CPU_X86_AESNI']
FEATURE_NAMES = ['sse4.2', 'avx2', 'vmx', 'ssse3', 'svm', 'aes', 'sse2', 'mmx']
SNP = fakelibvirt.Connection._domain_capability_features_with_launch_security_SEV_SNP
FEATURES = {
    'sev': fakelibvirt.Connection._domain_capability_features_with_SEV,
    'no-sev': fakelibvirt.Connection._domain_capability_features_with_SEV_unsupported,
    'snp': SNP,
    'tdx': fakelibvirt.Connection._domain_capability_features_with_TDX,
    'no-tdx': fakelibvirt.Connection._domain_capability_features_with_TDX_unsupported,
}



class Bad:
    """A value that nova refuses wherever it looks at it."""

    def __init__(self, value):
        self.value = value


# option: (chance, values); drawn independently
OPTIONS = {
    'vcpu_pin_set': (.03, ['0-1', '0', Bad('900')]),
    'use_cow_images': (.1, [True, False]),
    'preallocate_images': (.12, ['none', 'space']),
    'force_config_drive': (.08, [True]),
    'config_drive_format': (.2, ['iso9660', 'vfat']),
    'pointer_model': (.25, ['ps2mouse', 'usbtablet', None]),
    'libvirt.cpu_mode': (.7, ['custom', 'host-passthrough', 'none', 'host-model']),
    'libvirt.disk_cachemodes': (.4, [
        ['file=directsync', 'network=writeback'], ['block=none'], ['file=writethrough', 'block=unsafe'],
        ['network=none'], ['file=default'], ['mount=writeback'], ['block=writeback', 'network=directsync']]),
    'libvirt.disk_prefix': (.04, ['vd', 'hd', 'sd', 'xvd']),
    'libvirt.enabled_perf_events': (.12, [
        ['cpu_clock'], ['mbml', 'cache_misses'], ['cmt', 'mbmt'], ['nothing'], ['cpu_cycles', 'instructions']]),
    'libvirt.file_backed_memory': (.05, [1048576]),
    'libvirt.hw_disk_discard': (.2, ['unmap', 'ignore']),
    'libvirt.hw_machine_type': (.4, [
        ['x86_64=q35'], ['x86_64=pc'], ['x86_64=q35', 'aarch64=virt'], ['aarch64=virt-5.1'], ['i686=pc'],
        ['x86_64=pc-q35-2.11'], Bad(['x86_64=nonsense']), Bad(['nonsense'])]),
    'libvirt.images_type': (.75, ['default', 'raw', 'flat', 'qcow2', 'lvm', 'rbd']),
    'libvirt.max_queues': (.2, [1, 2, 4]),
    'libvirt.mem_stats_period_seconds': (.3, [0, 30, -1]),
    'libvirt.num_pcie_ports': (.35, [0, 4, 12, 28]),
    'libvirt.realtime_scheduler_priority': (.1, [2, 99]),
    'libvirt.rng_dev_path': (.3, ['/dev/urandom', '/dev/random', Bad('/dev/absent'), '']),
    'libvirt.rx_queue_size': (.2, [256, 512, 1024]),
    'libvirt.tx_queue_size': (.2, [256, 512, 1024]),
    'libvirt.sparse_logical_volumes': (.06, [True]),
    'libvirt.swtpm_enabled': (.15, [True]),
    'libvirt.sysinfo_serial': (.35, ['hardware', 'os', 'unique', 'none', 'auto']),
    'libvirt.tb_cache_size': (.12, [0, 32, 1024]),
    'libvirt.use_virtio_for_bridges': (.1, [False]),
    'libvirt.uid_maps': (.06, [[], ['0:1000:10']]),
    'libvirt.use_default_aio_mode_for_volumes': (.08, [True]),
    'compute.max_disk_devices_to_attach': (.08, [Bad(1), Bad(3), 26, -1]),
    'serial_console.enabled': (.25, [True]),
    'serial_console.proxyclient_address': (.08, ['192.0.2.9', '::1']),
    'spice.enabled': (.25, [True]),
    'spice.agent_enabled': (.12, [False]),
    'spice.image_compression': (.1, ['off', 'auto_glz', 'lz']),
    'spice.jpeg_compression': (.06, ['auto', 'never', 'always']),
    'spice.playback_compression': (.06, [True, False]),
    'spice.require_secure': (.06, [True]),
    'spice.server_listen': (.1, ['0.0.0.0', '::']),
    'spice.streaming_mode': (.06, ['filter', 'all', 'off']),
    'spice.zlib_compression': (.06, ['auto', 'never', 'always']),
    'vnc.enabled': (.8, [True, False]),
    'vnc.server_listen': (.2, ['192.0.2.5', '0.0.0.0', '::1']),
    'workarounds.libvirt_disable_apic': (.05, [True]),
    'ephemeral_storage_encryption.enabled': (.03, [Bad(True)]),
}

BOOLEANS = ['true', 'false', 'True', 'False', 'yes', 'no', '1', '0', 'on', 'maybe']

# extra spec: (chance, values)
SPECS = {
    'hw:boot_menu': (.12, BOOLEANS),
    'hw:cpu_cores': (.08, ['1', '2', '4']),
    'hw:cpu_sockets': (.12, ['1', '2', '3', '4', '8']),
    'hw:cpu_threads': (.12, ['1', '2', '4']),
    'hw:cpu_max_cores': (.06, ['1', '2', '8']),
    'hw:cpu_max_sockets': (.08, ['1', '2', '4', '8']),
    'hw:cpu_max_threads': (.06, ['1', '2', '8']),
    'hw:emulator_threads_policy': (.05, ['isolate', 'share', Bad('other')]),
    'hw:hide_hypervisor_id': (.1, BOOLEANS),
    'hide_hypervisor_id': (.04, BOOLEANS),
    'hw:locked_memory': (.05, BOOLEANS),
    'hw:maxphysaddr_mode': (.1, ['passthrough', 'emulate']),
    'hw:maxphysaddr_bits': (.08, ['42', '48', Bad('x')]),
    'hw:mem_encryption': (.04, ['true', 'True', 'false']),
    'hw:mem_encryption_model': (.03, ['amd-sev', 'amd-sev-es', 'amd-sev-snp', 'intel-tdx', Bad('other')]),
    'hw:pmu': (.1, BOOLEANS),
    'hw:redirected_usb_ports': (.07, ['0', '1', '3', '15', Bad('16')]),
    'hw:serial_port_count': (.12, ['0', '1', '2', '3', Bad('4'), Bad('x')]),
    'hw:sound_model': (.1, ['sb16', 'es1370', 'pcspk', 'ac97', 'ich6', 'ich9', 'usb', 'virtio', Bad('horn')]),
    'hw:tpm_model': (.06, ['tpm-tis', 'tpm-crb', Bad('tpm-other')]),
    'hw:tpm_version': (.08, ['1.2', '2.0', Bad('3')]),
    'hw:tpm_secret_security': (.03, ['user', 'host', 'deployment', Bad('other')]),
    'hw:usb_model': (.06, ['none', 'nec-xhci', 'qemu-xhci', Bad('other')]),
    'hw:vif_multiqueue_enabled': (.2, BOOLEANS),
    'hw:viommu_model': (.08, ['intel', 'smmuv3', 'virtio', 'auto', Bad('other')]),
    'hw:virtio_packed_ring': (.12, BOOLEANS),
    'hw:watchdog_action': (.15, ['disabled', 'none', 'pause', 'poweroff', 'reset', Bad('explode')]),
    'hw_rng:allowed': (.25, BOOLEANS),
    'hw_rng:rate_bytes': (.12, ['1024', '0', '2048', Bad('many')]),
    'hw_rng:rate_period': (.12, ['2', '0', '1000']),
    'hw_video:ram_max_mb': (.15, ['16', '32', '64', '0']),
    'os:secure_boot': (.05, ['required', 'optional', 'disabled', Bad('other')]),
    'quota:cpu_shares': (.1, ['20000', '2048']),
    'quota:cpu_period': (.1, ['20000', '2048']),
    'quota:cpu_quota': (.1, ['20000', '2048', '-1', Bad('x')]),
    'quota:vif_inbound_average': (.08, ['10240', '20480']),
    'quota:vif_inbound_peak': (.06, ['10240', '20480']),
    'quota:vif_inbound_burst': (.06, ['10240', '20480']),
    'quota:vif_outbound_average': (.08, ['10240', '20480']),
    'quota:vif_outbound_peak': (.06, ['10240', '20480']),
    'quota:vif_outbound_burst': (.06, ['10240', '20480', Bad('x')]),
    'trait:HW_CPU_X86_SGX': (.02, ['required', 'forbidden']),
    'unknown': (.05, ['x', 'ü & <y>', '']),
}
for tune in ('read_bytes_sec', 'write_bytes_sec', 'total_bytes_sec', 'read_iops_sec', 'write_iops_sec',
             'total_iops_sec', 'read_bytes_sec_max', 'write_iops_sec_max', 'total_iops_sec_max'):
    SPECS['quota:disk_' + tune] = (.05, ['10240000', '1024', '0'])

ARCHITECTURES = ['x86_64', 'i686', 'aarch64', 'ppc64le', 's390x', 'armv7l', 'mipsel', 'ppc64', 'riscv64']
BUSES = ['virtio', 'scsi', 'ide', 'usb', 'sata', 'fdc', 'xen', 'lxc', 'uml']
VIF_MODELS = ['virtio', 'e1000', 'e1000e', 'rtl8139', 'ne2k_pci', 'pcnet', 'vmxnet3', 'igb', 'lan9118',
              'netfront', 'VirtualE1000', 'spapr-vlan', 'VirtualVmxnet3', 'VirtualPCNet32', 'VirtualSriovEthernetCard']

PROPERTIES = {
    'hw_boot_menu': (.08, BOOLEANS),
    'hw_cdrom_bus': (.12, ['scsi', 'sata', 'ide', 'virtio', 'usb', Bad('fdc')]),
    'hw_cpu_cores': (.04, ['1', '2', '4']),
    'hw_cpu_sockets': (.05, ['1', '2', '4']),
    'hw_cpu_threads': (.05, ['1', '2']),
    'hw_cpu_max_cores': (.03, ['1', '2', '8']),
    'hw_cpu_max_sockets': (.04, ['1', '2', '8']),
    'hw_cpu_max_threads': (.03, ['1', '2', '8']),
    'hw_cpu_policy': (.03, ['dedicated', 'shared']),
    'hw_cpu_realtime_mask': (.02, ['^0', '^0-1', '2-3']),
    'hw_disk_bus': (.4, ['scsi', 'virtio', 'sata', 'ide', 'usb', 'scsi', 'virtio', 'sata', Bad('fdc'), Bad('xen'), Bad('lxc')]),
    'hw_disk_type': (.03, ['preallocated']),
    'hw_emulation_architecture': (.08, ARCHITECTURES),
    'hw_firmware_type': (.2, ['uefi', 'uefi', 'bios']),
    'hw_firmware_stateless': (.04, BOOLEANS),
    'hw_floppy_bus': (.03, ['fdc', 'usb', 'virtio']),
    'hw_input_bus': (.12, ['virtio', 'usb', Bad('ps2')]),
    'hw_locked_memory': (.03, BOOLEANS),
    'hw_machine_type': (.15, ['pc', 'q35', 'virt', 'pc-q35-2.11', 'pseries', 's390-ccw-virtio', 'nonsense',
                              'virt-5.1', 'pc-i440fx-2.11']),
    'hw_maxphysaddr_mode': (.05, ['passthrough', 'emulate']),
    'hw_maxphysaddr_bits': (.05, ['42', '48']),
    'hw_mem_encryption': (.02, ['true', 'false']),
    'hw_mem_encryption_model': (.02, ['amd-sev', 'amd-sev-es', 'amd-sev-snp', 'intel-tdx']),
    'hw_mem_page_size': (.03, ['small', 'large', '2048']),
    'hw_numa_nodes': (.03, ['1', '2']),
    'hw_pmu': (.05, BOOLEANS),
    'hw_pointer_model': (.1, ['usbtablet', Bad('ps2mouse')]),
    'hw_qemu_guest_agent': (.25, BOOLEANS),
    'hw_redirected_usb_ports': (.05, ['0', '2', Bad('16')]),
    'hw_rescue_bus': (.05, ['virtio', 'usb', 'scsi', 'ide', Bad('lxc')]),
    'hw_rescue_device': (.05, ['disk', 'cdrom', 'floppy', Bad('fs')]),
    'hw_rng_model': (.15, ['virtio']),
    'hw_scsi_model': (.2, ['virtio-scsi', 'virtio-scsi', 'lsilogic', 'buslogic', 'ibmvscsi', 'lsisas1068',
                           'lsisas1078', 'vmpvscsi', Bad('lsiLogicsas')]),
    'hw_serial_port_count': (.08, ['1', '2', Bad('3'), Bad('4')]),
    'hw_sound_model': (.04, ['sb16', 'ich9', 'virtio']),
    'hw_time_hpet': (.1, BOOLEANS),
    'hw_tpm_model': (.03, ['tpm-tis', 'tpm-crb']),
    'hw_tpm_version': (.03, ['1.2', '2.0']),
    'hw_usb_model': (.04, ['none', 'nec-xhci', 'qemu-xhci']),
    'hw_video_model': (.25, ['vga', 'cirrus', 'qxl', 'virtio', 'none', 'bochs', 'vmvga', 'xen', 'gop']),
    'hw_video_ram': (.12, ['16', '8', '64']),
    'hw_vif_model': (.35, ['virtio', 'e1000', 'rtl8139'] + VIF_MODELS),
    'hw_vif_multiqueue_enabled': (.12, BOOLEANS),
    'hw_viommu_model': (.05, ['intel', 'smmuv3', 'virtio', 'auto']),
    'hw_virtio_packed_ring': (.05, BOOLEANS),
    'hw_vm_mode': (.03, ['hvm', 'xen', 'uml', 'exe', Bad('pv')]),
    'hw_watchdog_action': (.12, ['disabled', 'none', 'pause', 'poweroff', 'reset']),
    'img_config_drive': (.08, ['mandatory', 'optional']),
    'img_hide_hypervisor_id': (.08, BOOLEANS),
    'img_hv_type': (.04, ['kvm', 'qemu']),
    'img_root_device_name': (.03, ['/dev/vda', '/dev/sda']),
    'os_admin_user': (.03, ['root']),
    'os_command_line': (.06, ['console=ttyS0 quiet', '']),
    'os_distro': (.06, ['ubuntu20.04', 'fedora39', 'nothing']),
    'os_require_quiesce': (.06, BOOLEANS),
    'os_secure_boot': (.08, ['required', 'optional', 'disabled']),
    'os_type': (.2, ['linux', 'windows']),
    'trait:HW_CPU_X86_AVX2': (.03, ['required']),
    'architecture': (.02, ['x86_64', 'aarch64', 'i386', 'amd64']),
    'vmware_adaptertype': (.02, ['ide', 'busLogic', Bad('lsiLogic')]),
    'custom_property': (.06, ['<&">', 'plain']),
}


class Draw(random.Random):
    """The draws that a case is made of; a tame one leaves out what is marked as bad."""

    def __init__(self, seed):
        super().__init__(seed)
        self.tame = self.random() < .8

    def choice(self, values):
        values = [v for v in values if not (self.tame and isinstance(v, Bad))]
        value = values[int(self.random() * len(values))]
        return value.value if isinstance(value, Bad) else value

    def chance(self, probability):
        return self.random() < probability

    def table(self, table):
        return {key: self.choice(values) for key, (chance, values) in table.items()
                if self.chance(chance) and not (self.tame and all(isinstance(v, Bad) for v in values))}

    def uuid(self):
        return str(uuid.UUID(int=self.getrandbits(128), version=4))

    def mac(self):
        return '52:54:00:' + ':'.join('%02x' % self.randrange(256) for _ in range(3))


class Generator:
    def __init__(self, oracle):
        self.oracle = oracle
        self.context = context.get_admin_context()

    def case(self, seed):
        """A case without its answer; None when nova's API would have refused the flavor or image."""
        draw = Draw(seed)
        case = {'id': 'seed-%d' % seed}
        case['host'], answers = self.host(draw)
        encrypted = draw.choice(['amd-sev', 'amd-sev-es', 'amd-sev-snp', 'intel-tdx']) if draw.chance(.06) else None
        if encrypted:
            case['host'].update(arch='x86_64', kernel_supports_sev=True)
            answers['features'] = FEATURES[{'amd-sev-snp': 'snp', 'intel-tdx': 'tdx'}.get(encrypted, 'sev')]
        case['config'] = self.options(draw, case['host'])
        case['sysfs'] = {
            'ifname_by_pci_address': 'fake_pf_interface_name', 'machine_id': draw.uuid(),
            'uname_release': draw.choice(['5.4.0-0-generic'] * 5 + ['2.6.32', '3.10.0', '4.18.0-el8', '6.1.0']),
            'online_cpus': self.cpus(case['host'])}
        case['rbd_mon_addrs'] = draw.choice([[['10.0.0.1', '10.0.0.2'], ['6789', '6789']], [['mon'], ['']],
                                             [['::1'], ['3300']]])
        case['serial_console_first_port'] = draw.choice([10000, 12345])
        if case['config'].get('libvirt.cpu_mode') == 'custom':
            case['cpu_model_features'] = {model: draw.sample(FEATURE_NAMES, 6) for model in X86_MODELS + ['POWER8', 'max']}
        made, connection = self.oracle.prepare(case, answers)
        case['host_capabilities_xml'] = connection.getCapabilities()
        case['flavor'] = self.flavor(draw)
        case['image'] = self.image(draw, case)
        if encrypted:
            self.encrypt(draw, case, encrypted)
        case['network_info'] = self.ports(draw)
        instance = self.instance(draw, case)
        case['instance_name'] = instance.name
        case['block_device_info'] = self.disks(draw, case, instance)
        self.extras(draw, case)
        topology = self.host_topology(made)
        case['host_numa_topology'] = topology.obj_to_primitive() if topology else None
        if not self.fit(draw, case, instance, topology):
            return None
        case['instance'] = json.loads(json.dumps(instance.obj_to_primitive()))
        case['domain_capabilities_xml'] = self.domain_capabilities(made, connection)
        self.disk_info(case)
        return json.loads(json.dumps(case))

    # ---- the host ----

    def host(self, draw):
        nodes = draw.choice([1, 1, 2, 2, 4])
        host = {
            'arch': draw.choice(['x86_64'] * 9 + ['aarch64'] * 2 + ['ppc64le', 's390x', 'i686', Bad('ppc64'), Bad('armv7l')]),
            'cpu_nodes': nodes, 'cpu_sockets': 1 if draw.chance(.9) else 2,
            'cpu_cores': draw.choice([2, 4, 8]), 'cpu_threads': draw.choice([1, 2]),
            'libvirt_version': draw.choice([8000000, 8002000, 8006000, 10000000, 11003000]),
            'qemu_version': draw.choice([6002000, 8000000, 8002002, 10000000]),
            'instances_path_supports_direct_io': draw.chance(.7)}
        cells = nodes * host['cpu_sockets']
        host['kB_mem'] = 16777216 * cells
        small_only = draw.chance(.1)
        answers = {'mempages': [fakelibvirt.create_mempages(
            [(4, 4194304)] if small_only else [(4, 2097152), (2048, 2048), (1048576, 4)]) for _ in range(cells)]}
        if draw.chance(.12):
            answers['features'] = FEATURES[draw.choice(sorted(FEATURES))]
            host['kernel_supports_sev'] = draw.chance(.8)
        if draw.chance(.03):
            host['has_cpu_controller'] = draw.choice([True, Bad(False)])
        return host, answers

    @staticmethod
    def cpus(host):
        return host['cpu_nodes'] * host['cpu_sockets'] * host['cpu_cores'] * host['cpu_threads']

    def options(self, draw, host):
        config = {'libvirt.virt_type': 'kvm' if draw.chance(.7) else 'qemu',
                  'instances_path': draw.choice(['/var/lib/nova/instances', '/srv/nova/instances'])}
        config.update(draw.table(OPTIONS))
        if config.get('libvirt.images_type') == 'lvm' and draw.chance(.95):
            config['libvirt.images_volume_group'] = 'vgnova'
        if config.get('libvirt.images_type') == 'rbd':
            config['libvirt.images_rbd_pool'] = 'vms'
            if not draw.chance(.05):
                config['libvirt.rbd_user'] = 'cinder'
            if not draw.chance(.05):
                config['libvirt.rbd_secret_uuid'] = draw.uuid()
        if config.get('libvirt.cpu_mode') == 'custom' and draw.chance(.95):
            models = [draw.choice([name, name.lower()]) for name in draw.sample(X86_MODELS, draw.choice([1, 1, 2]))]
            if host['arch'].startswith('ppc'):
                models = ['power8']
            config['libvirt.cpu_models'] = draw.choice([models] * 9 + [Bad(['Unknown'])])
        if draw.chance(.25):
            # nova keeps whichever of '+x' and '-x' comes first out of a set: one of each name
            names = {flag.lower().strip('+-'): flag for flag in draw.sample(FLAGS, draw.choice([1, 2, 3]))}
            config['libvirt.cpu_model_extra_flags'] = list(names.values())
        if draw.chance(.35):
            self.cpu_sets(draw, host, config)
        return config

    def cpu_sets(self, draw, host, config):
        per_cell = host['cpu_cores'] * host['cpu_threads']
        shared, dedicated = [], []
        for first in range(0, self.cpus(host), per_cell):
            middle = first + per_cell // 2
            shared.append('%d-%d' % (first, middle - 1))
            dedicated.append('%d-%d' % (middle, first + per_cell - 1))
        if draw.chance(.9):
            config['compute.cpu_shared_set'] = ','.join(shared)
        if draw.chance(.9):
            config['compute.cpu_dedicated_set'] = ','.join(dedicated)
        if draw.chance(.03):
            config['compute.cpu_shared_set'] = draw.choice([Bad('0'), Bad('900-901'), '0-1,^0', '0-1'])

    @staticmethod
    def host_topology(made):
        try:
            return made._get_host_numa_topology()
        except Exception:
            return None

    @staticmethod
    def domain_capabilities(made, connection):
        try:
            made._host.get_domain_capabilities()
        except Exception:
            pass
        return connection.asked

    # ---- flavor and image ----

    def flavor(self, draw):
        specs = draw.table(SPECS)
        for _ in range(draw.choice([0] * 8 + [1, 2])):
            specs['trait:' + draw.choice(TRAITS)] = draw.choice(['required', 'required', 'forbidden'])
        vcpus = draw.choice([1, 2, 2, 4, 4, 6, 8, 3])
        memory_mb = draw.choice([512, 1024, 2048, 4096, 8192])
        if draw.chance(.35):
            self.numa_specs(draw, specs, vcpus, memory_mb)
        return {'ephemeral_gb': draw.choice([0, 0, 10, 20]), 'extra_specs': specs,
                'flavorid': 'flv-%d' % draw.randrange(100), 'id': draw.randrange(1, 100),
                'memory_mb': memory_mb,
                'name': draw.choice(['m1.x%d' % draw.randrange(100), 'größe & <1>']),
                'root_gb': draw.choice([0, 20, 40]), 'rxtx_factor': 1.0,
                'swap': draw.choice([0, 0, 512]), 'vcpus': vcpus}

    def numa_specs(self, draw, specs, vcpus, memory_mb):
        if draw.chance(.6):
            specs['hw:numa_nodes'] = draw.choice(['1', '1', '2', '2', '4'])
        if draw.chance(.5):
            specs['hw:mem_page_size'] = draw.choice(['small', 'large', 'any', '2048', '4', '2MB', '1GB', Bad('x')])
        policy = draw.choice([None, 'dedicated', 'dedicated', 'mixed', 'shared'])
        if policy:
            specs['hw:cpu_policy'] = policy
        if policy == 'mixed':
            specs['hw:cpu_dedicated_mask'] = draw.choice(['0', '1', '^0', '0-1'])
        if policy == 'dedicated' and draw.chance(.5):
            specs['hw:cpu_thread_policy'] = draw.choice(['prefer', 'isolate', 'require'])
        if policy == 'dedicated' and draw.chance(.5):
            specs['hw:emulator_threads_policy'] = draw.choice(['isolate', 'share'])
        if policy in ('dedicated', 'mixed') and draw.chance(.4):
            specs['hw:cpu_realtime'] = draw.choice(['yes', 'true', 'no'])
            specs['hw:cpu_realtime_mask'] = draw.choice(['^0', '^0-1', '1-%d' % max(1, vcpus - 1), ''])
        if specs.get('hw:numa_nodes') == '2' and draw.chance(.3) and vcpus >= 2:
            specs['hw:numa_cpus.0'], specs['hw:numa_cpus.1'] = '0', '1-%d' % (vcpus - 1)
            specs['hw:numa_mem.0'], specs['hw:numa_mem.1'] = '256', str(memory_mb - 256)

    def image(self, draw, case):
        properties = draw.table(PROPERTIES)
        if draw.chance(.85):
            self.plausible(draw, case, properties)
        if case['host']['arch'] != 'x86_64' and draw.chance(.9):
            properties['hw_architecture'] = case['host']['arch']
        elif draw.chance(.05):
            properties['hw_architecture'] = draw.choice(ARCHITECTURES)
        return {'id': draw.uuid(), 'container_format': 'bare',
                'disk_format': draw.choice(['qcow2', 'qcow2', 'raw', 'raw', 'raw', 'iso', 'vmdk']),
                'min_disk': draw.choice([0, 1, 20]), 'min_ram': draw.choice([0, 512]), 'properties': properties}

    @staticmethod
    def plausible(draw, case, properties):
        """Takes away most of what would end in the first few refusals."""
        config, specs = case['config'], case['flavor']['extra_specs']
        x86 = case['host']['arch'] in ('x86_64', 'i686')
        kvm = config['libvirt.virt_type'] == 'kvm'
        if properties.get('hw_vif_model') in VIF_MODELS[8 if kvm else 9:]:
            properties['hw_vif_model'] = draw.choice(['virtio', 'e1000', 'igb', 'spapr-vlan'])
        if properties.get('hw_machine_type') not in (None, 'pc', 'q35', 'pc-q35-2.11') or not x86:
            properties.pop('hw_machine_type', None)
        if properties.get('hw_emulation_architecture') not in (None, 'x86_64', 'aarch64', 'i686'):
            del properties['hw_emulation_architecture']
        for key in ('hw_vm_mode', 'architecture', 'vmware_adaptertype'):
            if draw.chance(.4):
                properties.pop(key, None)
        if specs.get('hw:viommu_model') or properties.get('hw_viommu_model'):
            properties['hw_machine_type'] = 'q35' if x86 else 'virt'
        if specs.get('hw:mem_encryption') or properties.get('hw_mem_encryption'):
            properties.update(hw_firmware_type='uefi', hw_machine_type='q35')
            if draw.chance(.6):
                properties['hw_firmware_stateless'] = 'true'
        if properties.get('hw_video_ram'):
            specs.setdefault('hw_video:ram_max_mb', '64')
        for key in set(properties) & {spec.replace(':', '_') for spec in specs}:
            if draw.chance(.85):
                del properties[key]
        if specs.get('hw:locked_memory') or properties.get('hw_locked_memory'):
            specs.setdefault('hw:mem_page_size', 'small')

    @staticmethod
    def encrypt(draw, case, model):
        """A guest whose memory the host can encrypt, mostly."""
        properties, specs = case['image']['properties'], case['flavor']['extra_specs']
        properties.update(hw_firmware_type='uefi', hw_machine_type='q35')
        for key in ('hw_architecture', 'hw_emulation_architecture', 'hw_mem_encryption', 'hw_mem_encryption_model',
                    'architecture', 'hw_firmware_stateless', 'hw_video_model'):
            properties.pop(key, None)
        specs['hw:mem_encryption'] = 'true'
        if model != 'amd-sev' or draw.chance(.5):
            specs['hw:mem_encryption_model'] = model
        if model in ('amd-sev-snp', 'intel-tdx') and draw.chance(.9):
            properties['hw_firmware_stateless'] = 'true'
        if model == 'intel-tdx' and draw.chance(.9):
            case['config'].update({'libvirt.cpu_mode': 'host-passthrough', 'vnc.enabled': draw.chance(.1)})
            case['config'].pop('libvirt.cpu_models', None)
            case['config'].pop('spice.enabled', None)

    # ---- ports ----

    def ports(self, draw):
        return [self.port(draw, n) for n in range(draw.choice([0, 1, 1, 1, 2, 3]))]

    def port(self, draw, n):
        port_id = draw.uuid()
        network = {'bridge': draw.choice(['br-int'] * 8 + [Bad(None), Bad('')]), 'id': draw.uuid(), 'label': 'net%d' % n,
                   'meta': {'mtu': draw.choice([1450, 1500, 9000, None]), 'tenant_id': draw.uuid().replace('-', '')},
                   'subnets': [self.subnet(draw, n) for _ in range(draw.choice([0, 1, 1, 2]))]}
        if draw.chance(.2):
            del network['meta']['mtu']
        kind = draw.choice(sorted(PORTS) + [Bad(kind) for kind in ('bridge', 'other', 'binding_failed', 'unbound')])
        vif = {'active': True, 'address': draw.mac(), 'delegate_create': draw.chance(.4), 'details': {},
               'devname': 'tap' + port_id[:11], 'id': port_id, 'meta': {}, 'network': network,
               'ovs_interfaceid': draw.choice([port_id, None]), 'preserve_on_delete': False, 'profile': None,
               'qbg_params': None, 'qbh_params': None, 'type': kind.split('/')[0], 'vnic_type': 'normal'}
        PORTS.get(kind, _plain)(draw, vif)
        return vif

    @staticmethod
    def subnet(draw, n):
        six = draw.chance(.3)
        address = 'fd00::%x' % draw.randrange(1, 9999) if six else '10.%d.0.%d' % (n, draw.randrange(2, 250))
        return {'cidr': 'fd00::/64' if six else '10.%d.0.0/24' % n, 'dns': [], 'gateway': None, 'meta': {},
                'ips': [{'address': address, 'floating_ips': [], 'meta': {}, 'type': 'fixed',
                         'version': 6 if six else 4}] * draw.choice([0, 1, 1, 2]),
                'routes': [], 'version': 6 if six else 4}

    # ---- the instance ----

    def instance(self, draw, case):
        flavor = objects.Flavor(**case['flavor'])
        image, booted_from_volume = case['image'], draw.chance(.3)
        if booted_from_volume:
            image['id'] = None
        metadata = {'image_' + k: v for k, v in image['properties'].items()}
        metadata.update({'image_container_format': 'bare', 'image_disk_format': image['disk_format'],
                         'image_min_disk': str(image['min_disk']), 'image_min_ram': str(image['min_ram']),
                         'image_base_image_ref': image['id'] or ''})
        if draw.chance(.9):
            metadata.update(owner_project_name='demo', owner_user_name='alice')
        if draw.chance(.97):
            metadata['vtpm_secret_uuid'] = draw.uuid()
        kernel = draw.chance(.08)
        devices, requests = self.pci_devices(draw)
        instance = objects.Instance(
            self.context, id=draw.randrange(1, 5000), uuid=draw.uuid(), flavor=flavor, old_flavor=None,
            new_flavor=None, numa_topology=None, system_metadata=metadata, metadata={},
            config_drive=draw.choice(['', '', 'True', 'False', 'true']),
            display_name=draw.choice(['vm-%d' % draw.randrange(9999), 'ünï <&>', '']),
            image_ref=image['id'] or '', kernel_id=draw.uuid() if kernel else '',
            ramdisk_id=draw.uuid() if kernel and draw.chance(.7) else '',
            project_id=draw.uuid(), user_id=draw.uuid(), host='compute1', node='compute1', hostname='vm',
            os_type=image['properties'].get('os_type') if draw.chance(.95) else None,
            vm_mode='hvm' if draw.chance(.1) else None, architecture=None,
            root_device_name=None, root_gb=flavor.root_gb, ephemeral_gb=flavor.ephemeral_gb,
            memory_mb=flavor.memory_mb, vcpus=flavor.vcpus, instance_type_id=flavor.id,
            ephemeral_key_uuid=draw.uuid() if draw.chance(.04) else None, vcpu_model=None, trusted_certs=None,
            task_state='spawning', vm_state='building', resources=None, migration_context=None,
            pci_devices=devices, pci_requests=requests,
            key_name=None, key_data=None, launched_at=None, cleaned=False)
        if not instance.vm_mode and image['properties'].get('hw_vm_mode') in fields.VMMode.ALL:
            instance.vm_mode = image['properties']['hw_vm_mode']
        return instance

    def pci_devices(self, draw):
        requests, devices = [], []
        for n in range(draw.choice([0] * 8 + [1, 2])):
            request_id = draw.choice([draw.uuid(), Bad(None)])
            requests.append(objects.InstancePCIRequest(
                request_id=request_id, alias_name=draw.choice(['gpu', 'gpu', None]), count=1, is_new=False,
                spec=[{'vendor_id': '8086'}], numa_policy='legacy', requester_id=None))
            devices.append(PciDevice(
                compute_node_id=1, address='0000:%02x:10.%d' % (draw.randrange(256), n), product_id='154d',
                vendor_id='8086', dev_type='type-PCI', status='allocated', dev_id='pci_%d' % n, label='x',
                instance_uuid=None, numa_node=0, parent_addr=None,
                request_id=draw.choice([request_id] * 9 + [Bad('3d1cb534-f21c-4588-a8c5-1eca6b2840a6')]),
                extra_info={'managed': draw.choice(['true', 'false'])} if draw.chance(.4) else {}))
        return (objects.PciDeviceList(objects=devices), objects.InstancePCIRequests(requests=requests))

    def fit(self, draw, case, instance, topology):
        try:
            image = objects.ImageMeta.from_dict({k: v for k, v in case['image'].items() if v is not None})
            wanted = hardware.numa_get_constraints(instance.flavor, image)
        except Exception:
            if draw.chance(.9):
                return False
            wanted = None
        if wanted is None:
            return True
        if topology is None:
            return draw.chance(.2)
        try:
            fitted = hardware.numa_fit_instance_to_host(topology, wanted, None)
        except Exception:
            fitted = None
        if fitted is None:
            return False
        instance.numa_topology = fitted
        return True

    # ---- disks ----

    def disks(self, draw, case, instance):
        bus = case['image']['properties'].get('hw_disk_bus', 'virtio')
        from_volume = case['image']['id'] is None
        default = 'vd' if bus == 'virtio' else 'hd' if bus == 'ide' else 'fd' if bus == 'fdc' else 'sd'
        prefix = '/dev/' + case['config'].get('libvirt.disk_prefix', default)
        names = iter([prefix + c for c in 'abcdefghijklmnopqrstuvwxyz'])
        root = next(names)
        instance.root_device_name = root if draw.chance(.95) else None
        info = {'root_device_name': root if draw.chance(.95) else None, 'swap': None, 'ephemerals': [],
                'block_device_mapping': []}
        if instance.flavor.ephemeral_gb and draw.chance(.6):
            for n in range(draw.choice([1, 1, 2])):
                info['ephemerals'].append({
                    'device_name': next(names) if draw.chance(.9) else None, 'device_type': draw.choice(['disk', 'disk', None, 'cdrom']),
                    'disk_bus': draw.choice([bus, bus, bus, None, 'scsi', Bad('lxc')]), 'guest_format': draw.choice([None, None, 'ext4']),
                    'size': 10, 'virtual_name': 'ephemeral%d' % n})
        if instance.flavor.swap and draw.chance(.8):
            info['swap'] = {'device_name': next(names) if draw.chance(.9) else None,
                            'disk_bus': draw.choice([bus, bus, bus, None, 'ide']), 'swap_size': 512}
        if from_volume:
            info['block_device_mapping'].append(self.volume(draw, root, bus, 0))
        for _ in range(draw.choice([0, 0, 0, 1, 1, 2, 3])):
            info['block_device_mapping'].append(self.volume(draw, next(names), bus, None))
        return info

    def volume(self, draw, name, bus, boot_index):
        connection = self.connection(draw)
        if boot_index is None:
            boot_index = draw.choice([None] * 6 + [-1, 1, 2, 10])
        return {'attachment_id': draw.uuid(), 'boot_index': boot_index, 'delete_on_termination': False,
                'device_type': draw.choice(['disk'] * 12 + [None, None, 'lun', 'lun', 'cdrom', 'floppy', Bad('fs')]),
                'disk_bus': draw.choice([bus] * 12 + [None, None, 'scsi', 'sata', 'usb', 'virtio', 'ide', Bad('fdc'), Bad('xen'), Bad('bad')]),
                'guest_format': None,
                'mount_device': name, 'connection_info': connection}

    def connection(self, draw):
        kind = draw.choice(sorted(VOLUMES) + [Bad('unknown')])
        volume_id = draw.uuid()
        data = {'access_mode': draw.choice(['rw'] * 6 + ['ro', 'ro', Bad('xx')]), 'encrypted': draw.chance(.1),
                'qos_specs': draw.choice([None, None, {}, self.qos(draw)])}
        data.update(VOLUMES.get(kind, _iscsi)(draw, volume_id))
        if draw.chance(.3):
            data['discard'] = draw.choice([True, True, False, 'true'])
        if draw.chance(.15):
            data['logical_block_size'] = draw.choice(['512', '4096', Bad(512)])
        if draw.chance(.15):
            data['physical_block_size'] = draw.choice(['4096', Bad(4096)])
        if draw.chance(.05):
            del data['access_mode']
        info = {'driver_volume_type': kind.split('/')[0], 'serial': volume_id, 'data': data}
        if draw.chance(.15):
            info['multiattach'] = draw.choice([True, True, False])
        if draw.chance(.03):
            info['serial'] = ''
        return info

    @staticmethod
    def qos(draw):
        keys = ['total_bytes_sec', 'read_bytes_sec', 'write_bytes_sec', 'total_iops_sec', 'read_iops_sec',
                'write_iops_sec', 'total_bytes_sec_max', 'read_bytes_sec_max', 'write_bytes_sec_max',
                'total_iops_sec_max', 'read_iops_sec_max', 'write_iops_sec_max', 'size_iops_sec', 'unknown_qos']
        return {key: draw.choice(['100', '5000', '1048576', 7]) for key in draw.sample(keys, draw.choice([1, 2, 3]))}

    def extras(self, draw, case):
        """What the published format does not have."""
        slots = [vif['profile']['pci_slot'] for vif in case['network_info'] if vif['vnic_type'] == 'vdpa']
        case['vdpa_devices'] = {slot: '/dev/vhost-vdpa-%d' % n for n, slot in enumerate(slots) if draw.chance(.9)}
        volumes = [volume['connection_info'] for volume in case['block_device_info']['block_device_mapping']]
        case['volume_secrets'] = {volume['serial']: draw.uuid() for volume in volumes if draw.chance(.1)}
        if draw.chance(.08):
            case['rescue'] = {'kernel_id': draw.choice(['', draw.uuid()]), 'ramdisk_id': draw.choice(['', draw.uuid()])}
            if draw.chance(.6):
                properties = draw.table({'hw_rescue_bus': (.7, ['virtio', 'usb', 'scsi', 'ide', Bad('xen')]),
                                         'hw_rescue_device': (.7, ['disk', 'cdrom', 'floppy', Bad('fs')])})
                case['rescue']['image'] = {'id': draw.uuid(), 'disk_format': 'raw', 'properties': properties}
        if draw.chance(.05):
            case['mdevs'] = [draw.uuid() for _ in range(draw.choice([1, 2]))]
        if draw.chance(.04):
            case['accelerators'] = ['0000:%02x:00.%d' % (draw.randrange(256), n) for n in range(draw.choice([1, 2]))]
        if draw.chance(.04):
            case['shares'] = [{'mount_path': '/var/lib/nova/mnt/%d' % n, 'tag': draw.uuid()}
                              for n in range(draw.choice([1, 2]))]
        if draw.chance(.04):
            case['pmem'] = [{'device_path': '/dev/dax0.%d' % n, 'size': draw.choice([1 << 30, 292057776128]),
                             'align': draw.choice([2 << 20, 4096])} for n in range(draw.choice([1, 2]))]

    def disk_info(self, case):
        """The published format's hint; absent when nova has none."""
        try:
            instance, image, _, devices = self.oracle.arguments(case)
            case['disk_info'] = self.oracle.mapping(case, instance, image, devices)
        except Exception:
            pass


# ---- ports: VIF type/variant → what neutron binds ----

def _ovs(draw, vif):
    vif['details'] = {'bridge_name': 'br-int', 'connectivity': 'l2', 'datapath_type': 'system',
                      'ovs_hybrid_plug': draw.chance(.3), 'port_filter': draw.chance(.5)}
    if draw.chance(.15):
        vif['details']['ovs_create_tap'] = draw.choice([True, False])


def _slot(draw):
    return {'pci_slot': '0000:81:0%d.%d' % (draw.randrange(1, 4), draw.randrange(8)),
            'pci_vendor_info': '8086:154c', 'physical_network': 'physnet1'}


def _ovs_direct(draw, vif):
    vif.update(vnic_type='direct', profile=dict(_slot(draw), capabilities=['switchdev']),
               details={'port_filter': False, 'datapath_type': 'system'})


def _ovs_vdpa(draw, vif):
    _ovs_direct(draw, vif)
    vif['vnic_type'] = 'vdpa'


def _ovs_remote(draw, vif):
    vif.update(vnic_type='remote-managed', profile=dict(_slot(draw), pf_mac_address='52:54:00:00:00:01', vf_num=1))


def _ovs_other(draw, vif):
    vif.update(vnic_type=draw.choice(['macvtap', 'virtio-forwarder', 'baremetal', 'direct-physical',
                                      'accelerator-direct']), profile=_slot(draw))


def _hw_veb(draw, vif):
    vif.update(vnic_type=draw.choice(['direct', 'macvtap', 'accelerator-direct', 'normal', 'direct-physical']),
               profile=_slot(draw), details={'port_filter': False, 'vlan': draw.choice(['0', '100', '2045', 7])})
    if draw.chance(.05):
        vif['details'] = {}


def _vhostuser(draw, vif):
    vif['details'] = {'bridge_name': 'br-int', 'datapath_type': 'netdev',
                      'vhostuser_mode': draw.choice(['client', 'server']),
                      'vhostuser_socket': '/var/run/openvswitch/vhu' + vif['id'][:11]}
    key = draw.choice(['vhostuser_ovs_plug'] * 3 + ['vhostuser_fp_plug', 'vhostuser_vrouter_plug', None])
    if key:
        vif['details'][key] = True
    if key == 'vhostuser_fp_plug' and draw.chance(.5):
        vif['details'].update(vhostuser_ovs_plug=True, ovs_hybrid_plug=draw.chance(.5))
    if draw.chance(.05):
        del vif['details']['vhostuser_socket']


def _physical(draw, vif):
    vif.update(vnic_type='direct-physical', profile=_slot(draw), details={'vlan': '0'})


def _macvtap(draw, vif):
    vif['details'] = {'macvtap_source': 'eth1', 'macvtap_mode': draw.choice(['bridge', 'vepa']),
                      'physical_interface': 'eth1'}
    if draw.chance(.1):
        del vif['details'][draw.choice(sorted(vif['details']))]


def _tap(draw, vif):
    if draw.chance(.5):
        vif['details'] = {'mac_address': draw.mac()}


def _qbg(draw, vif):
    vif['qbg_params'] = {'managerid': 'xxx', 'typeid': '1', 'typeidversion': '2', 'instanceid': draw.uuid()}
    vif['network']['meta']['interface'] = 'eth0'


def _qbh(draw, vif):
    vif.update(vnic_type=draw.choice(['direct', 'macvtap']), profile=_slot(draw), details={'profileid': 'profile-1'})


def _virtio_forwarder(draw, vif):
    vif.update(vnic_type=draw.choice(['virtio-forwarder', 'direct', 'normal']), profile=_slot(draw))
    vif['details'] = {'vhostuser_mode': 'client', 'vhostuser_socket': '/run/sock', 'bridge_name': 'br-int',
                      'datapath_type': 'system', 'ovs_hybrid_plug': draw.chance(.3), 'port_filter': False}


def _hybrid(draw, vif):
    vif['details'] = {'ovs_hybrid_plug': draw.chance(.5), 'port_filter': draw.chance(.5)}


def _plain(draw, vif):
    pass


PORTS = {
    'ovs': _ovs, 'ovs/2': _ovs, 'ovs/3': _ovs, 'ovs/4': _ovs, 'ovs/5': _ovs, 'ovs/6': _ovs, 'ovs/7': _ovs,
    'ovs/direct': _ovs_direct, 'ovs/remote': _ovs_remote, 'ovs/vdpa': _ovs_vdpa, 'ovs/other': _ovs_other,
    'hw_veb': _hw_veb, 'hw_veb/2': _hw_veb, 'vhostuser': _vhostuser, 'vhostuser/2': _vhostuser,
    'hostdev_physical': _physical, 'ib_hostdev': _physical, 'macvtap': _macvtap, 'tap': _tap, 'tap/2': _tap,
    'iovisor': _plain, 'midonet': _plain, 'agilio_ovs': _virtio_forwarder, 'ivs': _hybrid,
    'vrouter': _virtio_forwarder, '802.1qbg': _qbg, '802.1qbh': _qbh, 
}


# ---- volumes: driver/variant → connection data once connected ----

def _path(text):
    return lambda draw, volume: {'device_path': text % volume, 'volume_id': volume}


def _iscsi(draw, volume):
    data = {'device_path': '/dev/disk/by-id/scsi-' + volume[:8], 'target_lun': 1, 'volume_id': volume,
            'target_iqn': 'iqn.2010-10.org.openstack:volume-' + volume, 'target_portal': '10.0.0.9:3260'}
    if draw.chance(.3):
        data.update(auth_method='CHAP', auth_username='u', auth_password='p')
    return data


def _fibre_channel(draw, volume):
    return {'device_path': '/dev/dm-3', 'multipath_id': '3600' + volume[:8], 'target_lun': 1,
            'target_wwn': ['50014380186b3f65'], 'volume_id': volume}


def _rbd(draw, volume):
    data = {'name': 'volumes/volume-' + volume, 'hosts': ['10.0.0.1', '10.0.0.2'], 'ports': ['6789', '6789'],
            'auth_enabled': draw.chance(.8), 'auth_username': 'cinder', 'cluster_name': 'ceph',
            'secret_type': 'ceph', 'secret_uuid': draw.choice([draw.uuid(), Bad(None)]), 'volume_id': volume}
    if draw.chance(.1):
        data.update(hosts=['fd00::1'], ports=[''])
    return data


def _file(draw, volume):
    return {'device_path': '/var/lib/nova/mnt/abc/volume-' + volume, 'export': '10.0.0.8:/export',
            'format': draw.choice(['raw', 'qcow2']), 'name': 'volume-' + volume, 'options': None}


def _file_without_format(draw, volume):
    data = _file(draw, volume)
    del data['format']
    return data


VOLUMES = {
    'iscsi': _iscsi, 'iscsi/2': _iscsi, 'iscsi/3': _iscsi, 'iser': _iscsi, 'fibre_channel': _fibre_channel,
    'fibre_channel/2': _fibre_channel, 'rbd': _rbd, 'rbd/2': _rbd, 'rbd/3': _rbd, 'nfs': _file, 'nfs/2': _file,
    'nfs/3': _file_without_format, 'smbfs': _file, 'quobyte': _file, 'vzstorage': _file,
    'local': _path('/dev/vg/volume-%s'), 'local/2': _path('/dev/vg/volume-%s'), 'fake': _path('/dev/%s'),
    'gpfs': _path('/gpfs/volume-%s'), 'scaleio': _path('/dev/disk/by-id/emc-vol-%s'),
    'nvmeof': _path('/dev/nvme0n1-%s'), 'lightos': _path('/dev/nvme1n1-%s'),
}
