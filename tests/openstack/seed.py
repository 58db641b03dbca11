"""Puts into the cloud what every test finds there.

identity           the catalog, the accounts of the services, two projects with a user each, clouds.yaml
resources          an image, flavors
computes N SINCE   exits well if N computes have shown life since then
"""
import os
import sys
from datetime import datetime

import openstack
import yaml

RIG = os.environ["RIG_DIR"]
PASSWORD = os.environ["RIG_PASSWORD"]
AUTH = "http://127.0.0.1:5000/v3"
CATALOG = {
    "placement": ("placement", "http://127.0.0.1:8778"),
    "glance": ("image", "http://127.0.0.1:9292"),
    "neutron": ("network", "http://127.0.0.1:9696"),
    "nova": ("compute", "http://127.0.0.1:8774/v2.1"),
    "aodh": ("alarming", "http://127.0.0.1:8042"),
    "masakari": ("instance-ha", "http://127.0.0.1:15868/v1"),
}
# The user of a tenant has the name of its project.
TENANTS = ["demo", "demo2"]
# Name, memory in MiB, VCPUs; a host has 16 VCPUs and 32 GiB.
FLAVORS = [("small", 512, 1), ("quarter", 4096, 4)]
# What runs maintenance: it administers, and is no person.
FENIX = "fenix"


def account(user, project):
    return {
        "region_name": "RegionOne",
        "auth": {
            "auth_url": AUTH,
            "username": user,
            "password": PASSWORD,
            "project_name": project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
    }


def cloud():
    return openstack.connection.Connection(**account("admin", "admin"))


def identity():
    keystone = cloud().identity
    roles = {role.name: role for role in keystone.roles()}
    if "service" not in roles:
        roles["service"] = keystone.create_role(name="service")
    projects = {project.name: project for project in keystone.projects()}
    for name in ["service", *TENANTS]:
        if name not in projects:
            projects[name] = keystone.create_project(name=name, domain_id="default")
    users = {user.name: user for user in keystone.users()}
    for name in [*CATALOG, FENIX, *TENANTS]:
        if name not in users:
            users[name] = keystone.create_user(name=name, password=PASSWORD, domain_id="default")
    for name in [*CATALOG, FENIX]:
        for role in ("admin", "service"):
            keystone.assign_project_role_to_user(projects["service"], users[name], roles[role])
    for name in TENANTS:
        for role in ("member", "reader"):
            keystone.assign_project_role_to_user(projects[name], users[name], roles[role])
    services = {service.type: service for service in keystone.services()}
    known = {endpoint.service_id for endpoint in keystone.endpoints()}
    for name, (kind, url) in CATALOG.items():
        service = services.get(kind) or keystone.create_service(name=name, type=kind)
        if service.id not in known:
            for interface in ("public", "internal", "admin"):
                keystone.create_endpoint(
                    service_id=service.id, interface=interface, url=url, region_id="RegionOne"
                )
    accounts = {"admin": account("admin", "admin"), FENIX: account(FENIX, "service")}
    accounts |= {name: account(name, name) for name in TENANTS}
    behind_tls = account(FENIX, "service")
    behind_tls["auth"]["auth_url"] = os.environ["RIG_KEYSTONE_TLS"]
    accounts[f"{FENIX}-tls"] = behind_tls | {"cacert": f"{RIG}/ca.pem"}
    with open(f"{RIG}/clouds.yaml", "w") as file:
        yaml.safe_dump({"clouds": accounts}, file)


def resources():
    it = cloud()
    if not it.image.find_image("tiny"):
        it.image.create_image(
            "tiny",
            data=b"\0" * (1 << 20),
            disk_format="raw",
            container_format="bare",
            visibility="public",
            validate_checksum=False,
        )
    for name, ram, vcpus in FLAVORS:
        if not it.compute.find_flavor(name):
            it.compute.create_flavor(name=name, ram=ram, vcpus=vcpus, disk=1)


def computes(count, since):
    it = cloud()
    # ML2 lists ports through a back-reference that SQLAlchemy makes when some other query comes first: a Neutron whose
    # first request is for its ports, as Nova's is, answers 500 to it and to all that follow.
    list(it.network.networks())
    alive = [
        service
        for service in it.compute.services(binary="nova-compute")
        if (service.state == "up" or service.is_forced_down)
        and datetime.fromisoformat(service.updated_at + "+00:00").timestamp() >= float(since)
    ]
    sys.exit(len(alive) < int(count))


{"identity": identity, "resources": resources, "computes": computes}[sys.argv[1]](*sys.argv[2:])
