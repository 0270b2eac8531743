# Answers each line of a client with that line, in capitals, at the TCP port that it is told.
use strict;
use warnings;
use IO::Socket::INET;

my ($port) = @ARGV;
my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 5, ReuseAddr => 1) or die "cannot listen at $port: $@\n";
while (my $client = $server->accept) {
    while (my $line = <$client>) {
        print $client uc $line;
    }
    close $client;
}
