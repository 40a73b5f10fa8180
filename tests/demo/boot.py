# SPDX-License-Identifier: Apache-2.0
"""Boots a guest through kilonovad and proves it: ./demo's second half.

Run with the lab's python and environment (tests/lab/env).  Exit 0 only if the guest gave a random
token from its user data back over ssh.
"""
import base64
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

import openstack

STARTED = time.monotonic()
TOP = pathlib.Path(__file__).resolve().parents[2]
LAB = TOP / "tests" / "lab"
HOST = os.environ["LAB_HOST"]
LIBVIRT = os.environ["LAB_LIBVIRT_URI"]


def say(text):
    print(f"[{time.monotonic() - STARTED:7.2f} s] {text}", flush=True)


class Failed(Exception):
    pass


def run(*argv, **kwargs):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **kwargs).stdout


def agent_pid():
    """The pid of kilonovad, or Failed: without it nothing would ever happen."""
    result = subprocess.run([LAB / "agent", "kilonovad", "status", HOST], capture_output=True, text=True)
    words = [word for word in result.stdout.split() if word.isdigit()]
    if result.returncode or not words:
        raise Failed("kilonovad is not running")
    return words[-1]


def wait(seconds, what, check):
    """Polls check() until it returns something; fails as soon as kilonovad is gone."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        agent_pid()
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.3)


def no_nova_compute():
    running = subprocess.run(["pgrep", "-f", "bin/nova-compute"], capture_output=True, text=True).stdout.split()
    if running:
        raise Failed(f"a nova-compute is running: pid {running}")
    for path in (shutil.which("nova-compute"), os.path.join(os.environ["LAB_DIR"], "venv-cp/bin/nova-compute")):
        if path and os.path.exists(path):
            raise Failed(f"a nova-compute is installed: {path}")


def make_key(folder):
    key = pathlib.Path(folder) / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    return key


def ssh(key, address, command):
    """The command's output, or None as long as the guest does not answer."""
    result = subprocess.run(
        ["ssh", "-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", f"root@{address}", command],
        capture_output=True, text=True, timeout=30)
    return result.stdout if result.returncode == 0 else None


def create(cloud, key, token):
    keypair = f"demo-{token[:8]}"
    cloud.compute.create_keypair(name=keypair, public_key=key.with_suffix(".pub").read_text())
    network = cloud.network.find_network("provider", ignore_missing=False)
    return cloud.compute.create_server(
        name=f"demo-{token[:8]}", key_name=keypair, networks=[{"uuid": network.id}],
        image_id=cloud.image.find_image("guest", ignore_missing=False).id,
        flavor_id=cloud.compute.find_flavor("guest", ignore_missing=False).id,
        user_data=base64.b64encode(token.encode()).decode())


def is_active(cloud, server):
    fresh = cloud.compute.get_server(server.id)
    if fresh.status == "ERROR":
        raise Failed(f"the server went to ERROR: {fresh.fault}")
    return fresh if fresh.status == "ACTIVE" else None


def service_is_up(cloud):
    return any(s.state == "up" for s in cloud.compute.services() if s.binary == "nova-compute" and s.host == HOST)


def show(cloud, server):
    console = cloud.compute.get_server_console_output(server.id, length=12)["output"]
    say("console log, last lines:\n    " + "\n    ".join(console.rstrip().splitlines()))
    say("openstack server list:\n" + run("openstack", "server", "list", "--long", "-c", "ID", "-c", "Name", "-c",
                                         "Status", "-c", "Networks", "-c", "Host"))


def explain(cloud, server):
    """What a failure is seen from: the guest's console and the port's state."""
    try:
        for port in cloud.network.ports(device_id=server.id):
            say(f"port {port.id}: {port.status}, {port.binding_vif_type}, {port.fixed_ips}")
        show(cloud, server)
    except openstack.exceptions.SDKException as error:
        say(f"no more is known: {error}")


def demonstrate(cloud, folder, keep):
    token = secrets.token_hex(16)
    key = make_key(folder)
    no_nova_compute()
    say(f"kilonovad is pid {agent_pid()}; no nova-compute is installed or running")
    wait(60, "kilonovad's service record up", lambda: service_is_up(cloud))
    say(f"compute service on {HOST} is up")
    server = create(cloud, key, token)
    say(f"server {server.id} asked for")
    try:
        server = wait(180, "ACTIVE", lambda: is_active(cloud, server))
        say("server is ACTIVE")
        address = next(a["addr"] for nets in server.addresses.values() for a in nets)
        got = wait(120, f"ssh to {address}", lambda: ssh(key, address, "cat /run/user-data; echo; uname -a"))
        answer, uname = got.split("\n")[:2]
        if answer != token:
            raise Failed(f"the guest answered {answer!r} instead of {token!r}")
        domain = run("virsh", "-c", LIBVIRT, "domuuid", server.instance_name).strip()
        if domain != server.id:
            raise Failed(f"the domain is {domain}, the server {server.id}")
        say(f"token:         {answer}")
        say(f"guest's uname: {uname}")
        say(f"kilonovad:     pid {agent_pid()}")
        say(f"domain uuid:   {domain} = the server's")
        show(cloud, server)
        if keep:
            say(f"kept. Talk to it:\n    . {LAB}/env\n    openstack server list\n"
                f"    ssh -i {key} root@{address}\n    virsh -c {LIBVIRT} list\n"
                f"    ./demo --down    stops everything")
            return
    except Failed:
        explain(cloud, server)
        raise
    finally:
        if not keep:
            cloud.compute.delete_server(server.id, ignore_missing=True)
            cloud.compute.delete_keypair(f"demo-{token[:8]}", ignore_missing=True)
    wait(60, "deletion", lambda: cloud.compute.find_server(server.id) is None)
    say("server deleted")
    audit = subprocess.run([LAB / "audit"], capture_output=True, text=True)
    say("what is left of it:\n" + audit.stdout)
    if audit.returncode:
        raise Failed("the deleted server left something behind")


def main():
    keep = "--keep" in sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="kilonova-demo-")
    try:
        demonstrate(openstack.connect(), folder, keep)
    except (Failed, subprocess.SubprocessError, openstack.exceptions.SDKException) as error:
        say(f"FAILED: {error}")
        return 1
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    say("demo passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
