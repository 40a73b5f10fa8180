/* SPDX-License-Identifier: Apache-2.0 */
/* Mutates cases of fuzz_xml_case.c: JSON that stays JSON, and options, extra specs and image
 * properties by their names. */

#include "tests/fuzz/json_mutator.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* clang-format off */
static const char *const option_names[] = {
    "vcpu_pin_set", "use_cow_images", "preallocate_images", "force_config_drive",
    "config_drive_format", "pointer_model", "libvirt.cpu_mode", "libvirt.disk_cachemodes",
    "libvirt.disk_prefix", "libvirt.enabled_perf_events", "libvirt.file_backed_memory",
    "libvirt.hw_disk_discard", "libvirt.hw_machine_type", "libvirt.images_type",
    "libvirt.max_queues", "libvirt.mem_stats_period_seconds", "libvirt.num_pcie_ports",
    "libvirt.realtime_scheduler_priority", "libvirt.rng_dev_path", "libvirt.rx_queue_size",
    "libvirt.tx_queue_size", "libvirt.sparse_logical_volumes", "libvirt.swtpm_enabled",
    "libvirt.sysinfo_serial", "libvirt.tb_cache_size", "libvirt.use_virtio_for_bridges",
    "libvirt.uid_maps", "libvirt.use_default_aio_mode_for_volumes",
    "compute.max_disk_devices_to_attach", "serial_console.enabled",
    "serial_console.proxyclient_address", "spice.enabled", "spice.agent_enabled",
    "spice.image_compression", "spice.jpeg_compression", "spice.playback_compression",
    "spice.require_secure", "spice.server_listen", "spice.streaming_mode",
    "spice.zlib_compression", "vnc.enabled", "vnc.server_listen",
    "workarounds.libvirt_disable_apic", "ephemeral_storage_encryption.enabled",
    "libvirt.cpu_models", "libvirt.cpu_model_extra_flags", "compute.cpu_shared_set",
    "compute.cpu_dedicated_set", "libvirt.images_rbd_pool", "libvirt.images_volume_group",
    "libvirt.virt_type", "libvirt.rbd_user", NULL,
};
static const char *const option_values[] = {
    "0-1", "0", "900", "true", "false", "none", "space", "iso9660", "vfat", "ps2mouse",
    "usbtablet", "custom", "host-passthrough", "host-model", "file=directsync,network=writeback",
    "block=none", "file=writethrough,block=unsafe", "network=none", "file=default",
    "mount=writeback", "block=writeback,network=directsync", "vd", "hd", "sd", "xvd", "cpu_clock",
    "mbml,cache_misses", "cmt,mbmt", "nothing", "cpu_cycles,instructions", "1048576", "unmap",
    "ignore", "x86_64=q35", "x86_64=pc", "x86_64=q35,aarch64=virt", "aarch64=virt-5.1", "i686=pc",
    "x86_64=pc-q35-2.11", "x86_64=nonsense", "nonsense", "default", "raw", "flat", "qcow2", "lvm",
    "rbd", "1", "2", "4", "30", "-1", "12", "28", "99", "/dev/urandom", "/dev/random",
    "/dev/absent", "", "256", "512", "1024", "hardware", "os", "unique", "auto", "32",
    "0:1000:10", "3", "26", "192.0.2.9", "::1", "off", "auto_glz", "lz", "never", "always",
    "0.0.0.0", "::", "filter", "all", "192.0.2.5", "kvm", "Haswell", "pcid", "0-3", "4-7,^5",
    "host-model", NULL,
};
static const char *const spec_names[] = {
    "hw:boot_menu", "hw:cpu_cores", "hw:cpu_sockets", "hw:cpu_threads", "hw:cpu_max_cores",
    "hw:cpu_max_sockets", "hw:cpu_max_threads", "hw:emulator_threads_policy",
    "hw:hide_hypervisor_id", "hide_hypervisor_id", "hw:locked_memory", "hw:maxphysaddr_mode",
    "hw:maxphysaddr_bits", "hw:mem_encryption", "hw:mem_encryption_model", "hw:pmu",
    "hw:redirected_usb_ports", "hw:serial_port_count", "hw:sound_model", "hw:tpm_model",
    "hw:tpm_version", "hw:tpm_secret_security", "hw:usb_model", "hw:vif_multiqueue_enabled",
    "hw:viommu_model", "hw:virtio_packed_ring", "hw:watchdog_action", "hw_rng:allowed",
    "hw_rng:rate_bytes", "hw_rng:rate_period", "hw_video:ram_max_mb", "os:secure_boot",
    "quota:cpu_shares", "quota:cpu_period", "quota:cpu_quota", "quota:vif_inbound_average",
    "quota:vif_inbound_peak", "quota:vif_inbound_burst", "quota:vif_outbound_average",
    "quota:vif_outbound_peak", "quota:vif_outbound_burst", "trait:HW_CPU_X86_SGX",
    "quota:disk_read_bytes_sec", "quota:disk_write_bytes_sec", "quota:disk_total_bytes_sec",
    "quota:disk_read_iops_sec", "quota:disk_write_iops_sec", "quota:disk_total_iops_sec",
    "quota:disk_read_bytes_sec_max", "quota:disk_write_iops_sec_max",
    "quota:disk_total_iops_sec_max", "trait:HW_CPU_X86_AVX2", "hw:mem_page_size", "hw:numa_nodes",
    "hw:cpu_policy", "hw:cpu_realtime", "hw:cpu_realtime_mask", "hw:cpu_dedicated_mask",
    "hw:cpu_thread_policy", NULL,
};
static const char *const spec_values[] = {
    "true", "false", "True", "False", "yes", "no", "1", "0", "on", "maybe", "2", "4", "3", "8",
    "isolate", "share", "other", "passthrough", "emulate", "42", "48", "x", "amd-sev",
    "amd-sev-es", "amd-sev-snp", "intel-tdx", "15", "16", "sb16", "es1370", "pcspk", "ac97",
    "ich6", "ich9", "usb", "virtio", "horn", "tpm-tis", "tpm-crb", "tpm-other", "1.2", "2.0",
    "user", "host", "deployment", "none", "nec-xhci", "qemu-xhci", "intel", "smmuv3", "auto",
    "disabled", "pause", "poweroff", "reset", "explode", "1024", "2048", "many", "1000", "32",
    "64", "required", "optional", "20000", "-1", "10240", "20480", "forbidden", "", "10240000",
    "required", "dedicated", "mixed", "^0", "large", "2048", NULL,
};
static const char *const property_names[] = {
    "hw_boot_menu", "hw_cdrom_bus", "hw_cpu_cores", "hw_cpu_sockets", "hw_cpu_threads",
    "hw_cpu_max_cores", "hw_cpu_max_sockets", "hw_cpu_max_threads", "hw_cpu_policy",
    "hw_cpu_realtime_mask", "hw_disk_bus", "hw_disk_type", "hw_emulation_architecture",
    "hw_firmware_type", "hw_firmware_stateless", "hw_floppy_bus", "hw_input_bus",
    "hw_locked_memory", "hw_machine_type", "hw_maxphysaddr_mode", "hw_maxphysaddr_bits",
    "hw_mem_encryption", "hw_mem_encryption_model", "hw_mem_page_size", "hw_numa_nodes", "hw_pmu",
    "hw_pointer_model", "hw_qemu_guest_agent", "hw_redirected_usb_ports", "hw_rescue_bus",
    "hw_rescue_device", "hw_rng_model", "hw_scsi_model", "hw_serial_port_count", "hw_sound_model",
    "hw_time_hpet", "hw_tpm_model", "hw_tpm_version", "hw_usb_model", "hw_video_model",
    "hw_video_ram", "hw_vif_model", "hw_vif_multiqueue_enabled", "hw_viommu_model",
    "hw_virtio_packed_ring", "hw_vm_mode", "hw_watchdog_action", "img_config_drive",
    "img_hide_hypervisor_id", "img_hv_type", "img_root_device_name", "os_admin_user",
    "os_command_line", "os_distro", "os_require_quiesce", "os_secure_boot", "os_type",
    "trait:HW_CPU_X86_AVX2", "architecture", "vmware_adaptertype", NULL,
};
static const char *const property_values[] = {
    "true", "false", "True", "False", "yes", "no", "1", "0", "on", "maybe", "scsi", "sata", "ide",
    "virtio", "usb", "fdc", "2", "4", "8", "dedicated", "shared", "^0", "^0-1", "2-3", "xen",
    "lxc", "preallocated", "x86_64", "i686", "aarch64", "ppc64le", "s390x", "armv7l", "mipsel",
    "ppc64", "riscv64", "uefi", "bios", "ps2", "pc", "q35", "virt", "pc-q35-2.11", "pseries",
    "s390-ccw-virtio", "nonsense", "virt-5.1", "pc-i440fx-2.11", "passthrough", "emulate", "42",
    "48", "amd-sev", "amd-sev-es", "amd-sev-snp", "intel-tdx", "small", "large", "2048",
    "usbtablet", "ps2mouse", "16", "disk", "cdrom", "floppy", "fs", "virtio-scsi", "lsilogic",
    "buslogic", "ibmvscsi", "lsisas1068", "lsisas1078", "vmpvscsi", "lsiLogicsas", "3", "sb16",
    "ich9", "tpm-tis", "tpm-crb", "1.2", "2.0", "none", "nec-xhci", "qemu-xhci", "vga", "cirrus",
    "qxl", "bochs", "vmvga", "gop", "64", "e1000", "rtl8139", "e1000e", "ne2k_pci", "pcnet",
    "vmxnet3", "igb", "lan9118", "netfront", "VirtualE1000", "spapr-vlan", "VirtualVmxnet3",
    "VirtualPCNet32", "VirtualSriovEthernetCard", "intel", "smmuv3", "auto", "hvm", "uml", "exe",
    "pv", "disabled", "pause", "poweroff", "reset", "mandatory", "optional", "kvm", "qemu",
    "/dev/vda", "/dev/sda", "root", "console=ttyS0 quiet", "", "ubuntu20.04", "fedora39",
    "nothing", "required", "linux", "windows", "i386", "amd64", "busLogic", "lsiLogic", "<&\">",
    "plain", NULL,
};

static const char *const to_options[] = {"config", NULL};
static const char *const to_specs[] = {
    "instance", "nova_object.data", "flavor", "nova_object.data", "extra_specs", NULL,
};
static const char *const to_properties[] = {"image", "properties", NULL};
/* clang-format on */

static const JsonWords words[] = {
    {to_options, option_names, option_values},
    {to_specs, spec_names, spec_values},
    {to_properties, property_names, property_values},
    {NULL, NULL, NULL},
};

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return json_mutate(data, size, max_size, seed, words);
}
