//! The embedded store: one SQLite file.

use std::path::Path;
use std::time::Duration;

use policy::Name;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, Sqlite as Driver, Transaction};
use wire::{InventoryFile, PolicyVersion};

use super::{Advance, Generations, Identities, Loaded, Redeemed, StoreError, Stored, Tokens};

/// The steps that bring a database to this build's form; `user_version` counts those that were taken.
const MIGRATIONS: [&str; 2] = [include_str!("../../migrations/0001.sql"), include_str!("../../migrations/0002.sql")];

/// An open database.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    /// One connection, since SQLite has one writer.
    pub(super) pool: SqlitePool,
}

impl Sqlite {
    /// Opens a file, and makes or migrates it.
    pub(crate) async fn open(path: &Path) -> Stored<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let store = Self { pool };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> Stored<()> {
        let mut transaction = self.pool.begin().await?;
        let taken: i64 = sqlx::query("PRAGMA user_version").fetch_one(&mut *transaction).await?.try_get(0)?;
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        if taken > MIGRATIONS.len() {
            let text = format!("its form {taken} is newer than this build's {}", MIGRATIONS.len());
            return Err(StoreError::Content(text));
        }
        for step in MIGRATIONS.iter().skip(taken) {
            sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        }
        let mark = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", MIGRATIONS.len()));
        sqlx::raw_sql(mark).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}

impl Generations for Sqlite {
    async fn load(&self) -> Stored<Loaded> {
        let mut loaded = Loaded::default();
        let newest = "SELECT generation, standing FROM generations ORDER BY generation DESC LIMIT 1";
        if let Some(row) = sqlx::query(newest).fetch_optional(&self.pool).await? {
            loaded.generation = number(row.try_get(0)?);
            loaded.standing = json(&row.try_get::<String, _>(1)?)?;
            loaded.standing.settle(loaded.generation);
        }
        let policy = "SELECT policy FROM generations WHERE policy IS NOT NULL ORDER BY generation DESC LIMIT 1";
        let row = sqlx::query(policy).fetch_optional(&self.pool).await?;
        loaded.policy = row.map(|row| row.try_get(0)).transpose()?;
        let inventory =
            "SELECT inventory FROM generations WHERE inventory IS NOT NULL ORDER BY generation DESC LIMIT 1";
        if let Some(row) = sqlx::query(inventory).fetch_optional(&self.pool).await? {
            loaded.inventory = json::<InventoryFile>(&row.try_get::<String, _>(0)?)?;
        }
        for row in sqlx::query("SELECT vm FROM identities").fetch_all(&self.pool).await? {
            let name = row.try_get::<String, _>(0)?;
            loaded.enrolled.push(Name::try_from(name).map_err(|error| StoreError::Content(error.to_string()))?);
        }
        Ok(loaded)
    }

    async fn advance(&self, advance: Advance<'_>) -> Stored<u64> {
        let Advance { policy, inventory, standing, removed, now } = advance;
        let mut transaction = self.pool.begin().await?;
        for vm in &removed {
            forget(&mut transaction, vm.as_str()).await?;
        }
        // A held address that begins with this row keeps its 0 in the row, and is read as the row's own number.
        let insert =
            "INSERT INTO generations (made, policy, inventory, standing) VALUES (?, ?, ?, ?) RETURNING generation";
        let row = sqlx::query(insert)
            .bind(now)
            .bind(policy.map(str::to_owned))
            .bind(inventory.map(text).transpose()?)
            .bind(text(&standing)?)
            .fetch_one(&mut *transaction)
            .await?;
        let generation = number(row.try_get(0)?);
        transaction.commit().await?;
        Ok(generation)
    }

    async fn history(&self) -> Stored<Vec<PolicyVersion>> {
        let select =
            "SELECT generation, made, policy FROM generations WHERE policy IS NOT NULL ORDER BY generation DESC";
        let rows = sqlx::query(select).fetch_all(&self.pool).await?;
        let version = |row: sqlx::sqlite::SqliteRow| {
            let (generation, published, text) = (number(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?);
            Ok(PolicyVersion { generation, published, text })
        };
        rows.into_iter().map(version).collect()
    }
}

async fn forget(transaction: &mut Transaction<'_, Driver>, vm: &str) -> Stored<()> {
    for delete in ["DELETE FROM identities WHERE vm = ?", "DELETE FROM tokens WHERE vm = ?"] {
        sqlx::query(delete).bind(vm.to_owned()).execute(&mut **transaction).await?;
    }
    Ok(())
}

impl Tokens for Sqlite {
    async fn keep_token(&self, hash: [u8; 32], vm: &str, expires: i64) -> Stored<()> {
        let insert = sqlx::query("INSERT INTO tokens (hash, vm, expires) VALUES (?, ?, ?)");
        insert.bind(hash.to_vec()).bind(vm.to_owned()).bind(expires).execute(&self.pool).await?;
        Ok(())
    }

    async fn redeem(&self, hash: [u8; 32], key: [u8; 32], now: i64) -> Stored<Redeemed> {
        let mut transaction = self.pool.begin().await?;
        let update = "UPDATE tokens SET used = ?, key = ? WHERE hash = ? AND used IS NULL AND expires > ? RETURNING vm";
        let update = sqlx::query(update).bind(now).bind(key.to_vec()).bind(hash.to_vec()).bind(now);
        if let Some(row) = update.fetch_optional(&mut *transaction).await? {
            let vm: String = row.try_get(0)?;
            // Who used an older token of this VM shall not come back by it: that key may be why there is a new one.
            let older = sqlx::query("UPDATE tokens SET key = NULL WHERE vm = ? AND hash <> ?");
            older.bind(vm.clone()).bind(hash.to_vec()).execute(&mut *transaction).await?;
            transaction.commit().await?;
            return Ok(Redeemed::Good(vm));
        }
        let select = sqlx::query("SELECT vm, used IS NOT NULL, key IS ? FROM tokens WHERE hash = ?");
        let select = select.bind(key.to_vec()).bind(hash.to_vec());
        let Some(row) = select.fetch_optional(&mut *transaction).await? else { return Ok(Redeemed::Unknown) };
        let vm = row.try_get(0)?;
        Ok(match (row.try_get(1)?, row.try_get(2)?) {
            (true, true) => Redeemed::Again(vm),
            (true, false) => Redeemed::Used(vm),
            (false, _) => Redeemed::Expired(vm),
        })
    }
}

impl Identities for Sqlite {
    async fn identify(&self, vm: &str, fingerprint: [u8; 32], now: i64) -> Stored<()> {
        let insert = sqlx::query("INSERT OR REPLACE INTO identities (vm, fingerprint, issued) VALUES (?, ?, ?)");
        insert.bind(vm.to_owned()).bind(fingerprint.to_vec()).bind(now).execute(&self.pool).await?;
        Ok(())
    }

    async fn is_identity(&self, vm: &str, fingerprint: [u8; 32]) -> Stored<bool> {
        let select = sqlx::query("SELECT 1 FROM identities WHERE vm = ? AND fingerprint = ?");
        let row = select.bind(vm.to_owned()).bind(fingerprint.to_vec()).fetch_optional(&self.pool).await?;
        Ok(row.is_some())
    }

    async fn audit(&self, vm: &str, detail: &str, now: i64) -> Stored<()> {
        let insert = sqlx::query("INSERT INTO audit (at, vm, detail) VALUES (?, ?, ?)");
        insert.bind(now).bind(vm.to_owned()).bind(detail.to_owned()).execute(&self.pool).await?;
        Ok(())
    }
}

/// Numbers of the database are never negative.
pub(super) fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Stored<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Content(error.to_string()))
}

fn text<T: serde::Serialize>(value: &T) -> Stored<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Content(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_of_the_first_form_is_still_used_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("center.db");
        let store = Sqlite::open(&path).await.unwrap();
        store.keep_token([1; 32], "db", 100).await.unwrap();
        let back = "UPDATE tokens SET used = 5; ALTER TABLE tokens DROP COLUMN key; PRAGMA user_version = 1";
        sqlx::raw_sql(back).execute(&store.pool).await.unwrap();
        store.pool.close().await;
        let store = Sqlite::open(&path).await.unwrap();
        assert_eq!(store.redeem([1; 32], [7; 32], 10).await.unwrap(), Redeemed::Used("db".into()));
    }

    #[tokio::test]
    async fn a_token_serves_one_key_until_a_newer_one_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("center.db")).await.unwrap();
        for token in [1, 2, 3] {
            store.keep_token([token; 32], "db", 100).await.unwrap();
        }
        let db = || "db".to_owned();
        for (token, key, now, expected) in [
            (9, 7, 10, Redeemed::Unknown),
            (1, 7, 10, Redeemed::Good(db())),
            (1, 8, 11, Redeemed::Used(db())),
            (1, 7, 12, Redeemed::Again(db())),
            (1, 7, 200, Redeemed::Again(db())),
            (2, 8, 13, Redeemed::Good(db())),
            (1, 7, 14, Redeemed::Used(db())),
            (2, 8, 15, Redeemed::Again(db())),
            (3, 8, 100, Redeemed::Expired(db())),
        ] {
            let found = store.redeem([token; 32], [key; 32], now).await.unwrap();
            assert_eq!(found, expected, "token {token}, key {key} at {now}");
        }
    }
}
