//! Floods of datagrams, and what becomes of them.

use std::ops::RangeInclusive;

use policy::{Family, Name};

/// A flood of datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flooding {
    /// The endpoint that sends it.
    pub from: Name,
    /// The endpoint that it is sent to.
    pub to: Name,
    /// The UDP ports that it is sent to, one after another.
    pub ports: RangeInclusive<u16>,
    /// The family.
    pub family: Family,
    /// How many datagrams.
    pub packets: u32,
    /// How many a second; as many as the machine sends, where that is not said.
    pub rate: Option<u32>,
    /// What goes on meanwhile; it ends by itself where this is nothing.
    pub name: Option<String>,
    /// What must become of all of them, where that is claimed.
    pub fate: Option<Fate>,
    /// … but for so many.
    pub but: u32,
}

/// What becomes of every datagram of a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is delivered.
    Delivered,
    /// It is not.
    Lost,
    /// It is delivered until what admitted it is revoked, and none is from the last acknowledgement on.
    Revoked,
}
