libkilonova_a_SOURCES += \
	agent/objects/block_device.c agent/objects/block_device.h \
	agent/objects/compute_node.c agent/objects/compute_node.h \
	agent/objects/external_event.c agent/objects/external_event.h \
	agent/objects/flavor.c agent/objects/flavor.h \
	agent/objects/image_meta.c agent/objects/image_meta.h \
	agent/objects/instance.c agent/objects/instance.h \
	agent/objects/instance_group.c agent/objects/instance_group.h \
	agent/objects/keypair.c agent/objects/keypair.h \
	agent/objects/primitive.c agent/objects/primitive.h \
	agent/objects/migration.c agent/objects/migration.h \
	agent/objects/migration_context.c agent/objects/migration_context.h \
	agent/objects/network_info.c agent/objects/network_info.h \
	agent/objects/network_request.c agent/objects/network_request.h \
	agent/objects/numa_topology.c agent/objects/numa_topology.h \
	agent/objects/pci_device.c agent/objects/pci_device.h \
	agent/objects/service.c agent/objects/service.h \
	agent/objects/share_mapping.c agent/objects/share_mapping.h \
	agent/objects/states.c agent/objects/states.h \
	agent/objects/task_log.c agent/objects/task_log.h \
	agent/objects/versioned_object.c agent/objects/versioned_object.h \
	agent/objects/virtual_interface.c agent/objects/virtual_interface.h \
	agent/objects/volume_usage.c agent/objects/volume_usage.h
unit_tests += tests/unit/test_migration_context tests/unit/test_objects
fuzz_programs += tests/fuzz/fuzz_object
tests_fuzz_fuzz_object_SOURCES = tests/fuzz/fuzz_object.c tests/fuzz/replay.c
