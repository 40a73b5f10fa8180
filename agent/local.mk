agent_sources = agent/dispatch.c agent/dispatch.h agent/jobs.c agent/jobs.h agent/resume.c agent/resume.h agent/methods.c agent/methods.h agent/service.c \
	agent/service.h agent/periodic.c agent/periodic.h agent/agent.c agent/agent.h \
	agent/control_commands.c agent/control_commands.h agent/control_socket.c agent/control_socket.h
kilonovad_SOURCES = agent/main.c $(agent_sources)
kilonovactl_SOURCES = agent/kilonovactl.c agent/agent_command.c agent/agent_command.h \
	agent/control_socket.c agent/control_socket.h
unit_tests += tests/unit/test_methods tests/unit/test_json_lines
tests_unit_test_methods_SOURCES = tests/unit/test_methods.c agent/methods.c agent/service.c
unit_tests += tests/unit/test_resume
tests_unit_test_resume_SOURCES = tests/unit/test_resume.c agent/resume.c agent/methods.c
unit_tests += tests/unit/test_dispatch
tests_unit_test_dispatch_SOURCES = tests/unit/test_dispatch.c agent/dispatch.c agent/jobs.c agent/resume.c $(fake_rpc)
unit_tests += tests/unit/test_control_socket
tests_unit_test_control_socket_SOURCES = tests/unit/test_control_socket.c agent/control_socket.c
