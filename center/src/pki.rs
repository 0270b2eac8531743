//! The center's own authority: one key and certificate in its state folder, from which all others come.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rand::Rng;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber, SigningKey as _,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, version};
use sha2::{Digest, Sha256};
use wire::CENTER_NAME;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// How the identity stands in an agent's certificate, as a URI among its names.
const IDENTITY: &str = "eastwest:vm/";
/// For how many years a certificate holds.
const YEARS: i32 = 10;

/// Why a certificate cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The state folder's files.
    #[error("keep the authority's key: {0}")]
    File(#[from] io::Error),
    /// Making or reading one.
    #[error("make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS does not take it.
    #[error("use a certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// TLS does not take the authority.
    #[error("verify by the authority: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The authority.
pub(crate) struct Authority {
    certificate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads the authority of a state folder, or founds it there.
    pub(crate) fn open(state: &Path) -> Result<Self, PkiError> {
        let (key_file, certificate_file) = (state.join("authority.key"), state.join("authority.der"));
        if !certificate_file.exists() {
            let (key, certificate) = found()?;
            write_private(&key_file, key.serialize_pem().as_bytes())?;
            write_private(&certificate_file, certificate.der())?;
        }
        let certificate = fs::read(&certificate_file)?;
        let key = KeyPair::from_pem(&fs::read_to_string(&key_file)?)?;
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(certificate.as_slice()), key)?;
        Ok(Self { certificate, issuer })
    }

    /// The authority's certificate, DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// An agent's certificate, DER, for the key that signed a PKCS#10 request; nothing else of the request counts.
    pub(crate) fn agent(&self, vm: &str, request: &[u8]) -> Result<Vec<u8>, PkiError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())?;
        let mut params = params("eastwest agent")?;
        params.subject_alt_names = vec![SanType::URI(format!("{IDENTITY}{vm}").try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&request.public_key, &self.issuer)?.der().to_vec())
    }

    /// The public key of a PKCS#10 request that it signed, as its SHA-256.
    pub(crate) fn requester(request: &[u8]) -> Result<[u8; 32], PkiError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())?;
        Ok(fingerprint(&request.public_key.subject_public_key_info()))
    }

    /// Signs with the authority's key.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        Ok(self.issuer.key().sign(message)?)
    }

    /// How the center speaks TLS at an address: 1.3 alone, with a certificate of the agent if it has one.
    pub(crate) fn server(&self, listen: SocketAddr) -> Result<ServerConfig, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = params(CENTER_NAME)?;
        params.subject_alt_names = vec![SanType::DnsName(CENTER_NAME.try_into()?)];
        if !listen.ip().is_unspecified() {
            params.subject_alt_names.push(SanType::IpAddress(listen.ip()));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let authority = CertificateDer::from(self.certificate.clone());
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let clients = clients.allow_unauthenticated().build()?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone(), authority], key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// SHA-256 of a certificate, or of a token's secret.
pub(crate) fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The VM of an agent's certificate. Whether the authority issued it, TLS has verified before.
pub(crate) fn identity(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| uri(name)?.strip_prefix(IDENTITY).map(str::to_owned))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which one variant concerns us")]
fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }
}

fn found() -> Result<(KeyPair, Certificate), PkiError> {
    let key = KeyPair::generate()?;
    let mut params = params("eastwest authority")?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key)?;
    Ok((key, certificate))
}

fn params(name: &str) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    let mut serial = [0; 16];
    rand::rng().fill_bytes(&mut serial);
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    // A day before today, so that an agent whose clock is behind can enrol.
    let before = today.yesterday().unwrap_or(today);
    let date = |date: jiff::civil::Date, years: i32| {
        rcgen::date_time_ymd(
            i32::from(date.year()) + years,
            date.month().unsigned_abs(),
            date.day().unsigned_abs().min(28),
        )
    };
    params.not_before = date(before, 0);
    params.not_after = date(before, YEARS);
    Ok(params)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // A file that was there already keeps the mode that it had.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        change(&mut params);
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn nothing_but_the_key_of_a_request_counts() {
        let state = tempfile::tempdir().unwrap();
        let authority = Authority::open(state.path()).unwrap();
        let request = request(|params| {
            params.distinguished_name.push(DnType::CommonName, format!("{IDENTITY}web"));
            params.subject_alt_names = vec![SanType::URI(format!("{IDENTITY}web").try_into().unwrap())];
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        let certificate = authority.agent("db", &request).unwrap();
        assert_eq!(identity(&certificate).as_deref(), Some("db"));
        let (_, certificate) = X509Certificate::from_der(&certificate).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=eastwest agent");
        assert!(!certificate.is_ca() && certificate.key_usage().unwrap().is_none());
        let uses = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(uses.client_auth && !uses.server_auth);
        assert_eq!(certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
    }

    #[test]
    fn a_request_is_whole_and_signed_by_its_key() {
        let state = tempfile::tempdir().unwrap();
        let authority = Authority::open(state.path()).unwrap();
        let good = request(|_| ());
        assert!(authority.agent("db", &good).is_ok());
        let mut forged = good.clone();
        *forged.last_mut().unwrap() ^= 1;
        for bad in [&forged, &good[..good.len() - 1], &[]] {
            assert!(authority.agent("db", bad).is_err());
        }
    }

    #[test]
    fn only_an_agents_certificate_names_a_vm() {
        let state = tempfile::tempdir().unwrap();
        let authority = Authority::open(state.path()).unwrap();
        assert_eq!(identity(authority.certificate()), None);
        assert_eq!(identity(b"no certificate"), None);
    }

    #[test]
    fn the_authority_stays_and_its_key_is_private() {
        let state = tempfile::tempdir().unwrap();
        let first = Authority::open(state.path()).unwrap();
        let again = Authority::open(state.path()).unwrap();
        assert_eq!(first.certificate(), again.certificate());
        let mode = fs::metadata(state.path().join("authority.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
