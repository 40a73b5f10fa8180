#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check.py IMAGEDIR: boots both images of build under plain QEMU (TCG) and tries what the lab relies on.

Runs as root, in a network namespace of its own (QEMU's user-mode network serves DHCP; its address
169.254.169.254 stands for our loopback, where this program answers as the metadata service)."""

import base64
import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

SSH_PORT = 2222
USER_DATA = "token 4711\n"
STATIC_MAC = "52:54:00:00:00:99"
NETWORK_DATA = {
    "links": [{"id": "tap0", "type": "ovs", "ethernet_mac_address": "52:54:00:12:34:56"},
              {"id": "tap1", "type": "ovs", "ethernet_mac_address": STATIC_MAC}],
    "networks": [{"id": "network0", "type": "ipv4_dhcp", "link": "tap0"},
                 {"id": "network1", "type": "ipv4", "link": "tap1", "ip_address": "10.8.0.77",
                  "netmask": "255.255.255.0", "routes": [
                      {"network": "10.99.0.0", "netmask": "255.255.0.0", "gateway": "10.8.0.1"}]}],
    "services": []}


class Guest:
    """One QEMU with its console in a file and QMP on a socket."""

    started = []

    def __init__(self, folder, name, *arguments):
        self.console_path = f"{folder}/{name}.console"
        qmp_path = f"{folder}/{name}.qmp"
        self.process = subprocess.Popen([
            "qemu-system-x86_64", "-accel", "tcg", "-smp", "1", "-m", "128", "-nodefaults",
            "-display", "none", "-serial", f"file:{self.console_path}",
            "-qmp", f"unix:{qmp_path},server=on,wait=off", *arguments])
        Guest.started.append(self.process)
        self.connect(qmp_path)

    def connect(self, path):
        self.qmp_socket = socket.socket(socket.AF_UNIX)
        wait_until(f"QMP at {path}", 20, lambda: self.try_connect(path))
        self.qmp_file = self.qmp_socket.makefile("rw")
        self.qmp_file.readline()
        self.qmp("qmp_capabilities")

    def try_connect(self, path):
        with contextlib.suppress(OSError):
            self.qmp_socket.connect(path)
            return True
        return False

    def qmp(self, command, **arguments):
        self.qmp_file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp_file.flush()
        while True:
            answer = json.loads(self.qmp_file.readline())
            if "error" in answer:
                raise AssertionError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def console(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.console_path, errors="replace") as file:
                return file.read()
        return ""

    def wait_for(self, pattern, seconds):
        return wait_until(f"'{pattern}' on the console", seconds,
                          lambda: re.search(pattern, self.console()), lambda: print(self.console()))

    def is_present(self, device):
        paths = self.qmp("qom-list", path="/machine/peripheral")
        return any(path["name"] == device for path in paths)

    def power_button(self, seconds):
        self.qmp("system_powerdown")
        self.process.wait(seconds)


def wait_until(what, seconds, condition, on_failure=lambda: None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    on_failure()
    raise AssertionError(f"no {what} within {seconds} s")


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


class Test:
    def __init__(self, images, folder):
        self.images = images
        self.folder = folder
        self.empty_disk = f"{folder}/empty.raw"
        run("truncate", "-s", "16M", self.empty_disk)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/key")
        with open(f"{folder}/key.pub") as file:
            self.public_key = file.read()

    def meta_data(self, hostname):
        return json.dumps({"uuid": "x", "public_keys": {"lab key": self.public_key},
                           "keys": [{"name": "lab key", "type": "ssh", "data": self.public_key}],
                           "hostname": hostname + ".novalocal", "name": hostname})

    def config_drive(self, hostname, kind):
        latest = f"{self.folder}/drive-{kind}/openstack/latest"
        drive = f"{self.folder}/drive.{kind}"
        os.makedirs(latest)
        for name, text in (("meta_data.json", self.meta_data(hostname)), ("user_data", USER_DATA),
                           ("network_data.json", json.dumps(NETWORK_DATA))):
            with open(f"{latest}/{name}", "w") as file:
                file.write(text)
        root = f"{self.folder}/drive-{kind}"
        if kind == "iso":
            run("genisoimage", "-quiet", "-o", drive, "-ldots", "-allow-lowercase",
                "-allow-multidot", "-l", "-J", "-r", "-V", "config-2", root)
        else:
            run("truncate", "-s", "64M", drive)
            run("mkfs.vfat", "-n", "config-2", drive)
            run("mcopy", "-s", "-i", drive, f"{root}/openstack", "::/")
        return drive

    def serve_metadata(self, hostname):
        pages = {"meta_data.json": self.meta_data(hostname), "user_data": USER_DATA}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = pages.get(self.path.removeprefix("/openstack/latest/"))
                self.send_response(200 if text else 404)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 80), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def ssh(self, command):
        return run("ssh", "-i", f"{self.folder}/key", "-p", str(SSH_PORT), "-o", "LogLevel=ERROR",
                   "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                   "root@127.0.0.1", command, timeout=30)

    def disk(self, interface):
        return ("-drive", f"file={self.images}/guest.qcow2,if={interface},snapshot=on")

    def nic(self, model, network=""):
        return ("-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{SSH_PORT}-:22{network}",
                "-device", f"{model},netdev=n0")

    def boot(self, hostname, *arguments):
        """Returns the guest when it is up, reachable, and has what its metadata says."""
        started = time.monotonic()
        guest = Guest(self.folder, hostname, *arguments)
        guest.wait_for(rf"KILONOVA GUEST UP {hostname} \d+\.", 120)
        uptime = float(guest.wait_for(r"KILONOVA GUEST UPTIME ([\d.]+)", 5).group(1))
        assert self.ssh("cat /run/user-data") == USER_DATA
        print(f"{hostname}: up after {uptime} s of guest time, "
              f"{time.monotonic() - started:.1f} s in all", flush=True)
        return guest

    def guest_agent(self, path, command, **arguments):
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(30)
            channel.connect(path)
            channel.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            return json.loads(channel.makefile().readline())["return"]

    def set_password_by_agent(self, path):
        wait_until("answer of the guest agent", 30, lambda: self.guest_agent(path, "guest-sync", id=1))
        self.guest_agent(path, "guest-set-user-password", username="root", crypted=False,
                         password=base64.b64encode(b"secret").decode())
        assert self.ssh("grep ^root: /etc/shadow").startswith("root:$6$")

    def virtio_and_hot_plug(self):
        channel = f"{self.folder}/agent"
        guest = self.boot("virtio", "-machine", "pc", *self.disk("virtio"), *self.nic("virtio-net-pci"),
                          "-chardev", f"socket,path={channel},server=on,wait=off,id=agent", "-device", "virtio-serial-pci",
                          "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
                          "-drive", f"file={self.config_drive('virtio', 'iso')},media=cdrom,if=ide")
        assert self.ssh("cat /sys/module/virtio_net/parameters/csum") == "N\n"
        self.set_password_by_agent(channel)
        guest.qmp("netdev_add", type="user", id="n1", net="10.9.0.0/24")
        guest.qmp("device_add", driver="virtio-net-pci", netdev="n1", id="nic1")
        guest.wait_for(r"GUEST NIC eth1 \S+ 10\.9\.0\.15", 30)
        guest.qmp("blockdev-add", **{"driver": "raw", "node-name": "d1",
                                     "file": {"driver": "file", "filename": self.empty_disk}})
        guest.qmp("device_add", driver="virtio-blk-pci", drive="d1", id="disk1", serial="abc")
        guest.wait_for(r"GUEST DISK vdb 16777216 abc empty", 30)
        for device in ("nic1", "disk1"):
            guest.qmp("device_del", id=device)
            wait_until(f"end of {device}", 20, lambda: not guest.is_present(device))
        guest.power_button(30)
        guest.wait_for("POWER BUTTON", 1)

    def e1000_and_metadata_service(self):
        self.serve_metadata("service")
        guest = self.boot("service", "-machine", "pc", *self.disk("ide"), *self.nic(
            "e1000", ",net=169.254.169.0/24,host=169.254.169.254,dns=169.254.169.253"))
        guest.wait_for("DATASOURCE metadata-service", 1)
        guest.power_button(30)

    def sata_vfat_and_static_address(self):
        drive = self.config_drive("sata", "vfat")
        guest = self.boot("sata", "-machine", "q35", *self.disk("ide"), *self.nic("e1000e"),
                          "-netdev", "user,id=n1", "-device", f"e1000e,netdev=n1,mac={STATIC_MAC}",
                          "-drive", f"file={drive},format=raw,if=virtio")
        guest.wait_for("DATASOURCE config-drive vda vfat", 1)
        guest.wait_for(f"GUEST NIC eth1 {STATIC_MAC} 10.8.0.77/24 static", 1)
        assert "10.99.0.0/16 via 10.8.0.1" in self.ssh("ip route")
        guest.power_button(30)

    def boot_sector(self):
        guest = Guest(self.folder, "hlt", "-machine", "pc", "-drive",
                      f"file={self.images}/hlt.qcow2,if=none,id=d0,snapshot=on",
                      "-device", "virtio-blk-pci,drive=d0,bootindex=0",
                      "-drive", f"file={self.empty_disk},format=raw,if=none,id=d1",
                      "-device", "virtio-blk-pci,drive=d1,id=disk1",
                      "-netdev", "user,id=n1", "-device", "e1000,netdev=n1,id=nic1")
        guest.wait_for("KILONOVA HLT UP", 20)
        for device in ("nic1", "disk1"):
            guest.qmp("device_del", id=device)
            wait_until(f"end of {device}", 5, lambda: not guest.is_present(device))
        before, began = cpu_seconds(guest.process.pid), time.monotonic()
        time.sleep(3)
        used = (cpu_seconds(guest.process.pid) - before) / (time.monotonic() - began)
        pressed = time.monotonic()
        guest.power_button(5)
        print(f"hlt: idle {used:.2%} of a core, off {time.monotonic() - pressed:.2f} s after the button")
        assert used < 0.02


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    if len(sys.argv) == 2:
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv, "--in-namespace"])
    run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory() as folder:
        test = Test(sys.argv[1], folder)
        try:
            test.virtio_and_hot_plug()
            test.e1000_and_metadata_service()
            test.sata_vfat_and_static_address()
            test.boot_sector()
        finally:
            for process in Guest.started:
                process.kill()
                process.wait()
    print("guest images: all good")


main()
