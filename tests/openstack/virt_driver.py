"""The hypervisor of the rig: Nova's fake driver, whose guests survive a restart of nova-compute.

It becomes nova/virt/rig.py, since Nova takes drivers from its own package only. A host has a finite size; the source of
a live migration forgets the guest; and $state_path/knobs.json, read at each use, makes things slow or fail:

    live_migration_seconds  how long a live migration takes; how far it is shows in its memory, a gigabyte whatever the guest
    live_migration_fail     it comes back at the end
    migrate_seconds         how long a cold migration takes before the guest is off
    migrate_fail            a cold migration fails on its source
    finish_fail             a cold migration fails on its destination
    spawn_fail              no guest begins here
"""
import json
import os
import threading
import time

from nova import exception
from nova.virt import fake

CONF = fake.CONF
# nova-compute works in threads.
LOCK = threading.Lock()


def knob(name, default=None):
    try:
        with open(os.path.join(CONF.state_path, "knobs.json")) as file:
            return json.load(file).get(name, default)
    except (OSError, ValueError):
        return default


class RigDriver(fake.FakeDriverWithoutFakeNodes):
    vcpus, memory_mb, local_gb = 16, 32768, 1000

    @property
    def _guests(self):
        return os.path.join(CONF.state_path, "guests.json")

    def init_host(self, host):
        super().init_host(host)
        self._aborted, self._forced = set(), set()
        if os.path.exists(self._guests):
            with open(self._guests) as file:
                for uuid, (name, state) in json.load(file).items():
                    self.instances[uuid] = fake.FakeInstance(name, state, uuid)

    def _save(self):
        with LOCK:
            with open(self._guests + ".new", "w") as file:
                json.dump({u: (guest.name, guest.state) for u, guest in dict(self.instances).items()}, file)
            os.replace(self._guests + ".new", self._guests)

    def spawn(self, *args, **kwargs):
        if knob("spawn_fail"):
            raise exception.BuildAbortException(instance_uuid=args[1].uuid, reason="knob spawn_fail")
        super().spawn(*args, **kwargs)
        self._save()

    def destroy(self, *args, **kwargs):
        super().destroy(*args, **kwargs)
        self._save()

    def power_off(self, *args, **kwargs):
        super().power_off(*args, **kwargs)
        self._save()

    def power_on(self, *args, **kwargs):
        super().power_on(*args, **kwargs)
        self._save()

    def finish_revert_migration(self, *args, **kwargs):
        super().finish_revert_migration(*args, **kwargs)
        self._save()

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
        time.sleep(float(knob("migrate_seconds", 0)))
        if knob("migrate_fail"):
            raise exception.MigrationError(reason="knob migrate_fail")

    def finish_migration(self, *args, **kwargs):
        if knob("finish_fail"):
            raise exception.MigrationError(reason="knob finish_fail")
        super().finish_migration(*args, **kwargs)
        self._save()

    def live_migration(self, context, instance, dest, post_method, recover_method, block_migration=False,
                       migrate_data=None):
        seconds = float(knob("live_migration_seconds", 0))
        end = time.time() + seconds
        while time.time() < end and instance.uuid not in self._aborted | self._forced:
            self._tell_progress(migrate_data.migration, (end - time.time()) / seconds)
            time.sleep(0.1)
        self._forced.discard(instance.uuid)
        if instance.uuid in self._aborted or knob("live_migration_fail"):
            status = "cancelled" if instance.uuid in self._aborted else "failed"
            self._aborted.discard(instance.uuid)
            recover_method(context, instance, dest, migrate_data, migration_status=status)
        else:
            post_method(context, instance, dest, block_migration, migrate_data)

    @staticmethod
    def _tell_progress(migration, left):
        total, remaining = 10 ** 9, int(left * 10) * 10 ** 8
        if migration.memory_remaining != remaining:
            migration.memory_total, migration.memory_remaining = total, remaining
            migration.memory_processed = total - remaining
            migration.save()

    def live_migration_abort(self, instance):
        self._aborted.add(instance.uuid)

    def live_migration_force_complete(self, instance):
        self._forced.add(instance.uuid)

    def post_live_migration(self, context, instance, block_device_info, migrate_data=None):
        self.destroy(context, instance, None)
