# What has to be on the machine: Debian's MariaDB, RabbitMQ and memcached, and OpenStack's wheels in an environment of
# their own. Nothing is done twice.

has_packages() {
  local program
  for program in mariadbd mariadb-dump memcached epmd curl socat openssl /usr/lib/rabbitmq/bin/rabbitmq-server; do
    command -v $program >/dev/null || return 1
  done
}

install_packages() {
  say "packages"
  # They must not start daemons of their own.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends \
    mariadb-server-core mariadb-client rabbitmq-server memcached curl socat openssl python3-venv >"$RIG_DIR/apt.log" 2>&1 \
    || die "apt-get failed, see $RIG_DIR/apt.log"
}

install_openstack() {
  cat "$HERE/requirements.txt" "$HERE/constraints.txt" | cmp -s - "$VENV/.installed" && return 0
  say "OpenStack"
  [ -x "$VENV/bin/pip" ] || "$(command -v python3.11 || command -v python3)" -m venv "$VENV"
  "$VENV/bin/pip" install -q -r "$HERE/requirements.txt" -c "$HERE/constraints.txt" >"$RIG_DIR/pip.log" 2>&1 \
    || die "pip failed, see $RIG_DIR/pip.log"
  cat "$HERE/requirements.txt" "$HERE/constraints.txt" >"$VENV/.installed"
}

has_packages || install_packages
install_openstack
# Nova takes virt drivers from its own package only.
cp "$HERE/virt_driver.py" "$(echo "$VENV"/lib/python3.*/site-packages/nova/virt)/rig.py"
