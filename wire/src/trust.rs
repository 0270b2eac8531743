//! Whom an agent takes for its center, and by which clock.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

/// How often a certificate that is not valid yet may show that it is later than the own clock says: once for each of
/// a chain.
const CORRECTIONS: usize = 2;

/// The wall clock of an agent. It judges certificates, and nothing else: rules end by the center's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// By how many seconds it is wrong; for tests.
    pub offset: i64,
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        let right = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        let shown = u64::try_from(right.saturating_add(self.offset)).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(shown)))
    }
}

/// The authority that must end a center's chain.
#[derive(Debug)]
pub(crate) enum Anchor {
    /// This one.
    Known(CertificateDer<'static>),
    /// The one with this fingerprint, which the chain itself shows.
    Pinned([u8; 32]),
}

/// Trusts exactly one authority.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) anchor: Anchor,
    pub(crate) provider: Arc<CryptoProvider>,
}

/// The fingerprint of a certificate in DER: its SHA-256.
pub(crate) fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

impl Trust {
    fn root(&self, intermediates: &[CertificateDer<'_>]) -> Option<CertificateDer<'static>> {
        match &self.anchor {
            Anchor::Known(authority) => Some(authority.clone()),
            Anchor::Pinned(pin) => {
                let found = intermediates.iter().find(|certificate| fingerprint(certificate) == *pin);
                found.map(|authority| authority.clone().into_owned())
            }
        }
    }
}

impl ServerCertVerifier for Trust {
    /// A certificate exists, so it is later than its beginning: where the own clock says otherwise, the clock is wrong.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        mut now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let stranger = || rustls::Error::General("the center's authority is not the token's".into());
        let mut roots = RootCertStore::empty();
        roots.add(self.root(intermediates).ok_or_else(stranger)?)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verify = |now| verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        for _ in 0..CORRECTIONS {
            match verify(now) {
                Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
                    now = not_before;
                }
                verified => return verified,
            }
        }
        verify(now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 alone".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
