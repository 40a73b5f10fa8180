/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* nova.conf as typed values: one struct a group, one member an option, named as in nova.conf ('-'
 * becomes '_'). The group DEFAULT is 'default_group'. Defaults are Nova 34.0.0's.
 *
 * Strings are NULL when unset; lists and repeated options are NULL-terminated and never NULL. An
 * Options is immutable once loaded but for the options marked mutable in the tables, which only
 * options_reload_mutable() changes. It owns all of its strings. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct OptInt {
    bool is_set;
    int64_t value;
} OptInt;

typedef struct OptBool {
    bool is_set;
    bool value;
} OptBool;

typedef struct OptFloat {
    bool is_set;
    double value;
} OptFloat;

/* keystoneauth1's options: how to log in, ... */
typedef struct KeystoneAuthOptions {
    char *auth_type;
    char *auth_section;
    char *auth_url;
    char *system_scope;
    char *domain_id;
    char *domain_name;
    char *project_id;
    char *project_name;
    char *project_domain_id;
    char *project_domain_name;
    char *trust_id;
    char *default_domain_id;
    char *default_domain_name;
    char *user_id;
    char *username;
    char *user_domain_id;
    char *user_domain_name;
    char *password;
    char *token;
    char *application_credential_id;
    char *application_credential_name;
    char *application_credential_secret;
} KeystoneAuthOptions;

/* ... how to talk TLS and HTTP, ... */
typedef struct SessionOptions {
    char *cafile;
    char *certfile;
    char *keyfile;
    bool insecure;
    OptFloat timeout; /* seconds */
    bool collect_timing;
    bool split_loggers;
} SessionOptions;

/* ... and which endpoint to use. */
typedef struct AdapterOptions {
    char *service_type;
    char *service_name;
    char **valid_interfaces;
    char *region_name;
    char *endpoint_override;
    char *version;
    char *min_version;
    char *max_version;
    OptInt connect_retries;
    OptFloat connect_retry_delay; /* seconds */
    OptInt status_code_retries;
    OptFloat status_code_retry_delay; /* seconds */
    char **retriable_status_codes;
} AdapterOptions;

typedef struct OptionsDefault {
    int64_t graceful_shutdown_timeout;
    char *internal_service_availability_zone;
    char *default_availability_zone;
    char *default_schedule_zone;
    int64_t password_length;
    char *instance_usage_audit_period;
    bool use_rootwrap_daemon;
    char *rootwrap_config;
    char *tempdir;
    int64_t default_green_pool_size;
    char *concurrency_backend;
    int64_t default_thread_pool_size;
    int64_t cell_worker_thread_pool_size;
    int64_t thread_pool_statistic_period;
    int64_t manager_shutdown_timeout;
    char *compute_driver;
    bool allow_resize_to_same_host;
    char **non_inheritable_image_properties;
    int64_t max_local_block_devices;
    char **compute_monitors;
    char *default_ephemeral_format;
    bool vif_plugging_is_fatal;
    int64_t vif_plugging_timeout;
    int64_t arq_binding_timeout;
    char *injected_network_template;
    char *preallocate_images;
    bool use_cow_images;
    bool force_raw_images;
    char **virt_mkfs;
    bool resize_fs_using_block_device;
    int64_t timeout_nbd;
    char *pointer_model;
    int64_t reimage_timeout_per_gb;
    char *vcpu_pin_set;
    char **reserved_huge_pages;
    int64_t reserved_host_disk_mb;
    int64_t reserved_host_memory_mb;
    int64_t reserved_host_cpus;
    OptFloat cpu_allocation_ratio;
    OptFloat ram_allocation_ratio;
    OptFloat disk_allocation_ratio;
    double initial_cpu_allocation_ratio;
    double initial_ram_allocation_ratio;
    double initial_disk_allocation_ratio;
    char *console_host;
    char *default_access_ip_network_name;
    char *instances_path;
    bool instance_usage_audit;
    int64_t live_migration_retry_count;
    bool resume_guests_state_on_host_boot;
    int64_t network_allocate_retries;
    int64_t max_concurrent_builds;
    int64_t max_concurrent_snapshots;
    int64_t max_concurrent_live_migrations;
    int64_t block_device_allocate_retries;
    int64_t sync_power_state_pool_size;
    int64_t sync_power_state_interval;
    int64_t heal_instance_info_cache_interval;
    int64_t reclaim_instance_interval;
    int64_t volume_usage_poll_interval;
    int64_t shelved_poll_interval;
    int64_t shelved_offload_time;
    int64_t instance_delete_interval;
    int64_t block_device_allocate_retries_interval;
    int64_t scheduler_instance_sync_interval;
    int64_t update_resources_interval;
    int64_t stale_share_access_reconcile_interval;
    int64_t reboot_timeout;
    int64_t instance_build_timeout;
    int64_t rescue_timeout;
    int64_t resize_confirm_window;
    int64_t shutdown_timeout;
    char *running_deleted_instance_action;
    int64_t running_deleted_instance_poll_interval;
    int64_t running_deleted_instance_timeout;
    int64_t maximum_instance_delete_attempts;
    char *osapi_compute_unique_server_name_scope;
    bool enable_new_services;
    char *instance_name_template;
    int64_t migrate_max_retries;
    char *config_drive_format;
    bool force_config_drive;
    char *mkisofs_cmd;
    char *my_ip;
    char *my_block_storage_ip;
    char *my_shared_fs_storage_ip;
    char *host;
    bool flat_injected;
    char *record;
    bool daemon;
    bool ssl_only;
    bool source_is_ipv6;
    char *cert;
    char *key;
    char *web;
    char *pybasedir;
    char *state_path;
    int64_t long_rpc_timeout;
    int64_t report_interval;
    int64_t service_down_time;
    bool periodic_enable;
    int64_t periodic_fuzzy_delay;
    char *servicegroup_driver;
    int64_t executor_thread_pool_size;
    int64_t rpc_response_timeout;
    char *transport_url;
    char *control_exchange;
    bool rpc_ping_enabled;
    bool debug;
    char *log_config_append;
    char *log_date_format;
    char *log_file;
    char *log_dir;
    bool use_syslog;
    bool use_journal;
    char *syslog_log_facility;
    bool use_json;
    bool use_stderr;
    bool log_color;
    int64_t log_rotate_interval;
    char *log_rotate_interval_type;
    int64_t max_logfile_count;
    int64_t max_logfile_size_mb;
    char *log_rotation_type;
    char *logging_context_format_string;
    char *logging_default_format_string;
    char *logging_debug_format_suffix;
    char *logging_exception_prefix;
    char *logging_user_identity_format;
    char **default_log_levels;
    bool publish_errors;
    char *instance_format;
    char *instance_uuid_format;
    int64_t rate_limit_interval;
    int64_t rate_limit_burst;
    char *rate_limit_except_level;
} OptionsDefault;

typedef struct OptionsOsloConcurrency {
    bool disable_process_locking;
    char *lock_path;
} OptionsOsloConcurrency;

typedef struct OptionsApi {
    char *config_drive_skip_versions;
    char **vendordata_providers;
    char **vendordata_dynamic_targets;
    char *vendordata_dynamic_ssl_certfile;
    int64_t vendordata_dynamic_connect_timeout;
    int64_t vendordata_dynamic_read_timeout;
    bool vendordata_dynamic_failure_fatal;
    int64_t metadata_cache_expiration;
    bool local_metadata_per_cell;
    char *dhcp_domain;
    char *vendordata_jsonfile_path;
    int64_t max_limit;
    char *compute_link_prefix;
    char *glance_link_prefix;
    bool instance_list_per_project_cells;
    char *instance_list_cells_batch_strategy;
    int64_t instance_list_cells_batch_fixed_size;
    bool list_records_by_skipping_down_cells;
    bool use_neutron_default_nets;
    char *neutron_default_project_id;
    bool enable_instance_password;
    char *response_validation;
} OptionsApi;

typedef struct OptionsCinder {
    KeystoneAuthOptions auth;
    SessionOptions session;
    char *catalog_info;
    char *endpoint_template;
    char *os_region_name;
    int64_t http_retries;
    bool cross_az_attach;
    bool debug;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsCinder;

typedef struct OptionsCompute {
    int64_t consecutive_build_service_disable_threshold;
    int64_t shutdown_retry_interval;
    int64_t sharing_providers_max_uuids_per_request;
    int64_t resource_provider_association_refresh;
    char *cpu_shared_set;
    char *cpu_dedicated_set;
    bool live_migration_wait_for_vif_plug;
    int64_t max_concurrent_disk_ops;
    int64_t max_disk_devices_to_attach;
    char *provider_config_location;
    char **image_type_exclude_list;
    char **vmdk_allowed_types;
    bool packing_host_numa_cells_allocation_strategy;
    int64_t update_resources_max_workers;
} OptionsCompute;

typedef struct OptionsConsoleauth {
    int64_t token_ttl;
    bool enforce_session_timeout;
} OptionsConsoleauth;

typedef struct OptionsCyborg {
    SessionOptions session;
    AdapterOptions adapter;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsCyborg;

typedef struct OptionsDevices {
    char **enabled_mdev_types;
} OptionsDevices;

typedef struct OptionsEphemeralStorageEncryption {
    bool enabled;
    char *cipher;
    int64_t key_size;
    char *default_format;
} OptionsEphemeralStorageEncryption;

typedef struct OptionsGlance {
    SessionOptions session;
    AdapterOptions adapter;
    char **api_servers;
    int64_t num_retries;
    bool verify_glance_signatures;
    bool enable_certificate_validation;
    char **default_trusted_certificate_ids;
    bool enable_rbd_download;
    char *rbd_user;
    int64_t rbd_connect_timeout;
    char *rbd_pool;
    char *rbd_ceph_conf;
    bool debug;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsGlance;

typedef struct OptionsManila {
    KeystoneAuthOptions auth;
    SessionOptions session;
    AdapterOptions adapter;
    int64_t share_apply_policy_timeout;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsManila;

typedef struct OptionsMks {
    char *mksproxy_base_url;
    bool enabled;
} OptionsMks;

typedef struct OptionsImageCache {
    int64_t manager_interval;
    char *subdirectory_name;
    bool remove_unused_base_images;
    int64_t remove_unused_original_minimum_age_seconds;
    int64_t remove_unused_resized_minimum_age_seconds;
    int64_t precache_concurrency;
} OptionsImageCache;

typedef struct OptionsKeyManager {
    char *backend;
    char *fixed_key;
} OptionsKeyManager;

typedef struct OptionsBarbican {
    SessionOptions session;
    char *barbican_endpoint;
    char *barbican_api_version;
    char *auth_endpoint;
    int64_t retry_delay;
    int64_t number_of_retries;
    bool verify_ssl;
    char *verify_ssl_path;
    char *barbican_endpoint_type;
    char *barbican_region_name;
    bool send_service_user_token;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsBarbican;

typedef struct OptionsBarbicanServiceUser {
    KeystoneAuthOptions auth;
    SessionOptions session;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsBarbicanServiceUser;

typedef struct OptionsKeystone {
    SessionOptions session;
    AdapterOptions adapter;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsKeystone;

typedef struct OptionsLibvirt {
    char *rescue_image_id;
    char *rescue_kernel_id;
    char *rescue_ramdisk_id;
    char *virt_type;
    char *connection_uri;
    bool inject_password;
    bool inject_key;
    int64_t inject_partition;
    char *live_migration_scheme;
    char *live_migration_inbound_addr;
    char *live_migration_uri;
    bool live_migration_tunnelled;
    int64_t live_migration_bandwidth;
    int64_t live_migration_downtime;
    int64_t live_migration_downtime_steps;
    int64_t live_migration_downtime_delay;
    int64_t live_migration_completion_timeout;
    int64_t live_migration_parallel_connections;
    char *live_migration_timeout_action;
    bool live_migration_permit_post_copy;
    bool live_migration_permit_auto_converge;
    char *snapshot_image_format;
    bool live_migration_with_native_tls;
    int64_t live_migration_monitor_interval;
    char *disk_prefix;
    int64_t wait_soft_reboot_seconds;
    char *cpu_mode;
    char **cpu_models;
    char **cpu_model_extra_flags;
    char *snapshots_directory;
    char **disk_cachemodes;
    char *rng_dev_path;
    char **hw_machine_type;
    char *sysinfo_serial;
    int64_t mem_stats_period_seconds;
    char **uid_maps;
    char **gid_maps;
    int64_t realtime_scheduler_priority;
    char **enabled_perf_events;
    int64_t num_pcie_ports;
    int64_t file_backed_memory;
    int64_t device_detach_attempts;
    int64_t device_detach_timeout;
    OptInt tb_cache_size;
    char *migration_inbound_addr;
    OptInt num_intel_tdx_guests;
    char *images_type;
    char *images_volume_group;
    bool sparse_logical_volumes;
    char *images_rbd_pool;
    char *images_rbd_ceph_conf;
    char *images_rbd_glance_store_name;
    int64_t images_rbd_glance_copy_poll_interval;
    int64_t images_rbd_glance_copy_timeout;
    char *hw_disk_discard;
    int64_t images_cpu_time_limit;
    int64_t images_address_space_limit;
    char *volume_clear;
    int64_t volume_clear_size;
    bool snapshot_compression;
    bool use_virtio_for_bridges;
    bool volume_use_multipath;
    bool volume_enforce_multipath;
    int64_t num_volume_scan_tries;
    int64_t num_aoe_discover_tries;
    char *iscsi_iface;
    int64_t num_iser_scan_tries;
    bool iser_use_multipath;
    char *rbd_user;
    char *rbd_secret_uuid;
    int64_t rbd_connect_timeout;
    int64_t rbd_destroy_volume_retry_interval;
    int64_t rbd_destroy_volume_retries;
    char *nfs_mount_point_base;
    char *nfs_mount_options;
    char *ceph_mount_point_base;
    char **ceph_mount_options;
    char *quobyte_mount_point_base;
    char *quobyte_client_cfg;
    char *smbfs_mount_point_base;
    char *smbfs_mount_options;
    char *remote_filesystem_transport;
    char *vzstorage_mount_point_base;
    char *vzstorage_mount_user;
    char *vzstorage_mount_group;
    char *vzstorage_mount_perms;
    char *vzstorage_log_path;
    char *vzstorage_cache_path;
    char **vzstorage_mount_opts;
    OptInt rx_queue_size;
    OptInt tx_queue_size;
    OptInt max_queues;
    int64_t num_nvme_discover_tries;
    char **pmem_namespaces;
    bool swtpm_enabled;
    char *swtpm_user;
    char *swtpm_group;
    char **supported_tpm_secret_security;
    bool use_default_aio_mode_for_volumes;
    bool cpu_power_management;
    char *cpu_power_management_strategy;
    char *cpu_power_governor_low;
    char *cpu_power_governor_high;
} OptionsLibvirt;

typedef struct OptionsNeutron {
    KeystoneAuthOptions auth;
    SessionOptions session;
    AdapterOptions adapter;
    char *ovs_bridge;
    char *default_floating_pool;
    int64_t extension_sync_interval;
    char **physnets;
    int64_t http_retries;
    bool service_metadata_proxy;
    char *metadata_proxy_shared_secret;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsNeutron;

typedef struct OptionsNotifications {
    char *notify_on_state_change;
    char *default_level;
    char *notification_format;
    char **versioned_notifications_topics;
    bool bdms_in_notifications;
    bool include_share_mapping;
} OptionsNotifications;

typedef struct OptionsPci {
    char **alias;
    char **device_spec;
    bool report_in_placement;
} OptionsPci;

typedef struct OptionsPlacement {
    KeystoneAuthOptions auth;
    SessionOptions session;
    AdapterOptions adapter;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsPlacement;

typedef struct OptionsScheduler {
    int64_t max_attempts;
    int64_t discover_hosts_in_cells_interval;
    int64_t max_placement_results;
    OptInt workers;
    bool query_placement_for_routed_network_aggregates;
    bool limit_tenants_to_placement_aggregate;
    bool placement_aggregate_required_for_tenants;
    bool query_placement_for_image_type_support;
    bool enable_isolated_aggregate_filtering;
    bool image_metadata_prefilter;
} OptionsScheduler;

typedef struct OptionsFilterScheduler {
    int64_t host_subset_size;
    int64_t max_io_ops_per_host;
    int64_t max_instances_per_host;
    bool track_instance_changes;
    char **available_filters;
    char **enabled_filters;
    char **weight_classes;
    double ram_weight_multiplier;
    double cpu_weight_multiplier;
    double disk_weight_multiplier;
    double hypervisor_version_weight_multiplier;
    double num_instances_weight_multiplier;
    double io_ops_weight_multiplier;
    double image_props_weight_multiplier;
    char **image_props_weight_setting;
    double pci_weight_multiplier;
    double soft_affinity_weight_multiplier;
    double soft_anti_affinity_weight_multiplier;
    double build_failure_weight_multiplier;
    double cross_cell_move_weight_multiplier;
    bool shuffle_best_same_weighed_hosts;
    char *image_properties_default_architecture;
    char **isolated_images;
    char **isolated_hosts;
    bool restrict_isolated_hosts_to_isolated_images;
    char *aggregate_image_properties_isolation_namespace;
    char *aggregate_image_properties_isolation_separator;
    bool pci_in_placement;
} OptionsFilterScheduler;

typedef struct OptionsSerialConsole {
    bool enabled;
    char *port_range;
    char *base_url;
    char *proxyclient_address;
    char *serialproxy_host;
    int64_t serialproxy_port;
} OptionsSerialConsole;

typedef struct OptionsServiceUser {
    KeystoneAuthOptions auth;
    SessionOptions session;
    bool send_service_user_token;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsServiceUser;

typedef struct OptionsSpice {
    bool enabled;
    bool agent_enabled;
    char *image_compression;
    char *jpeg_compression;
    char *zlib_compression;
    OptBool playback_compression;
    char *streaming_mode;
    char *html5proxy_base_url;
    char *spice_direct_proxy_base_url;
    char *server_listen;
    char *server_proxyclient_address;
    bool require_secure;
    char *html5proxy_host;
    int64_t html5proxy_port;
} OptionsSpice;

typedef struct OptionsUpgradeLevels {
    char *compute;
    char *scheduler;
    char *conductor;
    char *baseapi;
} OptionsUpgradeLevels;

typedef struct OptionsVendordataDynamicAuth {
    KeystoneAuthOptions auth;
    SessionOptions session;
    char *tls_ciphers;
    char *tls_min_version;
} OptionsVendordataDynamicAuth;

typedef struct OptionsVnc {
    bool enabled;
    char *server_listen;
    char *server_proxyclient_address;
    char *novncproxy_base_url;
    char *novncproxy_host;
    int64_t novncproxy_port;
    char **auth_schemes;
    char *vencrypt_client_key;
    char *vencrypt_client_cert;
    char *vencrypt_ca_certs;
} OptionsVnc;

typedef struct OptionsWorkarounds {
    bool disable_rootwrap;
    bool disable_libvirt_livesnapshot;
    bool handle_virt_lifecycle_events;
    bool disable_group_policy_check_upcall;
    bool enable_numa_live_migration;
    bool ensure_libvirt_rbd_instance_dir_cleanup;
    bool disable_fallback_pcpu_query;
    bool never_download_image_if_on_rbd;
    bool reserve_disk_resource_for_image_cache;
    bool libvirt_disable_apic;
    char **wait_for_vif_plugged_event_during_hard_reboot;
    bool enable_qemu_monitor_announce_self;
    int64_t qemu_monitor_announce_self_count;
    int64_t qemu_monitor_announce_self_interval;
    bool disable_compute_service_check_for_ffu;
    bool unified_limits_count_pcpu_as_vcpu;
    bool skip_cpu_compare_on_dest;
    bool skip_cpu_compare_at_startup;
    bool skip_hypervisor_version_check_on_lm;
    bool skip_reserve_in_use_ironic_nodes;
    bool disable_deep_image_inspection;
} OptionsWorkarounds;

typedef struct OptionsOsloMessagingNotifications {
    char **driver;
    char *transport_url;
    char **topics;
    int64_t retry;
} OptionsOsloMessagingNotifications;

typedef struct OptionsOsloMessagingRabbit {
    bool amqp_durable_queues;
    bool amqp_auto_delete;
    int64_t rpc_conn_pool_size;
    int64_t conn_pool_min_size;
    int64_t conn_pool_ttl;
    bool ssl;
    char *ssl_version;
    char *ssl_key_file;
    char *ssl_cert_file;
    char *ssl_ca_file;
    bool ssl_enforce_hostname_verification;
    bool ssl_enforce_fips_mode;
    double kombu_reconnect_delay;
    double kombu_reconnect_splay;
    char *kombu_compression;
    int64_t kombu_missing_consumer_retry_timeout;
    char *kombu_failover_strategy;
    char *rabbit_login_method;
    int64_t rabbit_retry_interval;
    int64_t rabbit_retry_backoff;
    int64_t rabbit_interval_max;
    bool rabbit_ha_queues;
    bool rabbit_quorum_queue;
    bool rabbit_transient_quorum_queue;
    int64_t rabbit_quorum_delivery_limit;
    int64_t rabbit_quorum_max_memory_length;
    int64_t rabbit_quorum_max_memory_bytes;
    int64_t rabbit_transient_queues_ttl;
    int64_t rabbit_qos_prefetch_count;
    int64_t heartbeat_timeout_threshold;
    int64_t heartbeat_rate;
    bool direct_mandatory_flag;
    bool enable_cancel_on_failover;
    bool use_queue_manager;
    char *hostname;
    char *processname;
    bool rabbit_stream_fanout;
} OptionsOsloMessagingRabbit;

typedef struct OptionsOsVifOvs {
    int64_t network_device_mtu;
    int64_t ovs_vsctl_timeout;
    char *ovsdb_connection;
    char *ovsdb_interface;
    bool isolate_vif;
    bool per_port_bridge;
    char *default_qos_type;
} OptionsOsVifOvs;

typedef struct OptionsNeutronTunnel {
    char *numa_nodes;
} OptionsNeutronTunnel;

typedef struct Options {
    OptionsDefault default_group;
    OptionsOsloConcurrency oslo_concurrency;
    OptionsApi api;
    OptionsCinder cinder;
    OptionsCompute compute;
    OptionsConsoleauth consoleauth;
    OptionsCyborg cyborg;
    OptionsDevices devices;
    OptionsEphemeralStorageEncryption ephemeral_storage_encryption;
    OptionsGlance glance;
    OptionsManila manila;
    OptionsMks mks;
    OptionsImageCache image_cache;
    OptionsKeyManager key_manager;
    OptionsBarbican barbican;
    OptionsBarbicanServiceUser barbican_service_user;
    OptionsKeystone keystone;
    OptionsLibvirt libvirt;
    OptionsNeutron neutron;
    OptionsNotifications notifications;
    OptionsPci pci;
    OptionsPlacement placement;
    OptionsScheduler scheduler;
    OptionsFilterScheduler filter_scheduler;
    OptionsSerialConsole serial_console;
    OptionsServiceUser service_user;
    OptionsSpice spice;
    OptionsUpgradeLevels upgrade_levels;
    OptionsVendordataDynamicAuth vendordata_dynamic_auth;
    OptionsVnc vnc;
    OptionsWorkarounds workarounds;
    OptionsOsloMessagingNotifications oslo_messaging_notifications;
    OptionsOsloMessagingRabbit oslo_messaging_rabbit;
    OptionsOsVifOvs os_vif_ovs;
    OptionsNeutronTunnel neutron_tunnel;
    GHashTable *neutron_physnets; /* physnet → numa_nodes of [neutron_physnet_<physnet>] */
    struct OptionsStorage *storage; /* the loader's */
} Options;

void options_free(Options *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Options, options_free)
