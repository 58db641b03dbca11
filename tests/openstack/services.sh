# The services, and what is in the cloud before any test.

# wsgi NAME PORT MODULE VARIABLE...: an API in uWSGI, as OpenStack is deployed today.
wsgi() {
  local name=$1 port=$2 module=$3
  shift 3
  start "$name" env "$@" uwsgi --http-socket "$IP:$port" --module "$module" --master --lazy-apps --processes 1 \
    --threads 8 --enable-threads --die-on-term --need-app --buffer-size 65535 --thunder-lock \
    --http-chunked-input --add-header 'Connection: close'
}
seed() { RIG_DIR=$RIG_DIR RIG_KEYSTONE_TLS=https://$IP:$KEYSTONE_TLS_PORT/v3 RIG_PASSWORD=$PASSWORD python "$HERE/seed.py" "$@"; }

say "services"
wsgi keystone 5000 keystone.wsgi.api:application OS_KEYSTONE_CONFIG_FILES="$ETC/keystone/keystone.conf"
wsgi placement 8778 placement.wsgi.api:application OS_PLACEMENT_CONFIG_DIR="$ETC/placement"
wsgi glance 9292 glance.wsgi.api:application OS_GLANCE_CONFIG_DIR="$ETC/glance"
wsgi neutron 9696 neutron.wsgi.api:application OS_NEUTRON_CONFIG_FILES="$ETC/neutron/neutron.conf"
start keystone-tls socat "OPENSSL-LISTEN:$KEYSTONE_TLS_PORT,bind=$IP,reuseaddr,fork,cert=$RIG_DIR/both.pem,verify=0" "TCP:$IP:5000"
wait_for 60 keystone http_answers $KEYSTONE
[ -e "$VAR/.seeded" ] || seed identity
start nova-conductor nova-conductor --config-file "$ETC/nova/nova.conf"
start nova-scheduler nova-scheduler --config-file "$ETC/nova/nova.conf"
wsgi nova-api 8774 nova.wsgi.osapi_compute:application OS_NOVA_CONFIG_DIR="$ETC/nova"
# A compute that was killed still shows as up for a while: wait for signs of life that are younger than its start.
since=0
for i in $(seq "$COMPUTES"); do
  alive "nova-compute-$i" || since=$(date +%s)
  start "nova-compute-$i" nova-compute --config-file "$ETC/nova/nova.conf" --config-file "$ETC/nova/compute-$i.conf"
done
# It looks for its file in its home and in /etc only.
wsgi aodh 8042 aodh.wsgi.api:application HOME="$ETC/aodh"
start aodh-listener aodh-listener --config-file "$ETC/aodh/aodh.conf"
start aodh-notifier aodh-notifier --config-file "$ETC/aodh/aodh.conf"
start ceilometer-notification ceilometer-agent-notification --config-file "$ETC/ceilometer/ceilometer.conf"
start masakari-api masakari-api --config-file "$ETC/masakari/masakari.conf"
start masakari-engine masakari-engine --config-file "$ETC/masakari/masakari.conf"
for url in $PLACEMENT $GLANCE $NEUTRON $NOVA $AODH $MASAKARI; do wait_for 90 "$url" http_answers "$url"; done
[ -e "$VAR/.seeded" ] || seed resources
wait_for 90 "one of $COMPUTES computes" seed computes "$COMPUTES" "$since"
if [ ! -e "$VAR/.seeded" ]; then
  nova_manage cell_v2 discover_hosts
  touch "$VAR/.seeded"
fi
