# Unit tests and fuzz replays; what only the lab can test is started by ./check.
if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests) $(fuzz_programs)
TESTS += $(unit_tests) $(fuzz_programs) tests/unit/layers
endif
# With --enable-fuzzing they take a corpus to grow: tests/fuzz/fuzz_NAME FOLDER tests/fuzz/corpus/NAME
$(fuzz_programs): LIBS += $(FUZZING_LIBS)
# Only the unit tests need cmocka.
$(unit_tests): LIBS += $(CMOCKA_LIBS)
$(unit_tests:%=%.o): CPPFLAGS += $(CMOCKA_CFLAGS)
$(unit_tests:%=%.o): CPPFLAGS += -DTEST_DATA_DIR='"$(abs_top_srcdir)/tests/unit/data"'

AM_TESTS_ENVIRONMENT = \
	KILONOVA_TEST_DATA='$(abs_top_srcdir)/tests/unit/data'; export KILONOVA_TEST_DATA; \
	KILONOVA_FUZZ_CORPUS='$(abs_top_srcdir)/tests/fuzz/corpus'; export KILONOVA_FUZZ_CORPUS; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	G_SLICE=always-malloc; export G_SLICE; \
	TSAN_OPTIONS="suppressions=$(abs_top_srcdir)/tests/unit/tsan.supp $$TSAN_OPTIONS"; export TSAN_OPTIONS;

# The message bus' other side in tests/functional/test_rpc.py: made by tests/functional/run.
EXTRA_PROGRAMS += tests/functional/rpc_echo
tests_functional_rpc_echo_SOURCES = tests/functional/rpc_echo.c

# Our methods for tests/functional/test_methods.py: made by tests/functional/run.
EXTRA_PROGRAMS += tests/functional/print_methods
tests_functional_print_methods_SOURCES = tests/functional/print_methods.c agent/methods.c

# What test_notifications.py compares with Nova's samples.
EXTRA_PROGRAMS += tests/functional/render_notification
tests_functional_render_notification_SOURCES = tests/functional/render_notification.c
CLEANFILES += $(EXTRA_PROGRAMS)

EXTRA_DIST += tests/unit/layers tests/unit/tsan.supp tests/unit/data tests/fuzz/corpus tests/unit/cmocka_all.h tests/build \
	tests/lint tests/coverage tests/bench tests/demo tests/parity tests/equality tests/tempest tests/lab tests/functional/run tests/functional/lab.py \
	tests/functional/runner.py tests/functional/test_agent.py tests/functional/test_boot.py \
	tests/functional/test_bus.py tests/functional/test_hostile.py tests/functional/test_notifications.py tests/functional/test_rpc.py \
	tests/functional/test_scale.py tests/functional/test_snapshot.py \
	tests/functional/nova_rpc.py tests/functional/test_methods.py tests/functional/test_states.py \
	tests/functional/test_rebuild.py tests/functional/test_consoles.py tests/functional/test_host.py \
	tests/functional/test_power.py tests/functional/test_rescue.py
EXTRA_DIST += tests/crash tests/functional/test_audit.py tests/functional/test_orphans.py tests/functional/test_interfaces.py tests/functional/test_ports.py tests/functional/test_routers.py \
	tests/functional/test_restart.py tests/functional/test_volumes.py tests/functional/test_volume_life.py tests/functional/test_volume_images.py
EXTRA_DIST += tests/functional/test_resize.py tests/functional/test_groups.py tests/functional/test_guest_agent.py
