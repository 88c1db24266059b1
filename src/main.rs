//! Rekindle, one binary: see the README.
fn main() {}
