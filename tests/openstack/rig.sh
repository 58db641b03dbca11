# What all parts of the rig share: where things are, and how a process is started, watched and stopped.
# Everything is below $RIG_DIR and listens on 127.0.0.1.
RIG_DIR=${RIG_DIR:-/tmp/fenix-openstack}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VENV=$RIG_DIR/venv ETC=$RIG_DIR/etc VAR=$RIG_DIR/var LOG=$RIG_DIR/log RUN=$RIG_DIR/run CACHE=$RIG_DIR/cache
# Hosts compute-1 to compute-N, each a nova-compute of its own.
COMPUTES=${COMPUTES:-4}
IP=127.0.0.1
# The services have their usual ports; what is below them has others, so that it meets no database or broker of the machine.
DB_PORT=${DB_PORT:-13306} AMQP_PORT=${AMQP_PORT:-15672} CACHE_PORT=${CACHE_PORT:-21211} EPMD_PORT=${EPMD_PORT:-14369}
# One throw-away password for every account.
PASSWORD=rigpass
# The same Keystone and broker behind TLS, with a certificate that only $RIG_DIR/ca.pem vouches for.
KEYSTONE_TLS_PORT=${KEYSTONE_TLS_PORT:-5443} AMQP_TLS_PORT=${AMQP_TLS_PORT:-15671}
KEYSTONE=http://$IP:5000/v3 PLACEMENT=http://$IP:8778 GLANCE=http://$IP:9292 NEUTRON=http://$IP:9696
NOVA=http://$IP:8774/v2.1 AODH=http://$IP:8042 MASAKARI=http://$IP:15868
BROKER=rabbit://rig:$PASSWORD@$IP:$AMQP_PORT/
export PATH=$VENV/bin:$PATH
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

say() { printf '%s rig: %s\n' "$(date +%T)" "$*"; }
die() { echo "rig: $*" >&2; exit 1; }

# A process that has ended and that nobody has waited for is not running.
running() { grep -qs '^State:[[:space:]][^ZX]' "/proc/$1/status"; }
alive() { [ -s "$RUN/$1.pid" ] && running "$(cat "$RUN/$1.pid")"; }

# start NAME COMMAND...: the command as its own process group, unless it runs already.
start() {
  local name=$1
  shift
  alive "$name" && return 0
  setsid "$@" >>"$LOG/$name.log" 2>&1 </dev/null 9>&- &
  echo $! >"$RUN/$name.pid"
}

# stop NAME: asks the leader to end, and ends what is left of its group.
stop() {
  [ -s "$RUN/$1.pid" ] || return 0
  local pid
  pid=$(cat "$RUN/$1.pid")
  kill -TERM "$pid" 2>/dev/null || true
  for _ in $(seq 100); do running "$pid" || break; sleep 0.1; done
  kill -KILL -- "-$pid" 2>/dev/null || true
  rm -f "$RUN/$1.pid"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local limit=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $limit ] || die "$what is not ready in time; see $LOG"
    sleep 0.3
  done
}

port_answers() { (exec 3<>"/dev/tcp/$IP/$1") 2>/dev/null; }
http_answers() {
  local code
  code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$1")
  [ "$code" != 000 ] && [ "$code" -lt 500 ]
}
sql() { mariadb -h $IP -P "$DB_PORT" -u rig -p$PASSWORD "$@"; }

rabbit_environment() {
  echo HOME="$VAR/rabbitmq" ERL_EPMD_ADDRESS=$IP ERL_EPMD_PORT="$EPMD_PORT" RABBITMQ_NODENAME=rig@localhost \
    RABBITMQ_NODE_IP_ADDRESS=$IP RABBITMQ_NODE_PORT="$AMQP_PORT" RABBITMQ_DIST_PORT=$((AMQP_PORT + 10000)) \
    RABBITMQ_MNESIA_BASE="$VAR/rabbitmq/mnesia" RABBITMQ_LOG_BASE="$LOG" RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_CONFIG_FILE="$ETC/rabbitmq" RABBITMQ_ADVANCED_CONFIG_FILE="$ETC/none" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$ETC/none"
}
