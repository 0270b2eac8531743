//! Paths that take their time, and paths that lose.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use lab::{Lab, Quality};

use crate::jailed;
use crate::talk;

const DELAY: Duration = Duration::from_millis(15);

fn quality(loss: u8, delay: Duration) -> Quality {
    Quality { loss, delay, ..Quality::default() }
}

/// What goes between two takes its time both ways; what goes elsewhere does not, and all arrives.
pub(crate) fn delayed() {
    let mut lab = jailed::small();
    lab.qualify("b", "a", quality(0, DELAY)).unwrap();
    assert!(lab.takes_time("a", "b") && lab.takes_time("a", "c") && !lab.takes_time("b", "c"));
    for host in ["h1", "h2"] {
        lab.relocate("a", host).unwrap();
        for (from, to, takes) in [("a", "b", true), ("b", "a", true), ("a", "c", false), ("b", "c", false)] {
            let took = round(&lab, from, to);
            assert_eq!(took >= 2 * DELAY, takes, "{from} -> {to} on {host}: {took:?}");
        }
        talk::check(&lab, "a", "b", true);
        talk::check(&lab, "a", "c", true);
    }
    lab.qualify("a", "b", Quality::default()).unwrap();
    assert!(!lab.takes_time("a", "b") && round(&lab, "a", "b") < 2 * DELAY);
    lab.qualify("a", "b", quality(0, DELAY)).unwrap();
    lab.remove("a").unwrap();
    talk::check(&lab, "b", "c", true);
}

/// Of a thousand datagrams about as many are lost as a path loses, and none of another path.
pub(crate) fn lossy() {
    let mut lab = jailed::small();
    lab.qualify("a", "b", quality(20, Duration::ZERO)).unwrap();
    let came = arrivals(&lab, "a", "b", 1_000);
    assert!((700..=900).contains(&came), "{came} of 1000 came");
    assert_eq!(arrivals(&lab, "a", "c", 1_000), 1_000);
    lab.qualify("a", "b", Quality::default()).unwrap();
    assert_eq!(arrivals(&lab, "a", "b", 1_000), 1_000);
}

fn socket(lab: &Lab, name: &str) -> UdpSocket {
    let station = lab.station(name).unwrap();
    let address: IpAddr = station.addresses()[0];
    station.enter(|| UdpSocket::bind((address, 0))).unwrap().unwrap()
}

/// How long one datagram takes there and another back.
fn round(lab: &Lab, from: &str, to: &str) -> Duration {
    let (here, there) = (socket(lab, from), socket(lab, to));
    let begun = Instant::now();
    here.send_to(b"there", there.local_addr().unwrap()).unwrap();
    there.recv(&mut [0; 8]).unwrap();
    there.send_to(b"back", here.local_addr().unwrap()).unwrap();
    here.recv(&mut [0; 8]).unwrap();
    begun.elapsed()
}

/// How many of so many datagrams come, on a wire without a queue: what came is there at once.
fn arrivals(lab: &Lab, from: &str, to: &str, many: usize) -> usize {
    let (here, there) = (socket(lab, from), socket(lab, to));
    there.set_nonblocking(true).unwrap();
    let mut came = 0;
    for _ in 0..many {
        here.send_to(b"one", there.local_addr().unwrap()).unwrap();
        came += usize::from(there.recv(&mut [0; 8]).is_ok());
    }
    came
}
