# SPDX-License-Identifier: Apache-2.0
# Sourced by up: the control plane's namespace, the bridges, Open vSwitch and Neutron's agents.
# shellcheck shell=bash

host_side=(neutron-l3-agent neutron-metadata-agent neutron-dhcp-agent neutron-ovs-agent ovs-vswitchd ovsdb-server)

has_link() {
    ip link show "$1" >/dev/null 2>&1
}

# Addresses that the lab must not hide: the machine's own, and those of what it installs from.
foreign_addresses() {
    local host
    ip -4 -br addr | grep -Ev "^($LAB_BRIDGE|$LAB_PHYS_BRIDGE) "
    for host in $(grep -rhoE 'https?://[^/ ]+' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
        sed 's,.*//,,; s,:.*,,' | sort -u); do
        getent ahostsv4 "$host" | sed 's/^/ /'
    done
    sed -n 's/^nameserver/ /p' /etc/resolv.conf
}

# The first pair of prefixes that nobody else has.  Addresses are in the catalog and in Nova's cells: where
# they must change, the data base starts anew.
choose_prefixes() {
    local pair one theirs
    theirs=$(foreign_addresses)
    for pair in "$LAB_PREFIX $LAB_PHYS_PREFIX" '10.213.113 10.213.114' '172.31.113 172.31.114' \
        '198.18.113 198.18.114'; do
        for one in $pair; do
            grep -qF " $one." <<<"$theirs" && continue 2
        done
        [ "$pair" = "$(cat "$LAB_DIR/prefixes" 2>/dev/null)" ] && return
        echo "$pair" >"$LAB_DIR/prefixes"
        for one in $(daemons); do
            stop "$one"
        done
        rm -rf "${STATE:?}/mysql" "$STATE/mysql-marks" "$STATE/ceph"
        lab_addresses
        return
    done
    die "all of the lab's prefixes are taken on this machine"
}

set_address() { # DEVICE ADDRESS/PREFIX [IP-OPTION...]: this and no other
    local device=$1 address=$2
    shift 2
    ip "$@" -4 -br addr show "$device" | grep -qF " $address" && return
    ip "$@" -4 addr flush dev "$device"
    ip "$@" addr add "$address" dev "$device"
}

make_bridge() { # NAME ADDRESS/PREFIX
    has_link "$1" || ip link add "$1" type bridge forward_delay 0 mcast_snooping 0
    set_address "$1" "$2"
    ip link set "$1" up
}

make_namespace() {
    [ -e "/run/netns/$LAB_NETNS" ] && ip netns exec "$LAB_NETNS" true 2>/dev/null && return
    local name
    for name in "${control_plane[@]}"; do # they would live on in a namespace nobody reaches
        stop "$name"
    done
    ip netns add "$LAB_NETNS"
}

make_networks() {
    make_namespace
    make_bridge "$LAB_BRIDGE" "$LAB_HOST_ADDR/24"
    make_bridge "$LAB_PHYS_BRIDGE" "$LAB_PHYS_ADDR/24"
    has_link kncp0 || ip link add kncp0 type veth peer name eth0 netns "$LAB_NETNS"
    set_address eth0 "$LAB_ADDR/24" -n "$LAB_NETNS"
    ip link set kncp0 master "$LAB_BRIDGE" up
    ip -n "$LAB_NETNS" link set lo up
    ip -n "$LAB_NETNS" link set eth0 up
    has_link knphys1 || ip link add knphys1 type veth peer name knphys2
    ip link set knphys1 master "$LAB_PHYS_BRIDGE" up
    ip link set knphys2 up
    # The user-space datapath hands on packets as they are: none may come with an unfinished checksum.
    ethtool -K knphys1 tx off >/dev/null
    ethtool -K knphys2 tx off >/dev/null
}

# ---- Open vSwitch in user space: no kernel module needed -------------------------------------------

vsctl() {
    ovs-vsctl --db="$LAB_OVSDB" -t 20 "$@"
}

start_open_vswitch() {
    mkdir -p "$LAB_OVS_RUN"
    pid_of ovs-vswitchd >/dev/null || forget_switch
    [ -s "$STATE/ovs.db" ] ||
        ovsdb-tool create "$STATE/ovs.db" /usr/share/openvswitch/vswitch.ovsschema
    start ovsdb-server -- env "OVS_RUNDIR=$LAB_OVS_RUN" ovsdb-server "$STATE/ovs.db" \
        "--remote=punix:$LAB_OVS_RUN/db.sock" "--remote=ptcp:$LAB_OVSDB_PORT:127.0.0.1" \
        "--unixctl=$LAB_OVS_RUN/ovsdb-server.ctl"
    wait_for 10 ovsdb-server listens "$LAB_OVSDB_PORT" 127.0.0.1
    started_now ovsdb-server && {
        vsctl --no-wait init
        vsctl --no-wait set Open_vSwitch . external_ids:system-id="$LAB_HOST" \
            external_ids:hostname="$LAB_HOST"
    }
    tell_switch
    start ovs-vswitchd -- env "OVS_RUNDIR=$LAB_OVS_RUN" "${switch[@]}" "unix:$LAB_OVS_RUN/db.sock" \
        "--unixctl=$LAB_OVS_RUN/ovs-vswitchd.ctl"
    started_now ovs-vswitchd || return 0
    wait_for 20 ovs-vswitchd vsctl --may-exist add-br br-int -- set bridge br-int datapath_type=netdev \
        -- --may-exist add-br br-phys -- set bridge br-phys datapath_type=netdev \
        -- --may-exist add-port br-phys knphys2
    say "Open vSwitch runs"
}

start_neutron_agents() {
    local common=(--config-file "$ETC/neutron/neutron.conf" --config-file "$ETC/neutron/host.ini")
    local files=("$ETC/neutron/neutron.conf" "$ETC/neutron/host.ini" "$LAB_VENV/lock")
    start neutron-ovs-agent "${files[@]}" "$ETC/neutron/ovs_agent.ini" -- env "OVS_RUNDIR=$LAB_OVS_RUN" \
        "$CP/neutron-openvswitch-agent" "${common[@]}" --config-file "$ETC/neutron/ovs_agent.ini"
    start neutron-dhcp-agent "${files[@]}" "$ETC/neutron/dhcp_agent.ini" -- env \
        "OVS_RUNDIR=$LAB_OVS_RUN" \
        "$CP/neutron-dhcp-agent" "${common[@]}" --config-file "$ETC/neutron/dhcp_agent.ini"
    start neutron-metadata-agent "${files[@]}" "$ETC/neutron/metadata_agent.ini" -- \
        "$CP/neutron-metadata-agent" "${common[@]}" --config-file "$ETC/neutron/metadata_agent.ini"
    started_now neutron-ovs-agent || started_now neutron-dhcp-agent || return 0
    wait_for 90 neutron-ovs-agent agents_alive 'Open vSwitch agent' 'DHCP agent' 'Metadata agent'
    say "Neutron's agents run"
}

agents_alive() { # TYPE...
    env "${admin_env[@]}" "$CP/python" "$LAB_SOURCE/agents_alive.py" "$LAB_HOST" "$LAB_STARTED" "$@"
}

start_router() { # Neutron's agent for routers and floating addresses
    local files=("$ETC/neutron/neutron.conf" "$ETC/neutron/host.ini" "$ETC/neutron/l3_agent.ini")
    start neutron-l3-agent "${files[@]}" "$LAB_VENV/lock" -- env "OVS_RUNDIR=$LAB_OVS_RUN" "$CP/neutron-l3-agent" \
        "${files[@]/#/--config-file=}"
    started_now neutron-l3-agent || return 0
    wait_for 90 neutron-l3-agent agents_alive 'L3 agent'
    say "Neutron's L3 agent runs"
}
