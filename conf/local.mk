libkilonova_a_SOURCES += conf/options.h conf/options_table.c conf/options_table.h conf/conf_parser.c \
	conf/conf_parser.h conf/option_value.c conf/option_value.h conf/options_load.c conf/options_load.h \
	conf/provider_config.c conf/provider_config.h
EXTRA_DIST += etc/nova.conf.sample tests/unit/options_fixture.h
unit_tests += tests/unit/test_conf tests/unit/test_provider_config
fuzz_programs += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c tests/fuzz/replay.c
