# SPDX-License-Identifier: Apache-2.0
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
logrotatedir = $(sysconfdir)/logrotate.d
novaconfdir = $(sysconfdir)/nova/nova-compute.conf.d

dist_man8_MANS += packaging/kilonovad.8 packaging/kilonovactl.8
nodist_systemdsystemunit_DATA = packaging/kilonovad.service
dist_sysusers_DATA = packaging/sysusers/kilonova.conf
dist_tmpfiles_DATA = packaging/tmpfiles/kilonova.conf
dist_logrotate_DATA = packaging/logrotate/kilonova
dist_novaconf_DATA = packaging/nova-compute.conf.d/kilonova.conf

EXTRA_DIST += packaging/kilonovad.service.in packaging/build packaging/check packaging/check-service packaging/debian \
	packaging/rpm/kilonova.spec.in packaging/rpm/rpmlint.toml
CLEANFILES += packaging/kilonovad.service

packaging/kilonovad.service: packaging/kilonovad.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging && \
	sed 's|@sbindir[@]|$(sbindir)|g' $(srcdir)/packaging/kilonovad.service.in >$@.tmp && mv $@.tmp $@
