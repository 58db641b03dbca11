umask 077
mkdir -p -- "$folder" && cd -- "$folder" || exit 90
# What is long over goes.
find "${folder%/*}" -mindepth 1 -maxdepth 1 -type d -mtime +90 -exec rm -rf -- {} + 2>/dev/null
if [ ! -e claim ]; then
  command -v setsid >/dev/null || { echo "there is no setsid" >&2; exit 90; }
  # By itself from here on. What it may have left from an attempt that was cut off is another's name.
  printf %s "$stdin" >"in.$$" || exit 90
  setsid sh -c "$runner" fenix-command "in.$$" "$home" "$most" "$most_last" "$@" </dev/null >/dev/null 2>&1 &
  tries=0
  while [ ! -e claim ] && [ "$tries" -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
fi
[ -e claim ] || exit 91
echo "$mark started"
