# SPDX-License-Identifier: Apache-2.0
libkilonova_a_SOURCES += \
	agent/control/conductor.c agent/control/conductor.h \
	agent/control/conductor_groups.c agent/control/conductor_groups.h \
	agent/control/conductor_moves.c agent/control/conductor_moves.h \
	agent/control/conductor_shares.c agent/control/conductor_shares.h \
	agent/control/conductor_pci.c agent/control/conductor_pci.h \
	agent/control/conductor_tasks.c agent/control/conductor_tasks.h \
	agent/control/conductor_volumes.c agent/control/conductor_volumes.h \
	agent/control/peers.c agent/control/peers.h \
	agent/control/audit_period.c agent/control/audit_period.h \
	agent/control/notifier.c agent/control/notifier.h \
	agent/control/notification_payload.c agent/control/notification_payload.h \
	agent/control/legacy_payload.c agent/control/payload_private.h \
	agent/control/keystone.c agent/control/keystone.h \
	agent/control/placement.c agent/control/placement.h agent/control/placement_private.h \
	agent/control/placement_allocations.c \
	agent/control/provider_tree.c agent/control/provider_tree.h \
	agent/control/rest.c agent/control/rest.h

fake_http = tests/fakes/fake_http.c tests/fakes/fake_http.h
unit_tests += tests/unit/test_http tests/unit/test_keystone tests/unit/test_placement
tests_unit_test_http_SOURCES = tests/unit/test_http.c $(fake_http)
tests_unit_test_keystone_SOURCES = tests/unit/test_keystone.c $(fake_http)
tests_unit_test_placement_SOURCES = tests/unit/test_placement.c $(fake_http)
unit_tests += tests/unit/test_notification_payload
tests_unit_test_notification_payload_SOURCES = tests/unit/test_notification_payload.c
