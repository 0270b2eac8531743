//! Between the types and their form on the wire. Outward cannot fail; inward names the one field that is at fault.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use policy::{Action, End, Mode, Verdict};

use crate::{MAX_TEXT, proto};

mod detector;
mod operator;
mod record;
mod session;
mod status;
mod view;

/// A message that does not say what it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` {fault}")]
pub struct DecodeError {
    /// The field, as the message's definition spells it.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is absent, and must not be.
    #[error("is missing")]
    Missing,
    /// A number that no choice has.
    #[error("has the unknown value {0}")]
    Unknown(i32),
    /// A number above what the field can hold.
    #[error("is {0}, which is too large")]
    TooLarge(u64),
    /// An address is 4 or 16 bytes long.
    #[error("is an address of {0} bytes")]
    AddressLength(usize),
    /// A prefix longer than its address.
    #[error("is a prefix of length {0}, longer than its address")]
    PrefixLength(u32),
    /// Not a name.
    #[error("is no name: {0}")]
    Name(#[from] policy::NameError),
    /// A text, bytes or a list above what the field can hold.
    #[error("has {0} bytes or items, which is too many")]
    TooLong(usize),
    /// Bytes that are no message.
    #[error("is garbled: {0}")]
    Garbled(String),
    /// An index that points at nothing.
    #[error("is index {0}, which points at nothing")]
    Index(u32),
}

type Decoded<T> = Result<T, DecodeError>;

trait At<T> {
    fn at(self, field: &'static str) -> Decoded<T>;
}

impl<T, F: Into<Fault>> At<T> for Result<T, F> {
    fn at(self, field: &'static str) -> Decoded<T> {
        self.map_err(|fault| DecodeError { field, fault: fault.into() })
    }
}

impl<T> At<T> for Option<T> {
    fn at(self, field: &'static str) -> Decoded<T> {
        self.ok_or(DecodeError { field, fault: Fault::Missing })
    }
}

/// Converts each item, and stops at the first that is at fault.
fn each<T, U>(items: Vec<T>) -> Decoded<Vec<U>>
where
    U: TryFrom<T, Error = DecodeError>,
{
    items.into_iter().map(U::try_from).collect()
}

fn out<T: Into<U>, U>(items: Vec<T>) -> Vec<U> {
    items.into_iter().map(Into::into).collect()
}

fn small<T: TryFrom<u32>>(value: u32, field: &'static str) -> Decoded<T> {
    T::try_from(value).map_err(|_| Fault::TooLarge(u64::from(value))).at(field)
}

/// Refuses more bytes or items than a field may hold: what one agent sends, the center keeps and hands on.
fn at_most(length: usize, most: usize, field: &'static str) -> Decoded<()> {
    if length > most { Err(Fault::TooLong(length)).at(field) } else { Ok(()) }
}

fn text_in(text: String, field: &'static str) -> Decoded<String> {
    at_most(text.len(), MAX_TEXT, field)?;
    Ok(text)
}

fn maybe_text_in(text: Option<String>, field: &'static str) -> Decoded<Option<String>> {
    text.map(|text| text_in(text, field)).transpose()
}

fn address_out(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address_in(bytes: &[u8], field: &'static str) -> Decoded<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Ok(octets.into());
    }
    let octets = <[u8; 16]>::try_from(bytes).map_err(|_| Fault::AddressLength(bytes.len())).at(field)?;
    Ok(octets.into())
}

fn addresses_out(addresses: Vec<IpAddr>) -> Vec<Vec<u8>> {
    addresses.into_iter().map(address_out).collect()
}

fn addresses_in(addresses: &[Vec<u8>], field: &'static str) -> Decoded<Vec<IpAddr>> {
    addresses.iter().map(|bytes| address_in(bytes, field)).collect()
}

impl From<IpNet> for proto::Prefix {
    fn from(prefix: IpNet) -> Self {
        Self { address: address_out(prefix.addr()), length: u32::from(prefix.prefix_len()) }
    }
}

fn prefix_in(prefix: &proto::Prefix, field: &'static str) -> Decoded<IpNet> {
    let proto::Prefix { address, length } = prefix;
    let address = address_in(address, field)?;
    let fault = || Fault::PrefixLength(*length);
    let length = u8::try_from(*length).map_err(|_| fault()).at(field)?;
    IpNet::new(address, length).map_err(|_| fault()).at(field)
}

fn prefixes_in(prefixes: &[proto::Prefix], field: &'static str) -> Decoded<Vec<IpNet>> {
    prefixes.iter().map(|prefix| prefix_in(prefix, field)).collect()
}

impl From<SocketAddr> for proto::SocketAddress {
    fn from(address: SocketAddr) -> Self {
        Self { address: address_out(address.ip()), port: u32::from(address.port()) }
    }
}

fn socket_in(address: &proto::SocketAddress, field: &'static str) -> Decoded<SocketAddr> {
    let proto::SocketAddress { address, port } = address;
    Ok(SocketAddr::new(address_in(address, field)?, small(*port, field)?))
}

impl From<Action> for proto::Action {
    fn from(action: Action) -> Self {
        match action {
            Action::Allow => Self::Allow,
            Action::Deny => Self::Deny,
            Action::Reject => Self::Reject,
            Action::Pass => Self::Pass,
        }
    }
}

impl From<Verdict> for proto::Action {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allow,
            Verdict::Deny => Self::Deny,
            Verdict::Reject => Self::Reject,
        }
    }
}

fn action_in(value: i32, field: &'static str) -> Decoded<Action> {
    match proto::Action::try_from(value).map_err(|_| Fault::Unknown(value)).at(field)? {
        proto::Action::Unspecified => None.at(field),
        proto::Action::Allow => Ok(Action::Allow),
        proto::Action::Deny => Ok(Action::Deny),
        proto::Action::Reject => Ok(Action::Reject),
        proto::Action::Pass => Ok(Action::Pass),
    }
}

fn verdict_in(value: i32, field: &'static str) -> Decoded<Verdict> {
    action_in(value, field)?.verdict().ok_or(Fault::Unknown(value)).at(field)
}

impl From<Mode> for proto::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Monitor => Self::Monitor,
        }
    }
}

fn mode_in(value: i32, field: &'static str) -> Decoded<Mode> {
    match proto::Mode::try_from(value).map_err(|_| Fault::Unknown(value)).at(field)? {
        proto::Mode::Unspecified => None.at(field),
        proto::Mode::Enforce => Ok(Mode::Enforce),
        proto::Mode::Monitor => Ok(Mode::Monitor),
    }
}

fn end_out(end: Option<End>) -> i32 {
    i32::from(match end {
        None => proto::End::Unspecified,
        Some(End::Source) => proto::End::Source,
        Some(End::Destination) => proto::End::Destination,
    })
}

fn end_in(value: i32, field: &'static str) -> Decoded<Option<End>> {
    match proto::End::try_from(value).map_err(|_| Fault::Unknown(value)).at(field)? {
        proto::End::Unspecified => Ok(None),
        proto::End::Source => Ok(Some(End::Source)),
        proto::End::Destination => Ok(Some(End::Destination)),
    }
}
