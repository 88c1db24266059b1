//! Reads RDB: versions 1 to 12 of the numbering shared with Redis, and Valkey's 80.
//!
//! The reader pulls bytes from a [`Source`] and calls a [`Visitor`] for each thing it has understood; the layout is in
//! [`crate::format`]. It stops at the end mark and the checksum, not at the end of the source, which may be a replication socket: what
//! it has taken from the source beyond that, [`Reader::into_parts`] gives back.
//!
//! Nothing in the data is trusted. Lengths decide no allocation ahead of the bytes that they announce, packed values are checked entry
//! by entry whatever wrote them, and nothing nests.
//!
//! Limits: streams and values of modules are not supported and stop the reader with [`Fault::Unsupported`].

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

pub use crate::error::{Fault, RdbError};
use crate::format::{VERSION_MAX, VERSION_VALKEY, VERSION_WITH_CHECKSUM, opcode};
pub use crate::source::{BUFFER_LEN, Source};
use crate::value::Decoder;
use crate::visitor::{KeyMeta, Visitor};

/// How to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the checksum is computed and compared. It is also skipped if the data has none.
    pub checksum: bool,
    /// The longest string allowed, in bytes, after decompression. Packed values are strings too.
    pub string_bytes_max: u64,
}

impl Default for Options {
    /// Checksums are compared, and strings may have up to 4 GiB.
    fn default() -> Options {
        Options { checksum: true, string_bytes_max: 1 << 32 }
    }
}

/// What a reader knows at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The data's version.
    pub version: u32,
    /// How many bytes the data has, checksum included.
    pub bytes: u64,
    /// The data's checksum, if it has one and it was compared.
    pub checksum: Option<u64>,
}

/// Reads one RDB file or stream.
pub struct Reader<S> {
    decoder: Decoder<S>,
}

impl<S: Source> Reader<S> {
    /// A reader at the start of the data.
    pub fn new(source: S, options: Options) -> Reader<S> {
        Reader { decoder: Decoder::new(source, options) }
    }

    /// How many bytes of the data have been understood.
    pub fn offset(&self) -> u64 {
        self.decoder.input.offset()
    }

    /// The source, and the bytes that were read from it and do not belong to the data.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        self.decoder.input.into_parts()
    }

    /// Reads all of the data, up to its end mark and checksum. To be called once.
    ///
    /// # Errors
    /// The first fault of the source, the data or the visitor, with the place it is at. What the visitor has
    /// got until then was well-formed, and may be the start of a value.
    pub fn read(&mut self, visitor: &mut impl Visitor) -> Result<Summary, Box<RdbError>> {
        let version = self.header()?;
        let refused = |decoder: &Decoder<S>, answer| decoder.visited(answer);
        refused(&self.decoder, visitor.version(version))?;
        let mut meta = KeyMeta::default();
        loop {
            let at = self.offset();
            let number = self.decoder.byte("a type or an opcode")?;
            match number {
                opcode::EXPIRE_S => {
                    let seconds = i32::from_le_bytes(self.decoder.input.array("an expiry")?);
                    meta.expire_ms = Some(i64::from(seconds) * 1000);
                }
                opcode::EXPIRE_MS => meta.expire_ms = Some(i64::from_le_bytes(self.decoder.input.array("an expiry")?)),
                opcode::IDLE => meta.idle_s = Some(self.decoder.len("an idle time")?),
                opcode::FREQ => meta.freq = Some(self.decoder.byte("a use counter")?),
                opcode::EOF => break,
                opcode::SELECT_DB => {
                    let index = self.decoder.len("a database number")?;
                    self.decoder.visited(visitor.select_db(index))?;
                }
                opcode::RESIZE_DB => {
                    let keys = self.decoder.len("a number of keys")?;
                    let expires = self.decoder.len("a number of expiries")?;
                    self.decoder.visited(visitor.resize_db(keys, expires))?;
                }
                opcode::AUX => {
                    let mut name = mem::take(&mut self.decoder.key);
                    self.decoder.string_into(&mut name, "the name of an auxiliary field")?;
                    let value = self.decoder.string("an auxiliary field")?;
                    let answer = visitor.aux(&name, &value);
                    self.decoder.visited(answer)?;
                    self.decoder.key = name;
                }
                opcode::FUNCTION2 => {
                    let source = self.decoder.string("a function library")?;
                    let answer = visitor.function(&source);
                    self.decoder.visited(answer)?;
                }
                opcode::SLOT_INFO => {
                    for _ in 0..3 {
                        self.decoder.len("a slot's sizes")?;
                    }
                }
                opcode::MODULE_AUX => self.decoder.skip_module_aux()?,
                opcode::FUNCTION_PRE_GA => {
                    return Err(unsupported(at, "function library of a release candidate of 7.0", number));
                }
                opcode::SLOT_IMPORT => return Err(unsupported(at, "slot import of a cluster", number)),
                kind => {
                    self.key(at, kind, version, meta, visitor)?;
                    meta = KeyMeta::default();
                }
            }
        }
        let checksum = self.checksum(version)?;
        Ok(Summary { version, bytes: self.offset(), checksum })
    }

    fn header(&mut self) -> Result<u32, Box<RdbError>> {
        let magic: [u8; 9] = self.decoder.input.array("a header")?;
        let fault = |fault| Err(Box::new(RdbError { offset: 0, key: None, fault }));
        let digits = match &magic {
            [b'R', b'E', b'D', b'I', b'S', digits @ ..] => &digits[..],
            [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => &digits[..],
            _ => return fault(Fault::Magic(magic)),
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return fault(Fault::Magic(magic));
        }
        let version = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        if !version_is_known(version) {
            return fault(Fault::Version(version));
        }
        Ok(version)
    }

    fn key(
        &mut self,
        at: u64,
        kind: u8,
        version: u32,
        meta: KeyMeta<'_>,
        visitor: &mut impl Visitor,
    ) -> Result<(), Box<RdbError>> {
        let decoder = &mut self.decoder;
        // A wrong number would otherwise be noticed only after a key that is none.
        if crate::format::kind_name(kind) == "unknown" {
            return Err(Box::new(RdbError { offset: at, key: None, fault: Fault::UnknownType(kind) }));
        }
        let mut key = mem::take(&mut decoder.key);
        decoder.string_into(&mut key, "a key")?;
        let meta = KeyMeta { key: &key, ..meta };
        let mut read = || {
            decoder.visited(visitor.key_type(&meta, kind))?;
            decoder.value(at, kind, version, &meta, visitor)
        };
        let result = read();
        match result {
            Ok(()) => {
                self.decoder.key = key;
                Ok(())
            }
            Err(mut error) => {
                error.key = Some(key);
                Err(error)
            }
        }
    }

    fn checksum(&mut self, version: u32) -> Result<Option<u64>, Box<RdbError>> {
        if version < VERSION_WITH_CHECKSUM {
            return Ok(None);
        }
        let real = self.decoder.input.checksum();
        let at = self.offset();
        let stated = u64::from_le_bytes(self.decoder.input.array("a checksum")?);
        match real {
            Some(real) if stated != 0 && real != stated => {
                Err(Box::new(RdbError { offset: at, key: None, fault: Fault::Checksum { stated, real } }))
            }
            Some(real) if stated != 0 => Ok(Some(real)),
            _ => Ok(None),
        }
    }
}

/// Whether data of this version can be read.
pub fn version_is_known(version: u32) -> bool {
    matches!(version, 1..=VERSION_MAX | VERSION_VALKEY)
}

fn unsupported(offset: u64, name: &'static str, number: u8) -> Box<RdbError> {
    Box::new(RdbError { offset, key: None, fault: Fault::Unsupported { name, number } })
}
