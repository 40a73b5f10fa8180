# SPDX-License-Identifier: Apache-2.0
# Sourced by up: a Ceph cluster in user space, beside the control plane: a monitor, a manager, and an OSD on a sparse file.
# Pools: volumes (Cinder's), images (Glance's), vms (Nova's, with images_type = rbd); the client of all is "cinder".
# shellcheck shell=bash

ceph_conf=$ETC/ceph/ceph.conf
ceph_home=$STATE/ceph
ceph_keys=$ceph_home/keyring
ceph_pools=(volumes images vms)

in_ceph() { # CMD...: as the cluster's administrator
    "${in_cp[@]}" env "CEPH_CONF=$ceph_conf" timeout 60 "$@"
}

make_key() { # ENTITY [SERVICE CAPABILITY]...
    local entity=$1 caps=()
    shift
    while [ $# -gt 0 ]; do
        caps+=(--cap "$1" "$2")
        shift 2
    done
    ceph-authtool "$ceph_keys" --gen-key -n "$entity" "${caps[@]}"
}

make_ceph() { # an empty cluster; the monitor takes all keys from the one file that everybody reads theirs from
    local pool of_pools=()
    rm -rf "$ceph_home"
    mkdir -p "$ceph_home"/{mon,mgr,osd}
    for pool in "${ceph_pools[@]}"; do
        of_pools+=("profile rbd pool=$pool")
    done
    (umask 077 && : >"$ceph_keys")
    make_key mon. mon 'allow *'
    make_key client.admin mon 'allow *' osd 'allow *' mgr 'allow *'
    make_key mgr.x mon 'allow profile mgr' osd 'allow *'
    make_key osd.0 mon 'allow profile osd' osd 'allow *' mgr 'allow profile osd'
    make_key client.cinder mon 'profile rbd' mgr 'profile rbd' osd "$(IFS=, && echo "${of_pools[*]}")"
    monmaptool --create --fsid "$LAB_CEPH_ID" --addv a "[v2:$LAB_ADDR:3300,v1:$LAB_ADDR:6789]" "$ceph_home/monmap"
    in_ceph ceph-mon --mkfs -i a --monmap "$ceph_home/monmap" --keyring "$ceph_keys"
    in_ceph ceph-osd --mkfs -i 0 --monmap "$ceph_home/monmap" --no-mon-config
    touch "$ceph_home/made"
}

make_pools() { # empty ones: their marks vanish with the data base that says what is in them
    local pool
    for pool in "${ceph_pools[@]}"; do
        in_ceph ceph osd pool rm "$pool" "$pool" --yes-i-really-really-mean-it &&
            in_ceph ceph osd pool create "$pool" && in_ceph rbd pool init "$pool" || return
    done
}

start_cluster() {
    "$LAB_SOURCE/install" ceph
    [ -e "$ceph_home/made" ] || {
        make_ceph >"$LOG/make-ceph.log" 2>&1 &
        wait $! || { tail -n 15 "$LOG/make-ceph.log" && die "no Ceph cluster, see $LOG/make-ceph.log"; }
        say "Ceph has an empty cluster"
    }
    start ceph-mon "$ceph_conf" -- "${in_cp[@]}" ceph-mon -c "$ceph_conf" -f -i a
    start ceph-mgr "$ceph_conf" -- "${in_cp[@]}" ceph-mgr -c "$ceph_conf" -f -i x
    wait_for 60 ceph-mon in_ceph ceph osd new "$(cat "$ceph_home/osd/fsid")" 0
    start ceph-osd "$ceph_conf" -- "${in_cp[@]}" ceph-osd -c "$ceph_conf" -f -i 0
    once ceph-pools make_pools
    wait_for 60 ceph-osd in_ceph rbd ls volumes
    "$LAB_SOURCE/libvirt" "$LAB_HOST" # which is told the cluster's key
    started_now ceph-mon || started_now ceph-osd || return 0
    say "Ceph runs"
}
