# SPDX-License-Identifier: Apache-2.0
libkilonova_a_SOURCES += \
	storage/blank_disk.c storage/blank_disk.h \
	storage/cache_reaper.c storage/cache_reaper.h \
	storage/cinder.c storage/cinder.h \
	storage/connector.c storage/connector.h storage/connector_private.h storage/connector_nfs.c \
	storage/config_drive.c storage/config_drive.h \
	storage/disk_backend.c storage/disk_backend.h storage/disk_files.c storage/disk_lvm.c \
	storage/disk_info.c storage/disk_info.h \
	storage/disk_move.c storage/disk_move.h \
	storage/disk_plan.c storage/disk_plan.h \
	storage/disks.c storage/disks.h \
	storage/file_copy.c storage/file_copy.h \
	storage/file_lock.c storage/file_lock.h \
	storage/format_inspector.c storage/format_inspector.h \
	storage/glance.c storage/glance.h \
	storage/host_connector.c storage/host_connector.h \
	storage/image_cache.c storage/image_cache.h \
	storage/image_copy.c storage/image_copy.h \
	storage/image_errors.c storage/image_errors.h \
	storage/instance_folder.c storage/instance_folder.h \
	storage/instance_metadata.c storage/instance_metadata.h \
	storage/iso_image.c storage/iso_image.h \
	storage/key_manager.c storage/key_manager.h \
	storage/lvm.c storage/lvm.h \
	storage/manila.c storage/manila.h \
	storage/metadata.c storage/metadata.h \
	storage/mounts.c storage/mounts.h \
	storage/network_metadata.c storage/network_metadata.h \
	storage/qemu_img.c storage/qemu_img.h \
	storage/rbd_location.c storage/rbd_location.h \
	storage/storage_users.c storage/storage_users.h \
	storage/vendor_data.c storage/vendor_data.h

if HAVE_RBD
libkilonova_a_SOURCES += storage/ceph.c storage/ceph.h storage/disk_rbd.c
unit_tests += tests/unit/test_disk_rbd
endif

unit_tests += tests/unit/test_cache_reaper tests/unit/test_cinder tests/unit/test_connector tests/unit/test_config_drive tests/unit/test_disk_lvm tests/unit/test_disk_move tests/unit/test_disk_plan \
	tests/unit/test_disks tests/unit/test_format_inspector tests/unit/test_glance \
	tests/unit/test_image_cache tests/unit/test_image_copy tests/unit/test_iso_image tests/unit/test_key_manager tests/unit/test_metadata tests/unit/test_qemu_img tests/unit/test_qemu_img_commands tests/unit/test_rbd_location
tests_unit_test_key_manager_SOURCES = tests/unit/test_key_manager.c $(fake_http)
tests_unit_test_cinder_SOURCES = tests/unit/test_cinder.c $(fake_http)
tests_unit_test_config_drive_SOURCES = tests/unit/test_config_drive.c $(fake_http)
tests_unit_test_glance_SOURCES = tests/unit/test_glance.c $(fake_http)
EXTRA_DIST += tests/unit/storage_fixture.h

fuzz_programs += tests/fuzz/fuzz_format_inspector
tests_fuzz_fuzz_format_inspector_SOURCES = tests/fuzz/fuzz_format_inspector.c tests/fuzz/replay.c

# Against oslo.utils itself: tests/differential/format_inspector.py says how to run it.
noinst_PROGRAMS += tests/differential/inspect_format
tests_differential_inspect_format_SOURCES = tests/differential/inspect_format.c
EXTRA_DIST += tests/differential/format_inspector.py

# For tests of connectors in the test VM.
noinst_PROGRAMS += tests/vm/connect_volume
tests_vm_connect_volume_SOURCES = tests/vm/connect_volume.c

# Volumes of iSCSI, Fibre Channel and NVMe over fabrics.
libkilonova_a_SOURCES += \
	storage/connector_fibre_channel.c \
	storage/connector_iscsi.c \
	storage/connector_nvmeof.c \
	storage/connector_scsi.c \
	storage/fibre_channel.c storage/fibre_channel.h \
	storage/iscsi.c storage/iscsi.h \
	storage/multipath.c storage/multipath.h \
	storage/nvme.c storage/nvme.h \
	storage/scsi.c storage/scsi.h
unit_tests += tests/unit/test_connector_fibre_channel tests/unit/test_connector_iscsi tests/unit/test_connector_nvmeof
tests_unit_test_connector_SOURCES = tests/unit/test_connector.c tests/unit/tree.h
tests_unit_test_connector_fibre_channel_SOURCES = tests/unit/test_connector_fibre_channel.c tests/unit/tree.h
tests_unit_test_connector_nvmeof_SOURCES = tests/unit/test_connector_nvmeof.c tests/unit/tree.h
tests_unit_test_connector_iscsi_SOURCES = tests/unit/test_connector_iscsi.c tests/unit/tree.h
