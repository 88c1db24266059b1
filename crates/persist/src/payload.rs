//! One value as `DUMP` gives it and `RESTORE` takes it.
//!
//! ```text
//! type u8 │ value, as in a file │ version u16 │ checksum of all before, u64       little-endian
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crc_fast::{CrcAlgorithm, checksum};

use crate::error::{Fault, RdbError};
use crate::reader::{Options, version_is_known};
use crate::value::Decoder;
use crate::visitor::{KeyMeta, Visitor};
use crate::writer::{SinkError, Writer, WriterOptions};

const FOOTER_LEN: usize = 10;

/// Why bytes are no payload that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// There is not even room for version and checksum.
    Short,
    /// The version is newer than what can be read, or 0.
    Version(u16),
    /// The checksum is not that of the bytes.
    Checksum,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::Short => f.write_str("payload is too short"),
            PayloadError::Version(version) => write!(f, "cannot read payload of RDB version {version}"),
            PayloadError::Checksum => f.write_str("payload has a wrong checksum"),
        }
    }
}

impl core::error::Error for PayloadError {}

/// Type and value of a payload whose footer is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Type and value.
    pub body: &'a [u8],
    /// The RDB version that they are written in.
    pub version: u32,
}

/// Encodes one value, type first, without key and footer. `write` calls the writer's methods for exactly one value; the key it gives is left out.
///
/// # Errors
/// What `write` returns; a [`Vec`] takes everything.
pub fn encode_value(
    options: WriterOptions,
    write: impl FnOnce(&mut Writer<Vec<u8>>) -> Result<(), SinkError>,
) -> Result<Vec<u8>, SinkError> {
    let mut writer = Writer::bare(Vec::new(), WriterOptions { checksum: false, ..options });
    write(&mut writer)?;
    writer.finish_bare()
}

/// Completes type and value to a payload.
pub fn dump_payload(mut value: Vec<u8>, version: u32) -> Vec<u8> {
    let version = u16::try_from(version).expect("versions have two bytes in payloads");
    value.extend_from_slice(&version.to_le_bytes());
    let sum = checksum(CrcAlgorithm::Crc64Redis, &value);
    value.extend_from_slice(&sum.to_le_bytes());
    value
}

/// Checks version and checksum of a payload.
///
/// # Errors
/// The bytes are no payload, or not one that can be read. The value itself is not looked at.
pub fn check_payload(bytes: &[u8]) -> Result<Payload<'_>, PayloadError> {
    let payload = split_payload(bytes)?;
    let (summed, stated) = bytes.split_at(bytes.len() - 8);
    if checksum(CrcAlgorithm::Crc64Redis, summed).to_le_bytes() != stated {
        return Err(PayloadError::Checksum);
    }
    Ok(payload)
}

/// Checks the version of a payload and leaves its checksum unseen.
///
/// # Errors
/// The bytes are no payload, or not one that can be read.
pub fn split_payload(bytes: &[u8]) -> Result<Payload<'_>, PayloadError> {
    let Some((body, footer)) = bytes.split_last_chunk::<FOOTER_LEN>() else {
        return Err(PayloadError::Short);
    };
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    if !version_is_known(u32::from(version)) {
        return Err(PayloadError::Version(version));
    }
    Ok(Payload { body, version: u32::from(version) })
}

/// Decodes the value of a payload. The visitor gets `meta` as the key.
///
/// # Errors
/// The first fault of the value or the visitor. Offsets count from the start of the payload. Bytes after the value are a fault.
pub fn decode_value(
    payload: Payload<'_>,
    meta: &KeyMeta<'_>,
    options: Options,
    visitor: &mut impl Visitor,
) -> Result<(), Box<RdbError>> {
    let mut decoder = Decoder::new(payload.body, Options { checksum: false, ..options });
    let kind = decoder.byte("a type")?;
    decoder.visited(visitor.key_type(meta, kind))?;
    decoder.value(0, kind, payload.version, meta, visitor)?;
    let end = decoder.input.offset();
    if end != payload.body.len() as u64 {
        let fault = Fault::Corrupt("bytes follow after the value".into());
        return Err(Box::new(RdbError { offset: end, key: None, fault }));
    }
    Ok(())
}
