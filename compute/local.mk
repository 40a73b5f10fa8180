# SPDX-License-Identifier: Apache-2.0
# compute/fit: does a guest fit, and where; what flavor and image ask for; `kilonovactl numa` shows it.
libkilonova_a_SOURCES += \
	compute/fit/cell_fit.c compute/fit/cell_fit.h \
	compute/fit/cell_order.c compute/fit/cell_order.h \
	compute/fit/constraints.c compute/fit/constraints.h \
	compute/fit/cpu_topology.c \
	compute/fit/fit.c compute/fit/fit.h \
	compute/fit/guest_request.c compute/fit/guest_request.h \
	compute/fit/host_numa.c compute/fit/host_numa.h \
	compute/fit/instance_numa.c compute/fit/instance_numa.h \
	compute/fit/memory_encryption.c \
	compute/fit/network_affinity.c compute/fit/network_affinity.h \
	compute/fit/numa_layout.c compute/fit/numa_layout.h \
	compute/fit/packing.c \
	compute/fit/pages.c \
	compute/fit/pci_address.c compute/fit/pci_address.h \
	compute/fit/pci_filter.c compute/fit/pci_filter.h \
	compute/fit/pci_pools.c compute/fit/pci_pools.h \
	compute/fit/pci_requests.c compute/fit/pci_requests.h \
	compute/fit/pci_spec.c compute/fit/pci_spec.h \
	compute/fit/pci_units.c compute/fit/pci_units.h \
	compute/fit/reserved_pages.c compute/fit/reserved_pages.h \
	compute/fit/saturate.h \
	compute/fit/usage.c compute/fit/usage.h

EXTRA_DIST += tests/differential/run tests/differential/nova_python tests/differential/numa.py tests/differential/numa_cases.py \
	tests/differential/numa_oracle.py tests/differential/make_numa_data.py
# Timed beside Nova's own functions by tests/bench/cores.py, which tests/bench/run calls.
EXTRA_PROGRAMS += tests/bench/fit_time
tests_bench_fit_time_SOURCES = tests/bench/fit_time.c tests/bench/core_time.c tests/bench/core_time.h
fuzz_programs += tests/fuzz/fuzz_numa_case
tests_fuzz_fuzz_numa_case_SOURCES = tests/fuzz/fuzz_numa_case.c tests/fuzz/replay.c

# compute/xml: instance, ports and disks → domain XML; `kilonovactl xml` shows it.
libkilonova_a_SOURCES += \
	compute/xml/block_devices.c compute/xml/block_devices.h \
	compute/xml/capabilities.c compute/xml/capabilities.h \
	compute/xml/clock.c \
	compute/xml/consoles.c \
	compute/xml/cpu.c compute/xml/cpu.h \
	compute/xml/cputune.c \
	compute/xml/devices.c \
	compute/xml/disk_element.c compute/xml/disk_element.h \
	compute/xml/disk_map.c compute/xml/disk_map.h \
	compute/xml/disks.c \
	compute/xml/domain_xml.c compute/xml/domain_xml.h \
	compute/xml/features.c \
	compute/xml/firmware.c \
	compute/xml/flavor_check.c \
	compute/xml/graphics.c \
	compute/xml/guest_cells.c compute/xml/guest_cells.h \
	compute/xml/hostdevs.c \
	compute/xml/interfaces.c \
	compute/xml/iommu.c \
	compute/xml/launch_security.c \
	compute/xml/machine.c compute/xml/machine.h \
	compute/xml/memory.c \
	compute/xml/metadata.c \
	compute/xml/numa.c \
	compute/xml/os.c \
	compute/xml/perf.c \
	compute/xml/sysinfo.c \
	compute/xml/volumes.c \
	compute/xml/xml_builder.c compute/xml/xml_builder.h \
	compute/xml/domain_build.h \
	agent/json_lines.c agent/json_lines.h \
	agent/numa_case.c agent/numa_case.h \
	agent/numa_command.c agent/numa_command.h \
	agent/xml_case.c agent/xml_case.h agent/xml_command.c agent/xml_command.h
EXTRA_DIST += tests/differential/run_xml tests/differential/requirements-nova-tests.lock \
	tests/differential/xml_cases.py tests/differential/xml_differ.py tests/differential/xml_oracle.py
unit_tests += tests/unit/test_xml_domain tests/unit/test_xml_parts
tests_unit_test_xml_domain_SOURCES = tests/unit/test_xml_domain.c tests/unit/json_spoil.c tests/unit/json_spoil.h
fuzz_programs += tests/fuzz/fuzz_xml_case
tests_fuzz_fuzz_xml_case_SOURCES = tests/fuzz/fuzz_xml_case.c tests/fuzz/replay.c
if FUZZING
tests_fuzz_fuzz_xml_case_SOURCES += tests/fuzz/json_mutator.c tests/fuzz/json_mutator.h \
	tests/fuzz/xml_case_mutator.c
endif
EXTRA_DIST += tests/fuzz/json_mutator.c tests/fuzz/json_mutator.h tests/fuzz/xml_case_mutator.c
EXTRA_PROGRAMS += tests/bench/xml_time
tests_bench_xml_time_SOURCES = tests/bench/xml_time.c tests/bench/core_time.c tests/bench/core_time.h

# The hypervisor, the resource tracker and the operations.
libkilonova_a_SOURCES += \
	compute/guest.c compute/guest.h compute/guest_private.h \
	compute/guest_block.c compute/guest_block.h \
	compute/guest_agent.c compute/guest_agent.h \
	compute/guest_hostdev.c compute/guest_hostdev.h \
	compute/block_device_info.c compute/block_device_info.h \
	compute/guest_config.c compute/guest_config.h \
	compute/guest_xml.c compute/guest_xml.h \
	compute/cpu_model.c compute/cpu_model.h \
	compute/guest_stats.c compute/guest_stats.h \
	compute/diagnostics.c compute/diagnostics.h \
	compute/ops/pause.c compute/ops/suspend.c compute/ops/soft_delete.c compute/ops/diagnostics.c \
	compute/host_check.c compute/host_check.h \
	compute/host_pci.c compute/host_pci.h \
	compute/hypervisor.c compute/hypervisor.h compute/libvirt_auto.h \
	compute/init_host.c compute/init_host.h \
	compute/instance_events.c compute/instance_events.h \
	compute/numa_claim.c compute/numa_claim.h \
	compute/node_facts.c compute/node_facts.h \
	compute/node_id.c compute/node_id.h \
	compute/move_claim.c compute/move_claim.h \
	compute/orphan_ports.c compute/orphan_ports.h \
	compute/own_requests.c compute/own_requests.h \
	compute/pci_alias.c compute/pci_alias.h \
	compute/pci_placement.c compute/pci_placement.h \
	compute/placement_names.c compute/placement_names.h compute/standard_traits.def \
	compute/pci_profile.c compute/pci_profile.h \
	compute/pci_providers.c compute/pci_providers.h \
	compute/pci_states.c compute/pci_states.h \
	compute/pci_sysfs.c compute/pci_sysfs.h \
	compute/pci_tracker.c compute/pci_tracker.h \
	compute/power_sync.c compute/power_sync.h \
	compute/stop_delay.c compute/stop_delay.h \
	compute/operation.c compute/operation.h \
	compute/evacuated.c compute/evacuated.h compute/drift.c compute/drift.h compute/verify.c compute/verify.h \
	compute/recovery.c compute/recovery.h compute/host_status.c compute/host_status.h \
	compute/vif_guest.c compute/vif_guest.h \
	compute/provider_additions.c compute/provider_additions.h \
	compute/resource_tracker.c compute/resource_tracker.h compute/resource_tracker_private.h \
	compute/tracker_pci.c compute/traits.c compute/traits.h \
	compute/ops/build.c compute/ops/build_resume.c compute/ops/build_resume.h \
	compute/ops/build_undo.c compute/ops/build_undo.h compute/ops/console.c compute/ops/events.c \
	compute/ops/group_policy.c compute/ops/group_policy.h \
	compute/ops/port_device.c compute/ops/port_device.h \
	compute/ops/port_resources.c compute/ops/port_resources.h \
	compute/ops/provider_mapping.c compute/ops/provider_mapping.h \
	compute/ops/ops.h compute/ops/power.c compute/ops/terminate.c compute/ops/steps.c compute/ops/steps.h \
	compute/ops/volume_create.c compute/ops/volume_steps.c compute/ops/volume_steps.h
unit_tests += tests/unit/test_node_id tests/unit/test_evacuated tests/unit/test_drift tests/unit/test_orphan_ports tests/unit/test_interface tests/unit/test_build_stage
unit_tests += tests/unit/test_host_check tests/unit/test_init_host tests/unit/test_instance_events tests/unit/test_move_claim
unit_tests += tests/unit/test_numa_claim tests/unit/test_numa_cases
tests_unit_test_numa_cases_SOURCES = tests/unit/test_numa_cases.c tests/unit/json_spoil.c tests/unit/json_spoil.h
unit_tests += tests/unit/test_power_sync tests/unit/test_block_device_info
unit_tests += tests/unit/test_pci_placement tests/unit/test_port_device tests/unit/test_port_resources tests/unit/test_provider_mapping
unit_tests += tests/unit/test_host_pci tests/unit/test_pci_requests tests/unit/test_pci_tracker
EXTRA_DIST += tests/differential/host_pci_oracle.py

# Making guests anew.
libkilonova_a_SOURCES += compute/ops/spawn.c compute/ops/spawn.h compute/ops/rebuild.c \
	compute/ops/shelve.c compute/ops/shelve.h compute/ops/unshelve.c

# Resizes and cold migrations.
libkilonova_a_SOURCES += compute/ops/move.c compute/ops/move.h compute/ops/resize.c compute/ops/resize_end.c

# Devices that come and go while the guest runs.
libkilonova_a_SOURCES += \
	compute/device_metadata.c compute/device_metadata.h \
	compute/device_wait.c compute/device_wait.h \
	compute/guest_device.c compute/guest_device.h \
	compute/guest_chain.c compute/guest_chain.h \
	compute/volume.c compute/volume.h \
	compute/volume_chain.c compute/volume_chain.h \
	compute/volume_files.c compute/volume_files.h \
	compute/volume_guest.c compute/volume_guest.h \
	compute/volume_stats.c compute/volume_stats.h \
	compute/volume_swap.c compute/volume_swap.h \
	compute/volume_secret.c compute/volume_secret.h \
	compute/ops/interface.c compute/ops/volumes.c compute/ops/volume_swap.c compute/ops/volume_snapshot.c
unit_tests += tests/unit/test_guest_devices

# Images of a server's disk.
libkilonova_a_SOURCES += compute/ops/snapshot.c compute/ops/snapshot.h compute/ops/snapshot_take.c compute/ops/snapshot_undo.c compute/ops/snapshot_undo.h
unit_tests += tests/unit/test_snapshot
unit_tests += tests/unit/test_diagnostics tests/unit/test_guest

# What is done from time to time.
libkilonova_a_SOURCES += \
	compute/tasks/deletions.c compute/tasks/orphans.c compute/tasks/power.c compute/tasks/report.c compute/tasks/tasks.h \
	compute/tasks/timeouts.c compute/tasks/upkeep.c compute/tasks/volumes.c
fake_rpc = tests/fakes/fake_rpc.c tests/fakes/fake_rpc.h
fake_cloud = tests/fakes/fake_cloud.c tests/fakes/fake_cloud.h $(fake_rpc) $(fake_http)
unit_tests += tests/unit/test_tasks tests/unit/test_group_policy tests/unit/test_allocations tests/unit/test_host_status
tests_unit_test_host_status_SOURCES = tests/unit/test_host_status.c $(fake_rpc) $(fake_http)
tests_unit_test_allocations_SOURCES = tests/unit/test_allocations.c $(fake_rpc) $(fake_http)
tests_unit_test_tasks_SOURCES = tests/unit/test_tasks.c $(fake_rpc)
unit_tests += tests/unit/test_volume_steps tests/unit/test_spawn
tests_unit_test_volume_steps_SOURCES = tests/unit/test_volume_steps.c $(fake_cloud)
tests_unit_test_evacuated_SOURCES = tests/unit/test_evacuated.c $(fake_rpc) $(fake_http)
unit_tests += tests/unit/test_provider_additions
tests_unit_test_group_policy_SOURCES = tests/unit/test_group_policy.c $(fake_rpc)
unit_tests += tests/unit/test_old_plane
tests_unit_test_old_plane_SOURCES = tests/unit/test_old_plane.c $(fake_rpc)
tests_unit_test_interface_SOURCES = tests/unit/test_interface.c $(fake_rpc)
tests_unit_test_port_device_SOURCES = tests/unit/test_port_device.c $(fake_rpc)
tests_unit_test_pci_tracker_SOURCES = tests/unit/test_pci_tracker.c $(fake_rpc)

# Consoles, what the guest agent does, what is asked of the host.
libkilonova_a_SOURCES += \
	compute/console_log.c compute/console_log.h compute/console_url.c compute/console_url.h compute/serial_ports.c compute/serial_ports.h \
	compute/ops/console_access.c compute/ops/host.c compute/ops/network_info.c compute/ops/password.c \
	compute/ops/quiesce.c compute/ops/rescue.c compute/ops/shares.c compute/ops/shares.h
unit_tests += tests/unit/test_shares tests/unit/test_volumes
unit_tests += tests/unit/test_volume_snapshot tests/unit/test_volume_stats
tests_unit_test_volume_stats_SOURCES = tests/unit/test_volume_stats.c $(fake_rpc)
tests_unit_test_volume_snapshot_SOURCES = tests/unit/test_volume_snapshot.c $(fake_rpc) $(fake_http)
tests_unit_test_volumes_SOURCES = tests/unit/test_volumes.c $(fake_cloud)
tests_unit_test_shares_SOURCES = tests/unit/test_shares.c $(fake_cloud)
unit_tests += tests/unit/test_console_log tests/unit/test_console_url tests/unit/test_serial_ports
