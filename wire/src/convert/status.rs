//! Presence and events.

use super::{At, DecodeError, Decoded, Fault};
use crate::proto::{self, center_event::Event};
use crate::{AgentState, CenterEvent, Presence};

impl From<Presence> for proto::Presence {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Unenrolled => Self::Unenrolled,
            Presence::Online => Self::Online,
            Presence::Stale => Self::Stale,
            Presence::Offline => Self::Offline,
        }
    }
}

fn presence_in(value: i32) -> Decoded<Presence> {
    match proto::Presence::try_from(value).map_err(|_| Fault::Unknown(value)).at("presence")? {
        proto::Presence::Unspecified => None.at("presence"),
        proto::Presence::Unenrolled => Ok(Presence::Unenrolled),
        proto::Presence::Online => Ok(Presence::Online),
        proto::Presence::Stale => Ok(Presence::Stale),
        proto::Presence::Offline => Ok(Presence::Offline),
    }
}

impl From<AgentState> for proto::AgentState {
    fn from(state: AgentState) -> Self {
        let AgentState { vm, presence, acked, refused, quarantined, clones, stale_since, suspended_until } = state;
        let refused = refused.map(|(generation, reason)| proto::RefusedGeneration { generation, reason });
        let presence = proto::Presence::from(presence).into();
        Self { vm, presence, acked, refused, quarantined, clones, stale_since, suspended_until }
    }
}

impl TryFrom<proto::AgentState> for AgentState {
    type Error = DecodeError;

    fn try_from(state: proto::AgentState) -> Decoded<Self> {
        let proto::AgentState { vm, presence, acked, refused, quarantined, clones, stale_since, suspended_until } =
            state;
        let presence = presence_in(presence)?;
        let refused = refused.map(|proto::RefusedGeneration { generation, reason }| (generation, reason));
        Ok(Self { vm, presence, acked, refused, quarantined, clones, stale_since, suspended_until })
    }
}

impl From<CenterEvent> for proto::CenterEvent {
    fn from(event: CenterEvent) -> Self {
        Self {
            event: Some(match event {
                CenterEvent::Record(record) => Event::Record((*record).into()),
                CenterEvent::Published { generation } => Event::Published(generation),
                CenterEvent::Agent(state) => Event::Agent(state.into()),
                CenterEvent::Alert { vm, detail } => Event::Alert(proto::Alert { vm, detail }),
                CenterEvent::Missed { count } => Event::Missed(count),
            }),
        }
    }
}

impl TryFrom<proto::CenterEvent> for CenterEvent {
    type Error = DecodeError;

    fn try_from(proto::CenterEvent { event }: proto::CenterEvent) -> Decoded<Self> {
        Ok(match event.at("event")? {
            Event::Record(record) => Self::Record(Box::new(record.try_into()?)),
            Event::Published(generation) => Self::Published { generation },
            Event::Agent(state) => Self::Agent(state.try_into()?),
            Event::Alert(proto::Alert { vm, detail }) => Self::Alert { vm, detail },
            Event::Missed(count) => Self::Missed { count },
        })
    }
}
