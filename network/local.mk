# The libraries below libopenvswitch's name (json_object, ...) are also jansson's. Everything of the
# static libopenvswitch that ovsdb.c needs is linked into one object that shows ovsdb.h's names only.
OVSDB_API = ovsdb_new ovsdb_free ovsdb_apply ovsdb_list_ports ovsdb_is_connected

libkilonova_ovsdb_a_SOURCES += network/ovsdb.c network/ovsdb.h network/ovs_headers.h

network/ovsdb_isolated.o: libkilonova_ovsdb.a
	$(AM_V_GEN)$(CC) -r -nostdlib -o $@.tmp -Wl,--gc-sections $(OVSDB_API:%=-Wl,-u,%) \
		libkilonova_ovsdb.a $(OPENVSWITCH_STATIC) && \
	$(OBJCOPY) $(OVSDB_API:%=--keep-global-symbol=%) $@.tmp $@ && rm -f $@.tmp
CLEANFILES += network/ovsdb_isolated.o
