//! What there is for paths that lose, take their time or carry little: each tried on a path of a small lab.

use std::time::{Duration, Instant};

use super::Check;
use super::inside::{A, B, Found, HERE, PATIENCE, PORT, Row, bind, raise, v4_of, words};
use crate::netlink::{Batch, How};
use crate::path::Quality;
use crate::queue;

/// In percent.
const LOSS: u8 = 20;
const DELAY: Duration = Duration::from_millis(5);
const BITS: u64 = 1_000_000;
const DATAGRAMS: u32 = 200;
/// So many bytes have to wait, at the rate above.
const LONG: [u8; 1000] = [0; 1000];
const LONG_ONES: u32 = 25;
/// Less than they take, burst and all: 25,000 bytes at 125,000 a second, less 3,000 that pass at once.
const AT_LEAST: Duration = Duration::from_millis(120);

/// Tries everything.
pub(super) fn checks() -> Vec<Check> {
    let rows: [Row; 4] = [
        ("paths that lose", loss, "load the kernel module nft_numgen; only scenarios with `loss` need it"),
        (
            "paths that carry little",
            rate,
            "load the kernel modules sch_htb and sch_fifo; only `rate` and `slow` need them",
        ),
        ("paths that take their time", delay, "load the kernel module af_packet; only scenarios with `delay` need it"),
        ("netem", netem, ""),
    ];
    rows.into_iter().map(|(name, attempt, remedy)| Check::of(name, attempt(), remedy)).collect()
}

fn loss() -> Found {
    let arrived = over(Quality { loss: LOSS, ..Quality::default() }, &[0], DATAGRAMS)?.0;
    let lost = DATAGRAMS - arrived;
    let told =
        format!("by a rule of nf_tables (numgen): {lost} of {DATAGRAMS} datagrams where {LOSS} % are to be lost");
    if lost > 0 && arrived > 0 { Ok(told) } else { Err(told) }
}

fn rate() -> Found {
    let (arrived, took) = over(Quality { bits: Some(BITS), ..Quality::default() }, &LONG, LONG_ONES)?;
    let bytes = LONG.len() * LONG_ONES as usize;
    let told = format!("by HTB: {bytes} bytes took {} ms at {} kbit a second", took.as_millis(), BITS / 1000);
    if arrived == LONG_ONES && took >= AT_LEAST {
        Ok(told)
    } else {
        Err(format!("{told}, {arrived} datagrams of {LONG_ONES}"))
    }
}

fn delay() -> Found {
    let (arrived, took) = over(Quality { delay: DELAY, ..Quality::default() }, &[0], 1)?;
    let (took, wanted) = (took.as_secs_f64() * 1000.0, DELAY.as_millis());
    let told = format!("by a relay in user space: {took:.1} ms where {wanted} are to be");
    if arrived == 1 && took >= DELAY.as_secs_f64() * 1000.0 { Ok(told) } else { Err(told) }
}

/// Of no concern to a lab, which does without; but it is what people look for.
fn netem() -> Found {
    let lab = raise(&[HERE])?;
    let station = lab.station(A).map_err(words)?;
    let mut batch = Batch::default();
    batch.push("lay netem", How::Create, queue::netem(station.port()));
    let laid = lab.hosts.get(station.host_number()).namespace.submit(batch);
    let would = "would delay in the kernel what the relay copies through this program, and could reorder and double";
    Ok(match laid {
        Ok(()) => format!("there, and not used: it {would}"),
        Err(_) => format!("not in this kernel, and not needed: it {would}"),
    })
}

/// Sends datagrams over a path from one station to the other: how many arrived, and how long the last was under way.
fn over(quality: Quality, datagram: &[u8], times: u32) -> Result<(u32, Duration), String> {
    let mut lab = raise(&[HERE])?;
    lab.qualify(A, B, quality).map_err(words)?;
    let server = bind(&lab, B, (v4_of(B), PORT).into())?;
    let client = bind(&lab, A, (v4_of(A), 0).into())?;
    let begun = Instant::now();
    for _ in 0..times {
        client.send_to(datagram, (v4_of(B), PORT)).map_err(words)?;
    }
    // What is lost is lost at once: only what waits is waited for.
    let waits = quality.loss == 0;
    let ready = if waits { server.set_read_timeout(Some(PATIENCE)) } else { server.set_nonblocking(true) };
    ready.map_err(words)?;
    let (mut buffer, mut arrived) = ([0; LONG.len()], 0);
    while arrived < times && server.recv(&mut buffer).is_ok() {
        arrived += 1;
    }
    Ok((arrived, begun.elapsed()))
}
