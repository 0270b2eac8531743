-- Each row is one generation; what a row leaves empty is as in the row before.
CREATE TABLE generations (
    generation INTEGER PRIMARY KEY AUTOINCREMENT,
    made INTEGER NOT NULL,
    policy TEXT,
    inventory TEXT,
    standing TEXT NOT NULL
);

CREATE TABLE tokens (
    hash BLOB PRIMARY KEY,
    vm TEXT NOT NULL,
    expires INTEGER NOT NULL,
    used INTEGER
) WITHOUT ROWID;

-- The one certificate that stands for a VM.
CREATE TABLE identities (
    vm TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    issued INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    vm TEXT NOT NULL,
    boot TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    rule TEXT NOT NULL,
    source BLOB NOT NULL,
    destination BLOB NOT NULL,
    port INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (vm, boot, sequence)
);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    vm TEXT NOT NULL,
    detail TEXT NOT NULL
);
