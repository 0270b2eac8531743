# Half of a DHCP: `serve` acknowledges each request that comes to a server's port, of either family; `renew ADDRESS` asks the
# server at that address for its lease again, from a client's port, and says whether it was acknowledged. `renew all` asks
# every IPv6 server on the link.
use strict;
use warnings;
use Socket qw(:DEFAULT inet_pton IPPROTO_IPV6 IPV6_JOIN_GROUP IPV6_V6ONLY pack_ipv6_mreq pack_sockaddr_in6);

my %four = (domain => PF_INET, client => 68, server => 67, any => INADDR_ANY, sockaddr => \&pack_sockaddr_in);
my %six = (domain => PF_INET6, client => 546, server => 547, any => inet_pton(AF_INET6, "::"), sockaddr => \&pack_sockaddr_in6);
my $SERVERS = inet_pton(AF_INET6, "ff02::1:2");
# Requests and acknowledgements of RFC 2131 (with the option that says which it is) and of RFC 8415 (without options).
my ($request4, $ack4) = map { my $op = $_ == 3 ? 1 : 2;
    pack("C4 N n2 x16 a16 x192 N C4", $op, 1, 6, 0, 0xea57, 0, 0, "\2\0\0\0\0\1", 0x63825363, 53, 1, $_, 255) } 3, 5;
my ($request6, $ack6) = map { pack("N", $_ << 24 | 0xea57) } 5, 7;

# The link that is not the machine's own.
sub link_index {
    opendir(my $links, "/sys/class/net") or return 2;
    my ($name) = grep { !/^\./ && $_ ne "lo" } readdir $links;
    open(my $index, "<", "/sys/class/net/$name/ifindex") or return 2;
    return <$index> + 0;
}

sub bound {
    my ($family, $port) = @_;
    socket(my $socket, $family->{domain}, SOCK_DGRAM, 0) or die "no socket: $!\n";
    setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 1) if $family->{domain} == PF_INET6;
    bind($socket, $family->{sockaddr}->($port, $family->{any})) or die "cannot bind to port $port: $!\n";
    return $socket;
}

sub give_up {
    print "@_\n";
    exit 1;
}

sub serve {
    my ($four, $six) = (bound(\%four, 67), bound(\%six, 547));
    setsockopt($six, IPPROTO_IPV6, IPV6_JOIN_GROUP, pack_ipv6_mreq($SERVERS, link_index())) or die "cannot join: $!\n";
    while (1) {
        my $ready = "";
        vec($ready, fileno $_, 1) = 1 for $four, $six;
        select($ready, undef, undef, undef);
        for ([$four, $request4, $ack4], [$six, $request6, $ack6]) {
            my ($socket, $request, $ack) = @$_;
            next unless vec($ready, fileno $socket, 1);
            my $from = recv($socket, my $got, 512, 0);
            send($socket, $ack, 0, $from) if defined $from && $got eq $request;
        }
    }
}

sub renew {
    my ($at) = @_;
    my $is_six = $at eq "all" || $at =~ /:/;
    my ($family, $request, $ack) = $is_six ? (\%six, $request6, $ack6) : (\%four, $request4, $ack4);
    my $to = $at eq "all" ? pack_sockaddr_in6(547, $SERVERS, link_index())
        : $family->{sockaddr}->($family->{server}, inet_pton($family->{domain}, $at));
    my $socket = bound($family, $family->{client});
    defined send($socket, $request, 0, $to) or give_up("not sent: $!");
    my $ready = "";
    vec($ready, fileno $socket, 1) = 1;
    select($ready, undef, undef, 20) or give_up("not answered");
    recv($socket, my $got, 512, 0);
    $got eq $ack or give_up("answered otherwise");
    print "renewed\n";
}

my ($what, $at) = @ARGV;
$what eq "serve" ? serve() : renew($at);
