# SPDX-License-Identifier: Apache-2.0
# Sourced by up, install and libvirt: with LAB_DPDK set, the switch is Open vSwitch with DPDK, so that Neutron binds
# ports as vhost-user.  No NIC and no hugepages are needed: guests share memory that lies in files.
# shellcheck shell=bash

dpdk_root=$LAB_DIR/dpdk
dpdk_libraries=$dpdk_root/usr/lib/x86_64-linux-gnu

# Unpacked only: installed, it would take the place of the machine's ovs-vswitchd.
unpack_dpdk() {
    [ -e "$dpdk_root/complete" ] && return
    local names
    rm -rf "$dpdk_root"
    mkdir -p "$dpdk_root/packages"
    names=$(apt-get -s install --no-install-recommends openvswitch-switch-dpdk 2>/dev/null | awk '/^Inst/{print $2}')
    # shellcheck disable=SC2086
    (cd "$dpdk_root/packages" && apt-get -qq download $names librte-mempool-ring23 2>>"$LOG/install-apt.log")
    for package in "$dpdk_root/packages/"*.deb; do
        dpkg -x "$package" "$dpdk_root"
    done
    rm -rf "$dpdk_root/packages"
    touch "$dpdk_root/complete"
}

# What the switch is told before it starts; it looks for its ports' work now and then instead of all the time.
tell_switch() {
    if [ -z "${LAB_DPDK:-}" ]; then
        vsctl --no-wait remove Open_vSwitch . other_config dpdk-init
        switch=(ovs-vswitchd)
        return
    fi
    vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true other_config:pmd-maxsleep=500 other_config:per-port-memory=true \
        other_config:dpdk-extra="--no-huge --legacy-mem --no-pci -m 1024 -d $dpdk_libraries/librte_mempool_ring.so.23"
    switch=(env "LD_LIBRARY_PATH=$dpdk_libraries" "$dpdk_root/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
}

# QEMU 7.2 without KVM ends when a guest sets up MSI-X of a vhost-user NIC.  In the host's mounts its program is a script
# that keeps guests from it, and the program itself is where it finds its modules, in the place of one that nobody here uses.
write_emulator() { # FOLDER
    cat >"$1/qemu-without-msix" <<-END
	#!/bin/sh
	case " \$* " in
	*vhost-user*) exec /usr/bin/qemu-nbd "\$@" -global virtio-net-pci.vectors=0 ;;
	*) exec /usr/bin/qemu-nbd "\$@" ;;
	esac
	END
    chmod 755 "$1/qemu-without-msix"
}

emulator_mounts() { # FOLDER: as a part of a shell command
    [ -z "${LAB_DPDK:-}" ] && return
    local real=/usr/bin/qemu-system-x86_64
    echo "mount --bind $real /usr/bin/qemu-nbd && mount --bind $1/qemu-without-msix $real &&"
}
