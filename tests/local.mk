# Unit tests and fuzz replays; what only the lab can test is started by ./check.
if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests) $(fuzz_programs)
TESTS += $(unit_tests) $(fuzz_programs) tests/unit/layers
endif
# Only the unit tests need cmocka.
$(unit_tests): LIBS += $(CMOCKA_LIBS)
$(unit_tests:%=%.o): CPPFLAGS += $(CMOCKA_CFLAGS)
$(unit_tests:%=%.o): CPPFLAGS += -DTEST_DATA_DIR='"$(abs_top_srcdir)/tests/unit/data"'

AM_TESTS_ENVIRONMENT = \
	KILONOVA_TEST_DATA='$(abs_top_srcdir)/tests/unit/data'; export KILONOVA_TEST_DATA; \
	KILONOVA_FUZZ_CORPUS='$(abs_top_srcdir)/tests/fuzz/corpus'; export KILONOVA_FUZZ_CORPUS; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	G_SLICE=always-malloc; export G_SLICE;

EXTRA_DIST += tests/unit/layers tests/unit/data tests/fuzz/corpus
