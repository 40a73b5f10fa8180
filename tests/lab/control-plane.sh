# SPDX-License-Identifier: Apache-2.0
# Sourced by up: what runs inside the namespace, from the data base to Nova.
# shellcheck shell=bash

control_plane=(keystone placement glance neutron neutron-rpc nova-api nova-metadata nova-conductor
    nova-scheduler novncproxy cinder cinder-scheduler cinder-volume cinder-volume-ceph rabbitmq epmd memcached mariadb)

in_cp=(nsenter "--net=/run/netns/$LAB_NETNS" --)
nova_conf=$ETC/nova/nova.conf
neutron_conf=$ETC/neutron/neutron.conf
ml2_conf=$ETC/neutron/ml2_conf.ini

sql() {
    mariadb -uroot -S "$STATE/mysql/mysqld.sock" "$@"
}

# ---- MariaDB, RabbitMQ, memcached ------------------------------------------------------------------

make_mysql() { # the marks of `once` go with the data they speak of
    rm -rf "$STATE/mysql" "$STATE/mysql-marks" "$STATE/glance"/*/*
    mkdir -p "$STATE/mysql"
    chown mysql:mysql "$STATE/mysql"
    mariadb-install-db --no-defaults --user=mysql --datadir="$STATE/mysql" --skip-test-db \
        --auth-root-authentication-method=socket >"$LOG/mysql-install.log" 2>&1
}

start_mariadb() {
    [ -d "$STATE/mysql/mysql" ] || make_mysql
    start mariadb "$ETC/my.cnf" -- "${in_cp[@]}" mariadbd --defaults-file="$ETC/my.cnf"
}

start_rabbitmq() {
    local home=$STATE/rabbitmq
    mkdir -p "$home" "$LOG/rabbitmq"
    [ -s "$home/.erlang.cookie" ] || (umask 277 && echo kilonova >"$home/.erlang.cookie")
    start epmd -- "${in_cp[@]}" epmd -address 127.0.0.1
    start rabbitmq "$ETC/rabbitmq"/* -- "${in_cp[@]}" env "${rabbitmq_env[@]}" \
        /usr/lib/rabbitmq/bin/rabbitmq-server
}

start_base() {
    start_mariadb
    start_rabbitmq
    start memcached -- "${in_cp[@]}" memcached -u nobody -l "$LAB_ADDR" -p 11211 -m 64
}

wait_for_base() {
    wait_for 40 mariadb sql -e 'SELECT 1' || { # a killed machine may leave it broken
        say "mariadb: starting from an empty data base"
        stop mariadb
        make_mysql
        start_mariadb
        wait_for 40 mariadb sql -e 'SELECT 1'
    }
    wait_for 90 rabbitmq listens 5672 || {
        say "rabbitmq: starting from an empty broker"
        stop rabbitmq 30
        rm -rf "$STATE/rabbitmq/mnesia"
        start_rabbitmq
        wait_for 90 rabbitmq listens 5672
    }
    started_now rabbitmq || started_now mariadb || return 0
    say "MariaDB, RabbitMQ and memcached run"
}

# ---- schemas, users, catalog -----------------------------------------------------------------------

make_databases() {
    local name
    for name in keystone placement glance nova_api nova nova_cell0 neutron cinder; do
        echo "CREATE DATABASE IF NOT EXISTS $name CHARACTER SET utf8mb3;
            GRANT ALL ON $name.* TO 'lab'@'%' IDENTIFIED BY 'lab';"
    done | sql
}

fill_keystone() {
    local manage=("${in_cp[@]}" "$CP/keystone-manage" --config-dir "$ETC/keystone") url=http://$LAB_ADDR:5000/v3/
    [ -e "$ETC/keystone/fernet-keys/0" ] || {
        "${manage[@]}" fernet_setup --keystone-user root --keystone-group root
        "${manage[@]}" credential_setup --keystone-user root --keystone-group root
    } >>"$LOG/keystone-keys.log" 2>&1
    once keystone-db "${manage[@]}" db_sync
    once keystone-bootstrap "${manage[@]}" bootstrap --bootstrap-password lab --bootstrap-region-id RegionOne \
        --bootstrap-admin-url "$url" --bootstrap-internal-url "$url" --bootstrap-public-url "$url"
}

fill_nova() {
    local manage=("${in_cp[@]}" "$CP/nova-manage" --config-file "$nova_conf")
    once nova-api-db "${manage[@]}" api_db sync
    once nova-cell0 "${manage[@]}" cell_v2 map_cell0
    once nova-cell1 "${manage[@]}" cell_v2 create_cell --name cell1
    once nova-db "${manage[@]}" db sync
}

fill_others() {
    once placement-db "${in_cp[@]}" "$CP/placement-manage" \
        --config-file "$ETC/placement/placement.conf" db sync
    once glance-db "${in_cp[@]}" "$CP/glance-manage" --config-file "$ETC/glance/glance-api.conf" db_sync
    once neutron-db "${in_cp[@]}" "$CP/neutron-db-manage" --config-file "$neutron_conf" \
        --config-file "$ml2_conf" upgrade heads
}

fill_databases() { # side by side: they are what a first start waits for
    local jobs=() job
    once databases make_databases
    (fill_keystone) &
    jobs+=($!)
    (fill_nova) &
    jobs+=($!)
    (fill_others) &
    jobs+=($!)
    for job in "${jobs[@]}"; do
        wait "$job"
    done
}

# ---- services --------------------------------------------------------------------------------------

serve() { # NAME PORT MODULE PROCESSES THREADS CONF [UWSGI-ARGUMENT...]: a WSGI service under uWSGI
    local name=$1 port=$2 module=$3 processes=$4 threads=$5 conf=$6
    shift 6
    start "$name" "$conf" "$LAB_VENV/lock" -- "${in_cp[@]}" "$CP/uwsgi" --master --die-on-term --need-app \
        --http-socket "$LAB_ADDR:$port" --module "$module:application" --procname-prefix-spaced "$name" \
        --processes "$processes" --threads "$threads" --enable-threads --lazy-apps --buffer-size 65535 \
        --thunder-lock --http-auto-chunked --http-chunked-input --add-header 'Connection: close' \
        --hook-master-start 'unix_signal:15 gracefully_kill_them_all' --worker-reload-mercy 5 \
        --log-format 'uwsgi %(tmsecs) %(micros) %(method) %(uri)' "$@"
}

start_services() {
    serve keystone 5000 keystone.wsgi.api 1 4 "$ETC/keystone/keystone.conf" \
        --env "OS_KEYSTONE_CONFIG_DIR=$ETC/keystone" --pyargv "--config-dir $ETC/keystone"
    serve placement 8778 placement.wsgi.api 1 4 "$ETC/placement/placement.conf" \
        --env "OS_PLACEMENT_CONFIG_DIR=$ETC/placement"
    # Nova uploads in chunks of 1 MiB, which uWSGI's limit of 1 MiB does not hold together with their frames.
    serve glance 9292 glance.wsgi.api 1 4 "$ETC/glance/glance-api.conf" \
        --env "OS_GLANCE_CONFIG_DIR=$ETC/glance" --http-raw-body --chunked-input-limit 4194304 \
        --chunked-input-timeout 60
    wait_for 60 keystone listens 5000
    once catalog env "${admin_env[@]}" "$CP/python" "$LAB_SOURCE/catalog.py" "$LAB_ADDR"
    serve neutron 9696 neutron.wsgi.api 2 1 "$neutron_conf" --env "OS_NEUTRON_CONFIG_DIR=$ETC/neutron" \
        --env 'OS_NEUTRON_CONFIG_FILES=neutron.conf;ml2_conf.ini' --set-ph start-time=%t
    start neutron-rpc "$neutron_conf" "$ml2_conf" "$LAB_VENV/lock" -- "${in_cp[@]}" \
        "$CP/neutron-rpc-server" --config-file "$neutron_conf" --config-file "$ml2_conf"
    serve nova-api 8774 nova.wsgi.osapi_compute 1 4 "$nova_conf" --env "OS_NOVA_CONFIG_DIR=$ETC/nova"
    serve nova-metadata 8775 nova.wsgi.metadata 1 2 "$nova_conf" --env "OS_NOVA_CONFIG_DIR=$ETC/nova"
    start nova-conductor "$nova_conf" "$LAB_VENV/lock" -- "${in_cp[@]}" "$CP/nova-conductor" \
        --config-file "$nova_conf"
    start nova-scheduler "$nova_conf" "$LAB_VENV/lock" -- "${in_cp[@]}" "$CP/nova-scheduler" \
        --config-file "$nova_conf"
    wait_for_services
}

wait_for_services() {
    local service
    for service in placement:8778 glance:9292 neutron:9696 nova-api:8774 nova-metadata:8775; do
        wait_for 120 "${service%:*}" listens "${service#*:}"
    done
    started_now nova-conductor || started_now nova-scheduler || started_now neutron-rpc || return 0
    wait_for 120 neutron-rpc consumed q-plugin q-reports-plugin
    wait_for 120 nova-conductor consumed conductor
    wait_for 120 nova-scheduler consumed scheduler
    say "Keystone, Placement, Glance, Neutron and Nova answer"
}

consumed() { # QUEUE...: has each a consumer
    "$CP/python" "$LAB_SOURCE/consumed.py" "amqp://openstack:lab@$LAB_ADDR" "$@"
}

start_cinder() { # with volumes in files; what few tests need, so it runs only when asked for
    local conf=$ETC/cinder/cinder.conf driver=$ETC/cinder/lab_files.py
    cmp -s "$LAB_SOURCE/lab_files.py" "$driver" || cp "$LAB_SOURCE/lab_files.py" "$driver"
    once cinder-db "${in_cp[@]}" "$CP/cinder-manage" --config-file "$conf" db sync
    serve cinder 8776 cinder.wsgi.api 2 1 "$conf" --pyargv "--config-file $conf"
    start cinder-scheduler "$conf" "$LAB_VENV/lock" -- "${in_cp[@]}" "$CP/cinder-scheduler" \
        --config-file "$conf"
    start cinder-volume "$conf" "$driver" "$LAB_VENV/lock" -- "${in_cp[@]}" \
        env "PYTHONPATH=$ETC/cinder" "$CP/cinder-volume" --config-file "$conf"
    wait_for 120 cinder listens 8776
    started_now cinder-scheduler || started_now cinder-volume || return 0
    wait_for 120 cinder-scheduler consumed cinder-scheduler
    wait_for 120 cinder-volume consumed cinder-volume.control@files
    env "${admin_env[@]}" "$CP/python" -B "$LAB_SOURCE/volume_types.py" files
    say "Cinder answers"
}

start_ceph() { # Cinder's volumes in the cluster that up has started
    local conf=$ETC/cinder/cinder.conf overlay=$ETC/cinder/cinder-ceph.conf
    start_cinder
    start cinder-volume-ceph "$conf" "$overlay" "$LAB_VENV/lock" -- "${in_cp[@]}" \
        "$CP/cinder-volume" --config-file "$conf" --config-file "$overlay"
    started_now cinder-volume-ceph || return 0
    wait_for 120 cinder-volume-ceph consumed cinder-volume.control@ceph
    env "${admin_env[@]}" "$CP/python" -B "$LAB_SOURCE/volume_types.py" ceph
    say "Cinder has volumes in Ceph"
}

start_novnc() {
    local web
    web=$("$LAB_SOURCE/debian-package" novnc)/usr/share/novnc
    start novncproxy "$nova_conf" "$LAB_VENV/lock" -- "${in_cp[@]}" "$CP/nova-novncproxy" \
        --config-file "$nova_conf" --web "$web"
    wait_for 60 novncproxy listens 6080
}
