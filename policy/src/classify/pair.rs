//! Two endpoints that a flow joins, and what is decided of it before any policy is asked.

use super::addresses::Located;
use super::endpoints::Endpoint;
use super::judged::{Decider, Decision};
use super::services::Nature;
use crate::{Builtin, End, Verdict};

/// Two endpoints that a flow joins.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) source: &'a Endpoint,
    pub(crate) destination: &'a Endpoint,
    /// A VM to itself, or from or to a loopback address.
    pub(crate) loopback: bool,
    /// From or to a link-local address.
    pub(crate) link_local: bool,
}

impl<'a> Pair<'a> {
    #[inline]
    pub(crate) fn of(source: (Located, &'a Endpoint), destination: (Located, &'a Endpoint)) -> Self {
        let ((from, source), (to, destination)) = (source, destination);
        let itself = source.standing.vm && from.endpoint == to.endpoint;
        Self {
            source,
            destination,
            loopback: itself || from.nature.loopback || to.nature.loopback,
            link_local: from.nature.link_local || to.nature.link_local,
        }
    }

    /// Two that are not the same VM, by ordinary addresses.
    pub(crate) fn apart(source: &'a Endpoint, destination: &'a Endpoint) -> Self {
        Self { source, destination, loopback: false, link_local: false }
    }

    /// Whether both carry the same value of a `within` key.
    #[inline]
    pub(crate) fn equal(&self, key: usize) -> bool {
        let value = |endpoint: &Endpoint| endpoint.values.get(key).copied();
        value(self.source) == value(self.destination) && value(self.source) != Some(0)
    }

    #[inline]
    pub(crate) fn end(&self, end: End) -> &'a Endpoint {
        match end {
            End::Source => self.source,
            End::Destination => self.destination,
        }
    }

    /// The built-in rule that decides at a managed end before the policy is asked.
    #[inline]
    pub(crate) fn builtin(&self, end: End, service: Nature) -> Option<Decision> {
        let (verdict, builtin) = if self.loopback {
            (Verdict::Allow, Builtin::Loopback)
        } else if service.neighbours {
            (Verdict::Allow, Builtin::Neighbours)
        } else if self.end(end).standing.quarantined {
            (Verdict::Deny, Builtin::Quarantine)
        } else if self.link_local {
            (Verdict::Deny, Builtin::LinkLocal)
        } else if self.source.standing.unknown || self.destination.standing.unknown {
            (Verdict::Deny, Builtin::Unknown)
        } else {
            return None;
        };
        Some(Decision { verdict, decider: Decider::Builtin(builtin) })
    }
}
