//! What outlives the center. Numbers of generations and records come from here.

use std::future::Future;

use policy::Name;
use wire::{InventoryFile, PolicyVersion, Record, RecordQuery, StoredRecord};

use crate::model::Standing;

mod records;
mod sqlite;

pub(crate) use sqlite::Sqlite;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("use the database: {0}")]
    Database(#[from] sqlx::Error),
    /// What it holds makes no sense to this build.
    #[error("read what the database holds: {0}")]
    Content(String),
}

type Stored<T> = Result<T, StoreError>;

/// What a store holds when the center starts.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The newest generation.
    pub(crate) generation: u64,
    /// The newest policy's text.
    pub(crate) policy: Option<String>,
    /// The newest inventory.
    pub(crate) inventory: InventoryFile,
    /// What stands beside them.
    pub(crate) standing: Standing,
    /// The VMs that have a certificate.
    pub(crate) enrolled: Vec<Name>,
}

/// What a new generation keeps.
#[derive(Debug, Default)]
pub(crate) struct Advance<'a> {
    /// The policy's text, if it is new.
    pub(crate) policy: Option<&'a str>,
    /// The inventory, if it is new.
    pub(crate) inventory: Option<&'a InventoryFile>,
    /// What stands beside them.
    pub(crate) standing: Standing,
    /// The VMs whose certificates and tokens end with it.
    pub(crate) removed: Vec<Name>,
    /// The center's time, in milliseconds since the Unix epoch.
    pub(crate) now: i64,
}

/// The generations.
pub(crate) trait Generations: Send + Sync + 'static {
    /// Everything that holds.
    fn load(&self) -> impl Future<Output = Stored<Loaded>> + Send;
    /// Begins a generation, and gives its number.
    fn advance(&self, advance: Advance<'_>) -> impl Future<Output = Stored<u64>> + Send;
    /// The published policies, the newest first.
    fn history(&self) -> impl Future<Output = Stored<Vec<PolicyVersion>>> + Send;
}

/// What became of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redeemed {
    /// It was good for this VM, and is used up.
    Good(String),
    /// It was used before for this VM by the same key, which may have lost the answer.
    Again(String),
    /// It was used before for this VM, by another key.
    Used(String),
    /// Its time is over, for this VM.
    Expired(String),
    /// Nobody made it.
    Unknown,
}

/// Join tokens.
pub(crate) trait Tokens: Send + Sync + 'static {
    /// Keeps a token for a VM; the secret itself is not kept.
    fn keep_token(&self, hash: [u8; 32], vm: &str, expires: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Uses a token up for a public key, known by its SHA-256.
    fn redeem(&self, hash: [u8; 32], key: [u8; 32], now: i64) -> impl Future<Output = Stored<Redeemed>> + Send;
}

/// Certificates, and what was done with them.
pub(crate) trait Identities: Send + Sync + 'static {
    /// Makes a certificate the only one of its VM.
    fn identify(&self, vm: &str, fingerprint: [u8; 32], now: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Whether a certificate is its VM's.
    fn is_identity(&self, vm: &str, fingerprint: [u8; 32]) -> impl Future<Output = Stored<bool>> + Send;
    /// Notes something for the auditors.
    fn audit(&self, vm: &str, detail: &str, now: i64) -> impl Future<Output = Stored<()>> + Send;
}

/// The records.
pub(crate) trait Records: Send + Sync + 'static {
    /// Keeps a batch in one transaction, each record once, and gives back those that were new.
    fn append(&self, batch: Vec<Record>) -> impl Future<Output = Stored<Vec<Record>>> + Send;
    /// The records that match, oldest first.
    fn query(&self, query: RecordQuery) -> impl Future<Output = Stored<Vec<StoredRecord>>> + Send;
}

/// All of it.
pub(crate) trait Store: Generations + Tokens + Identities + Records {}

impl<T: Generations + Tokens + Identities + Records> Store for T {}
