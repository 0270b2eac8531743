//! The record.

use policy::{Family, Protocol, Would};

use super::{At, DecodeError, Decoded, Fault, address_in, address_out, at_most, end_in, end_out, small, verdict_in};
use super::{maybe_text_in, text_in};
use crate::{Direction, FlowEnd, Kind, MAX_PAYLOAD, Record, RecordKey, proto};

impl From<Record> for proto::Record {
    fn from(record: Record) -> Self {
        let Record { key: RecordKey { vm, boot, sequence }, kind, direction, source, destination, family, .. } = record;
        let Record { protocol, icmp_type, icmp_id, tcp_sequence, payload, verdict, rule, admitted_by, .. } = record;
        let Record { end, would, monitor, generation_first, generation_last, packets, detail, stamp, .. } = record;
        Self {
            vm,
            boot,
            sequence,
            kind: proto::RecordKind::from(kind).into(),
            direction: proto::Direction::from(direction).into(),
            source: Some(source.into()),
            destination: Some(destination.into()),
            family: proto::Family::from(family).into(),
            protocol: protocol.number().into(),
            icmp_type: icmp_type.into(),
            icmp_id: icmp_id.into(),
            tcp_sequence,
            payload,
            verdict: proto::Action::from(verdict).into(),
            rule,
            admitted_by,
            end: end_out(Some(end)),
            would: would.map(Into::into),
            monitor,
            generation_first,
            generation_last,
            packets,
            detail,
            stamp,
        }
    }
}

impl TryFrom<proto::Record> for Record {
    type Error = DecodeError;

    fn try_from(record: proto::Record) -> Decoded<Self> {
        let proto::Record { vm, boot, sequence, kind, direction, source, destination, family, .. } = record;
        let proto::Record { protocol, icmp_type, icmp_id, tcp_sequence, payload, verdict, rule, .. } = record;
        let proto::Record { admitted_by, end, would, monitor, generation_first, generation_last, .. } = record;
        let proto::Record { packets, detail, stamp, .. } = record;
        at_most(payload.len(), MAX_PAYLOAD, "payload")?;
        Ok(Self {
            key: RecordKey { vm: text_in(vm, "vm")?, boot: text_in(boot, "boot")?, sequence },
            kind: kind_in(kind, "kind")?.at("kind")?,
            direction: direction_in(direction)?,
            source: source.at("source")?.try_into()?,
            destination: destination.at("destination")?.try_into()?,
            family: family_in(family)?,
            protocol: protocol_in(small(protocol, "protocol")?),
            icmp_type: small(icmp_type, "icmp_type")?,
            icmp_id: small(icmp_id, "icmp_id")?,
            tcp_sequence,
            payload,
            verdict: verdict_in(verdict, "verdict")?,
            rule: text_in(rule, "rule")?,
            admitted_by: maybe_text_in(admitted_by, "admitted_by")?,
            end: end_in(end, "end")?.at("end")?,
            would: would.map(TryInto::try_into).transpose()?,
            monitor,
            generation_first,
            generation_last,
            packets,
            detail: text_in(detail, "detail")?,
            stamp,
        })
    }
}

impl From<FlowEnd> for proto::FlowEnd {
    fn from(FlowEnd { vm, address, port }: FlowEnd) -> Self {
        Self { vm, address: address_out(address), port: port.into() }
    }
}

impl TryFrom<proto::FlowEnd> for FlowEnd {
    type Error = DecodeError;

    fn try_from(proto::FlowEnd { vm, address, port }: proto::FlowEnd) -> Decoded<Self> {
        let vm = maybe_text_in(vm, "vm")?;
        Ok(Self { vm, address: address_in(&address, "address")?, port: small(port, "port")? })
    }
}

impl From<Would> for proto::Would {
    fn from(Would { verdict, rule, end }: Would) -> Self {
        Self { verdict: proto::Action::from(verdict).into(), rule, end: end_out(end) }
    }
}

impl TryFrom<proto::Would> for Would {
    type Error = DecodeError;

    fn try_from(proto::Would { verdict, rule, end }: proto::Would) -> Decoded<Self> {
        let rule = maybe_text_in(rule, "rule")?;
        Ok(Self { verdict: verdict_in(verdict, "verdict")?, rule, end: end_in(end, "end")? })
    }
}

impl From<Kind> for proto::RecordKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Allow => Self::Allow,
            Kind::Deny => Self::Deny,
            Kind::Cut => Self::Cut,
            Kind::Invalid => Self::Invalid,
            Kind::Barrier => Self::Barrier,
            Kind::Gap => Self::Gap,
            Kind::Tamper => Self::Tamper,
            Kind::Alert => Self::Alert,
            Kind::Aggregated => Self::Aggregated,
            Kind::Suppressed => Self::Suppressed,
        }
    }
}

/// A record's kind; `None` where it is not given.
pub(super) fn kind_in(value: i32, field: &'static str) -> Decoded<Option<Kind>> {
    Ok(match proto::RecordKind::try_from(value).map_err(|_| Fault::Unknown(value)).at(field)? {
        proto::RecordKind::Unspecified => None,
        proto::RecordKind::Allow => Some(Kind::Allow),
        proto::RecordKind::Deny => Some(Kind::Deny),
        proto::RecordKind::Cut => Some(Kind::Cut),
        proto::RecordKind::Invalid => Some(Kind::Invalid),
        proto::RecordKind::Barrier => Some(Kind::Barrier),
        proto::RecordKind::Gap => Some(Kind::Gap),
        proto::RecordKind::Tamper => Some(Kind::Tamper),
        proto::RecordKind::Alert => Some(Kind::Alert),
        proto::RecordKind::Aggregated => Some(Kind::Aggregated),
        proto::RecordKind::Suppressed => Some(Kind::Suppressed),
    })
}

impl From<Direction> for proto::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::In => Self::In,
            Direction::Out => Self::Out,
        }
    }
}

fn direction_in(value: i32) -> Decoded<Direction> {
    match proto::Direction::try_from(value).map_err(|_| Fault::Unknown(value)).at("direction")? {
        proto::Direction::Unspecified => None.at("direction"),
        proto::Direction::In => Ok(Direction::In),
        proto::Direction::Out => Ok(Direction::Out),
    }
}

impl From<Family> for proto::Family {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4,
            Family::V6 => Self::V6,
        }
    }
}

fn family_in(value: i32) -> Decoded<Family> {
    match proto::Family::try_from(value).map_err(|_| Fault::Unknown(value)).at("family")? {
        proto::Family::Unspecified => None.at("family"),
        proto::Family::V4 => Ok(Family::V4),
        proto::Family::V6 => Ok(Family::V6),
    }
}

fn protocol_in(number: u8) -> Protocol {
    match number {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        1 => Protocol::Icmp,
        58 => Protocol::Icmpv6,
        other => Protocol::Other(other),
    }
}
