//! The text of a join token: `ewt1.<sha256 of the center's authority>.<secret>`.

use std::fmt;
use std::str::FromStr;

/// What lets an agent enrol once: it proves the center to the agent, and the agent to the center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// SHA-256 of the authority's certificate (DER), by which the agent knows its center.
    pub authority: [u8; 32],
    /// The secret, by which the center knows the VM.
    pub secret: [u8; 32],
}

/// Why a text is no join token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin with `ewt1.`.
    #[error("a join token begins with `ewt1.`")]
    Version,
    /// It has not two parts after that.
    #[error("a join token is `ewt1.`, 64 hex digits, a dot and 64 hex digits")]
    Form,
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let rest = text.trim().strip_prefix("ewt1.").ok_or(TokenError::Version)?;
        let (authority, secret) = rest.split_once('.').ok_or(TokenError::Form)?;
        Ok(Self { authority: unhex(authority)?, secret: unhex(secret)? })
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ewt1.{}.{}", hex(&self.authority), hex(&self.secret))
    }
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<[u8; 32], TokenError> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(TokenError::Form);
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| TokenError::Form)?;
    }
    Ok(bytes)
}
