//! The persistent store: hash trie, counted B+tree, packed values, O(1) snapshots.

pub mod btree;
