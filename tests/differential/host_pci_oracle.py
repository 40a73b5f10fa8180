#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Nova's Host._get_pcidev_info() makes of node devices: writes tests/unit/data/host_pci/expected.json.
Run it with a Python that has Nova.  Of sysfs it sees what test_host_pci.c puts there."""
import json
import pathlib
import xml.etree.ElementTree as ET
from unittest import mock

from nova import exception
from nova.pci import utils
from nova.virt.libvirt import host

DATA = pathlib.Path(__file__).resolve().parents[1] / "unit/data/host_pci"
INTERFACES = {"0000:06:00.0": ("ens6", "02:00:00:00:06:00"), "0000:06:10.7": ("ens6v1", "02:00:00:00:06:17")}
PARENTS = {"0000:06:10.7": "0000:06:00.0", "0000:06:10.5": "0000:06:00.0"}
NUMBERS = {"0000:06:10.7": 3, "0000:06:10.5": 2}


class Device:
    def __init__(self, text):
        self.text = text
        self.root = ET.fromstring(text)

    def name(self):
        return self.root.findtext("name")

    def parent(self):
        return self.root.findtext("parent")

    def XMLDesc(self, flags):
        return self.text

    def has(self, kind):
        return any(c.get("type") == kind for c in self.root.findall("capability"))


def look_up(table, address):
    if address not in table:
        raise exception.PciDeviceNotFoundById(id=address)
    return table[address]


def interface(address, pf_interface=False):
    return look_up(INTERFACES, PARENTS.get(address) if pf_interface else address)[0]


def main():
    devices = [Device(path.read_text()) for path in sorted(DATA.glob("*.xml"))]
    pci = [d for d in devices if d.has("pci")]
    nets = [d for d in devices if d.has("net")]
    vdpas = [d for d in devices if d.has("vdpa")]
    answers = []
    with mock.patch.object(utils, "get_ifname_by_pci_address", interface), \
            mock.patch.object(utils, "get_mac_by_pci_address", lambda a, pf=False: look_up(INTERFACES, a)[1]), \
            mock.patch.object(utils, "get_vf_num_by_pci_address", lambda a: look_up(NUMBERS, a)):
        for device in pci:
            try:
                answers.append(host.Host._get_pcidev_info(host.Host("test:///default"), device.name(), device, nets, vdpas, pci))
            except TypeError:  # a broken one is an error to Nova
                print(f"left out: {device.name()}")
    (DATA / "expected.json").write_text(json.dumps(answers, indent=1, sort_keys=True) + "\n")


main()
