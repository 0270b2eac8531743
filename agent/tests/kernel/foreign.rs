//! What others set up inside the machine: translation and forwarding pass no policy, and open nothing.
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};

use agent_core::{Builtin, LogKind};
use rtnetlink::{LinkUnspec, LinkVeth};

use crate::rulesets::{PORT, QUIET, open};
use crate::world::{At, Fate, PEER, VM, World};

/// Makes what comes to another port, and what goes to another port, end at the open one.
const REDIRECTION: &str = "
table inet other {
  chain in { type nat hook prerouting priority -100; tcp dport 7001 redirect to :7000; }
  chain out { type nat hook output priority -100; tcp dport 7001 dnat ip to 10.98.0.2:7000; }
}
";

fn builtins(world: &mut World) -> Vec<(LogKind, u32)> {
    world.events().iter().map(|event| (event.kind, event.mark & 0xf_ffff)).collect()
}

pub(crate) fn translated(world: &mut World) {
    world.kernel.apply(&open(1, QUIET, QUIET), None).unwrap();
    world.enter(At::Vm);
    let Ok(mut nft) = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn() else {
        println!("   skipped: the program nft is not here");
        return;
    };
    nft.stdin.take().unwrap().write_all(REDIRECTION.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success());
    let at = |ip: &str, port| SocketAddr::new(ip.parse().unwrap(), port);
    for (from, source, to, there) in [(At::Peer, PEER, VM, At::Vm), (At::Vm, VM, PEER, At::Peer)] {
        let _listener = world.listen(there, at(to[0], PORT));
        assert_eq!(world.connect(from, source[0].parse().unwrap(), at(to[0], PORT)).1, Fate::Through);
        assert_eq!(world.connect(from, source[0].parse().unwrap(), at(to[0], PORT + 1)).1, Fate::Silent, "{from:?}");
        assert_eq!(builtins(world), [(LogKind::Deny, Builtin::Nat.word().0)], "{from:?}");
    }
}

pub(crate) fn forwarded(world: &mut World) {
    world.kernel.apply(&open(1, QUIET, QUIET), None).unwrap();
    world.enter(At::Vm);
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let task = tokio::spawn(connection);
        handle.link().add(LinkVeth::new("new0", "new1").build()).execute().await.unwrap();
        handle.link().change(LinkUnspec::new_with_name("new0").up().build()).execute().await.unwrap();
        let index = nix::net::if_::if_nametoindex("new0").unwrap();
        handle.address().add(index, "10.97.0.1".parse().unwrap(), 24).execute().await.unwrap();
        task.abort();
    });
    world.enter(At::Peer);
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let task = tokio::spawn(connection);
        let route = rtnetlink::RouteMessageBuilder::<std::net::Ipv4Addr>::new()
            .destination_prefix("10.97.0.0".parse().unwrap(), 24)
            .gateway(VM[0].parse().unwrap())
            .build();
        handle.route().add(route).execute().await.unwrap();
        task.abort();
    });
    builtins(world);
    let behind: IpAddr = "10.97.0.2".parse().unwrap();
    let (_, fate) = world.connect(At::Peer, PEER[0].parse().unwrap(), SocketAddr::new(behind, PORT));
    assert_eq!(fate, Fate::Silent);
    assert_eq!(builtins(world), [(LogKind::Deny, Builtin::Forwarded.word().0)]);
}
