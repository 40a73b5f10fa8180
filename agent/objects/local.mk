libkilonova_a_SOURCES += \
	agent/objects/block_device.c agent/objects/block_device.h \
	agent/objects/compute_node.c agent/objects/compute_node.h \
	agent/objects/external_event.c agent/objects/external_event.h \
	agent/objects/flavor.c agent/objects/flavor.h \
	agent/objects/image_meta.c agent/objects/image_meta.h \
	agent/objects/instance.c agent/objects/instance.h \
	agent/objects/keypair.c agent/objects/keypair.h \
	agent/objects/migration.c agent/objects/migration.h \
	agent/objects/network_info.c agent/objects/network_info.h \
	agent/objects/network_request.c agent/objects/network_request.h \
	agent/objects/numa_topology.c agent/objects/numa_topology.h \
	agent/objects/pci_device.c agent/objects/pci_device.h \
	agent/objects/service.c agent/objects/service.h \
	agent/objects/states.c agent/objects/states.h \
	agent/objects/versioned_object.c agent/objects/versioned_object.h \
	agent/objects/virtual_interface.c agent/objects/virtual_interface.h
