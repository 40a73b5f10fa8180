# SPDX-License-Identifier: Apache-2.0
"""The lab as the tests see it: servers through the API, and what is true on the host."""
import atexit
import base64
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

LAB = pathlib.Path(__file__).resolve().parents[1] / "lab"
HOST = os.environ["LAB_HOST"]
AGENT = os.environ.get("KILONOVA_AGENT", "kilonovad")  # or nova-compute, to see what it does
LIBVIRT = os.environ["LAB_LIBVIRT_URI"]
CEPH = os.path.join(os.environ["LAB_DIR"], "etc/ceph/ceph.conf")
CTL = LAB.parents[1] / "kilonovactl"
SOCKET = pathlib.Path(os.environ["LAB_DIR"]) / "hosts" / HOST / "state" / "kilonovad.sock"
AGENT_LOG = pathlib.Path(os.environ["LAB_LOG"]) / f"{AGENT}-{HOST}.log"


def run(*argv, check=True, **kwargs):
    result = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kwargs)
    if check and result.returncode:
        raise AssertionError(f"{argv}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def sql(text):
    return run("mariadb", "-uroot", "-N", "-S", os.environ["LAB_DIR"] + "/state/mysql/mysqld.sock", "-e", text).stdout


def rbd(*argv):
    """The lab's Ceph cluster."""
    return run("rbd", "-c", CEPH, *argv).stdout


def virsh(*argv, check=True):
    return run("virsh", "-q", "-c", LIBVIRT, *argv, check=check).stdout


def agent(*argv, check=True):
    return run(LAB / "agent", AGENT, *argv, check=check).stdout


def agent_pid():
    """The agent's pid, or None."""
    words = [word for word in agent("status", HOST, check=False).split() if word.isdigit()]
    return int(words[-1]) if words and os.path.exists(f"/proc/{words[-1]}") else None


def started_at(pid):
    """When the process was made, in seconds of CLOCK_BOOTTIME."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def ctl(*argv, check=True):
    """What kilonovactl answers."""
    result = run(CTL, "--socket", SOCKET, "--json", *argv, check=False)
    if check and result.returncode:
        raise AssertionError(result.stdout + result.stderr)
    return json.loads(result.stdout)


def audit():
    """Leftovers on the host and in the services, as text; empty when there are none."""
    result = run(LAB / "audit", HOST, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def wait(seconds, what, check, every=0.2):
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(every)


def is_late(error):
    """Whether a service gave no answer in time, or one behind it did not."""
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    return status is None or status >= 500


def patiently(ask, *args, **kwargs):
    """What ask() answers, asked again while services are too slow for each other; for what may be asked twice."""
    deadline = time.monotonic() + 600
    while True:
        try:
            return ask(*args, **kwargs)
        except (SDKException, ClientException) as error:
            if not is_late(error) or time.monotonic() > deadline:
                raise
            print(f"# asked again: {error}", flush=True)
            time.sleep(1)


@functools.cache
def nova_client():
    """One process for all tests: it takes Nova seconds to be loaded."""
    client = subprocess.Popen([sys.executable, "-B", "-W", "ignore", pathlib.Path(__file__).with_name("nova_rpc.py")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    atexit.register(client.stdin.close)
    return client


def nova_rpc(session, method, server=None, task_state=None, api_action=None, **args):
    """What ComputeAPI.method answers: {"result": ...} or {"error": [class, message]}."""
    access = session.auth.get_access(session)
    request = {"method": method, "server": server.id if server else None, "task_state": task_state,
               "action": api_action, "args": args,
               "auth": {"token": session.get_token(), "user_id": access.user_id, "project_id": access.project_id,
                        "catalog": access.service_catalog.catalog}}
    client = nova_client()
    client.stdin.write(json.dumps(request) + "\n")
    client.stdin.flush()
    return json.loads(client.stdout.readline())


class LabTest(unittest.TestCase):
    """Servers made by self.create() are deleted afterwards, and nothing of them may remain."""

    @classmethod
    def setUpClass(cls):
        cls.cloud = openstack.connect()
        cls.compute = cls.cloud.compute
        cls.images = {i.name: i for i in cls.cloud.image.images()}
        cls.flavors = {f.name: f for f in cls.compute.flavors()}
        cls.networks = {n.name: n for n in cls.cloud.network.networks()}

    def setUp(self):
        self.servers = []
        wait(30, "compute service up", self.is_service_up)

    def is_service_up(self):
        return any(s.state == "up" and s.binary == "nova-compute" and s.host == HOST for s in self.compute.services())

    def tearDown(self):
        for server in self.servers:
            self.compute.delete_server(server.id, ignore_missing=True)
        for server in self.servers:
            self.wait_gone(server)

    def assert_nothing_left(self):
        deadline = time.monotonic() + 20
        while True:
            left = audit()
            if not left:
                return
            if time.monotonic() > deadline:
                self.fail("left behind:\n" + left)
            time.sleep(0.5)

    # ---- servers ----

    def nics(self, *names):
        return [name if isinstance(name, dict) else {"uuid": self.networks[name].id} for name in names] or "none"

    def request(self, name, image="hlt", flavor="tiny", networks=(), user_data=None, **more):
        """Asks for a server and returns at once."""
        if isinstance(networks, (list, tuple)):
            networks = self.nics(*networks)
        if user_data is not None:
            more["user_data"] = base64.b64encode(user_data.encode()).decode()
        server = self.compute.create_server(name=name, image_id=self.images[image].id if image else "",
                                            flavor_id=self.flavors[flavor].id, networks=networks, **more)
        self.servers.append(server)
        return server

    def create(self, *args, **kwargs):
        return self.wait_status(self.request(*args, **kwargs), "ACTIVE", kwargs.pop("within", 120))

    def get(self, server):
        return self.compute.get_server(server.id)

    def wait_status(self, server, status, seconds=60):
        def check():
            fresh = self.get(server)
            if fresh.status == "ERROR" and status != "ERROR":
                self.fail(f"{server.name}: ERROR: {fresh.fault}")
            return fresh if fresh.status == status and fresh.task_state is None else None
        return wait(seconds, f"{server.name} {status}", check)

    def wait_gone(self, server, seconds=60):
        wait(seconds, f"{server.name} deleted", lambda: self.compute.find_server(server.id) is None)

    def delete(self, server):
        self.compute.delete_server(server.id)
        self.wait_gone(server)
        self.servers = [s for s in self.servers if s.id != server.id]

    def actions(self, server):
        """{action: {event: result}} of the server, also of a deleted one."""
        found = {}
        for action in self.compute.server_actions(server.id):
            full = self.compute.get_server_action(action.request_id, server.id)
            found.setdefault(full.action, {}).update(
                {e["event"]: e["result"] for e in full.events})
        return found

    def allocations(self, server):
        answer = self.cloud.session.get(f"/allocations/{server.id}", endpoint_filter={"service_type": "placement"})
        return answer.json()["allocations"]

    # ---- Nova's own client ----

    def rpc(self, method, server=None, task_state=None, api_action=None, **args):
        return nova_rpc(self.cloud.session, method, server, task_state, api_action, **args)

    # ---- the host ----

    def domain_state(self, server):
        return virsh("domstate", server.id, check=False).strip()

    def domain_id(self, server):
        return virsh("domid", server.id, check=False).strip()

    def instance_folder(self, server):
        path = virsh("dumpxml", server.id).split("console.log")[0].rsplit("'", 1)[-1].rsplit('"', 1)[-1]
        return pathlib.Path(path)

    def console(self, server):
        return self.compute.get_server_console_output(server.id)["output"]

    def wait_console(self, server, text, seconds=90):
        return wait(seconds, f"{text!r} on the console", lambda: self.console(server) if text in self.console(server) else None)

    # ---- the guest ----

    def keypair(self, *kind):
        folder = tempfile.mkdtemp(prefix="kilonova-test-")
        self.addCleanup(shutil.rmtree, folder)
        key = pathlib.Path(folder) / "key"
        run("ssh-keygen", "-q", *(kind or ("-t", "ed25519")), "-N", "", "-f", key)
        name = pathlib.Path(folder).name
        self.compute.create_keypair(name=name, public_key=key.with_suffix(".pub").read_text())
        self.addCleanup(self.compute.delete_keypair, name)
        return name, key

    def ssh(self, key, address, command, seconds=90):
        def attempt():
            result = run("ssh", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                         "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", f"root@{address}",
                         command, check=False)
            return (result.stdout,) if result.returncode == 0 else None
        try:
            return wait(seconds, f"ssh to {address}", attempt)[0]
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(map(self.console, self.servers))) from None

    def address(self, server, network="provider"):
        return self.get(server).addresses[network][0]["addr"]
