# SPDX-License-Identifier: Apache-2.0
"""Random cases of `kilonovactl numa`: hosts, guests, flavors, images, PCI pools and devices, mostly
sensible, now and then wrong in one place.  The same seed gives the same cases.
"""
import copy
import random

KIB_SIZES = (4, 2048, 1048576)
VENDORS = (('8086', '1572'), ('8086', '154c'), ('15b3', '1018'), ('10de', '1db4'), ('8086', '0443'))
PHYSNETS = ('physnet0', 'physnet1', 'physnet2')
DEV_TYPES = ('type-PCI', 'type-PF', 'type-VF', 'vdpa')
VERSIONS = {
    'NUMATopology': '1.2', 'NUMACell': '1.5', 'NUMAPagesTopology': '1.1', 'NetworkMetadata': '1.0',
    'NUMATopologyLimits': '1.1', 'InstanceNUMATopology': '1.3', 'InstanceNUMACell': '1.6',
    'InstancePCIRequests': '1.1', 'InstancePCIRequest': '1.4', 'PciDevicePoolList': '1.1',
    'PciDevicePool': '1.1',
}
PACK = 'compute.packing_host_numa_cells_allocation_strategy'


def primitive(name, data):
    return {'nova_object.name': name, 'nova_object.namespace': 'nova',
            'nova_object.version': VERSIONS[name], 'nova_object.data': data}


class Cases:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.n = 0

    def chance(self, p):
        return self.r.random() < p

    def some(self, items, p=0.5):
        return [x for x in items if self.chance(p)]

    # ---- CPU specs ----

    def spec(self, top=40):
        r, parts = self.r, []
        for _ in range(r.randint(1, 5)):
            a, b = r.randint(0, top), r.randint(0, top)
            if not self.chance(0.08):
                a, b = min(a, b), max(a, b)
            form = r.choice(['%d', '%d', '%d-%d', '%d-%d', '^%d', '^%d-%d'])
            parts.append(form % ((a, b) if form.count('%') == 2 else (a,)))
            if self.chance(0.04):
                parts.append(r.choice(['', ' ', '-', '^', '-1', '1-', 'x', '1_0', '+3', '0x1', '2^', '^^1', '1--2',
                                       ' 7 ', '7 - 9', '^ 5', '3.0', '\u0663', '00', '1__0', '\u2003 4', '^3-1']))
        return r.choice([',', ',', ', ', ',,']).join(parts)

    # ---- topologies ----

    def networks(self):
        return primitive('NetworkMetadata', {'physnets': self.some(PHYSNETS, 0.3),
                                             'tunneled': self.chance(0.2)})

    def host(self, n_cells=None):
        r = self.r
        n_cells = n_cells or r.choice([1, 1, 2, 2, 2, 3, 4, 4, 8])
        threads, cores = r.choice([1, 1, 2, 2, 2, 4]), r.choice([1, 2, 3, 4, 8])
        layout = r.choice(['pinned', 'both', 'split', 'shared'])
        pages, network = r.choice([(4,), (4, 2048), (4, 2048), KIB_SIZES, ()]), self.chance(0.5)
        sockets = r.choice(['one', 'cell', 'pairs', 'null'])
        stride = r.choice([1, n_cells * cores])
        cells = []
        for i in range(n_cells):
            siblings = []
            for c in range(cores):
                core = i * cores + c
                siblings.append([core * threads + t for t in range(threads)] if stride == 1
                                else [core + t * stride for t in range(threads)])
            cells.append(self.host_cell(i, siblings, layout, pages, network, sockets))
        if self.chance(0.1):
            r.shuffle(cells)
        return primitive('NUMATopology', {'cells': cells})

    def host_cell(self, number, siblings, layout, sizes, network, sockets):
        r = self.r
        cpus = sorted(sum(siblings, []))
        if layout == 'split':
            cut = r.randint(0, len(siblings))
            shared, dedicated = sorted(sum(siblings[:cut], [])), sorted(sum(siblings[cut:], []))
        else:
            shared = [] if layout == 'pinned' else cpus
            dedicated = [] if layout == 'shared' else cpus
        pinned = [c for c in dedicated if self.chance(r.choice([0, 0, 0.2, 0.5]))]
        memory = r.choice([512, 1024, 2048, 4096, 8192, 65536])
        used = r.choice([0, 0, r.randint(0, memory)])
        left, mempages = memory * 1024, []
        for size in reversed(sizes):
            total = left // size if size == 4 else r.randint(0, max(0, left // size))
            left -= total * size
            mempages.append(primitive('NUMAPagesTopology', {
                'size_kb': size, 'total': total, 'used': r.choice([0, 0, r.randint(0, max(total, 0))]),
                'reserved': r.choice([0, 0, 0, r.randint(0, 1 + total // 4)])}))
        r.shuffle(mempages)
        data = {
            'id': number, 'cpuset': shared, 'pcpuset': dedicated, 'memory': memory, 'memory_usage': used,
            'cpu_usage': r.randint(0, 2 * len(cpus)), 'pinned_cpus': pinned, 'mempages': mempages,
            'siblings': [s for s in ([c for c in x if c in shared or c in dedicated] for x in siblings) if s],
            'socket': {'one': 0, 'cell': number, 'pairs': number // 2, 'null': None}[sockets],
        }
        if self.chance(0.02):
            data['socket'] = None
        if network:
            data['network_metadata'] = self.networks()
        return primitive('NUMACell', data)

    def instance(self, host=None, fitted=False):
        r = self.r
        host_cells = host['nova_object.data']['cells'] if host else []
        top = max(1, len(host_cells))
        n_cells = min(r.choice([1, 1, 1, 2, 2, 3, 4]), top + self.chance(0.05))
        policy = r.choice([None, 'shared', 'dedicated', 'dedicated', 'mixed'])
        thread = r.choice([None, None, 'prefer', 'isolate', 'require']) if policy in ('dedicated', 'mixed') else None
        page = r.choice([None, None, None, -1, -2, -3, 4, 2048, 1048576, 16384])
        per_cell, memory = r.choice([1, 1, 2, 2, 3, 4, 6]), r.choice([64, 128, 256, 512, 513, 1024, 2048])
        cells, cpu = [], 0
        for i in range(n_cells):
            n = max(0, per_cell + r.choice([0, 0, 0, 1, -1]))
            cpus = list(range(cpu, cpu + n))
            cpu += n
            own = cpus if policy == 'dedicated' else self.some(cpus) if policy == 'mixed' else []
            data = {'id': i, 'cpuset': [c for c in cpus if c not in own], 'pcpuset': own,
                    'memory': memory + r.choice([0, 0, 0, 1, 64]), 'pagesize': page, 'cpu_policy': policy,
                    'cpu_thread_policy': thread, 'cpuset_reserved': None, 'cpu_pinning_raw': None}
            if fitted and host_cells:
                self.place(data, r.choice(host_cells)['nova_object.data'])
            for key in ('pagesize', 'cpu_policy', 'cpu_thread_policy', 'cpuset_reserved'):
                if data[key] is None and self.chance(0.1):
                    del data[key]
            cells.append(primitive('InstanceNUMACell', data))
        data = {'cells': cells}
        if self.chance(0.8):
            data['emulator_threads_policy'] = r.choice([None, None, 'share', 'isolate']
                                                       if policy in ('dedicated', 'mixed') else [None, 'share'])
        return primitive('InstanceNUMATopology', data)

    def place(self, cell, host):
        r = self.r
        cell['id'] = r.choice([host['id'], host['id'], host['id'], 77])
        cell['pagesize'] = r.choice([None, 4, 2048, cell['pagesize']])
        candidates = r.choice([host['pcpuset'], host['pinned_cpus'],
                               [c for c in host['pcpuset'] if c not in host['pinned_cpus']], list(range(64))])
        if cell['cpu_policy'] in ('dedicated', 'mixed') and candidates:
            picks = r.sample(candidates, min(len(candidates), len(cell['pcpuset'])))
            cell['cpu_pinning_raw'] = {str(v): p for v, p in zip(cell['pcpuset'], picks)}
            if self.chance(0.3):
                cell['cpuset_reserved'] = r.sample(candidates, 1)

    def limits(self):
        r = self.r
        data = {'cpu_allocation_ratio': r.choice([1.0, 1, 2.0, 4.0, 16.0, 0.5, 1.5]),
                'ram_allocation_ratio': r.choice([1.0, 1.5, 0.5, 2, 0.9])}
        if self.chance(0.4):
            data['network_metadata'] = self.networks()
        return primitive('NUMATopologyLimits', data)

    # ---- PCI ----

    def request_spec(self, strings=True):
        r = self.r
        vendor, product = r.choice(VENDORS)
        spec = r.choice([{'vendor_id': vendor, 'product_id': product}, {'vendor_id': vendor, 'product_id': product},
                         {'physical_network': r.choice(PHYSNETS + (None,))}, {'vendor_id': vendor}])
        spec = dict(spec)
        if self.chance(0.3):
            spec['dev_type'] = r.choice(DEV_TYPES)
        if self.chance(0.1):
            spec['live_migratable'] = r.choice(['true', 'false', 'True'])
        if self.chance(0.1):
            spec['remote_managed'] = r.choice(['true', 'True', 'false', '1'])
        if self.chance(0.1):
            spec[r.choice(['resource_class', 'traits', 'trusted'])] = r.choice(['CUSTOM_A', 'true'])
        if self.chance(0.1):
            spec['vendor_id'] = spec.get('vendor_id', '8086').upper()
        return spec

    def pci_requests(self, rps=()):
        r, requests = self.r, []
        for i in range(r.choice([0, 1, 1, 1, 2, 3])):
            alias = r.choice([None, 'a%d' % i, 'a%d' % i])
            specs = [self.request_spec() for _ in range(r.choice([1, 1, 1, 2]))]
            if rps and alias and self.chance(0.6):
                specs[0]['rp_uuids'] = ','.join(r.choice(rps) for _ in range(r.choice([1, 1, 2])))
            data = {'count': r.choice([1, 1, 1, 2, 2, 3, 8, 0]), 'spec': specs, 'alias_name': alias, 'is_new': False,
                    'request_id': 'req-%d' % r.randint(0, 99), 'requester_id': None,
                    'numa_policy': r.choice([None, 'legacy', 'required', 'preferred', 'socket'])}
            if self.chance(0.1):
                del data['numa_policy']
            requests.append(primitive('InstancePCIRequest', data))
        return primitive('InstancePCIRequests', {'requests': requests})

    def pool(self, number, nodes, rps=()):
        r = self.r
        vendor, product = r.choice(VENDORS)
        kind = r.choice(DEV_TYPES)
        pool = {'vendor_id': vendor, 'product_id': product, 'numa_node': r.choice(nodes + [None]), 'dev_type': kind,
                'count': r.choice([1, 1, 2, 4, 8]), 'address': '0000:%02x:00.0' % (16 + number)}
        if kind != 'type-PCI':
            pool['remote_managed'] = r.choice(['false', 'false', 'true'])
        if self.chance(0.4):
            pool['physical_network'] = r.choice(PHYSNETS + ('Physnet0',))
        if self.chance(0.2):
            pool['live_migratable'] = r.choice(['true', 'false'])
        if rps and self.chance(0.8):
            pool['rp_uuid'] = r.choice(rps)
        return pool

    def pools(self, nodes, rps=()):
        return [self.pool(i, nodes, rps) for i in range(self.r.randint(0, 6))]

    def pool_list(self, nodes, rps):
        made = []
        for pool in self.pools(nodes, rps):
            data = {k: pool.pop(k) for k in ('vendor_id', 'product_id', 'numa_node', 'count')}
            made.append(primitive('PciDevicePool', dict(data, tags=pool)))
        return primitive('PciDevicePoolList', {'objects': made})

    def mapping(self, requests, rps):
        mapping = {}
        for request in requests['nova_object.data']['requests']:
            data = request['nova_object.data']
            for i in range(data['count']):
                mapping['%s-%d' % (data['request_id'], i)] = [self.r.choice(rps)]
        return self.r.choice([mapping, mapping, {}, None])

    def device_spec(self):
        r = self.r
        vendor, product = r.choice(VENDORS)
        bus = r.choice(['04', '24'])
        spec = {}
        if self.chance(0.6):
            spec['vendor_id'] = r.choice([vendor, vendor, '*', ' %s ' % vendor, vendor.upper()])
        if self.chance(0.5):
            spec['product_id'] = r.choice([product, product, '*', '1018'])
        if self.chance(0.6):
            spec['address'] = r.choice([
                '0000:%s:00.0' % bus, '*:%s:*.*' % bus, ':%s:' % bus, '*:%s:02.*' % bus, '*:*:*.1', '.1', ':02.', '',
                '%s:00.1' % bus, {'domain': '.*', 'bus': bus, 'slot': '02', 'function': '[0-2]'},
                {'bus': '0[0-4]'}, {'domain': '0000', 'bus': bus, 'slot': '00', 'function': '0'}, {}])
        elif self.chance(0.2):
            spec['devname'] = r.choice(['ens0', 'ens1', 'nope'])
        if self.chance(0.4):
            spec['physical_network'] = r.choice(PHYSNETS + (None,))
        if self.chance(0.2):
            spec[r.choice(['managed', 'live_migratable', 'one_time_use'])] = r.choice(
                ['true', 'no', 'yes', 'False', '1', 'off'])
        if self.chance(0.15):
            spec['remote_managed'] = r.choice(['true', 'false', 'True', 'x', True])
        if self.chance(0.1):
            spec[r.choice(['trusted', 'resource_class', 'traits', 'rp_uuid'])] = 'CUSTOM_X'
        if self.chance(0.15):
            key, bad = r.choice([
                ('vendor_id', 'zzzz'), ('vendor_id', '12345'), ('vendor_id', '0x8086'), ('product_id', ''),
                ('product_id', 'g'), ('address', '*:*:20.*'), ('address', '*:*:*.8'), ('address', '1:2:3:4.0'),
                ('address', '10000:00:00.0'), ('address', '0000:04:00.0.1'), ('address', {'bus': '['}),
                ('address', {'slot': '*'}), ('address', 'x'), ('address', 5), ('managed', 'maybe'),
                ('live_migratable', 'so'), ('address', '0000:100:00.0'), ('address', ':::.'), ('vendor_id', '-1'),
                ('address', {'function': '(1'}), ('product_id', '80_86'), ('devname', 'ens0')])
            spec[key] = bad
        return spec

    def sysfs(self):
        r = self.r
        return r.choice([{}, {'physical_functions': []},
                         {'physical_functions': ['0000:04:00.0', '0000:24:00.0'],
                          'netdevs': {'ens0': ['0000:04:00.0', True], 'ens1': ['0000:24:02.1', False]}},
                         {'physical_functions': ['0000:04:00.1'],
                          'netdevs': {'ens0': ['0000:04:00.1', True]}}])

    def devices(self):
        r, devices = self.r, []
        for bus in ('04', '24'):
            for card in range(r.choice([0, 1, 1, 2])):
                vendor, product = r.choice(VENDORS)
                node = r.choice([0, 0, 1, None])
                kind = r.choice(['type-PF', 'type-PF', 'type-PCI'])
                parent = '0000:%s:00.%d' % (bus, card)
                devices.append(self.device(parent, kind, vendor, product, node, None))
                for vf in range(r.choice([0, 1, 3, 4]) if kind == 'type-PF' else 0):
                    devices.append(self.device('0000:%s:02.%d' % (bus, card * 4 + vf),
                                               r.choice(['type-VF', 'type-VF', 'type-VF', 'vdpa']), vendor, product,
                                               node, parent))
        r.shuffle(devices)
        return devices

    def device(self, address, kind, vendor, product, node, parent):
        device = {'address': address, 'dev_type': kind, 'vendor_id': vendor, 'product_id': product,
                  'numa_node': node, 'parent_addr': parent, 'dev_id': 'pci_' + address, 'label': 'label_' + vendor}
        if self.chance(0.4):
            device['capabilities'] = {'network': ['rx'], 'vpd': {
                'card_serial_number': self.r.choice(['SN0', 'SN1', '', None])}}
        if parent and self.chance(0.3):
            device['parent_ifname'] = self.r.choice(['ens0', ''])
        return device

    # ---- flavors and images ----

    def flavor(self, vcpus=None):
        r = self.r
        vcpus = vcpus or r.choice([1, 2, 2, 3, 4, 4, 6, 8, 12, 16])
        return {'name': 'f', 'vcpus': vcpus, 'memory_mb': r.choice([512, 1024, 2048, 3072, 4096, 1000]), 'root_gb': 1,
                'ephemeral_gb': 0, 'swap': 0, 'extra_specs': {}}

    def image(self):
        return {'id': '155d900f-4e14-4e4c-a73d-069cbf4541e6', 'name': 'img', 'properties': {}}

    def constraint_specs(self, specs, props, vcpus, memory):
        r, r01 = self.r, self.chance
        mask = lambda: r.choice(['^0', '0', '1', '^0-1', '0-%d' % vcpus, '0-%d' % (vcpus - 1), '^0-%d' % vcpus, 'x',  # noqa
                                 ' ^0', '', '0,2', self.spec(vcpus)])
        page = lambda: r.choice(['any', 'large', 'small', '2048', '4', '1GB', '2MB', '2MiB', '4KB', '0', '1.5GB', '-5',  # noqa
                                 '', 'x', '2048kB', '8192b', '8192bit', '.5MB', '-2KB', '512b', '2 MB', '1TB', '+2MB',
                                 '2MB ', '2M', 'ANY', '\u00b2', '\u0664'])
        count = lambda: r.choice(['1', '2', '2', '2', '3', '4', '0', '-1', '1.5', '', 'x', ' 2', '02', '+2', '129'])  # noqa
        if r01(0.5):
            specs['hw:cpu_policy'] = r.choice(['dedicated', 'dedicated', 'mixed', 'mixed', 'shared', 'foo', ''])
        if r01(0.25):
            props['hw_cpu_policy'] = r.choice(['dedicated', 'mixed', 'shared', 'foo'])
        if r01(0.3):
            specs['hw:cpu_thread_policy'] = r.choice(['prefer', 'isolate', 'require', 'x', ''])
        if r01(0.2):
            props['hw_cpu_thread_policy'] = r.choice(['prefer', 'isolate', 'require', 'x'])
        if r01(0.25):
            specs['hw:emulator_threads_policy'] = r.choice(['share', 'isolate', 'x', ''])
        if r01(0.25):
            specs['hw:cpu_realtime'] = r.choice(['yes', 'true', 'True', '1', 'no', 'x', ' on '])
        if r01(0.25):
            specs['hw:cpu_realtime_mask'] = mask()
        if r01(0.1):
            props['hw_cpu_realtime_mask'] = mask()
        if r01(0.25):
            specs['hw:cpu_dedicated_mask'] = mask()
        if r01(0.35):
            specs['hw:numa_nodes'] = count()
        if r01(0.2):
            props['hw_numa_nodes'] = r.choice(['1', '2', '2', '4', '0', 'x', '-1', ' 2', 2, 2.9, True, '1_0', None])
        for source, cpus, mem in ((specs, 'hw:numa_cpus.%d', 'hw:numa_mem.%d'), (props, 'hw_numa_cpus.%d', 'hw_numa_mem.%d')):
            if r01(0.2):
                self.layout(source, cpus, mem, vcpus, memory)
        if r01(0.3):
            specs['hw:mem_page_size'] = page()
        if r01(0.2):
            props['hw_mem_page_size'] = page()
        if r01(0.1):
            specs['hw:locked_memory'] = r.choice(['true', 'false', 'x', '1'])
        if r01(0.1):
            props['hw_locked_memory'] = r.choice(['true', 'false', 'yes', True])
        if r01(0.1):
            specs['hw:pmem'] = r.choice(['4GB', ' ', '4GB, ,16GB', '', ','])
        if r01(0.1):
            specs[r.choice(['resources:VCPU', 'resources1:VCPU', 'resources:PCPU', 'resources12:PCPU',
                            'resources01:PCPU', 'resources:VCPU_X', 'resource:VCPU'])] = r.choice(
                [str(vcpus), str(vcpus + 1), 'x', '1', '0', '-1'])
        if r01(0.1):
            specs[r.choice(['trait:HW_CPU_HYPERTHREADING', 'trait1:HW_CPU_HYPERTHREADING',
                            'trait0:HW_CPU_HYPERTHREADING'])] = r.choice(['required', 'forbidden', 'x', ''])
        if r01(0.1):
            props['trait:HW_CPU_HYPERTHREADING'] = r.choice(['required', 'forbidden'])
        if r01(0.1):
            specs['hw:mem_encryption'] = r.choice(['true', 'false', 'x'])
        if r01(0.1):
            props['hw_mem_encryption'] = r.choice(['true', 'false'])
        if r01(0.05):
            specs['hw:mem_encryption_model'] = r.choice(['amd-sev', 'amd-sev-es', 'amd-sev-snp', 'intel-tdx', 'x', ''])
        if r01(0.05):
            props['hw_mem_encryption_model'] = r.choice(['amd-sev', 'amd-sev-es', 'amd-sev-snp', 'intel-tdx', 'x'])
        if r01(0.2):
            props['hw_firmware_type'] = r.choice(['uefi', 'uefi', 'bios', 'x'])
        if r01(0.1):
            props['hw_firmware_stateless'] = r.choice(['true', 'false'])
        if r01(0.1):
            props['hw_machine_type'] = r.choice(['q35', 'pc', 'pc-q35-8.2', ''])
        if r01(0.1):
            props['hw_video_model'] = r.choice(['none', 'vga', 'x'])
        if r01(0.1):
            self.odd_property(props)

    def odd_property(self, props):
        key, value = self.r.choice([
            ('hw_architecture', 'AMD64'), ('hw_architecture', 'foo'), ('architecture', 'i586'), ('hw_vm_mode', 'HVM'),
            ('vm_mode', 'pv'), ('hw_disk_bus', 'sata'), ('hw_disk_bus', 'SATA'), ('os_type', 'Linux'), ('os_type', 'x'),
            ('hw_vif_model', 'VirtualE1000'), ('hw_scsi_model', 'lsiLogicsas'), ('vmware_adaptertype', 'ide'),
            ('vmware_adaptertype', 'lsilogic'), ('vmware_adaptertype', 'bad'), ('img_hv_requested_version', '>=2.6'),
            ('img_hv_requested_version', '2.6'), ('img_hv_requested_version', '>=1.0rc1,<2'), ('img_hv_type', 'xapi'),
            ('img_hv_type', 'nope'), ('img_version', ' 3 '), ('img_version', 'x'), ('hw_cpu_cores', '1.5'),
            ('hw_video_ram', 64.9), ('hw_boot_menu', 'maybe'), ('img_mappings', 'x'), ('img_mappings', [{'a': None}]),
            ('hw_device_id', None), ('os_distro', 5), ('os_command_line', True), ('img_signature_hash_method', 'MD5'),
            ('img_signature_key_type', 'DSA'), ('hw_watchdog_action', 'disabled'), ('hw_pointer_model', 'usbtablet'),
            ('hw_rng_model', 'x'), ('hw_tpm_version', '1.2'), ('hw_maxphysaddr_bits', '42'), ('hw_pci_numa_affinity_policy', 'socket'),
            ('hw_pci_numa_affinity_policy', 'x'), ('os_secure_boot', 'required'), ('bdm_v2', 'x'), ('unknown', 'x'),
            ('hw_numa_cpus.1', '5-3'), ('hw_numa_cpus.0', 'x'), ('hw_numa_mem.0', 'x'), ('hw_emulation_architecture', 'X86_32'),
            ('img_owner_id', ['x']), ('hw_serial_port_count', '-1'), ('hypervisor_type', 'QEMU')])
        props[key] = value

    def layout(self, into, cpus, mem, vcpus, memory):
        r = self.r
        nodes = r.choice([1, 2, 2, 2, 3])
        all_cpus = list(range(vcpus))
        if self.chance(0.2):
            r.shuffle(all_cpus)
        share = memory // nodes
        for node in range(nodes):
            own = all_cpus[node::nodes] if self.chance(0.5) else all_cpus[node * vcpus // nodes:(node + 1) * vcpus // nodes]
            text = ','.join(map(str, own))
            if self.chance(0.05):
                text = self.spec(vcpus + 2)
            into[cpus % node] = text
            amount = share if node else memory - share * (nodes - 1)
            into[mem % node] = r.choice([str(amount)] * 12 + ['x', str(amount + 1), ' %d ' % amount])
        if self.chance(0.1):
            del into[r.choice([cpus, mem]) % r.randrange(nodes)]
        if cpus.startswith('hw:') and self.chance(0.8):
            into['hw:numa_nodes'] = str(nodes)
        elif self.chance(0.8):
            into['hw_numa_nodes'] = str(nodes)

    # ---- cases ----

    def fit(self):
        host = self.host() if not self.chance(0.01) else None
        instance = self.instance(host) if not self.chance(0.01) else None
        rps = ['rp-%d' % i for i in range(3)] if self.chance(0.2) else []
        nodes = [c['nova_object.data']['id'] for c in host['nova_object.data']['cells']] if host else [0]
        requests = self.pci_requests(rps) if self.chance(0.4) else None
        return {'op': 'numa_fit_instance_to_host', 'host': host, 'instance': instance,
                'limits': self.limits() if self.chance(0.5) else None, 'pci_requests': requests,
                'pci_stats': self.pool_list(nodes, rps) if self.chance(0.5) else None,
                'provider_mapping': self.mapping(requests, rps) if rps and requests else None,
                'config': {PACK: self.chance(0.3)}}

    def usage(self):
        host = self.host(self.r.choice([1, 2, 3]))
        for cell in host['nova_object.data']['cells']:
            if not cell['nova_object.data']['mempages']:
                cell['nova_object.data']['mempages'].append(primitive('NUMAPagesTopology', {
                    'size_kb': 4, 'total': 1000, 'used': 5, 'reserved': 0}))
        return {'op': 'numa_usage_from_instance_numa', 'host': host,
                'instance': self.instance(host, True) if not self.chance(0.02) else None, 'free': self.chance(0.5)}

    def constraints(self):
        flavor, image = self.flavor(), self.image()
        self.constraint_specs(flavor['extra_specs'], image['properties'], flavor['vcpus'], flavor['memory_mb'])
        return {'op': 'numa_get_constraints', 'flavor': flavor, 'image': image}

    def topology(self):
        r, flavor, image = self.r, self.flavor(self.r.choice([1, 2, 4, 6, 8, 12, 16, 24, 48, 7])), self.image()
        for kind in ('sockets', 'cores', 'threads', 'max_sockets', 'max_cores', 'max_threads'):
            if self.chance(0.3):
                flavor['extra_specs']['hw:cpu_' + kind] = r.choice(['1', '2', '4', '8', '3', '0', '65536', '1000'] +
                                                                   (['x', '', '-1', '1.5', ' 2'] if self.chance(0.2) else []))
            if self.chance(0.2):
                image['properties']['hw_cpu_' + kind] = r.choice(['1', '2', '4', '8', '3', '0', '64'] +
                                                                 (['-1', 'x'] if self.chance(0.1) else []))
        return {'op': 'get_best_cpu_topology', 'flavor': flavor, 'image': image, 'allow_threads': self.chance(0.8)}

    def parse(self):
        return {'op': 'parse_cpu_spec', 'spec': self.spec()}

    def format(self):
        return {'op': 'format_cpu_spec', 'cpus': self.some(range(self.r.choice([0, 4, 20, 70]))),
                'allow_ranges': self.chance(0.7)}

    def sets(self):
        config = {}
        for key in ('compute.cpu_dedicated_set', 'compute.cpu_shared_set', 'vcpu_pin_set'):
            if self.chance(0.5):
                config[key] = self.r.choice([self.spec(16), self.spec(16), '', '^1', ' '])
        return {'op': 'get_cpu_sets', 'config': config}

    def reserved(self):
        r, entries = self.r, []
        for _ in range(r.randint(0, 4)):
            entry = {'node': r.choice(['0', '1', '2']), 'size': r.choice(['2048', '1GB', '2MB', '1048576', '4']),
                     'count': r.choice(['64', '1', '512'])}
            if self.chance(0.1):
                entry[r.choice(['node', 'size', 'count'])] = r.choice(['x', '', '-1', ' 3', '1.5'])
            if self.chance(0.05):
                del entry[r.choice(list(entry))]
            entries.append(entry)
        return {'op': 'numa_get_reserved_huge_pages', 'config': {'reserved_huge_pages': entries}}

    def match(self):
        device = self.r.choice(self.devices() or [self.device('0000:04:00.0', 'type-PF', '8086', '1572', 0, None)])
        device = {k: device[k] for k in ('address', 'vendor_id', 'product_id', 'parent_addr', 'capabilities') if k in device}
        return {'op': 'pci_device_spec_match', 'spec': self.device_spec(), 'device': device, 'sysfs': self.sysfs()}

    def apply(self):
        host = self.host()
        nodes = [c['nova_object.data']['id'] for c in host['nova_object.data']['cells']]
        rps = ['rp-%d' % i for i in range(4)] if self.chance(0.3) else []
        requests = self.pci_requests(rps)
        return {'op': self.r.choice(['pci_apply_requests', 'pci_support_requests']), 'host': host,
                'pools': self.pools(nodes, rps), 'pci_requests': requests,
                'provider_mapping': self.mapping(requests, rps) if rps else None,
                'numa_cell_ids': self.some(nodes) if self.chance(0.6) else None}

    def tracked(self):
        specs = [self.device_spec() for _ in range(self.r.choice([1, 1, 2, 3]))]
        case = {'op': self.r.choice(['pci_build_pools', 'pci_consume_requests', 'pci_consume_requests']),
                'config': {'pci.device_spec': [self.json(s) for s in specs]}, 'devices': self.devices(),
                'sysfs': self.sysfs()}
        if self.chance(0.1):
            case['config']['pci.report_in_placement'] = True
        if case['op'] == 'pci_consume_requests':
            case.update(host=self.host(2), pci_requests=self.pci_requests(),
                        numa_cell_ids=self.some([0, 1], 0.7) if self.chance(0.5) else None)
        return case

    def json(self, spec):
        import json
        return json.dumps(self.r.choice([spec, spec, spec, [spec]])) if not self.chance(0.01) else '{"x"'

    KINDS = [('fit', 50), ('usage', 8), ('constraints', 16), ('topology', 6), ('parse', 3), ('format', 1), ('sets', 2),
             ('reserved', 2), ('match', 4), ('apply', 6), ('tracked', 4)]

    def case(self, kind=None):
        self.n += 1
        if not kind:
            kind = self.r.choices([k for k, _ in self.KINDS], [w for _, w in self.KINDS])[0]
        case = getattr(self, kind)()
        case.setdefault('config', {})
        case['id'] = 'r%d' % self.n
        return self.spoil(case) if self.chance(0.02) else case

    def spoil(self, case):
        """One member somewhere in an object is gone, null or of another type."""
        case = copy.deepcopy(case)
        places = []

        def walk(value):
            if isinstance(value, dict):
                data = value.get('nova_object.data')
                if isinstance(data, dict):
                    places.extend((data, k) for k in data)
                for item in value.values():
                    walk(item)
            elif isinstance(value, list):
                for item in value:
                    walk(item)
        walk(case)
        if places:
            data, key = self.r.choice(places)
            how = self.r.choice(['gone', 'null', 'other'])
            if how == 'gone':
                del data[key]
            else:
                data[key] = None if how == 'null' else self.r.choice([0, 7, '7', 'x', 2.5, True])
        return case
