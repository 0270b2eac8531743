#!/bin/sh
# Sets up what hr's machines may send: web pages, and a quick refusal for mail. $1 is the web server's IPv4 address.
set -eu
# An ordinary user may not look for programs where nft is.
PATH=$PATH:/usr/sbin:/sbin
nft -f - <<RULES
table inet egress {
    chain output {
        type filter hook output priority filter; policy drop;
        oif "lo" accept
        ct state established,related accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        ip daddr $1 tcp dport 443 accept
        tcp dport 25 reject with tcp reset
    }
    chain input {
        type filter hook input priority filter; policy drop;
        iif "lo" accept
        ct state established,related accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        tcp dport 25 reject with tcp reset
    }
}
RULES
echo "$EASTWEST_VM is fenced off"
