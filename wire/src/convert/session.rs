//! The messages of a session.

use std::net::IpAddr;
use std::time::Duration;

use prost::Message;

use super::{At, DecodeError, Decoded, Fault, addresses_in, addresses_out, at_most, text_in};
use crate::proto::{self, ack::Result as Outcome, from_agent::Message as Agent, from_center::Message as Center};
use crate::{
    Ack, AckResult, FromAgent, FromCenter, HEARTBEAT, Hello, MAX_ADDRESSES, MAX_BATCH, Record, Seal, SealedView,
    Suspension,
};

/// No heartbeat is quicker …
const FASTEST: Duration = Duration::from_millis(10);
/// … or slower, whatever a center says.
const SLOWEST: Duration = Duration::from_secs(3600);

impl From<FromAgent> for proto::FromAgent {
    fn from(message: FromAgent) -> Self {
        Self {
            message: Some(match message {
                FromAgent::Hello(hello) => Agent::Hello(hello.into()),
                FromAgent::Ack(ack) => Agent::Ack(ack.into()),
                FromAgent::Records(records) => Agent::Records(batch_out(records)),
                FromAgent::Heartbeat => Agent::Heartbeat(proto::Empty {}),
                FromAgent::Addresses(all) => Agent::Addresses(proto::Addresses { addresses: addresses_out(all) }),
                FromAgent::Suspension(Suspension { left, by }) => {
                    let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                    Agent::Suspension(proto::Suspension { left_ms, by })
                }
            }),
        }
    }
}

impl TryFrom<proto::FromAgent> for FromAgent {
    type Error = DecodeError;

    fn try_from(proto::FromAgent { message }: proto::FromAgent) -> Decoded<Self> {
        Ok(match message.at("message")? {
            Agent::Hello(hello) => Self::Hello(hello.try_into()?),
            Agent::Ack(ack) => Self::Ack(ack.try_into()?),
            Agent::Records(batch) => Self::Records(batch_in(batch)?),
            Agent::Heartbeat(proto::Empty {}) => Self::Heartbeat,
            Agent::Addresses(proto::Addresses { addresses }) => Self::Addresses(observed_in(&addresses)?),
            Agent::Suspension(proto::Suspension { left_ms, by }) => {
                Self::Suspension(Suspension { left: Duration::from_millis(left_ms), by: text_in(by, "by")? })
            }
        })
    }
}

/// The addresses that an agent observes.
fn observed_in(addresses: &[Vec<u8>]) -> Decoded<Vec<IpAddr>> {
    at_most(addresses.len(), MAX_ADDRESSES, "addresses")?;
    addresses_in(addresses, "addresses")
}

fn batch_out(records: Vec<Record>) -> proto::RecordBatch {
    let bytes = |record| proto::Record::from(record).encode_to_vec();
    proto::RecordBatch { records: records.into_iter().map(bytes).collect() }
}

fn batch_in(proto::RecordBatch { records }: proto::RecordBatch) -> Decoded<Vec<Record>> {
    at_most(records.len(), MAX_BATCH, "records")?;
    let record = |bytes: Vec<u8>| {
        let garbled = |error: prost::DecodeError| Fault::Garbled(error.to_string());
        proto::Record::decode(bytes.as_slice()).map_err(garbled).at("records")?.try_into()
    };
    records.into_iter().map(record).collect()
}

impl From<FromCenter> for proto::FromCenter {
    fn from(message: FromCenter) -> Self {
        Self {
            message: Some(match message {
                FromCenter::Welcome { protocol, now, heartbeat } => {
                    Center::Welcome(proto::Welcome { protocol, now, heartbeat_ms: heartbeat_out(heartbeat) })
                }
                FromCenter::View(view) => Center::View((*view).into()),
                FromCenter::Sealed(sealed) => Center::Sealed((*sealed).into()),
                FromCenter::Stored { boot, up_to } => Center::Stored(proto::Stored { boot, up_to }),
                FromCenter::Heartbeat { now } => Center::Heartbeat(proto::CenterHeartbeat { now }),
                FromCenter::Refused { reason } => Center::Refused(proto::Refusal { reason }),
            }),
        }
    }
}

impl TryFrom<proto::FromCenter> for FromCenter {
    type Error = DecodeError;

    fn try_from(proto::FromCenter { message }: proto::FromCenter) -> Decoded<Self> {
        Ok(match message.at("message")? {
            Center::Welcome(proto::Welcome { protocol, now, heartbeat_ms }) => {
                Self::Welcome { protocol, now, heartbeat: heartbeat_in(heartbeat_ms) }
            }
            Center::View(view) => Self::View(Box::new(view.try_into()?)),
            Center::Sealed(sealed) => Self::Sealed(Box::new(sealed.try_into()?)),
            Center::Stored(proto::Stored { boot, up_to }) => Self::Stored { boot, up_to },
            Center::Heartbeat(proto::CenterHeartbeat { now }) => Self::Heartbeat { now },
            Center::Refused(proto::Refusal { reason }) => Self::Refused { reason },
        })
    }
}

/// The customary one is not said, as centers did that knew no other.
fn heartbeat_out(heartbeat: Duration) -> u32 {
    if heartbeat == HEARTBEAT { 0 } else { u32::try_from(heartbeat.as_millis()).unwrap_or(u32::MAX) }
}

fn heartbeat_in(millis: u32) -> Duration {
    let told = Duration::from_millis(u64::from(millis));
    if millis == 0 { HEARTBEAT } else { told.clamp(FASTEST, SLOWEST) }
}

impl From<SealedView> for proto::SealedView {
    /// The view is in the seal's bytes.
    fn from(SealedView { view: _, seal: Seal { bytes, signature } }: SealedView) -> Self {
        Self { view: bytes, signature }
    }
}

impl From<Seal> for proto::FromCenter {
    /// A view that the center has no more use for.
    fn from(Seal { bytes, signature }: Seal) -> Self {
        Self { message: Some(Center::Sealed(proto::SealedView { view: bytes, signature })) }
    }
}

impl TryFrom<proto::SealedView> for SealedView {
    type Error = DecodeError;

    fn try_from(proto::SealedView { view: bytes, signature }: proto::SealedView) -> Decoded<Self> {
        let seal = Seal { bytes, signature };
        Ok(Self { view: seal.view()?, seal })
    }
}

impl From<Hello> for proto::Hello {
    fn from(hello: Hello) -> Self {
        let Hello { protocol, capabilities, version, boot, addresses, generation } = hello;
        Self { protocol, capabilities, version, boot, addresses: addresses_out(addresses), generation }
    }
}

impl TryFrom<proto::Hello> for Hello {
    type Error = DecodeError;

    fn try_from(hello: proto::Hello) -> Decoded<Self> {
        let proto::Hello { protocol, capabilities, version, boot, addresses, generation } = hello;
        let addresses = observed_in(&addresses)?;
        let (version, boot) = (text_in(version, "version")?, text_in(boot, "boot")?);
        Ok(Self { protocol, capabilities, version, boot, addresses, generation })
    }
}

impl From<Ack> for proto::Ack {
    fn from(Ack { generation, result }: Ack) -> Self {
        let result = match result {
            AckResult::InForce => Outcome::InForce(proto::Empty {}),
            AckResult::Refused { reason } => Outcome::Refused(reason),
        };
        Self { generation, result: Some(result) }
    }
}

impl TryFrom<proto::Ack> for Ack {
    type Error = DecodeError;

    fn try_from(proto::Ack { generation, result }: proto::Ack) -> Decoded<Self> {
        let result = match result.at("result")? {
            Outcome::InForce(proto::Empty {}) => AckResult::InForce,
            Outcome::Refused(reason) => AckResult::Refused { reason },
        };
        Ok(Self { generation, result })
    }
}
