//! Whatever goes out comes in as it was.

use std::fmt::Debug;

use proptest::prelude::*;
use prost::Message;
use wire::proto;

use crate::strategies;

/// Out, into bytes, and all the way back.
fn check<T, P>(value: T) -> Result<(), TestCaseError>
where
    T: Clone + Debug + PartialEq + TryFrom<P, Error: Debug>,
    P: Message + Default + From<T> + Clone + Debug + PartialEq,
{
    let message = P::from(value.clone());
    let read = P::decode(message.encode_to_vec().as_slice());
    prop_assert_eq!(read.as_ref(), Ok(&message));
    let back = read.map(T::try_from).expect("it was read");
    prop_assert_eq!(back.expect("what went out is whole"), value);
    Ok(())
}

proptest! {
    #[test]
    fn of_an_agents_words(value in strategies::from_agent()) {
        check::<_, proto::FromAgent>(value)?;
    }

    #[test]
    fn of_a_centers_words(value in strategies::from_center()) {
        check::<_, proto::FromCenter>(value)?;
    }

    #[test]
    fn of_views(value in strategies::view()) {
        check::<_, proto::View>(value)?;
    }

    #[test]
    fn of_records(value in strategies::record()) {
        check::<_, proto::Record>(value)?;
    }

    #[test]
    fn of_operators_words(
        inventory in strategies::inventory(),
        query in strategies::query(),
        status in strategies::status(),
        version in strategies::version(),
        stored in strategies::stored(),
    ) {
        check::<_, proto::InventoryFile>(inventory)?;
        check::<_, proto::RecordQuery>(query)?;
        check::<_, proto::CenterStatus>(status)?;
        check::<_, proto::PolicyVersion>(version)?;
        check::<_, proto::StoredRecord>(stored)?;
    }

    #[test]
    fn of_events(value in strategies::event()) {
        check::<_, proto::CenterEvent>(value)?;
    }

    #[test]
    fn bytes_of_anywhere_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = proto::FromAgent::decode(bytes.as_slice()) {
            drop(wire::FromAgent::try_from(message));
        }
        if let Ok(message) = proto::View::decode(bytes.as_slice()) {
            drop(wire::View::try_from(message));
        }
    }
}
