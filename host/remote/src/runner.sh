input=$1 home=$2 most=$3 most_last=$4
shift 4
# Whoever makes the claim runs it. With the boot and the time of its start it means this very process, for ever.
began=$(sed 's/.*) //' "/proc/$$/stat" | cut -d" " -f20)
echo "$$ $began $(cat /proc/sys/kernel/random/boot_id)" >"claim.$$"
if ! ln "claim.$$" claim; then
  rm -f "claim.$$" "$input"
  exit
fi
rm -f "claim.$$"
# A power cut must not make it forgotten.
sync claim . 2>/dev/null
{
  (cd -- "$home" && exec "$@") <"$input"
  echo $? >status.new
  rm -f "$input"
  mv status.new status
} 2>&1 | {
  # Byte by byte: what was read is on disk, whatever happens next.
  dd bs=1 count="$most" of=output 2>/dev/null
  tail -c "$most_last" >last
  : >written
}
