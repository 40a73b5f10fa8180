# SPDX-License-Identifier: Apache-2.0
"""The test VM as the tests see it: commands inside, servers on host vm1, records in Nova's data base."""
import base64
import functools
import json
import os
import pathlib
import shlex
import subprocess
import time
import unittest

import openstack
from nova import config, context, objects

import ask

HOST = "vm1"
LAB = pathlib.Path(__file__).resolve().parents[1] / "lab"
SHARE = ask.SHARE
NVMES = {"vendor_id": "1b36", "product_id": "0010"}


def wait(seconds, what, check):
    deadline = time.monotonic() + seconds
    while not (value := check()):
        if (SHARE / "status").exists():
            raise AssertionError(f"{what}: the VM has ended")
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.3)
    return value


def run(command, seconds=300):
    """What the command prints in the VM; it must succeed."""
    status, output = ask.run(command, seconds)
    if status:
        raise AssertionError(f"in the VM: {command}: exit {status}\n{output}")
    return output


def start_agent(*options, devices=NVMES):
    """kilonovad anew, with SECTION.KEY=VALUE besides what it has in any case."""
    run(shlex.join(["tests/vm/agent", json.dumps(devices), *options]))


def encode(text):
    """As the API wants user data."""
    return base64.b64encode(text.encode()).decode()


@functools.cache
def nova_context():
    """For Nova's data base; Nova is configured once a process."""
    config.parse_args(["vm", "--config-file", f"{os.environ['LAB_DIR']}/etc/nova/nova.conf"])
    objects.register_all()
    admin = context.get_admin_context()
    cell = next(c for c in objects.CellMappingList.get_all(admin) if not c.is_cell0())
    context.set_target_cell(admin, cell)
    return admin


class VmTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = openstack.connect()
        cls.compute = cls.cloud.compute
        cls.context = nova_context()
        try:
            wait(1200, "kilonovad of vm1 up", cls.is_up)
            wait(300, "vm1 in Placement", cls.is_in_placement)
        except AssertionError as error:
            log = SHARE / "kilonovad.log"
            raise AssertionError(f"{error}\n{log.read_text() if log.exists() else ''}") from None
        subprocess.run([LAB / "discover-hosts"], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def is_up(cls):
        return any(s.host == HOST and s.state == "up" for s in cls.compute.services(binary="nova-compute", host=HOST))

    @classmethod
    def is_in_placement(cls):
        for provider in cls.cloud.placement.resource_providers(name=HOST):
            url = f"/resource_providers/{provider.id}/inventories"
            return "PCPU" in cls.cloud.placement.get(url).json()["inventories"]
        return False

    def flavor(self, extra_specs, **sizes):
        made = self.compute.create_flavor(name=f"vm-{self.id()}-{time.monotonic()}", **sizes)
        self.addCleanup(self.compute.delete_flavor, made)
        self.compute.create_flavor_extra_specs(made, extra_specs)
        return made

    def request(self, flavor, image="hlt", networks="none", **more):
        image = self.cloud.image.find_image(image).id if image else ""
        more.setdefault("availability_zone", f"nova:{HOST}")
        server = self.compute.create_server(name=self.id(), flavor_id=flavor.id, image_id=image, networks=networks, **more)
        self.addCleanup(self.delete, server)
        return server

    def ask(self, action, *arguments, **more):
        """Calls the API once it takes the host for alive: on a busy machine heartbeats are late."""
        def accepted():
            try:
                action(*arguments, **more)
                return True
            except openstack.exceptions.ConflictException as error:
                if "Service is unavailable" not in str(error):
                    raise
                return False
        wait(600, f"{action.__name__} is accepted", accepted)

    def settled(self, server, status, seconds=900):
        def check():
            fresh = self.compute.get_server(server.id)
            return fresh if fresh.status in (status, "ERROR") and not fresh.task_state else None
        fresh = wait(seconds, f"{server.name} {status}", check)
        self.assertEqual(fresh.status, status, fresh.fault)
        return fresh

    def wait_console(self, server, text):
        def check():
            shown = self.compute.get_server_console_output(server.id)["output"]
            return shown if text in shown else None
        return wait(600, f"{text!r} on the console", check)

    def delete(self, server):
        self.compute.delete_server(server.id, ignore_missing=True)
        wait(600, f"{server.name} deleted", lambda: self.compute.find_server(server.id) is None)

    def node(self):
        return objects.ComputeNode.get_first_node_by_host_for_old_compat(self.context, HOST)

    def instance(self, server):
        return objects.Instance.get_by_uuid(self.context, server.id, expected_attrs=["numa_topology", "pci_devices"])
