//! The messages of a session.

use super::{At, DecodeError, Decoded, Fault, addresses_in, addresses_out, each, out};
use crate::proto::{self, ack::Result as Outcome, from_agent::Message as Agent, from_center::Message as Center};
use crate::{Ack, AckResult, FromAgent, FromCenter, Hello, MAX_BATCH};

impl From<FromAgent> for proto::FromAgent {
    fn from(message: FromAgent) -> Self {
        Self {
            message: Some(match message {
                FromAgent::Hello(hello) => Agent::Hello(hello.into()),
                FromAgent::Ack(ack) => Agent::Ack(ack.into()),
                FromAgent::Records(records) => Agent::Records(proto::RecordBatch { records: out(records) }),
                FromAgent::Heartbeat => Agent::Heartbeat(proto::Empty {}),
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
            Agent::Records(proto::RecordBatch { records }) if records.len() > MAX_BATCH => {
                Err(Fault::TooLarge(u64::try_from(records.len()).unwrap_or(u64::MAX))).at("records")?
            }
            Agent::Records(proto::RecordBatch { records }) => Self::Records(each(records)?),
            Agent::Heartbeat(proto::Empty {}) => Self::Heartbeat,
        })
    }
}

impl From<FromCenter> for proto::FromCenter {
    fn from(message: FromCenter) -> Self {
        Self {
            message: Some(match message {
                FromCenter::Welcome { protocol, now } => Center::Welcome(proto::Welcome { protocol, now }),
                FromCenter::View(view) => Center::View((*view).into()),
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
            Center::Welcome(proto::Welcome { protocol, now }) => Self::Welcome { protocol, now },
            Center::View(view) => Self::View(Box::new(view.try_into()?)),
            Center::Stored(proto::Stored { boot, up_to }) => Self::Stored { boot, up_to },
            Center::Heartbeat(proto::CenterHeartbeat { now }) => Self::Heartbeat { now },
            Center::Refused(proto::Refusal { reason }) => Self::Refused { reason },
        })
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
        let addresses = addresses_in(&addresses, "addresses")?;
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
