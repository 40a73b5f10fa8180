libkilonova_a_SOURCES += \
	agent/base/command.c agent/base/command.h \
	agent/base/fail_point.c agent/base/fail_point.h \
	agent/base/cpu_set.c agent/base/cpu_set.h \
	agent/base/http.c agent/base/http.h \
	agent/base/journal.c agent/base/journal.h agent/base/journal_record.c agent/base/journal_record.h \
	agent/base/json.c agent/base/json.h \
	agent/base/key_lock.c agent/base/key_lock.h \
	agent/base/lane.c agent/base/lane.h \
	agent/base/log.c agent/base/log.h \
	agent/base/monotonic.c agent/base/monotonic.h \
	agent/base/nova_error.c agent/base/nova_error.h agent/base/nova_errors.def \
	agent/base/python_text.c agent/base/python_text.h \
	agent/base/request_context.c agent/base/request_context.h \
	agent/base/ssh_key.c agent/base/ssh_key.h \
	agent/base/yaml.c agent/base/yaml.h

unit_tests += tests/unit/test_nova_error tests/unit/test_ssh_key tests/unit/test_request_context tests/unit/test_json \
	tests/unit/test_lane tests/unit/test_monotonic tests/unit/test_command tests/unit/test_log tests/unit/test_journal
fuzz_programs += tests/fuzz/fuzz_journal
tests_fuzz_fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c tests/fuzz/replay.c
