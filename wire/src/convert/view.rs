//! The view.

use std::sync::Arc;

use policy::{AddressGroup, Name, Outage, ServiceMatch};

use super::{At, DecodeError, Decoded, Fault, action_in, addresses_in, addresses_out, each, mode_in, out};
use super::{prefixes_in, small, socket_in, verdict_in};
use crate::proto::{self, outage::Mode as Without, outside::Part, service_match::Kind};
use crate::{Elsewhere, Outside, Peer, Set, View, ViewRule};

impl From<View> for proto::View {
    fn from(view: View) -> Self {
        let View { generation, vm, addresses, center, managed, peers, sets, rules, .. } = view;
        let View { detectors, default, mode, quarantined, dhcp, record_all, now, outage, .. } = view;
        Self {
            generation,
            vm,
            addresses: addresses_out(addresses),
            center: center.map(Into::into),
            managed: out(managed),
            peers: out(peers),
            sets: out(sets),
            rules: out(rules),
            default: proto::Action::from(default).into(),
            mode: proto::Mode::from(mode).into(),
            quarantined,
            dhcp,
            record_all,
            now,
            outage: outage_out(outage),
            detectors: out(detectors),
        }
    }
}

impl TryFrom<proto::View> for View {
    type Error = DecodeError;

    fn try_from(view: proto::View) -> Decoded<Self> {
        let proto::View { generation, vm, addresses, center, managed, peers, sets, rules, .. } = view;
        let proto::View { detectors, default, mode, quarantined, dhcp, record_all, now, outage, .. } = view;
        let view = Self {
            generation,
            vm,
            addresses: addresses_in(&addresses, "addresses")?,
            center: center.map(|center| socket_in(&center, "center")).transpose()?,
            managed: prefixes_in(&managed, "managed")?,
            peers: each(peers)?,
            sets: each(sets)?,
            rules: each(rules)?,
            detectors: each(detectors)?,
            default: verdict_in(default, "default")?,
            mode: mode_in(mode, "mode")?,
            quarantined,
            dhcp,
            record_all,
            now,
            outage: outage_in(outage)?,
        };
        indices(&view)?;
        Ok(view)
    }
}

/// Keeping the last policy is what an absent field says, as it did before there was a choice.
fn outage_out(outage: Outage) -> Option<proto::Outage> {
    let mode = match outage {
        Outage::KeepLast => return None,
        Outage::Closed => Without::Closed(proto::Empty {}),
        Outage::Lease(seconds) => Without::Lease(seconds),
    };
    Some(proto::Outage { mode: Some(mode) })
}

fn outage_in(outage: Option<proto::Outage>) -> Decoded<Outage> {
    let Some(proto::Outage { mode }) = outage else { return Ok(Outage::KeepLast) };
    Ok(match mode.at("outage")? {
        Without::Closed(proto::Empty {}) => Outage::Closed,
        Without::Lease(seconds) => Outage::Lease(seconds),
    })
}

/// Every index must point at something.
fn indices(view: &View) -> Decoded<()> {
    let within = |index: u32, length: usize, field| {
        let points = usize::try_from(index).is_ok_and(|index| index < length);
        if points { Ok(()) } else { Err(Fault::Index(index)).at(field) }
    };
    for vm in view.sets.iter().flat_map(|set| &set.vms) {
        within(*vm, view.peers.len(), "vms")?;
    }
    for detector in &view.detectors {
        within(detector.peers, view.sets.len(), "peers")?;
    }
    for rule in &view.rules {
        rule.inbound.map_or(Ok(()), |set| within(set, view.sets.len(), "inbound"))?;
        rule.outbound.map_or(Ok(()), |set| within(set, view.sets.len(), "outbound"))?;
        rule.elsewhere.map_or(Ok(()), |both| {
            within(both.from, view.sets.len(), "from")?;
            within(both.to, view.sets.len(), "to")
        })?;
    }
    Ok(())
}

impl From<Peer> for proto::Peer {
    fn from(Peer { vm, addresses }: Peer) -> Self {
        Self { vm, addresses: addresses_out(addresses) }
    }
}

impl TryFrom<proto::Peer> for Peer {
    type Error = DecodeError;

    fn try_from(proto::Peer { vm, addresses }: proto::Peer) -> Decoded<Self> {
        Ok(Self { vm, addresses: addresses_in(&addresses, "addresses")? })
    }
}

impl From<Set> for proto::PeerSet {
    fn from(Set { vms, outside }: Set) -> Self {
        Self { vms, outside: Some(outside.into()) }
    }
}

impl TryFrom<proto::PeerSet> for Set {
    type Error = DecodeError;

    fn try_from(proto::PeerSet { vms, outside }: proto::PeerSet) -> Decoded<Self> {
        Ok(Self { vms, outside: outside.at("outside")?.try_into()? })
    }
}

impl From<Outside> for proto::Outside {
    fn from(outside: Outside) -> Self {
        let part = match outside {
            Outside::None => Part::None(proto::Empty {}),
            Outside::All => Part::All(proto::Empty {}),
            Outside::Groups(groups) => {
                Part::Groups(proto::AddressGroups { groups: groups.into_iter().map(group_out).collect() })
            }
        };
        Self { part: Some(part) }
    }
}

impl TryFrom<proto::Outside> for Outside {
    type Error = DecodeError;

    fn try_from(proto::Outside { part }: proto::Outside) -> Decoded<Self> {
        Ok(match part.at("part")? {
            Part::None(proto::Empty {}) => Self::None,
            Part::All(proto::Empty {}) => Self::All,
            Part::Groups(proto::AddressGroups { groups }) => {
                Self::Groups(groups.into_iter().map(group_in).collect::<Decoded<_>>()?)
            }
        })
    }
}

fn group_out(group: Arc<AddressGroup>) -> proto::AddressGroup {
    let AddressGroup { name, includes, excludes } = Arc::unwrap_or_clone(group);
    proto::AddressGroup { name: name.into(), includes: out(includes), excludes: out(excludes) }
}

fn group_in(proto::AddressGroup { name, includes, excludes }: proto::AddressGroup) -> Decoded<Arc<AddressGroup>> {
    Ok(Arc::new(AddressGroup {
        name: Name::try_from(name).at("name")?,
        includes: prefixes_in(&includes, "includes")?,
        excludes: prefixes_in(&excludes, "excludes")?,
    }))
}

impl From<ViewRule> for proto::ViewRule {
    fn from(rule: ViewRule) -> Self {
        let ViewRule { name, action, services, inbound, outbound, elsewhere, tier, log, mode, until } = rule;
        Self {
            name,
            action: proto::Action::from(action).into(),
            services: out(services),
            inbound,
            outbound,
            elsewhere: elsewhere.map(|Elsewhere { from, to }| proto::Elsewhere { from, to }),
            tier,
            log,
            mode: proto::Mode::from(mode).into(),
            until,
        }
    }
}

impl TryFrom<proto::ViewRule> for ViewRule {
    type Error = DecodeError;

    fn try_from(rule: proto::ViewRule) -> Decoded<Self> {
        let proto::ViewRule { name, action, services, inbound, outbound, elsewhere, tier, log, mode, until } = rule;
        Ok(Self {
            name,
            action: action_in(action, "action")?,
            services: each(services)?,
            inbound,
            outbound,
            elsewhere: elsewhere.map(|proto::Elsewhere { from, to }| Elsewhere { from, to }),
            tier,
            log,
            mode: mode_in(mode, "mode")?,
            until,
        })
    }
}

impl From<ServiceMatch> for proto::ServiceMatch {
    fn from(service: ServiceMatch) -> Self {
        let ports = |first: u16, last: u16| proto::PortRange { first: first.into(), last: last.into() };
        let icmp = |kind: Option<u8>| proto::IcmpMatch { r#type: kind.map(u32::from) };
        let kind = match service {
            ServiceMatch::Any => Kind::Any(proto::Empty {}),
            ServiceMatch::Ports { tcp: true, first, last } => Kind::Tcp(ports(first, last)),
            ServiceMatch::Ports { tcp: false, first, last } => Kind::Udp(ports(first, last)),
            ServiceMatch::Icmp(kind) => Kind::Icmp(icmp(kind)),
            ServiceMatch::Icmpv6(kind) => Kind::Icmpv6(icmp(kind)),
            ServiceMatch::Proto(number) => Kind::Proto(number.into()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<proto::ServiceMatch> for ServiceMatch {
    type Error = DecodeError;

    fn try_from(proto::ServiceMatch { kind }: proto::ServiceMatch) -> Decoded<Self> {
        let ports = |tcp, proto::PortRange { first, last }| {
            Ok(Self::Ports { tcp, first: small(first, "first")?, last: small(last, "last")? })
        };
        let icmp = |proto::IcmpMatch { r#type }| r#type.map(|kind| small(kind, "type")).transpose();
        match kind.at("kind")? {
            Kind::Any(proto::Empty {}) => Ok(Self::Any),
            Kind::Tcp(range) => ports(true, range),
            Kind::Udp(range) => ports(false, range),
            Kind::Icmp(kind) => Ok(Self::Icmp(icmp(kind)?)),
            Kind::Icmpv6(kind) => Ok(Self::Icmpv6(icmp(kind)?)),
            Kind::Proto(number) => Ok(Self::Proto(small(number, "proto")?)),
        }
    }
}
