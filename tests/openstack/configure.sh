# The configuration of every service, written anew each time.

mkdir -p "$ETC"/{keystone,placement,glance,neutron,nova,aodh,ceilometer,masakari} "$LOG" "$RUN" \
  "$VAR"/{mysql,rabbitmq,keystone/fernet,keystone/credential,glance,neutron,nova,aodh,masakari}

database() { echo "mysql+pymysql://rig:$PASSWORD@$IP:$DB_PORT/$1?charset=utf8mb4"; }

# common SERVICE: what every service is told.
common() {
  cat <<C
[oslo_concurrency]
lock_path = $VAR/$1/lock
[oslo_messaging_notifications]
driver = messagingv2
[oslo_messaging_rabbit]
rabbit_quorum_queue = false
heartbeat_in_pthread = false
[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
C
}

# account SECTION USER: how a service calls another one.
account() {
  cat <<C
[$1]
auth_type = password
auth_url = $KEYSTONE
username = $2
password = $PASSWORD
project_name = service
user_domain_name = Default
project_domain_name = Default
region_name = RegionOne
valid_interfaces = public
C
}

# door SERVICE: how a service finds out who calls it.
door() {
  account keystone_authtoken "$1"
  cat <<C
www_authenticate_uri = $KEYSTONE
memcached_servers = $IP:$CACHE_PORT
service_token_roles = service
service_token_roles_required = true
C
}

cat >"$ETC/keystone/keystone.conf" <<C
[DEFAULT]
transport_url = $BROKER
[database]
connection = $(database keystone)
[cache]
enabled = true
backend = dogpile.cache.memcached
memcache_servers = $IP:$CACHE_PORT
[token]
expiration = 86400
[fernet_tokens]
key_repository = $VAR/keystone/fernet
[credential]
key_repository = $VAR/keystone/credential
$(common keystone)
C

cat >"$ETC/placement/placement.conf" <<C
[placement_database]
connection = $(database placement)
[api]
auth_strategy = keystone
$(door placement)
$(common placement)
C

cp "$VENV/etc/glance/glance-api-paste.ini" "$ETC/glance/"
cat >"$ETC/glance/glance-api.conf" <<C
[DEFAULT]
transport_url = $BROKER
enabled_backends = files:file
enabled_import_methods = []
[database]
connection = $(database glance)
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = $VAR/glance
[paste_deploy]
flavor = keystone
config_file = $ETC/glance/glance-api-paste.ini
$(door glance)
$(common glance)
C

# No agents, no drivers: servers have no networks here, but Nova lists ports on every show, delete and migration.
cat >"$ETC/neutron/neutron.conf" <<C
[DEFAULT]
transport_url = $BROKER
core_plugin = ml2
service_plugins =
auth_strategy = keystone
api_paste_config = $VENV/etc/neutron/api-paste.ini
state_path = $VAR/neutron
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
[database]
connection = $(database neutron)
[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers =
extension_drivers = port_security
$(door neutron)
$(account nova nova)
$(common neutron)
C

# nova-api reads the paste file from its own configuration directory.
cp "$VENV/etc/nova/api-paste.ini" "$ETC/nova/"
cat >"$ETC/nova/nova.conf" <<C
[DEFAULT]
transport_url = $BROKER
my_ip = $IP
osapi_compute_workers = 1
osapi_compute_listen = $IP
state_path = $VAR/nova
compute_driver = rig.RigDriver
report_interval = 3
service_down_time = 12
running_deleted_instance_action = noop
reserved_host_memory_mb = 0
# No host offers more than it has: so a few servers fill it.
initial_cpu_allocation_ratio = 1.0
initial_ram_allocation_ratio = 1.0
[api]
auth_strategy = keystone
[api_database]
connection = $(database nova_api)
[database]
connection = $(database nova)
[conductor]
workers = 1
[scheduler]
workers = 1
[filter_scheduler]
shuffle_best_same_weighed_hosts = true
num_instances_weight_multiplier = -10.0
[notifications]
notification_format = both
notify_on_state_change = vm_and_task_state
[compute]
live_migration_wait_for_vif_plug = false
[quota]
instances = 1000
cores = 10000
ram = 10000000
[vnc]
enabled = false
[glance]
endpoint_override = $GLANCE
$(door nova)
$(account placement nova)
$(account neutron nova)
$(account service_user nova)
send_service_user_token = true
$(common nova)
C
for i in $(seq "$COMPUTES"); do
  # The file with which a node knows itself again is in its state directory: each has its own.
  mkdir -p "$VAR/nova/compute-$i/instances"
  cat >"$ETC/nova/compute-$i.conf" <<C
[DEFAULT]
host = compute-$i
state_path = $VAR/nova/compute-$i
instances_path = $VAR/nova/compute-$i/instances
[oslo_concurrency]
lock_path = $VAR/nova/compute-$i/lock
C
done

# The default of event_alarm_cache_ttl hides a new alarm for up to a minute.
cat >"$ETC/aodh/aodh.conf" <<C
[DEFAULT]
transport_url = $BROKER
event_alarm_cache_ttl = 0
[database]
connection = $(database aodh)
[listener]
workers = 1
[notifier]
workers = 1
$(door aodh)
$(account service_credentials aodh)
$(common aodh)
C

# Notifications become events here, and go on topic alarm.all to Aodh's listener.
cat >"$ETC/ceilometer/ceilometer.conf" <<C
[DEFAULT]
transport_url = $BROKER
event_pipeline_cfg_file = $HERE/event_pipeline.yaml
[notification]
workers = 1
pipelines = event
notification_control_exchanges = openstack
notification_control_exchanges = nova
[event]
definitions_cfg_file = $HERE/event_definitions.yaml
$(common ceilometer)
C

cat >"$ETC/masakari/masakari.conf" <<C
[DEFAULT]
transport_url = $BROKER
auth_strategy = keystone
host = masakari
masakari_api_listen = $IP
masakari_api_workers = 1
os_privileged_user_name = masakari
os_privileged_user_password = $PASSWORD
os_privileged_user_tenant = service
os_privileged_user_auth_url = $KEYSTONE
nova_catalog_admin_info = compute:nova:publicURL
[wsgi]
api_paste_config = $VENV/etc/masakari/api-paste.ini
[database]
connection = $(database masakari)
[taskflow]
connection = $(database masakari)
$(door masakari)
$(common masakari)
C

if [ ! -s "$RIG_DIR/ca.pem" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$RIG_DIR/key.pem" -out "$RIG_DIR/ca.pem" 2>>"$LOG/openssl.log" || die "no certificate, see $LOG/openssl.log"
  cat "$RIG_DIR/key.pem" "$RIG_DIR/ca.pem" >"$RIG_DIR/both.pem"
fi

cat >"$ETC/rabbitmq.conf" <<C
listeners.ssl.default = $IP:$AMQP_TLS_PORT
ssl_options.certfile = $RIG_DIR/ca.pem
ssl_options.keyfile = $RIG_DIR/key.pem
loopback_users.rig = false
default_user = rig
default_pass = $PASSWORD
vm_memory_high_watermark.relative = 0.2
log.console = false
log.file.level = warning
C
cat >"$ETC/init.sql" <<C
CREATE USER IF NOT EXISTS 'rig'@'%' IDENTIFIED BY '$PASSWORD';
GRANT ALL ON *.* TO 'rig'@'%';
C
