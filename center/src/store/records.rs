//! Records in SQLite: the whole record as its wire form, and beside it the columns that queries ask for.

use std::collections::HashSet;
use std::net::IpAddr;

use prost::Message;
use sqlx::{QueryBuilder, Row, Sqlite as Driver};
use wire::{Record, RecordKey, RecordQuery, StoredRecord, proto};

use super::sqlite::{Sqlite, number};
use super::{Records, StoreError, Stored};

/// The most records of one answer.
const MOST: u32 = 10_000;
/// Rows of one statement: well below SQLite's bound on parameters.
const ROWS: usize = 500;

impl Records for Sqlite {
    async fn append(&self, batch: Vec<Record>) -> Stored<Vec<Record>> {
        let mut transaction = self.pool.begin().await?;
        let mut new: HashSet<(String, u64)> = HashSet::new();
        for rows in batch.chunks(ROWS) {
            let mut insert = insertion(rows);
            for row in insert.build().persistent(rows.len() == ROWS).fetch_all(&mut *transaction).await? {
                new.insert((row.try_get(0)?, number(row.try_get(1)?)));
            }
        }
        transaction.commit().await?;
        let mut batch = batch;
        batch.retain(|record| new.remove(&(record.key.boot.clone(), record.key.sequence)));
        Ok(batch)
    }

    async fn query(&self, query: RecordQuery) -> Stored<Vec<StoredRecord>> {
        let rows = selection(query).build().persistent(false).fetch_all(&self.pool).await?;
        let stored = |row: sqlx::sqlite::SqliteRow| {
            let body: Vec<u8> = row.try_get(1)?;
            let message = proto::Record::decode(body.as_slice());
            let message = message.map_err(|error| StoreError::Content(error.to_string()))?;
            let record = Record::try_from(message).map_err(|error| StoreError::Content(error.to_string()))?;
            Ok(StoredRecord { id: number(row.try_get(0)?), record })
        };
        rows.into_iter().map(stored).collect()
    }
}

fn insertion(rows: &[Record]) -> QueryBuilder<Driver> {
    let columns = "vm, boot, sequence, kind, rule, source, destination, port, body";
    let mut insert = QueryBuilder::new(format!("INSERT INTO records ({columns}) "));
    insert.push_values(rows, |mut row, record| {
        let RecordKey { vm, boot, sequence } = record.key.clone();
        let message = proto::Record::from(record.clone());
        row.push_bind(vm).push_bind(boot).push_bind(i64::try_from(sequence).unwrap_or(i64::MAX));
        row.push_bind(message.kind).push_bind(record.rule.clone());
        row.push_bind(octets(record.source.address)).push_bind(octets(record.destination.address));
        row.push_bind(i64::from(record.destination.port)).push_bind(message.encode_to_vec());
    });
    insert.push(" ON CONFLICT DO NOTHING RETURNING boot, sequence");
    insert
}

fn selection(query: RecordQuery) -> QueryBuilder<Driver> {
    let RecordQuery { vm, kind, rule, address, port, after, limit } = query;
    let mut select = QueryBuilder::new("SELECT id, body FROM records WHERE id > ");
    select.push_bind(i64::try_from(after).unwrap_or(i64::MAX));
    if let Some(vm) = vm {
        select.push(" AND vm = ").push_bind(vm);
    }
    if let Some(kind) = kind {
        select.push(" AND kind = ").push_bind(i32::from(proto::RecordKind::from(kind)));
    }
    if let Some(rule) = rule {
        select.push(" AND rule = ").push_bind(rule);
    }
    if let Some(address) = address.map(octets) {
        select
            .push(" AND (source = ")
            .push_bind(address.clone())
            .push(" OR destination = ")
            .push_bind(address)
            .push(")");
    }
    if let Some(port) = port {
        select.push(" AND port = ").push_bind(i64::from(port));
    }
    let limit = if limit == 0 { MOST } else { limit.min(MOST) };
    select.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
    select
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
