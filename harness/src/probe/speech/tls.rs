//! TLS 1.3 (RFC 8446): a whole handshake with a certificate that is verified, and the number under its keys.

use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection};

use super::{MOST, Turn};
use crate::probe::nonce;

/// The name in the certificate; probes ask for it whatever the address.
const NAME: &str = "probed.internal";

/// What both ends hold of the one certificate of this process.
struct Held {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

static HELD: OnceLock<Result<Held, String>> = OnceLock::new();

fn held() -> Result<&'static Held, String> {
    HELD.get_or_init(|| make().map_err(|error| format!("make a certificate: {error}"))).as_ref().map_err(Clone::clone)
}

fn make() -> Result<Held, Box<dyn std::error::Error>> {
    let own = rcgen::generate_simple_self_signed(vec![NAME.to_owned()])?;
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let provider = Arc::new(default_provider());
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Held { client: Arc::new(client), server: Arc::new(server) })
}

#[derive(Debug)]
pub(super) struct Asking(ClientConnection, Vec<u8>);

#[derive(Debug)]
pub(super) struct Answering(ServerConnection, Vec<u8>);

impl Asking {
    pub(super) fn begin() -> Result<Self, String> {
        let name = ServerName::try_from(NAME).map_err(|error| error.to_string())?;
        let made = ClientConnection::new(Arc::clone(&held()?.client), name);
        made.map(|connection| Self(connection, Vec::new())).map_err(|error| error.to_string())
    }

    /// The handshake's first words; the question waits for its end.
    pub(super) fn first(&mut self, id: u64) -> Result<Vec<u8>, String> {
        self.0.writer().write_all(&nonce::question(id)).map_err(|error| error.to_string())?;
        said(&mut self.0).ok_or_else(|| "begin a TLS handshake".to_owned())
    }

    pub(super) fn hear(&mut self, bytes: &[u8]) -> Option<Turn> {
        let heard = open(&mut self.0, &mut self.1, bytes)?;
        Some(Turn { number: nonce::answered(&self.1), say: said(&mut self.0)?, taken: heard })
    }
}

impl Answering {
    pub(super) fn begin() -> Result<Self, String> {
        let made = ServerConnection::new(Arc::clone(&held()?.server));
        made.map(|connection| Self(connection, Vec::new())).map_err(|error| error.to_string())
    }

    pub(super) fn hear(&mut self, bytes: &[u8]) -> Option<Turn> {
        let heard = open(&mut self.0, &mut self.1, bytes)?;
        let number = nonce::asked(&self.1);
        if let Some(id) = number {
            self.1.clear();
            self.0.writer().write_all(&nonce::answer(id)).ok()?;
        }
        Some(Turn { number, say: said(&mut self.0)?, taken: heard })
    }
}

/// Takes in what has come, and adds to `plain` what was under it; gives how many bytes were taken.
fn open<S>(connection: &mut ConnectionCommon<S>, plain: &mut Vec<u8>, mut bytes: &[u8]) -> Option<usize> {
    let all = bytes.len();
    while !bytes.is_empty() && connection.read_tls(&mut bytes).ok()? > 0 {
        let state = connection.process_new_packets().ok()?;
        let mut room = [0; nonce::LENGTH];
        for _ in 0..state.plaintext_bytes_to_read().div_ceil(nonce::LENGTH) {
            let length = connection.reader().read(&mut room).ok()?;
            plain.extend(&room[..length.min(MOST - plain.len().min(MOST))]);
        }
    }
    Some(all - bytes.len())
}

fn said<S>(connection: &mut ConnectionCommon<S>) -> Option<Vec<u8>> {
    let mut said = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut said).ok()?;
    }
    Some(said)
}
