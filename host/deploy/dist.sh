#!/bin/sh
# Makes the release archive of a binary that was built: `dist.sh BINARY DIRECTORY`. The same sources and the same
# binary make the same bytes: names are sorted, and every time is that of the commit.
set -eu

binary=$1
into=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
version=$("$binary" --version | cut -d ' ' -f 2)
name=fenix-$version-$(rustc -vV | sed -n 's/^host: //p')
stage=$into/$name
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct)}"

rm -rf "$stage"
mkdir -p "$stage/bin"
strip --strip-all -o "$stage/bin/fenix" "$binary"
cp "$root/LICENSE" "$root/README.md" "$root/host/server/fenix.example.toml" "$stage/"
cp "$root/host/cloud/rack.toml" "$stage/"
cp -R "$root/docs" "$stage/docs"
cp -R "$root/host/deploy" "$stage/deploy"
rm "$stage/deploy/dist.sh" "$stage/deploy/Containerfile"

# Only a binary that has them can make them.
if "$binary" completions --help >/dev/null 2>&1; then
  mkdir "$stage/completions"
  for shell in bash fish zsh; do "$binary" completions "$shell" >"$stage/completions/fenix.$shell"; done
fi
if "$binary" man --help >/dev/null 2>&1; then
  mkdir -p "$stage/man/man1"
  "$binary" man "$stage/man/man1"
fi

find "$stage" -type d -exec chmod 0755 {} +
find "$stage" -type f -exec chmod 0644 {} +
chmod 0755 "$stage/bin/fenix"
tar --directory "$into" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --create "$name" |
  gzip --no-name --best >"$into/$name.tar.gz"
(cd "$into" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
rm -rf "$stage"
echo "$into/$name.tar.gz"
