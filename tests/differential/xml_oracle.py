# SPDX-License-Identifier: Apache-2.0
"""Nova's own domain XML for a case of `kilonovactl xml`: LibvirtDriver._get_guest_xml() of the nova package
under its fake libvirt, with the host, options and objects that the case describes.

A case may carry what the command reads beside that: `rescue` ({kernel_id, ramdisk_id, image}), `mdevs` (uuids),
`accelerators` (PCI addresses), `shares` ([{mount_path, tag}]), `pmem` ([{device_path, size, align}]),
`cpu_model_features` ({model: [feature]}), `vdpa_devices` ({PCI address: path}), `volume_secrets` ({volume id: uuid})
and in `host` `has_cpu_controller` and `kernel_supports_sev`.
"""
import copy
import logging
import types
import warnings

warnings.simplefilter('ignore')
logging.disable(logging.CRITICAL)

from lxml import etree                                                # noqa: E402

import fixtures                                                       # noqa: E402
from nova import context, objects, test, version                    # noqa: E402
from nova.network import model as network_model                       # noqa: E402
from nova.tests.fixtures import libvirt as fakelibvirt                 # noqa: E402
from nova.tests.fixtures.nova import CGroupsFixture                    # noqa: E402
from nova.virt import fake                                            # noqa: E402
from nova.virt.libvirt import blockinfo, driver                       # noqa: E402
from nova.virt.libvirt import host as libvirt_host                    # noqa: E402
from nova.virt.libvirt import imagebackend                            # noqa: E402

CONF = driver.CONF
NOVA_VERSION = version.version_string()

ALWAYS = {'state_path': '/var/lib/nova', 'key_manager.fixed_key': '11' * 32}

# The fake libvirt knows neither; both are as libvirt lists them, with the machine types that nova picks.
OTHER_GUESTS = """<guest><os_type>hvm</os_type><arch name='%s'><wordsize>64</wordsize>
<emulator>/usr/bin/qemu-system-%s</emulator>%s<domain type='qemu'/><domain type='kvm'/></arch></guest>"""
OTHER_MACHINES = {'s390x': ['s390-ccw-virtio-6.2', 's390-ccw-virtio'], 'ppc64le': ['pseries-6.2', 'pseries'],
                  'ppc64': ['pseries-6.2', 'pseries']}


class Volume(dict):
    """A block device mapping that is already stored."""

    def save(self):
        pass


class Connection(fakelibvirt.Connection):
    """A libvirt that answers what the case says it answered, and notes what it was asked."""

    def __init__(self, case, answers):
        host = case['host']
        info = fakelibvirt.HostInfo(
            cpu_nodes=host['cpu_nodes'], cpu_sockets=host['cpu_sockets'], cpu_cores=host['cpu_cores'],
            cpu_threads=host['cpu_threads'], kB_mem=host['kB_mem'], mempages=answers.get('mempages'))
        super().__init__('qemu:///system', version=host['libvirt_version'],
                         hv_version=host['qemu_version'], host_info=info)
        self.capabilities = case.get('host_capabilities_xml')
        self.domain_capabilities = case.get('domain_capabilities_xml')
        self.features = answers.get('features')
        self.model_features = case.get('cpu_model_features', {})
        self.asked = []

    def getCapabilities(self):
        if self.capabilities:
            return self.capabilities
        guests = [OTHER_GUESTS % (arch, arch, ''.join('<machine>%s</machine>' % name for name in machines))
                  for arch, machines in OTHER_MACHINES.items()]
        return super().getCapabilities().replace('</capabilities>', ''.join(guests) + '</capabilities>')

    def getDomainCapabilities(self, emulator, arch, machine, virt_type, flags):
        if self.domain_capabilities is None:
            if self.features:
                self._domain_capability_features = self.features
            xml = self.template(arch, machine) if arch in OTHER_MACHINES else super().getDomainCapabilities(
                emulator, arch, machine, virt_type, flags)
            self.asked.append({'arch': arch, 'machine': machine, 'virt_type': virt_type, 'xml': xml})
            return xml
        for answer in self.domain_capabilities:
            if (answer['arch'], answer['machine'], answer['virt_type']) == (arch, machine, virt_type):
                return answer['xml']
        raise fakelibvirt.make_libvirtError(
            fakelibvirt.libvirtError, 'no such machine', error_code=fakelibvirt.VIR_ERR_INVALID_ARG,
            error_domain=fakelibvirt.VIR_FROM_QEMU)


    def baselineCPU(self, cpus, flags):
        model = etree.fromstring(cpus[0]).findtext('model')
        names = self.model_features.get(model, [])
        return '<cpu><model>%s</model>%s</cpu>' % (
            model, ''.join('<feature name="%s"/>' % name for name in names))

    def getCPUModelNames(self, arch):
        return super().getCPUModelNames({'i686': 'x86_64', 'ppc64le': 'ppc64'}.get(arch, arch))

    def template(self, arch, machine):
        return fakelibvirt.fake_libvirt_data.DOMCAPABILITIES_X86_64_TEMPLATE.replace('x86_64', arch) % {
            'devices': self._domain_capability_devices, 'tpm': self._domain_capability_tpm,
            'features': self._domain_capability_features, 'mtype': machine}


class Oracle(test.NoDBTestCase):
    """Keeps nova's fixtures up; one at a time, in one thread."""

    REQUIRES_LOCKING = True

    def runTest(self):
        pass

    def setUp(self):
        super().setUp()
        self.overridden, self.mocks = [], []
        self.context = context.get_admin_context()
        self.libvirt = self.useFixture(fakelibvirt.LibvirtFixture(stub_amd_sev=False))
        self.cgroups = self.useFixture(CGroupsFixture())
        self.direct_io = self._patch('nova.privsep.utils.supports_direct_io')
        for name in ('rbd', 'rados', 'RBDDriver.exists'):
            self._patch('nova.storage.rbd_utils.' + name)
        self.monitors = self._patch('nova.storage.rbd_utils.RBDDriver.get_mon_addrs')
        self.machine_id = None
        self._replace('nova.virt.libvirt.driver.LibvirtDriver._get_host_sysinfo_serial_os', lambda _: self.machine_id)
        self.pmem = self._patch('nova.virt.libvirt.driver.LibvirtDriver._get_ordered_vpmems')
        self.case = {}
        self._replace('nova.virt.libvirt.host.Host.get_vdpa_device_path', self.vdpa_device)
        self._replace('nova.virt.libvirt.host.Host.find_secret', self.find_secret)
        self.port = self._patch('nova.console.serial.acquire_port')
        self._replace('nova.virt.libvirt.imagebackend.Image.resolve_driver_format',
                      imagebackend.Image._get_driver_format)
        self._patch('nova.virt.libvirt.driver.LibvirtDriver._connect_volume')
        self._replace('nova.virt.libvirt.driver.LibvirtDriver._get_share_mount_path',
                      lambda _, instance, share: share.mount_path)
        self.sev = self._patch('nova.virt.libvirt.host.Host._kernel_supports_amd_sev')
        self.connection = self._patch('nova.virt.libvirt.host.Host.get_connection')
        self._patch('nova.objects.instance.Instance.save')

    def _patch(self, name):
        self.mocks.append(self.useFixture(fixtures.MockPatch(name)).mock)
        return self.mocks[-1]

    def _replace(self, name, new):
        self.useFixture(fixtures.MonkeyPatch(name, new))

    def vdpa_device(self, _, address):
        return next(path for slot, path in self.case.get('vdpa_devices', {}).items() if slot == address)

    def find_secret(self, _, usage, volume_id):
        secret = self.case.get('volume_secrets', {}).get(volume_id)
        return types.SimpleNamespace(UUIDString=lambda: secret) if secret else None

    # ---- the world of one case ----

    def configure(self, config):
        for where in self.overridden:
            CONF.clear_override(*where)
        self.overridden = []
        for key, value in {**ALWAYS, **config}.items():
            group, _, name = key.rpartition('.')
            CONF.set_override(name, value, group or None)
            self.overridden.append((name, group or None))

    def prepare(self, case, answers=None):
        """The driver of the host that the case describes."""
        self.case = case
        for mock in self.mocks:
            mock.reset_mock()     # they keep every call otherwise
        self.configure(case['config'])
        host, sysfs = case['host'], case.get('sysfs', {})
        self.libvirt.mock_uname.return_value = fakelibvirt.os_uname(
            'Linux', '', sysfs.get('uname_release', '5.4.0-0-generic'), '', host['arch'])
        self.direct_io.return_value = host['instances_path_supports_direct_io']
        self.cgroups.version = 1 if host.get('has_cpu_controller', True) else 0
        self.sev.return_value = bool(host.get('kernel_supports_sev'))
        self.machine_id = sysfs.get('machine_id')
        self.pmem.return_value = [types.SimpleNamespace(devpath=p['device_path'], size=p['size'], align=p['align'])
                                  for p in case.get('pmem', [])]
        connection = Connection(case, answers or {})
        self.connection.return_value = connection
        monitors = case.get('rbd_mon_addrs', [[], []])
        self.monitors.return_value = (list(monitors[0]), list(monitors[1]))
        made = driver.LibvirtDriver(fake.FakeVirtAPI(), False)
        return made, connection

    # ---- one case ----

    def arguments(self, case):
        instance = objects.Instance.obj_from_primitive(copy.deepcopy(case['instance']), self.context)
        image = {k: v for k, v in copy.deepcopy(case['image']).items() if v is not None}
        image_meta = objects.ImageMeta.from_dict(image)
        network_info = network_model.NetworkInfo(
            [network_model.VIF.hydrate(vif) for vif in copy.deepcopy(case['network_info'])])
        devices = copy.deepcopy(case['block_device_info'])
        if case.get('rescue') and not case['rescue'].get('image'):
            devices = {**devices, 'swap': None, 'ephemerals': [], 'block_device_mapping': [], 'root_device_name': None}
        devices['block_device_mapping'] = [Volume(v) for v in devices['block_device_mapping']]
        return instance, image_meta, network_info, devices

    def extras(self, case):
        extras = {'mdevs': case.get('mdevs')}
        if case.get('rescue'):
            extras['rescue'] = case['rescue']
        if case.get('accelerators'):
            extras['accel_info'] = [self.accelerator(address) for address in case['accelerators']]
        if case.get('shares'):
            extras['share_info'] = [types.SimpleNamespace(**share) for share in case['shares']]
        return extras

    @staticmethod
    def accelerator(address):
        parts = address.replace('.', ':').split(':')
        return {'attach_handle_type': 'PCI',
                'attach_handle_info': dict(zip(('domain', 'bus', 'device', 'function'), parts))}

    def mapping(self, case, instance, image_meta, devices):
        """As nova calls it at boot, or when it rescues."""
        rescue, rescue_image = case.get('rescue'), None
        if rescue and rescue.get('image'):
            rescue_image = objects.ImageMeta.from_dict(copy.deepcopy(rescue['image']))
        return blockinfo.get_disk_info(
            CONF.libvirt.virt_type, instance, image_meta, devices, rescue=bool(rescue),
            rescue_image_meta=rescue_image)

    def prepared(self, made, case):
        """A call of _get_guest_xml() that has its arguments."""
        instance, image_meta, network_info, devices = self.arguments(case)
        disk_info = self.mapping(case, instance, image_meta, devices)
        first = case.get('serial_console_first_port', 10000)
        self.port.side_effect = iter(range(first, first + 100))
        return lambda: made._get_guest_xml(
            self.context, instance, network_info, disk_info, image_meta, block_device_info=devices,
            **self.extras(case))

    def make(self, made, case):
        return self.prepared(made, case)()

    def answer(self, case):
        """{'xml': text} or {'error': class}, as a program under test answers."""
        try:
            made, _ = self.prepare(case)
            return {'xml': self.make(made, case)}
        except Exception as e:
            return {'error': type(e).__name__, 'message': str(e), 'exception': e}


def new_oracle():
    oracle = Oracle()
    oracle.setUp()
    return oracle
