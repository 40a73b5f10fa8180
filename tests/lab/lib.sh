# SPDX-License-Identifier: Apache-2.0
# Sourced by every script of the lab: its folders and addresses, progress lines, daemons by pid file.
# shellcheck shell=bash disable=SC2034

LAB_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
LAB_DIR=${KILONOVA_LAB:-/var/lib/kilonova-lab}  # one fixed place: a new clone takes over an old one's lab
LAB_HOST=${LAB_HOST:-kn1}                       # the compute host whose OVS agent runs on this machine
LAB_NETNS=kn-cp                                 # the control plane lives here ...
LAB_BRIDGE=knlab0                               # ... on a veth into this bridge of the machine's own namespace
LAB_PHYS_BRIDGE=knphys0                         # physnet1 outside Open vSwitch, for other hosts and for us
lab_addresses() {                               # the prefixes are of /24, see choose_prefixes
    read -r LAB_PREFIX LAB_PHYS_PREFIX 2>/dev/null <"$LAB_DIR/prefixes" ||
        LAB_PREFIX=10.213.113 LAB_PHYS_PREFIX=10.213.114
    LAB_ADDR=$LAB_PREFIX.10                     # the control plane's one address
    LAB_HOST_ADDR=$LAB_PREFIX.1                 # the machine's address beside it
    LAB_PHYS_ADDR=$LAB_PHYS_PREFIX.1            # the machine's address on physnet1
    export LAB_ADDR LAB_HOST_ADDR LAB_PHYS_ADDR LAB_PHYS_PREFIX
    admin_env=("OS_AUTH_URL=http://$LAB_ADDR:5000/v3" OS_USERNAME=admin OS_PASSWORD=lab OS_PROJECT_NAME=admin
        OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default OS_IDENTITY_API_VERSION=3
        OS_REGION_NAME=RegionOne OS_COMPUTE_API_VERSION=2.96 OS_PLACEMENT_API_VERSION=1.39
        OS_VOLUME_API_VERSION=3.70)
}
lab_addresses
LAB_OVS_RUN=$LAB_DIR/run/openvswitch
LAB_OVSDB_PORT=6640
LAB_OVSDB=tcp:127.0.0.1:$LAB_OVSDB_PORT
LAB_CEPH_ID=6b696c6f-6e6f-4761-8c61-622063657068        # of the Ceph cluster, and of libvirt's secret for it
LAB_VENV=$LAB_DIR/venv-cp
LAB_NC_VENV=$LAB_DIR/venv-nc
ETC=$LAB_DIR/etc LOG=$LAB_DIR/log RUN=$LAB_DIR/run STATE=$LAB_DIR/state HOSTS=$LAB_DIR/hosts
CP=$LAB_VENV/bin
export LAB_SOURCE LAB_DIR LAB_HOST LAB_NETNS LAB_BRIDGE LAB_PHYS_BRIDGE LAB_OVS_RUN LAB_OVSDB LAB_CEPH_ID LAB_VENV \
    LAB_NC_VENV
unset PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED PYTHONPATH VIRTUAL_ENV PYENV_VERSION

export LAB_STARTED=${LAB_STARTED:-$(date +%s%N)}
rabbitmq_env=(RABBITMQ_NODENAME=lab@localhost "HOME=$STATE/rabbitmq" "RABBITMQ_MNESIA_BASE=$STATE/rabbitmq/mnesia"
    "RABBITMQ_LOG_BASE=$LOG/rabbitmq" "RABBITMQ_CONFIG_FILE=$ETC/rabbitmq/rabbitmq"
    "RABBITMQ_ENABLED_PLUGINS_FILE=$ETC/rabbitmq/plugins" "RABBITMQ_PID_FILE=$STATE/rabbitmq/pid"
    RABBITMQ_DIST_PORT=25672 ERL_EPMD_ADDRESS=127.0.0.1
    'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none')

say() { # "[ 12.3 s] TEXT": one line a step
    local tenths=$((($(date +%s%N) - LAB_STARTED) / 100000000))
    printf '[%4d.%d s] %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
}

die() {
    printf 'lab: %s\n' "$*" >&2
    exit 1
}

lab_begin() { # for scripts that change the lab: as root, one at a time
    [ "$(id -u)" -eq 0 ] || die "run me as root"
    mkdir -p "$ETC" "$LOG" "$RUN" "$STATE" "$HOSTS"
    chmod 755 "$LAB_DIR" "$STATE" "$RUN" "$HOSTS"
    [ -n "${LAB_LOCKED:-}" ] && return 0
    exec 9>"$LAB_DIR/lock"
    flock -n 9 || { say "waiting for another script of the lab"; flock 9; }
    export LAB_LOCKED=1
    after_reboot
}

after_reboot() { # start times count from the boot: older pid files mean nothing
    local boot
    boot=$(cat /proc/sys/kernel/random/boot_id)
    [ "$boot" = "$(cat "$RUN/boot_id" 2>/dev/null)" ] && return 0
    rm -rf "${RUN:?}"/*.pid "$RUN"/*.sum
    echo "$boot" >"$RUN/boot_id"
}

# ---- daemons: RUN/NAME.pid = "pid starttime", RUN/NAME.sum = what it was started with -------------

start_time() { # PID: field 22 of its stat; the name in field 2 may hold blanks and brackets
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" != Z ] && echo "${20}"
}

pid_of() { # NAME: its pid, if it still is the process we started
    local pid started
    read -r pid started 2>/dev/null <"$RUN/$1.pid" || return 1
    [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] && echo "$pid"
}

daemon_sum() { # FILE... -- CMD...
    local file
    {
        for file; do
            [ "$file" = -- ] && break
            cat "$file"
        done
        echo "$*"
    } | sha256sum
}

start() { # NAME FILE... -- CMD...: starts CMD unless it runs with this CMD and these FILEs
    local name=$1 sum
    shift
    sum=$(daemon_sum "$@")
    if pid_of "$name" >/dev/null; then
        [ "$sum" = "$(cat "$RUN/$name.sum" 2>/dev/null)" ] && return 0
        say "$name: changed, restarting"
        stop "$name"
    fi
    while [ "$1" != -- ]; do shift; done
    shift
    # Not in the caller's folder: a checkout may go while its lab runs.
    env -C / setsid "$@" >>"$LOG/$name.log" 2>&1 </dev/null 9>&- &
    echo "$! $(start_time $!)" >"$RUN/$name.pid"
    echo "$sum" >"$RUN/$name.sum"
    LAB_STARTED_NOW="${LAB_STARTED_NOW:-} $name"
}

started_now() { # NAME: did this script start it?
    [[ " ${LAB_STARTED_NOW:-} " == *" $1 "* ]]
}

stop() { # NAME [SECONDS]: TERM, then KILL to its process group
    local name=$1 pid i
    if pid=$(pid_of "$name"); then
        kill -TERM "$pid" || true
        for ((i = ${2:-15} * 10; i > 0; i--)); do
            pid_of "$name" >/dev/null || break
            sleep .1
        done
        ! pid_of "$name" >/dev/null || kill -KILL -- "-$pid" || true
    fi
    rm -f "$RUN/$name.pid" "$RUN/$name.sum"
}

daemons() { # names of all that have a pid file
    local file
    for file in "$RUN"/*.pid; do
        [ -e "$file" ] && basename "$file" .pid
    done
}

remove_namespace() { # NAME: with all that runs in it
    [ -e "/run/netns/$1" ] || return 0
    ip netns pids "$1" | xargs -r kill -KILL 2>/dev/null || true
    ip netns del "$1"
}

# All that a dead ovs-vswitchd left, and what was plugged into it: its internal ports outlive it as devices of
# nobody, which Neutron's DHCP agent would take for its own.
forget_switch() {
    local one ports='["Open_vSwitch",{"op":"select","table":"Interface","where":[["type","==","internal"]],"columns":["name"]}]'
    for one in neutron-ovs-agent neutron-dhcp-agent neutron-l3-agent ovsdb-server; do
        stop "$one"
    done
    for one in "$STATE"/neutron/dhcp/*/; do
        remove_namespace "qdhcp-$(basename "$one")"
    done
    for one in /run/netns/qrouter-*; do
        remove_namespace "$(basename "$one")"
    done
    [ -s "$STATE/ovs.db" ] || return 0
    for one in $(ovsdb-tool query "$STATE/ovs.db" "$ports" | grep -oP '"name":"\K[^"]*') ovs-netdev; do
        ip link del "$one" 2>/dev/null || true
    done
    rm -f "$STATE/ovs.db"
}

wait_for() { # SECONDS NAME CMD...: until CMD succeeds; gives up at once when the daemon NAME died
    local i name=$2 limit=$1
    shift 2
    for ((i = limit * 5; i > 0; i--)); do
        "$@" >/dev/null 2>&1 && return 0
        pid_of "$name" >/dev/null || break
        sleep .2
    done
    say "$name does not answer; end of $LOG/$name.log:"
    tail -n 15 "$LOG/$name.log" | cut -c1-300
    return 1
}

listens() { # PORT [ADDRESS]
    (exec 3<>"/dev/tcp/${2:-$LAB_ADDR}/$1") 2>/dev/null
}

once() { # TAG CMD...: a step that the data base remembers; its marks vanish with the data base
    local tag=$1 mark=$STATE/mysql-marks/$1
    shift
    [ -e "$mark" ] && return 0
    mkdir -p "$STATE/mysql-marks"
    if ! "$@" >"$LOG/once-$tag.log" 2>&1 </dev/null; then
        tail -n 15 "$LOG/once-$tag.log" | cut -c1-300
        die "$tag failed, see $LOG/once-$tag.log"
    fi
    touch "$mark"
    say "$tag done"
}
