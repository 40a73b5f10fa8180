# SPDX-License-Identifier: Apache-2.0
"""Users, roles and the service catalog: catalog.py ADDRESS, with the administrator's OS_* variables."""
import sys

import openstack

SERVICES = {
    'nova': ('compute', 'http://{}:8774/v2.1'),
    'placement': ('placement', 'http://{}:8778'),
    'glance': ('image', 'http://{}:9292'),
    'neutron': ('network', 'http://{}:9696'),
    'cinder': ('block-storage', 'http://{}:8776/v3'),
}


def users(identity):
    project = (identity.find_project('service', domain_id='default')
               or identity.create_project(name='service', domain_id='default'))
    roles = [identity.find_role(name) or identity.create_role(name=name) for name in ('admin', 'service')]
    for name in SERVICES:
        user = (identity.find_user(name, domain_id='default')
                or identity.create_user(name=name, domain_id='default', password='lab',
                                        default_project_id=project.id))
        for role in roles:
            identity.assign_project_role_to_user(project, user, role)


def endpoints(identity, address):
    services = {service.name: service for service in identity.services()}
    for name, (kind, url) in SERVICES.items():
        service = services.get(name) or identity.create_service(name=name, type=kind)
        known = {point.interface: point for point in identity.endpoints(service_id=service.id)}
        for interface in ('public', 'internal', 'admin'):
            if interface not in known:
                identity.create_endpoint(service_id=service.id, interface=interface,
                                         url=url.format(address), region_id='RegionOne')


identity = openstack.connect().identity
users(identity)
endpoints(identity, sys.argv[1])
