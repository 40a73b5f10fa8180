#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nova's own answers: what `kilonovactl numa` answers, by the functions of nova 34.0.0.

Reads JSON cases, writes JSON answers, one a line.  Needs a Python that has nova (tests/lab/install
nova-compute makes a venv).  Host threads of a sibling set are taken in ascending order unless
KILONOVA_LITERAL_SETS is set: Nova iterates a set there, whose order is the interpreter's.
"""
import copy
import functools
import itertools
import json
import logging
import os
import sys
import warnings

warnings.simplefilter('ignore')
logging.disable(logging.CRITICAL)

import nova.conf                                               # noqa: E402
from nova import exception, objects                            # noqa: E402
from nova.pci import devspec, manager, stats, utils, whitelist  # noqa: E402
from nova.virt import hardware                                 # noqa: E402

CONF = nova.conf.CONF
SYSFS = {}
objects.register_all()
CONF([], project='nova', default_config_files=[])


def sorted_list(items=()):
    return sorted(items) if isinstance(items, (set, frozenset)) else list(items)


class AscendingChain:
    """itertools, whose chain() goes through sets in ascending order."""
    permutations = itertools.permutations

    @staticmethod
    def chain(*parts):
        return itertools.chain(*[sorted_list(x) for x in parts])


if not os.environ.get('KILONOVA_LITERAL_SETS'):
    # Only _pack_instance_onto_cores() makes lists of sets, and chains them.
    hardware.list = sorted_list
    hardware.itertools = AscendingChain

# ---- sysfs ----


def is_physical_function(domain, bus, slot, func):
    return f'{domain}:{bus}:{slot}.{func}' in SYSFS.get('physical_functions', ())


def get_function_by_ifname(name):
    address, is_pf = SYSFS.get('netdevs', {}).get(name, (None, False))
    return address, is_pf


def not_here(*args, **kwargs):
    raise exception.PciDeviceNotFoundById(id=args[0])


utils.is_physical_function = is_physical_function
utils.get_function_by_ifname = get_function_by_ifname
utils.get_vf_product_id_by_pf_addr = not_here
utils.get_pci_ids_by_pci_addr = not_here

# ---- the case's members ----


def load(case, key):
    value = case.get(key)
    return None if value is None else objects.base.NovaObject.obj_from_primitive(copy.deepcopy(value))


def flavor_of(case):
    return objects.Flavor(**case['flavor'])


def image_of(case):
    return objects.ImageMeta.from_dict(case['image'])


def requests_of(case):
    requests = load(case, 'pci_requests')
    return None if requests is None else requests.requests


def cells_of(case):
    ids = case.get('numa_cell_ids')
    return None if ids is None else [objects.InstanceNUMACell(id=i) for i in ids]


def shown(pools):
    out = []
    for pool in pools:
        pool = dict(pool)
        if 'devices' in pool:
            pool['devices'] = [d.address for d in pool['devices']]
        out.append(pool)
    return out


def pools_of(case):
    made = stats.PciDeviceStats(load(case, 'host'), dev_filter=whitelist.Whitelist())
    made.pools = copy.deepcopy(case['pools'])
    return made


def tracked(case):
    """A PCI tracker's pools after every device of the case."""
    made = stats.PciDeviceStats(load(case, 'host'), dev_filter=whitelist.Whitelist(CONF.pci.device_spec))
    devices = [objects.PciDevice.create(None, copy.deepcopy(d)) for d in case['devices']]
    devices.sort(key=lambda d: d.address)
    for number, device in enumerate(devices):
        device.id = number
        device.compute_node_id = 1
    manager.PciDevTracker._build_device_tree(devices)
    for device in devices:
        made.add_device(device)
    return made

# ---- operations ----


def cpu_sets(case):
    return {'dedicated': hardware.get_cpu_dedicated_set(), 'shared': hardware.get_cpu_shared_set(),
            'vcpu_pin_set': hardware.get_vcpu_pin_set()}


def cpu_topology(case):
    best = hardware.get_best_cpu_topology(flavor_of(case), image_of(case), case['allow_threads'])
    return {'sockets': best.sockets, 'cores': best.cores, 'threads': best.threads}


def fit(case):
    host = load(case, 'host')
    pools = load(case, 'pci_stats')
    return hardware.numa_fit_instance_to_host(
        host, load(case, 'instance'), case.get('provider_mapping'), limits=load(case, 'limits'),
        pci_requests=requests_of(case),
        pci_stats=None if pools is None else stats.PciDeviceStats(
            host, stats=pools, dev_filter=whitelist.Whitelist()))


def spec_match(case):
    spec = devspec.PciDeviceSpec(copy.deepcopy(case['spec']))
    return spec.match(case['device'])


def support(case):
    return pools_of(case).support_requests(requests_of(case), case.get('provider_mapping'), cells_of(case))


def apply(case):
    pools = pools_of(case)
    pools.apply_requests(requests_of(case), case.get('provider_mapping'), cells_of(case))
    return shown(pools.pools)


def consume(case):
    pools = tracked(case)
    devices = pools.consume_requests(requests_of(case), cells_of(case))
    return {'allocated': [[d.address, d.request_id] for d in devices], 'pools': shown(pools.pools)}


OPERATIONS = {
    'parse_cpu_spec': lambda c: hardware.parse_cpu_spec(c['spec']),
    'format_cpu_spec': lambda c: hardware.format_cpu_spec(set(c['cpus']), c['allow_ranges']),
    'get_cpu_sets': cpu_sets,
    'numa_get_reserved_huge_pages': lambda c: {
        n: {int(size): count for size, count in sizes.items()}
        for n, sizes in hardware.numa_get_reserved_huge_pages().items()},
    'numa_get_constraints': lambda c: hardware.numa_get_constraints(flavor_of(c), image_of(c)),
    'get_best_cpu_topology': cpu_topology,
    'numa_fit_instance_to_host': fit,
    'numa_usage_from_instance_numa': lambda c: hardware.numa_usage_from_instance_numa(
        load(c, 'host'), load(c, 'instance'), c.get('free', False)),
    'pci_device_spec_match': spec_match,
    'pci_support_requests': support,
    'pci_apply_requests': apply,
    'pci_build_pools': lambda c: shown(tracked(c).pools),
    'pci_consume_requests': consume,
}


def plain(value):
    if hasattr(value, 'obj_to_primitive'):
        return value.obj_to_primitive()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return value


def set_config(config):
    """Returns what undoes it."""
    undo = []
    for key, value in config.items():
        group, _, name = key.rpartition('.')
        CONF.set_override(name, value, group or None)
        undo.append(functools.partial(CONF.clear_override, name, group or None))
    return undo


def answer(case):
    undo = []
    SYSFS.clear()
    try:
        SYSFS.update(case.get('sysfs') or {})
        undo = set_config(case.get('config') or {})
        return {'id': case.get('id'), 'result': plain(OPERATIONS[case['op']](case))}
    except Exception as e:
        return {'id': case.get('id'), 'error': type(e).__name__, 'message': str(e)}
    finally:
        for step in undo:
            step()


def main():
    for line in sys.stdin:
        if line.strip():
            sys.stdout.write(json.dumps(answer(json.loads(line))) + '\n')
    sys.stdout.flush()


if __name__ == '__main__':
    main()
