//! The bytes themselves. A change here is a change of the protocol: agents and centers of other builds, and the records
//! that a center has stored, must still be understood. `BLESS_GOLDEN=1` writes the files anew.

use std::fmt::Debug;
use std::path::Path;
use std::{env, fs};

use policy::Outage;
use prost::Message;
use wire::{AgentState, CenterEvent, FromAgent, FromCenter, HEARTBEAT, StoredRecord, View, proto};

use crate::samples;

/// A value's bytes are those of the file, and the file's bytes mean the value.
fn check<T, P>(name: &str, value: T)
where
    T: Clone + Debug + PartialEq + TryFrom<P, Error: Debug>,
    P: Message + Default + From<T>,
{
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"));
    let text = lines(&P::from(value.clone()).encode_to_vec());
    if env::var_os("BLESS_GOLDEN").is_some() {
        fs::write(&file, &text).expect("the folder can be written");
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(golden, text, "the form of {name} has changed");
    let message = P::decode(bytes(&golden).as_slice()).expect("the file holds a message");
    assert_eq!(T::try_from(message).expect("the file's message is whole"), value, "{name} is read as something else");
}

fn lines(bytes: &[u8]) -> String {
    let line = |chunk: &[u8]| chunk.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(16 * pair[0] + pair[1]).expect("two digits")).collect()
}

#[test]
fn what_an_agent_says_keeps_its_bytes() {
    check::<_, proto::FromAgent>("hello", FromAgent::Hello(samples::hello()));
    check::<_, proto::FromAgent>("ack-in-force", FromAgent::Ack(samples::in_force()));
    check::<_, proto::FromAgent>("ack-refused", FromAgent::Ack(samples::refused()));
    let batch = vec![samples::record(), samples::record()];
    check::<_, proto::FromAgent>("records", FromAgent::Records(batch));
    check::<_, proto::FromAgent>("agent-heartbeat", FromAgent::Heartbeat);
    check::<_, proto::FromAgent>("addresses", FromAgent::Addresses(samples::hello().addresses));
    check::<_, proto::FromAgent>("suspension", FromAgent::Suspension(samples::suspension()));
    check::<_, proto::Record>("record", samples::record());
    check::<_, proto::Record>("alert", samples::alert());
}

#[test]
fn what_a_center_says_keeps_its_bytes() {
    check::<_, proto::View>("view", samples::view());
    let closed = View { outage: Outage::Closed, ..samples::view() };
    check::<_, proto::View>("view-closed", closed.clone());
    check::<_, proto::View>("view-lease", View { outage: Outage::Lease(600), ..closed });
    check::<_, proto::FromCenter>("view-message", FromCenter::View(Box::new(samples::view())));
    check::<_, proto::FromCenter>("sealed", FromCenter::Sealed(Box::new(samples::sealed())));
    let welcome = |heartbeat| FromCenter::Welcome { protocol: 1, now: 1_795_000_000_123, heartbeat };
    check::<_, proto::FromCenter>("welcome", welcome(HEARTBEAT));
    check::<_, proto::FromCenter>("welcome-heartbeat", welcome(10 * HEARTBEAT));
    check::<_, proto::FromCenter>("stored", FromCenter::Stored { boot: "00c0ffee".into(), up_to: 42 });
    check::<_, proto::FromCenter>("center-heartbeat", FromCenter::Heartbeat { now: 1_795_000_000_123 });
    check::<_, proto::FromCenter>("refused", FromCenter::Refused { reason: "no".into() });
}

#[test]
fn what_operators_hear_and_say_keeps_its_bytes() {
    check::<_, proto::InventoryFile>("inventory", samples::inventory());
    check::<_, proto::RecordQuery>("record-query", samples::query());
    check::<_, proto::CenterStatus>("status", samples::status());
    check::<_, proto::PolicyVersion>("policy-version", samples::version());
    check::<_, proto::StoredRecord>("stored-record", StoredRecord { id: 9, record: samples::record() });
    check::<_, proto::CenterEvent>("event-record", CenterEvent::Record(Box::new(samples::record())));
    check::<_, proto::CenterEvent>("event-published", CenterEvent::Published { generation: 7 });
    check::<_, proto::CenterEvent>("event-agent", CenterEvent::Agent(samples::agent()));
    let cloned = AgentState { clones: 3, ..samples::agent() };
    check::<_, proto::CenterEvent>("event-agent-cloned", CenterEvent::Agent(cloned));
    let silent = AgentState { stale_since: Some(1_795_000_000_123), ..samples::agent() };
    check::<_, proto::CenterEvent>("event-agent-silent", CenterEvent::Agent(silent));
    check::<_, proto::CenterEvent>("event-alert", CenterEvent::Alert { vm: "db".into(), detail: "cloned".into() });
    check::<_, proto::CenterEvent>("event-missed", CenterEvent::Missed { count: 3 });
}
