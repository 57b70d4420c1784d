#!/usr/bin/env bash
# Assembles the root file system of the image: the binary, the libraries it is linked with, certificates, one user. No shell,
# no package manager.
#   deploy/oci/rootfs.sh target/release/weft ROOT
set -euo pipefail
weft=$1
root=$2

mkdir -p "$root"/{dev,etc/ssl/certs,etc/weft/mesh,proc,tmp,usr/bin,var/lib/weft}
install -m 0555 "$weft" "$root/usr/bin/weft"

# `=> /lib/…/libssl.so.3 (0x…)`, and the loader, which stands there by itself. Resolved links, under the names asked for.
ldd "$weft" | grep -o '/[^ ]*' | while read -r library; do
  install -D -m 0555 "$(readlink -f "$library")" "$root$library"
done

# librdkafka looks for certificates here when it speaks TLS to a Kafka.
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  install -m 0444 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
printf 'weft:x:65532:65532:Weft:/var/lib/weft:/usr/sbin/nologin\n' > "$root/etc/passwd"
printf 'weft:x:65532:\n' > "$root/etc/group"
printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$root/etc/hosts"

# Everything is root's and nobody's to write, but the data.
find "$root" -xdev \( -type f -o -type d \) -exec chmod a-w {} +
chmod 0700 "$root/var/lib/weft"
if [ "$(id -u)" = 0 ]; then
  chown -R 0:0 "$root"
  chown 65532:65532 "$root/var/lib/weft"
fi
