# SPDX-License-Identifier: Apache-2.0
# compute/xml: instance, ports and disks → domain XML; `kilonovactl xml` shows it.
libkilonova_a_SOURCES += \
	compute/xml/block_devices.c compute/xml/block_devices.h \
	compute/xml/capabilities.c compute/xml/capabilities.h \
	compute/xml/clock.c \
	compute/xml/consoles.c \
	compute/xml/cpu.c \
	compute/xml/cpu_set.c compute/xml/cpu_set.h \
	compute/xml/cpu_topology.c \
	compute/xml/cputune.c \
	compute/xml/devices.c \
	compute/xml/disk_element.c compute/xml/disk_element.h \
	compute/xml/disk_map.c compute/xml/disk_map.h \
	compute/xml/disks.c \
	compute/xml/domain_xml.c compute/xml/domain_xml.h \
	compute/xml/features.c \
	compute/xml/firmware.c \
	compute/xml/graphics.c \
	compute/xml/guest_cells.c compute/xml/guest_cells.h \
	compute/xml/guest_request.c compute/xml/guest_request.h \
	compute/xml/hostdevs.c \
	compute/xml/interfaces.c \
	compute/xml/iommu.c \
	compute/xml/launch_security.c \
	compute/xml/machine.c compute/xml/machine.h \
	compute/xml/memory.c \
	compute/xml/memory_encryption.c \
	compute/xml/metadata.c \
	compute/xml/numa.c \
	compute/xml/os.c \
	compute/xml/perf.c \
	compute/xml/sysinfo.c \
	compute/xml/volumes.c \
	compute/xml/xml_builder.c compute/xml/xml_builder.h \
	compute/xml/domain_build.h \
	agent/xml_command.c agent/xml_command.h
