-- The public key (SHA-256) by which a token was used: it may use the token again, since the answer may have been lost.
ALTER TABLE tokens ADD COLUMN key BLOB;
