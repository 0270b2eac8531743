//! A view under seal: its bytes, and the signature of the center's authority over them, so that an agent may keep it and
//! know it again.

use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::{DecodeError, Fault, View, proto};

/// What an agent that takes sealed views says among its capabilities; others get the view alone.
pub const SEALS: &str = "sealed-view";
/// What stands before the bytes that are signed: the authority's key signs certificates too, and neither shall ever be
/// taken for the other. A certificate begins with another byte.
const CONTEXT: &[u8] = b"eastwest/view/v1\0";

/// A view as it was sent, and its authority's signature. Its VM and its generation are in the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The view's form on the wire.
    #[serde(with = "hex")]
    pub bytes: Vec<u8>,
    /// ECDSA over P-256 with SHA-256, in DER.
    #[serde(with = "hex")]
    pub signature: Vec<u8>,
}

/// A view with its seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedView {
    /// What the seal's bytes mean.
    pub view: View,
    /// The seal.
    pub seal: Seal,
}

impl SealedView {
    /// Seals a view; `sign` signs with the authority's key.
    ///
    /// # Errors
    /// When signing fails.
    pub fn new<E>(view: View, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let seal = Seal::new(view.clone(), sign)?;
        Ok(Self { view, seal })
    }
}

impl Seal {
    /// Seals a view; `sign` signs with the authority's key.
    ///
    /// # Errors
    /// When signing fails.
    pub fn new<E>(view: View, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let bytes = proto::View::from(view).encode_to_vec();
        let signature = sign(&signed(&bytes))?;
        Ok(Self { bytes, signature })
    }

    /// The view that was sealed. Whether the seal holds, [`Seal::holds`] tells.
    ///
    /// # Errors
    /// When the bytes are no view.
    pub fn view(&self) -> Result<View, DecodeError> {
        let garbled = |error: prost::DecodeError| Fault::Garbled(error.to_string());
        let view = proto::View::decode(self.bytes.as_slice());
        view.map_err(|error| DecodeError { field: "view", fault: garbled(error) })?.try_into()
    }

    /// Whether the authority of this certificate (DER) signed just these bytes.
    #[cfg(feature = "client")]
    #[must_use]
    pub fn holds(&self, authority: &[u8]) -> bool {
        use rustls::SignatureScheme::ECDSA_NISTP256_SHA256;
        use x509_parser::prelude::{FromDer as _, X509Certificate};
        let Ok((_, certificate)) = X509Certificate::from_der(authority) else { return false };
        let key = &certificate.public_key().subject_public_key.data;
        let known = rustls::crypto::ring::default_provider().signature_verification_algorithms.mapping;
        let algorithms = known.iter().filter(|(scheme, _)| *scheme == ECDSA_NISTP256_SHA256);
        let message = signed(&self.bytes);
        let mut algorithms = algorithms.flat_map(|(_, algorithms)| algorithms.iter());
        algorithms.any(|algorithm| algorithm.verify_signature(key, &message, &self.signature).is_ok())
    }
}

/// What the authority signs.
fn signed(bytes: &[u8]) -> Vec<u8> {
    [CONTEXT, bytes].concat()
}

/// Bytes as text, two digits each: a list of numbers would be twice as long.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            text.extend([byte >> 4, byte & 0xf].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pair = |pair: &[u8]| {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let (high, low) = (digit(*pair.first()?)?, digit(*pair.get(1)?)?);
            u8::try_from(16 * high + low).ok()
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        bytes.ok_or_else(|| D::Error::custom("this is no text of hexadecimal pairs"))
    }
}
