# The libraries below libopenvswitch's name (json_object, ...) are also jansson's. Everything of the
# static libopenvswitch that ovsdb.c and ovsdb_rows.c need is linked into one object that shows ovsdb.h's names only.
OVSDB_API = ovsdb_new ovsdb_free ovsdb_apply ovsdb_list_ports ovsdb_is_connected ovsdb_counters

libkilonova_ovsdb_a_SOURCES += network/ovsdb.c network/ovsdb.h \
	network/ovsdb_rows.c network/ovsdb_rows.h network/ovs_headers.h

network/ovsdb_isolated.o: libkilonova_ovsdb.a
	$(AM_V_GEN)$(CC) -r -nostdlib -o $@.tmp -Wl,--gc-sections $(OVSDB_API:%=-Wl,-u,%) \
		libkilonova_ovsdb.a $(OPENVSWITCH_STATIC) && \
	$(OBJCOPY) $(OVSDB_API:%=--keep-global-symbol=%) $@.tmp $@ && rm -f $@.tmp
CLEANFILES += network/ovsdb_isolated.o

libkilonova_a_SOURCES += \
	network/neutron.c network/neutron.h network/neutron_private.h \
	network/neutron_allocate.c network/neutron_info.c \
	network/neutron_model.c network/neutron_model.h \
	network/neutron_fixed_ip.c network/neutron_move.c network/neutron_ports.c network/neutron_records.c \
	network/neutron_resources.c
unit_tests += tests/unit/test_neutron
tests_unit_test_neutron_SOURCES = tests/unit/test_neutron.c $(fake_http)

libkilonova_a_SOURCES += network/vif_plan.c network/vif_plan.h network/vif_plug.c network/vif_plug.h \
	network/net_device.c network/net_device.h network/virtual_function.c network/virtual_function.h
fuzz_programs += tests/fuzz/fuzz_rest
tests_fuzz_fuzz_rest_SOURCES = tests/fuzz/fuzz_rest.c tests/fuzz/replay.c
unit_tests += tests/unit/test_vif_plan tests/unit/test_vif_plug tests/unit/test_virtual_function tests/unit/test_net_device

# Ports plugged beside os-vif in a namespace of their own (tests/differential/vif_rows).
noinst_PROGRAMS += tests/differential/plug_vif
tests_differential_plug_vif_SOURCES = tests/differential/plug_vif.c
EXTRA_DIST += tests/differential/vif_rows tests/differential/vif_rows.py
