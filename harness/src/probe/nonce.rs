//! What probes carry: a mark, and the number by which every witness recognises them.

/// The length of a question and of its answer.
pub(crate) const LENGTH: usize = 16;
const QUESTION: &[u8; 8] = b"EWP1ask?";
const ANSWER: &[u8; 8] = b"EWP1yes!";

/// What the client sends.
pub(crate) fn question(id: u64) -> [u8; LENGTH] {
    encode(QUESTION, id)
}

/// What the listener sends back.
pub(crate) fn answer(id: u64) -> [u8; LENGTH] {
    encode(ANSWER, id)
}

/// The number of a question.
pub(crate) fn asked(payload: &[u8]) -> Option<u64> {
    decode(QUESTION, payload)
}

/// The number of an answer.
pub(crate) fn answered(payload: &[u8]) -> Option<u64> {
    decode(ANSWER, payload)
}

fn encode(mark: &[u8; 8], id: u64) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    text[..8].copy_from_slice(mark);
    text[8..].copy_from_slice(&id.to_be_bytes());
    text
}

fn decode(mark: &[u8; 8], payload: &[u8]) -> Option<u64> {
    let rest = payload.strip_prefix(mark)?;
    let number = rest.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_kind_is_recognised() {
        let rows: [(&[u8], Option<u64>, Option<u64>); 4] = [
            (&question(7), Some(7), None),
            (&answer(7), None, Some(7)),
            (&question(7)[..15], None, None),
            (b"GET / HTTP/1.1\r\n", None, None),
        ];
        for (payload, is_question, is_answer) in rows {
            assert_eq!((asked(payload), answered(payload)), (is_question, is_answer), "{payload:?}");
        }
    }
}
