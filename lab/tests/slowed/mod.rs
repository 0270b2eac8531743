//! Slow paths, told by the order in which datagrams come.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use lab::{Lab, Place};

use crate::jailed;

/// How many datagrams the one sends before the other sends its one.
const MANY: u8 = 12;
const OTHER: u8 = 0xff;

pub(crate) fn slow() {
    let mut lab = jailed::small();
    check(&lab, &[]);
    lab.slow("a", "b", Some(256_000)).unwrap();
    check(&lab, &[("a", "b"), ("b", "a")]);
    lab.slow("c", "b", Some(256_000)).unwrap();
    check(&lab, &[("a", "b"), ("b", "a"), ("b", "c")]);
    lab.slow("c", "b", None).unwrap();
    lab.relocate("b", "h2").unwrap();
    check(&lab, &[("a", "b"), ("b", "a")]);
    lab.relocate("a", "h2").unwrap();
    check(&lab, &[("a", "b"), ("b", "a")]);
    // A cut path is cut, slow or not.
    let cut = lab.cut(cut("a", "b")).unwrap();
    assert!(lab.path_is_cut("a", "b"));
    lab.heal(cut).unwrap();
    check(&lab, &[("a", "b"), ("b", "a")]);
    lab.slow("a", "b", None).unwrap();
    check(&lab, &[]);
    lab.slow("a", "b", Some(64_000)).unwrap();
    lab.remove("a").unwrap();
    assert!(lab.slow("a", "b", None).is_err());
}

fn cut(one: &str, other: &str) -> lab::Cut {
    let place = |name: &str| vec![Place::Station(name.to_owned())];
    lab::Cut::Silent { one: place(one), other: place(other) }
}

/// On each of these paths a single datagram of the third station overtakes what was sent before it; on the others none does.
fn check(lab: &Lab, slow: &[(&str, &str)]) {
    for (from, to, third) in [("a", "b", "c"), ("b", "a", "c"), ("b", "c", "a")] {
        let held_up = slow.contains(&(from, to)) && !slow.contains(&(third, to));
        assert_eq!(overtakes(lab, from, to, third), held_up, "{from} -> {to}: {slow:?}");
    }
}

fn overtakes(lab: &Lab, from: &str, to: &str, third: &str) -> bool {
    let listener = socket(lab, to);
    let (many, one) = (socket(lab, from), socket(lab, third));
    let at = listener.local_addr().unwrap();
    for number in 0..MANY {
        many.send_to(&[number; 1_000], at).unwrap();
    }
    one.send_to(&[OTHER], at).unwrap();
    let mut order = Vec::new();
    for _ in 0..=MANY {
        let mut buffer = [0; 1_500];
        listener.recv(&mut buffer).unwrap();
        order.push(buffer[0]);
    }
    let mut others: Vec<u8> = order.iter().copied().filter(|number| *number != OTHER).collect();
    others.dedup();
    assert_eq!(others, (0..MANY).collect::<Vec<_>>(), "in their order, and all");
    order.last() != Some(&OTHER)
}

fn socket(lab: &Lab, station: &str) -> UdpSocket {
    let station = lab.station(station).unwrap();
    let address: IpAddr = station.addresses()[0];
    let socket = station.enter(|| UdpSocket::bind((address, 0))).unwrap().unwrap();
    // The last resort alone: what is expected comes.
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}
