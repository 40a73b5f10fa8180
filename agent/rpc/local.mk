libkilonova_a_SOURCES += \
	agent/rpc/amqp_backoff.c agent/rpc/amqp_backoff.h \
	agent/rpc/amqp_body.c agent/rpc/amqp_body.h \
	agent/rpc/amqp_connect.c agent/rpc/amqp_connect.h \
	agent/rpc/amqp_link.c agent/rpc/amqp_link.h \
	agent/rpc/amqp_sender.c agent/rpc/amqp_sender.h \
	agent/rpc/queue_names.c agent/rpc/queue_names.h \
	agent/rpc/rpc_client.c agent/rpc/rpc_client.h \
	agent/rpc/rpc_message.c agent/rpc/rpc_message.h agent/rpc/rpc_message_private.h \
	agent/rpc/rpc_server.c agent/rpc/rpc_server.h \
	agent/rpc/rpc_thread.c agent/rpc/rpc_thread.h \
	agent/rpc/transport_options.c \
	agent/rpc/transport_settings.c agent/rpc/transport_settings.h \
	agent/rpc/transport_settings_private.h \
	agent/rpc/transport_url.c agent/rpc/transport_url.h

unit_tests += tests/unit/test_rpc_transport tests/unit/test_rpc_message tests/unit/test_amqp_backoff tests/unit/test_amqp_body tests/unit/test_amqp_sender
fuzz_programs += tests/fuzz/fuzz_envelope
tests_fuzz_fuzz_envelope_SOURCES = tests/fuzz/fuzz_envelope.c tests/fuzz/replay.c

# The other side of tests/functional/test_rpc.py, which needs a broker.
check_PROGRAMS += tests/functional/rpc_echo
EXTRA_DIST += tests/functional/test_rpc.py
