cd -- "$folder" 2>/dev/null || { echo "$mark none"; exit; }
[ -e claim ] || { echo "$mark none"; exit; }
read -r pid began boot <claim
runs() {
  [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] &&
    [ "$began" = "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d" " -f20)" ]
}
if [ ! -e status ] && runs; then
  echo "$mark running"
elif [ -e status ]; then
  # What it wrote may still be on its way to the disk; what it started may go on writing.
  tries=0
  while [ ! -e written ] && [ "$tries" -lt 10 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  [ -e output ] || : >output
  [ -e last ] || : >last
  # Copies, of which nothing changes while they are counted.
  head -c "$most" output >"output.$$"
  head -c "$most_last" last >"last.$$"
  echo "$mark ended $(cat status) $(wc -c <"output.$$") $(wc -c <"last.$$")"
  cat "output.$$" "last.$$"
  rm -f "output.$$" "last.$$"
elif [ -e killed ]; then
  echo "$mark killed"
else
  echo "$mark lost"
fi
