//! A field that is missing or wrong is named, and nothing else is.

use std::fmt::Debug;

use wire::proto::{self, center_event::Event, from_agent, from_center};
use wire::{CenterEvent, CenterStatus, DecodeError, FromAgent, FromCenter, InventoryFile, Record, RecordQuery, View};

use crate::samples;

fn error<T: Debug + TryFrom<P, Error = DecodeError>, P>(message: P) -> String {
    T::try_from(message).expect_err("it is at fault").to_string()
}

/// Each row spoils a whole message in one place, and tells what is said of it.
type Row<P> = (fn(&mut P), &'static str);

fn check<T, P>(value: T, rows: &[Row<P>])
where
    T: Clone + Debug + PartialEq + TryFrom<P, Error = DecodeError>,
    P: From<T>,
{
    assert_eq!(T::try_from(P::from(value.clone())), Ok(value.clone()), "unspoiled, it is whole");
    for (spoil, expected) in rows {
        let mut message = P::from(value.clone());
        spoil(&mut message);
        assert_eq!(error::<T, P>(message), *expected);
    }
}

#[test]
fn of_a_record() {
    check::<Record, proto::Record>(
        samples::record(),
        &[
            (|m| m.kind = 0, "field `kind` is missing"),
            (|m| m.kind = 7, "field `kind` has the unknown value 7"),
            (|m| m.direction = 0, "field `direction` is missing"),
            (|m| m.direction = -1, "field `direction` has the unknown value -1"),
            (|m| m.source = None, "field `source` is missing"),
            (|m| m.destination = None, "field `destination` is missing"),
            (|m| source(m).address = vec![0; 5], "field `address` is an address of 5 bytes"),
            (|m| source(m).address.clear(), "field `address` is an address of 0 bytes"),
            (|m| source(m).port = 65_536, "field `port` is 65536, which is too large"),
            (|m| source(m).vm = Some("v".repeat(513)), "field `vm` has 513 bytes or items, which is too many"),
            (|m| m.family = 0, "field `family` is missing"),
            (|m| m.family = 3, "field `family` has the unknown value 3"),
            (|m| m.protocol = 256, "field `protocol` is 256, which is too large"),
            (|m| m.icmp_type = 256, "field `icmp_type` is 256, which is too large"),
            (|m| m.icmp_id = 65_536, "field `icmp_id` is 65536, which is too large"),
            (|m| m.payload = vec![0; 33], "field `payload` has 33 bytes or items, which is too many"),
            (|m| m.verdict = 0, "field `verdict` is missing"),
            (|m| m.verdict = 4, "field `verdict` has the unknown value 4"),
            (|m| m.end = 0, "field `end` is missing"),
            (|m| m.end = 3, "field `end` has the unknown value 3"),
            (|m| would(m).verdict = 0, "field `verdict` is missing"),
            (|m| would(m).end = 9, "field `end` has the unknown value 9"),
            (|m| m.vm = "v".repeat(513), "field `vm` has 513 bytes or items, which is too many"),
            (|m| m.boot = "b".repeat(513), "field `boot` has 513 bytes or items, which is too many"),
            (|m| m.rule = "r".repeat(513), "field `rule` has 513 bytes or items, which is too many"),
            (
                |m| m.admitted_by = Some("r".repeat(513)),
                "field `admitted_by` has 513 bytes or items, which is too many",
            ),
            (|m| would(m).rule = Some("r".repeat(513)), "field `rule` has 513 bytes or items, which is too many"),
            (|m| m.detail = "d".repeat(513), "field `detail` has 513 bytes or items, which is too many"),
        ],
    );
}

fn source(message: &mut proto::Record) -> &mut proto::FlowEnd {
    message.source.as_mut().expect("the sample has one")
}

fn would(message: &mut proto::Record) -> &mut proto::Would {
    message.would.as_mut().expect("the sample has one")
}

#[test]
fn of_a_view() {
    check::<View, proto::View>(
        samples::view(),
        &[
            (|m| m.addresses[1].truncate(15), "field `addresses` is an address of 15 bytes"),
            (|m| m.center.as_mut().unwrap().address.clear(), "field `center` is an address of 0 bytes"),
            (|m| m.center.as_mut().unwrap().port = 70_000, "field `center` is 70000, which is too large"),
            (|m| m.managed[0].length = 33, "field `managed` is a prefix of length 33, longer than its address"),
            (|m| m.managed[1].length = 129, "field `managed` is a prefix of length 129, longer than its address"),
            (|m| m.managed[1].length = 256, "field `managed` is a prefix of length 256, longer than its address"),
            (|m| m.peers[1].addresses[0].push(0), "field `addresses` is an address of 5 bytes"),
            (|m| m.sets[0].vms[1] = 2, "field `vms` is index 2, which points at nothing"),
            (|m| m.sets[0].outside = None, "field `outside` is missing"),
            (|m| m.sets[0].outside.as_mut().unwrap().part = None, "field `part` is missing"),
            (
                |m| group(m).name = "Office".into(),
                "field `name` is no name: `O` may not stand at the start of a name: use a-z, 0-9, and after the first character . _ -",
            ),
            (
                |m| group(m).includes[0].length = 40,
                "field `includes` is a prefix of length 40, longer than its address",
            ),
            (|m| group(m).excludes[0].address.clear(), "field `excludes` is an address of 0 bytes"),
            (|m| m.rules[0].action = 0, "field `action` is missing"),
            (|m| m.rules[0].mode = 0, "field `mode` is missing"),
            (|m| m.rules[0].inbound = Some(3), "field `inbound` is index 3, which points at nothing"),
            (|m| m.rules[1].outbound = Some(u32::MAX), "field `outbound` is index 4294967295, which points at nothing"),
            (|m| m.rules[0].elsewhere.as_mut().unwrap().from = 3, "field `from` is index 3, which points at nothing"),
            (|m| m.rules[0].elsewhere.as_mut().unwrap().to = 4, "field `to` is index 4, which points at nothing"),
            (|m| m.detectors[1].peers = 3, "field `peers` is index 3, which points at nothing"),
            (|m| m.detectors[0].watch = None, "field `watch` is missing"),
            (|m| m.detectors[3].then = None, "field `then` is missing"),
            (|m| m.rules[0].services[0].kind = None, "field `kind` is missing"),
            (|m| m.rules[0].services[1].kind = Some(tcp(65_536, 0)), "field `first` is 65536, which is too large"),
            (|m| m.rules[0].services[1].kind = Some(tcp(0, 65_536)), "field `last` is 65536, which is too large"),
            (|m| m.rules[0].services[3].kind = Some(icmp(256)), "field `type` is 256, which is too large"),
            (
                |m| m.rules[0].services[7].kind = Some(proto::service_match::Kind::Proto(256)),
                "field `proto` is 256, which is too large",
            ),
            (|m| m.default = 0, "field `default` is missing"),
            (|m| m.default = 4, "field `default` has the unknown value 4"),
            (|m| m.mode = 0, "field `mode` is missing"),
            (|m| m.mode = 3, "field `mode` has the unknown value 3"),
        ],
    );
}

fn group(message: &mut proto::View) -> &mut proto::AddressGroup {
    match message.sets[2].outside.as_mut().and_then(|outside| outside.part.as_mut()) {
        Some(proto::outside::Part::Groups(groups)) => &mut groups.groups[0],
        other => panic!("the sample has a group: {other:?}"),
    }
}

fn tcp(first: u32, last: u32) -> proto::service_match::Kind {
    proto::service_match::Kind::Tcp(proto::PortRange { first, last })
}

fn icmp(number: u32) -> proto::service_match::Kind {
    proto::service_match::Kind::Icmp(proto::IcmpMatch { r#type: Some(number) })
}

#[test]
fn of_an_agents_words() {
    check::<FromAgent, proto::FromAgent>(
        FromAgent::Hello(samples::hello()),
        &[
            (|m| m.message = None, "field `message` is missing"),
            (|m| hello(m).addresses[0].clear(), "field `addresses` is an address of 0 bytes"),
            (
                |m| hello(m).addresses = vec![vec![0; 4]; 1025],
                "field `addresses` has 1025 bytes or items, which is too many",
            ),
            (|m| hello(m).boot = "b".repeat(513), "field `boot` has 513 bytes or items, which is too many"),
            (|m| hello(m).version = "v".repeat(513), "field `version` has 513 bytes or items, which is too many"),
            (|m| m.message = Some(ack(proto::Ack { generation: 1, result: None })), "field `result` is missing"),
            (
                |m| m.message = Some(batch(vec![Vec::new(); 1001])),
                "field `records` has 1001 bytes or items, which is too many",
            ),
            (|m| m.message = Some(batch(vec![Vec::new()])), "field `kind` is missing"),
            (
                |m| m.message = Some(batch(vec![vec![0xff]])),
                "field `records` is garbled: failed to decode Protobuf message: invalid varint",
            ),
        ],
    );
}

fn hello(message: &mut proto::FromAgent) -> &mut proto::Hello {
    match message.message.as_mut() {
        Some(from_agent::Message::Hello(hello)) => hello,
        other => panic!("the sample is a hello: {other:?}"),
    }
}

fn ack(ack: proto::Ack) -> from_agent::Message {
    from_agent::Message::Ack(ack)
}

fn batch(records: Vec<Vec<u8>>) -> from_agent::Message {
    from_agent::Message::Records(proto::RecordBatch { records })
}

#[test]
fn a_batch_may_be_as_long_as_it_may() {
    let longest = vec![samples::record(); wire::MAX_BATCH];
    check::<FromAgent, proto::FromAgent>(FromAgent::Records(longest), &[]);
}

#[test]
fn of_a_centers_words() {
    check::<FromCenter, proto::FromCenter>(
        FromCenter::Heartbeat { now: 1 },
        &[
            (|m| m.message = None, "field `message` is missing"),
            (
                |m| m.message = Some(from_center::Message::View(<proto::View as Default>::default())),
                "field `default` is missing",
            ),
        ],
    );
}

#[test]
fn of_operators_words() {
    check::<InventoryFile, proto::InventoryFile>(
        samples::inventory(),
        &[
            (|m| m.vms[0].name.clear(), "field `name` is no name: a name may not be empty"),
            (|m| m.vms[0].addresses[0].clear(), "field `addresses` is an address of 0 bytes"),
            (|m| m.vms[0].allowed[0].length = 33, "field `allowed` is a prefix of length 33, longer than its address"),
            (|m| m.managed[0].address.clear(), "field `managed` is an address of 0 bytes"),
        ],
    );
    check::<RecordQuery, proto::RecordQuery>(
        samples::query(),
        &[
            (|m| m.kind = 7, "field `kind` has the unknown value 7"),
            (|m| m.address = Some(vec![0; 3]), "field `address` is an address of 3 bytes"),
            (|m| m.port = Some(65_536), "field `port` is 65536, which is too large"),
        ],
    );
    check::<CenterStatus, proto::CenterStatus>(
        samples::status(),
        &[
            (|m| m.agents[0].presence = 0, "field `presence` is missing"),
            (|m| m.agents[0].presence = 5, "field `presence` has the unknown value 5"),
            (|m| m.listen.as_mut().unwrap().port = 65_536, "field `listen` is 65536, which is too large"),
            (|m| m.held[0].push(0), "field `held` is an address of 5 bytes"),
        ],
    );
    check::<CenterEvent, proto::CenterEvent>(
        CenterEvent::Published { generation: 1 },
        &[
            (|m| m.event = None, "field `event` is missing"),
            (|m| m.event = Some(Event::Record(proto::Record::default())), "field `kind` is missing"),
            (|m| m.event = Some(Event::Agent(proto::AgentState::default())), "field `presence` is missing"),
        ],
    );
    let stored = wire::StoredRecord { id: 1, record: samples::record() };
    check::<wire::StoredRecord, proto::StoredRecord>(stored, &[(|m| m.record = None, "field `record` is missing")]);
}
