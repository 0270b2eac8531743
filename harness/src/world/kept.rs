//! What agents keep for their next life: lost, altered, or another's.

use std::fs;
use std::path::PathBuf;

use policy::Name;
use serde_json::Value;

use super::World;
use crate::scenario::Keeping;

/// Where an agent keeps its policy, and what of it is sealed.
const KEPT: &str = "state.json";
const SEAL: &str = "seal";

impl World {
    /// Changes what a dead agent kept.
    pub(super) fn lose_kept(&mut self, vm: &Name, how: Keeping) -> Result<(), String> {
        let own = self.kept(vm)?;
        let failed = |error: std::io::Error| format!("change what the agent of {vm} kept: {error}");
        match how {
            Keeping::Absent => fs::remove_file(&own).map_err(failed),
            Keeping::Altered => {
                let text = fs::read(&own).map_err(failed)?;
                fs::write(&own, altered(&text)?).map_err(failed)
            }
            Keeping::Foreign => {
                let other = self.agents.keys().find(|other| *other != vm).cloned();
                let other = self.kept(&other.ok_or("find another agent")?)?;
                fs::copy(other, own).map(drop).map_err(failed)
            }
        }
    }

    fn kept(&self, vm: &Name) -> Result<PathBuf, String> {
        let agent = self.agents.get(vm).ok_or_else(|| format!("find the agent of {vm}"))?;
        Ok(agent.folder.join("state").join(KEPT))
    }
}

/// The same with one byte of what is sealed another.
fn altered(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut state: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let seal = state.get_mut(SEAL).and_then(Value::as_object_mut).ok_or("find a seal")?;
    let longest = seal.values_mut().max_by_key(|value| value.to_string().len()).ok_or("find what is sealed")?;
    match longest {
        Value::Array(bytes) => {
            let middle = bytes.len() / 2;
            let byte = bytes.get_mut(middle).ok_or("find a byte that is sealed")?;
            *byte = Value::from(byte.as_u64().unwrap_or(0) ^ 1);
        }
        Value::String(digits) => {
            let middle = digits.len() / 2;
            let other = if digits.get(middle..=middle) == Some("0") { "1" } else { "0" };
            digits.replace_range(middle..=middle, other);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err("find what is sealed".into()),
    }
    serde_json::to_vec(&state).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_of_what_is_sealed_is_another() {
        let rows = [
            (r#"{"seal":{"view":[1,2,3,4],"by":[9]}}"#, Some(r#"{"seal":{"by":[9],"view":[1,2,2,4]}}"#)),
            (r#"{"seal":{"view":"6162"}}"#, Some(r#"{"seal":{"view":"6102"}}"#)),
            (r#"{"seal":null}"#, None),
            ("", None),
        ];
        for (text, expected) in rows {
            let made = altered(text.as_bytes()).ok();
            assert_eq!(made.map(|made| String::from_utf8(made).unwrap()).as_deref(), expected, "{text}");
        }
    }
}
