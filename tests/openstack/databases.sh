# The database, the broker and the cache, and the tables of every service. Making the tables takes a minute; a dump kept
# in $CACHE saves that to the next start from nothing.

if [ ! -d "$VAR/mysql/mysql" ]; then
  mariadb-install-db --no-defaults --user=root --datadir="$VAR/mysql" --auth-root-authentication-method=normal \
    --skip-test-db >"$LOG/mariadb-install.log" 2>&1 || die "no database, see $LOG/mariadb-install.log"
fi
# It is thrown away anyway: nothing waits for the disk.
start mariadb mariadbd --no-defaults --user=root --datadir="$VAR/mysql" --bind-address=$IP --port="$DB_PORT" \
  --socket="$RUN/mysql.sock" --pid-file="$RUN/mysqld" --init-file="$ETC/init.sql" --skip-name-resolve --skip-log-bin \
  --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --skip-innodb-doublewrite \
  --innodb-buffer-pool-size=256M --max-connections=1000 --character-set-server=utf8mb3
start epmd env ERL_EPMD_ADDRESS=$IP epmd -address $IP -port "$EPMD_PORT"
start memcached memcached -u root -l $IP -p "$CACHE_PORT" -U 0 -m 64
wait_for 20 epmd epmd -port "$EPMD_PORT" -names
# shellcheck disable=SC2046 # words are what is wanted
start rabbitmq env $(rabbit_environment) \
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
  /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server
wait_for 60 mariadb sql -e 'select 1'

# manage SERVICE COMMAND...: a command that changes a service's tables.
manage() {
  local log=$LOG/db-$1.log
  shift
  "$@" >>"$log" 2>&1 || die "$* failed, see $log"
}
keystone_manage() { manage keystone keystone-manage --config-file "$ETC/keystone/keystone.conf" "$@"; }
nova_manage() { manage nova nova-manage --config-file "$ETC/nova/nova.conf" "$@"; }

DATABASES="keystone placement glance neutron nova_api nova nova_cell0 aodh masakari"

make_tables() {
  local name
  for name in $DATABASES; do sql -e "create database if not exists $name"; done
  (
    manage neutron neutron-db-manage --config-file "$ETC/neutron/neutron.conf" upgrade heads
    manage placement placement-manage --config-file "$ETC/placement/placement.conf" db sync
    manage glance glance-manage --config-file "$ETC/glance/glance-api.conf" db_sync
    manage aodh aodh-dbsync --config-file "$ETC/aodh/aodh.conf"
    manage masakari masakari-manage --config-file "$ETC/masakari/masakari.conf" db sync
  ) &
  local others=$!
  keystone_manage db_sync
  keystone_manage bootstrap --bootstrap-password $PASSWORD --bootstrap-region-id RegionOne \
    --bootstrap-admin-url $KEYSTONE --bootstrap-internal-url $KEYSTONE --bootstrap-public-url $KEYSTONE
  nova_manage api_db sync
  nova_manage cell_v2 map_cell0 --database_connection "$(database nova_cell0)"
  nova_manage cell_v2 create_cell --name=cell1 --database_connection "$(database nova)" --transport-url "$BROKER"
  nova_manage db sync
  wait $others || exit 1
}

if [ ! -e "$VAR/.tables" ]; then
  chmod 700 "$VAR/keystone/fernet" "$VAR/keystone/credential"
  keystone_manage fernet_setup --keystone-user root --keystone-group root
  keystone_manage credential_setup --keystone-user root --keystone-group root
  dump=$CACHE/$(echo "$(sha256sum <"$VENV/.installed") $DB_PORT $AMQP_PORT" | sha256sum | cut -c1-16).sql
  if [ -s "$dump" ]; then
    say "tables, from $dump"
    sql <"$dump"
  else
    say "tables"
    make_tables
    mkdir -p "$CACHE"
    # shellcheck disable=SC2086 # words are what is wanted
    mariadb-dump -h $IP -P "$DB_PORT" -u rig -p$PASSWORD --databases $DATABASES >"$dump.new"
    mv "$dump.new" "$dump"
  fi
  touch "$VAR/.tables"
fi
wait_for 90 rabbitmq port_answers "$AMQP_PORT"
