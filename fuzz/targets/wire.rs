//! Messages between agents and center, operators and center: no bytes make a decoder fail otherwise than by its error, and
//! what was read says itself again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use wire::{CenterEvent, FromAgent, FromCenter, Record, View, proto};

/// Reads bytes as one kind of message, which then must be read again from its own form as the same.
fn check<P, T>(bytes: &[u8])
where
    P: Message + Default + From<T>,
    T: TryFrom<P> + Clone + PartialEq + std::fmt::Debug,
    <T as TryFrom<P>>::Error: std::fmt::Display + std::fmt::Debug,
{
    let Ok(message) = P::decode(bytes) else { return };
    match T::try_from(message) {
        Ok(value) => {
            let again = P::decode(P::from(value.clone()).encode_to_vec().as_slice()).expect("its own form");
            assert_eq!(T::try_from(again).expect("its own form"), value);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => check::<proto::FromAgent, FromAgent>(bytes),
        1 => check::<proto::FromCenter, FromCenter>(bytes),
        2 => check::<proto::Record, Record>(bytes),
        3 => check::<proto::View, View>(bytes),
        _ => check::<proto::CenterEvent, CenterEvent>(bytes),
    }
});
