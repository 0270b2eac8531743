//! What the last life kept, and whether it may be believed: a policy that its center's authority did not seal for this
//! VM opens nothing.

use std::sync::Arc;

use agent_core::State;

use crate::folder::Identity;

/// What the last life left.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Nothing.
    Nothing,
    /// Something that is not used, and why.
    Refused(String),
    /// A state; its view, if it has one, is the center's own word.
    State(Box<State>),
}

/// Reads what was kept. Of the agent's own counts nothing is secret, but what no agent writes is refused with all the rest.
pub(crate) fn read(text: &[u8], identity: Option<&Identity>) -> Kept {
    match state(text, identity) {
        Ok(state) => Kept::State(Box::new(state)),
        Err(reason) => Kept::Refused(reason),
    }
}

fn state(text: &[u8], identity: Option<&Identity>) -> Result<State, String> {
    let mut state: State = serde_json::from_slice(text).map_err(|error| format!("it cannot be read: {error}"))?;
    let Some(seal) = &state.seal else { return Ok(state) };
    let identity = identity.ok_or("there is no certificate by which its seal could be known")?;
    if !seal.holds(&identity.credentials.authority) {
        return Err("its seal is not that of the center's authority".to_owned());
    }
    let view = seal.view().map_err(|error| format!("it cannot be read: {error}"))?;
    if view.vm != identity.vm {
        return Err(format!("it is that of `{}`", view.vm));
    }
    state.view = Some(Arc::new(view));
    Ok(state)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
    use rcgen::{CertificateParams, KeyPair, SigningKey as _};
    use wire::channel::Credentials;
    use wire::{Seal, View};

    use super::*;

    /// An authority, and who trusts it.
    fn authority() -> (KeyPair, Identity) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let authority = certificate.der().to_vec();
        let credentials = Credentials { certificate: Vec::new(), authority, key: Vec::new() };
        (key, Identity { vm: "db".to_owned(), credentials })
    }

    fn kept(key: &KeyPair, vm: &str) -> String {
        let view = format!(
            r#"{{"generation": 7, "vm": "{vm}", "addresses": [], "center": null, "managed": [], "peers": [], "sets": [],
                "rules": [], "default": "allow", "mode": "enforce", "quarantined": false, "record_all": false, "now": 0}}"#
        );
        let view: View = serde_json::from_str(&view).unwrap();
        let seal = Seal::new(view, |bytes| key.sign(bytes)).unwrap();
        serde_json::to_string(&State { seal: Some(Arc::new(seal)), ..State::default() }).unwrap()
    }

    /// `open GENERATION`, or why it is refused.
    fn told(text: &str, identity: Option<&Identity>) -> String {
        match read(text.as_bytes(), identity) {
            Kept::State(state) => format!("open {}", state.view.map_or(0, |view| view.generation)),
            Kept::Refused(reason) => reason,
            Kept::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn only_what_the_own_authority_sealed_for_this_vm_is_used() {
        let ((key, me), (other, _)) = (authority(), authority());
        let good = kept(&key, "db");
        assert_eq!(told(&good, Some(&me)), "open 7");
        let seal = "its seal is not that of the center's authority";
        // Generation 7 made 6, and one digit of the signature.
        let (first, last) = (good.replacen("\"0807", "\"0806", 1), good.rfind("\"},").unwrap() - 1);
        assert_ne!(first, good);
        assert_eq!(told(&first, Some(&me)), seal);
        let digit = if good.as_bytes()[last] == b'0' { "1" } else { "0" };
        let mut signature = good.clone();
        signature.replace_range(last..=last, digit);
        assert_eq!(told(&signature, Some(&me)), seal);
        assert_eq!(told(&kept(&other, "db"), Some(&me)), seal);
        assert_eq!(told(&kept(&key, "web"), Some(&me)), "it is that of `web`");
        assert_eq!(told(&good, None), "there is no certificate by which its seal could be known");
    }

    #[test]
    fn what_is_torn_or_makes_no_sense_opens_nothing() {
        let (key, me) = authority();
        let good = kept(&key, "db");
        for cut in (0..good.len()).step_by(7) {
            assert!(told(&good[..cut], Some(&me)).starts_with("it cannot be read"), "cut at {cut}");
        }
        let outcome = r#"{"verdict":"deny","rule":"a","end":"source","would":null,"log":false,"monitor":false}"#;
        let other = outcome.replace("\"a\"", "\"b\"");
        for (from, to) in [
            ("[0,0,0]", "[1,0,0]"),
            ("[0,0,0]", "[2048,1,1]"),
            ("[0,0,0]", "[9,5,4]"),
            ("[0,0,0]", "[3,9,5]"),
            ("\"numbering\":[]", &format!("\"numbering\":[[262144,{outcome}]]")),
            ("\"numbering\":[]", &format!("\"numbering\":[[0,{outcome}]]")),
            ("\"numbering\":[]", &format!("\"numbering\":[[99,{outcome}],[99,{other}]]")),
            ("\"numbering\":[]", &format!("\"numbering\":[[98,{outcome}],[99,{outcome}]]")),
            ("\"bytes\":\"08", "\"bytes\":\"0"),
        ] {
            assert!(good.contains(from), "{good}");
            let bad = good.replacen(from, to, 1);
            assert!(told(&bad, Some(&me)).starts_with("it cannot be read"), "{to}: {}", told(&bad, Some(&me)));
        }
        for good_count in ["[9,5,9]", "[9,5,0]", "[3,9,2047]", "[3,9,1]"] {
            assert_eq!(told(&good.replacen("[0,0,0]", good_count, 1), Some(&me)), "open 7", "{good_count}");
        }
    }

    #[test]
    fn what_was_kept_without_a_seal_holds_no_view() {
        let text = serde_json::to_string(&State::default()).unwrap();
        let open = text.replacen('{', "{\"view\":{\"generation\":7},", 1);
        assert_eq!(told(&open, None), "open 0");
    }
}
