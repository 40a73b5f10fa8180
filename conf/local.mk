libkilonova_a_SOURCES += conf/options.h conf/options_table.c conf/options_table.h conf/conf_parser.c \
	conf/conf_parser.h conf/options_load.c conf/options_load.h
EXTRA_DIST += etc/nova.conf.sample
