#!/bin/sh
# Has ufw keep this VM: postgres for $1 alone, and nothing goes out. What it writes lies in the folder that vanishes with the lab; the
# machine's own /etc/ufw is not read.
set -eu
PATH=$PATH:/usr/sbin:/sbin
own=$EASTWEST_STATE
mkdir -p "$own/etc/ufw/applications.d" "$own/etc/default" "$own/lib" "$own/usr/share"
cp -r /lib/ufw "$own/lib/"
cp -r /usr/share/ufw "$own/usr/share/"
cp /usr/share/ufw/*.rules /usr/share/ufw/ufw.conf "$own/etc/ufw/"
cat >"$own/etc/default/ufw" <<DEFAULTS
IPV6=yes
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_OUTPUT_POLICY="DROP"
DEFAULT_FORWARD_POLICY="DROP"
DEFAULT_APPLICATION_POLICY="SKIP"
MANAGE_BUILTINS=no
IPT_SYSCTL=
IPT_MODULES=
DEFAULTS
# Its own rules answer pings; here they are nobody's due.
sed -i '/echo-request/d' "$own/etc/ufw/before.rules" "$own/etc/ufw/before6.rules"
rules() { ufw --rootdir="$own" --datadir="$own" "$@" >&2; }
rules logging off
rules allow in proto tcp from "$1" to any port 5432
rules reject in proto tcp from any to any port 25
rules --force enable
