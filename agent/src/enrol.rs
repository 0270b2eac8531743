//! First start: makes the agent's key and has the center certify it.

use std::net::SocketAddr;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tokio::time::timeout;
use wire::JoinToken;
use wire::channel::{self, ChannelError, Credentials, WallClock};

use crate::backoff::Backoff;
use crate::error::Error;
use crate::folder::{Folder, Identity};
use crate::options::Options;

/// How long one try may take: longer than the center lets a stranger stay, so that no token is tried twice at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// The join token of the command line, if one is given.
pub(crate) fn token(options: &Options) -> Result<Option<JoinToken>, Error> {
    let text = match (&options.token, &options.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| Error::File {
            what: "read the join token",
            path: path.clone(),
            error,
        })?,
        (None, None) => return Ok(None),
    };
    Ok(Some(text.trim().parse()?))
}

/// Enrols, as often as it takes to reach the center.
///
/// # Errors
/// When the center refuses the token, or the state folder fails.
pub(crate) async fn enrol(
    (center, clock): (SocketAddr, WallClock),
    token: &JoinToken,
    folder: &Folder,
    backoff: &mut Backoff,
) -> Result<Identity, Error> {
    let key = key(folder)?;
    let request = request(&key)?;
    loop {
        let silent = |_| Err(ChannelError::Unavailable("no answer".to_owned()));
        match timeout(PATIENCE, channel::enrol_by(clock, center, token, request.clone())).await.unwrap_or_else(silent) {
            Ok(enrolled) => {
                folder.keep_enrolment(&enrolled)?;
                let (vm, certificate, authority) = (enrolled.vm, enrolled.certificate, enrolled.authority);
                let credentials = Credentials { certificate, authority, key: key.serialize_der() };
                return Ok(Identity { vm, credentials });
            }
            Err(ChannelError::Unavailable(reason)) => {
                tracing::info!("cannot enrol yet: {reason}");
                backoff.wait().await;
            }
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// The agent's key; kept before it is used, so that a crash wastes no token on a lost key.
fn key(folder: &Folder) -> Result<KeyPair, Error> {
    if let Some(kept) = folder.key()? {
        return Ok(KeyPair::try_from(kept)?);
    }
    let key = KeyPair::generate()?;
    folder.keep_key(&key.serialize_der())?;
    Ok(key)
}

/// A certificate request; the center takes nothing from it but the key.
fn request(key: &KeyPair) -> Result<Vec<u8>, Error> {
    let params = CertificateParams::new(Vec::new())?;
    Ok(params.serialize_request(key)?.der().to_vec())
}
