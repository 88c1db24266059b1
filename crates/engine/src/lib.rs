//! Commands over the keyspace: dispatch, effects, transactions, Pub/Sub, blocking.
#![forbid(unsafe_code)]
