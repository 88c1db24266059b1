//! Numbers as text, both ways, byte for byte as clients of Redis expect them.
//!
//! Whether a string *is* a number decides how it is stored (`OBJECT ENCODING`, listpack integers), whether a command is
//! refused, and what every replica stores after `INCRBYFLOAT`. So the grammar is that of Redis and C's `strtod`, not
//! Rust's: no leading spaces, no leading zeros in integers, hexadecimal floats accepted, overflow and underflow to zero refused.
//!
//! Three printers exist because Redis has three:
//!
//! ```text
//! format_i64         integers                            -9223372036854775808
//! format_f64         scores, doubles in RESP replies     3  1.5  0.0001  1e+20  inf     shortest text that reads back
//! LongDouble::text   INCRBYFLOAT, HINCRBYFLOAT           10.6  5200  3000.10000000000000009
//! ```
//!
//! The last one works on an 80-bit x87 `long double` in Redis, so [`LongDouble`] computes with exactly that format, in
//! software, on any machine: a chain of primaries and replicas on different processors then agrees on every digit.
//!
//! Limits: a float's text is at most [`LONG_DOUBLE_TEXT_MAX`] bytes, as in Redis.

use alloc::string::String;
use alloc::vec::Vec;
use core::str;

use rustc_apfloat::ieee::{Double, X87DoubleExtended};
use rustc_apfloat::{Float, Round, Status};

/// The most bytes that [`format_i64`] writes: the sign and 19 digits.
pub const I64_TEXT_MAX: usize = 20;

/// The most bytes that [`format_f64`] writes.
pub const F64_TEXT_MAX: usize = 32;

/// Longest accepted text of a [`LongDouble`], in bytes (exclusive).
pub const LONG_DOUBLE_TEXT_MAX: usize = 5 * 1024;

/// Parses a signed integer, accepting exactly the text that [`format_i64`] would print for it.
///
/// So there is no `+`, no `-0`, no leading zero, no space, and the text can be thrown away once the value is known.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [] => return None,
        [b'0'] => return if negative { None } else { Some(0) },
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    // 19 digits always fit into u64, and no i64 has more.
    if digits.len() > 19 {
        return None;
    }
    let mut magnitude = 0u64;
    for &digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(value);
    }
    if negative {
        if magnitude > 1 << 63 { None } else { Some(magnitude.wrapping_neg().cast_signed()) }
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Prints `value` into `buffer` and returns the text.
pub fn format_i64(value: i64, buffer: &mut [u8; I64_TEXT_MAX]) -> &[u8] {
    let mut digits = itoa::Buffer::new();
    let text = digits.format(value).as_bytes();
    buffer[..text.len()].copy_from_slice(text);
    &buffer[..text.len()]
}

/// How many bytes [`format_i64`] writes for `value`.
pub fn i64_text_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
    digits + usize::from(value < 0)
}

/// What a text looks like before its value is known.
enum Shape {
    Infinite { negative: bool },
    Decimal,
    Hexadecimal { has_exponent: bool },
}

/// Recognises the whole of `text` as a float in `strtod`'s grammar, NaN excepted.
fn float_shape(text: &[u8]) -> Option<Shape> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        return Some(Shape::Infinite { negative });
    }
    let (hexadecimal, body) = match unsigned {
        [b'0', b'x' | b'X', rest @ ..] => (true, rest),
        _ => (false, unsigned),
    };
    let is_digit = |byte: &u8| {
        if hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() }
    };
    let whole = body.iter().take_while(|byte| is_digit(byte)).count();
    let mut rest = &body[whole..];
    let mut digits = whole;
    if let [b'.', after @ ..] = rest {
        let fraction = after.iter().take_while(|byte| is_digit(byte)).count();
        digits += fraction;
        rest = &after[fraction..];
    }
    if digits == 0 {
        return None;
    }
    let has_exponent = match rest {
        [] => false,
        [mark, after @ ..] if mark.to_ascii_lowercase() == if hexadecimal { b'p' } else { b'e' } => {
            let number = match after {
                [b'+' | b'-', number @ ..] => number,
                number => number,
            };
            if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
                return None;
            }
            true
        }
        _ => return None,
    };
    Some(if hexadecimal { Shape::Hexadecimal { has_exponent } } else { Shape::Decimal })
}

/// Whether any digit before the exponent is not zero; such a text that yields zero has underflowed.
fn has_nonzero_digit(text: &[u8], hexadecimal: bool) -> bool {
    let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let digits = if hexadecimal { &unsigned[2..] } else { unsigned };
    let stop: &[u8] = if hexadecimal { b"pP" } else { b"eE" };
    digits.iter().take_while(|byte| !stop.contains(byte)).any(|&byte| byte != b'0' && byte != b'.')
}

/// Parses text with the software floats, whose hexadecimal grammar demands the exponent that `strtod` lets one leave out.
fn parse_soft<F: Float>(text: &str, shape: &Shape) -> Option<F> {
    parse_soft_rounded(text, shape).filter(|(_, status)| !status.contains(Status::OVERFLOW)).map(|(value, _)| value)
}

/// As [`parse_soft`]; what overflows is infinite, and the status says so.
fn parse_soft_rounded<F: Float>(text: &str, shape: &Shape) -> Option<(F, Status)> {
    let parsed = match shape {
        Shape::Hexadecimal { has_exponent: false } => {
            let mut with_exponent = String::with_capacity(text.len() + 2);
            with_exponent.push_str(text);
            with_exponent.push_str("p0");
            F::from_str_r(&with_exponent, Round::NearestTiesToEven)
        }
        Shape::Infinite { .. } | Shape::Decimal | Shape::Hexadecimal { has_exponent: true } => {
            F::from_str_r(text, Round::NearestTiesToEven)
        }
    }
    .ok()?;
    Some((parsed.value, parsed.status))
}

/// Reads the most frequent texts, a few digits with or without a point, without the general machinery.
///
/// Up to 15 digits and the powers of ten up to 10^15 are exact doubles, so the one division rounds correctly.
fn parse_short_decimal(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    // One byte more than the digits, for the point.
    if digits.len() > 16 {
        return None;
    }
    let mut mantissa = 0u64;
    let mut count = 0;
    let mut point = None;
    for &byte in digits {
        if byte == b'.' && point.is_none() {
            point = Some(count);
            continue;
        }
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        mantissa = mantissa * 10 + u64::from(digit);
        count += 1;
    }
    if count == 0 || count > 15 {
        return None;
    }
    let value = mantissa as f64 / POWERS[count - point.unwrap_or(count)];
    Some(if negative { -value } else { value })
}

/// Parses a double as Redis reads scores and increments.
///
/// The whole text must be a number in `strtod`'s grammar: `3`, `-1.5e3`, `.5`, `5.`, `+inf`, `infinity`, `0x1.8p3`.
/// NaN is refused, and so are finite texts that overflow to infinity or underflow to zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    if let Some(value) = parse_short_decimal(text) {
        return Some(value);
    }
    let (value, shape) = parse_long(text)?;
    match shape {
        Shape::Infinite { .. } => Some(value),
        Shape::Decimal => (value.is_finite() && (value != 0.0 || !has_nonzero_digit(text, false))).then_some(value),
        Shape::Hexadecimal { .. } => {
            (value.is_finite() && (value != 0.0 || !has_nonzero_digit(text, true))).then_some(value)
        }
    }
}

/// Parses a double as Redis reads the bounds of ranges of scores: as [`parse_f64`], except that a finite text that
/// overflows is infinite and one that underflows is zero.
pub fn parse_f64_saturating(text: &[u8]) -> Option<f64> {
    parse_short_decimal(text).or_else(|| parse_long(text).map(|(value, _)| value))
}

/// The value of a text, infinite or zero where it lies outside of the doubles' range, and what it looks like.
fn parse_long(text: &[u8]) -> Option<(f64, Shape)> {
    let shape = float_shape(text)?;
    let text = str::from_utf8(text).ok()?;
    let value = match shape {
        Shape::Infinite { negative: true } => f64::NEG_INFINITY,
        Shape::Infinite { negative: false } => f64::INFINITY,
        Shape::Decimal => text.parse::<f64>().ok()?,
        Shape::Hexadecimal { .. } => {
            let (soft, _): (Double, _) = parse_soft_rounded(text, &shape)?;
            f64::from_bits(u64::try_from(soft.to_bits()).expect("a double has 64 bits"))
        }
    };
    Some((value, shape))
}

/// Appends to a fixed buffer; the callers know that what they print fits.
struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.buffer[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn zeros(&mut self, count: usize) {
        self.buffer[self.len..self.len + count].fill(b'0');
        self.len += count;
    }
}

/// Prints a double as Redis 7.2 prints scores: the shortest digits that read back as the same value.
///
/// Whole numbers up to 2^62 are printed as integers. Otherwise the exponent form (`1e+20`, `1e-7`) is used
/// where the plain form would need more than seven zeros for padding; `inf`, `-inf`, `nan` and `-0` are printed as such.
pub fn format_f64(value: f64, buffer: &mut [u8; F64_TEXT_MAX]) -> &[u8] {
    let len = {
        let mut out = Writer { buffer, len: 0 };
        write_f64(value, &mut out);
        out.len
    };
    &buffer[..len]
}

fn write_f64(value: f64, out: &mut Writer<'_>) {
    if value.is_nan() {
        return out.put(b"nan");
    }
    if value.is_sign_negative() {
        out.put(b"-");
    }
    let magnitude = value.abs();
    if magnitude.is_infinite() {
        return out.put(b"inf");
    }
    const WHOLE_MAX: f64 = (1u64 << 62) as f64;
    if magnitude <= WHOLE_MAX && magnitude as u64 as f64 == magnitude {
        return out.put(itoa::Buffer::new().format(magnitude as u64).as_bytes());
    }
    let (digits, count, exponent) = shortest_digits(magnitude);
    write_digits(&digits[..count], exponent, value.is_sign_negative(), out);
}

/// The shortest decimal digits of a finite positive `magnitude`, their count and the power of ten of the last one.
fn shortest_digits(magnitude: f64) -> ([u8; 17], usize, i32) {
    let mut printer = ryu::Buffer::new();
    let text = printer.format_finite(magnitude);
    let (mantissa, mut exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().expect("an exponent is a small integer")),
        None => (text, 0),
    };
    let mut digits = [0u8; 17];
    let mut count = 0;
    let mut trailing_zeros = 0;
    let mut in_fraction = false;
    for byte in mantissa.bytes() {
        if byte == b'.' {
            in_fraction = true;
            continue;
        }
        exponent -= i32::from(in_fraction);
        if byte == b'0' {
            // Zeros count only between other digits; leading ones are dropped, trailing ones raise the exponent.
            trailing_zeros += i32::from(count > 0);
            continue;
        }
        for _ in 0..trailing_zeros {
            digits[count] = b'0';
            count += 1;
        }
        trailing_zeros = 0;
        digits[count] = byte;
        count += 1;
    }
    (digits, count, exponent + trailing_zeros)
}

/// Lays out `digits` × 10^`exponent`. The thresholds between the plain and the exponent form are those of Redis 7.2.
fn write_digits(digits: &[u8], exponent: i32, negative: bool, out: &mut Writer<'_>) {
    let count = i32::try_from(digits.len()).expect("at most 17 digits");
    let scientific = exponent + count - 1;
    if exponent >= 0 && scientific.abs() < count + 7 {
        out.put(digits);
        return out.zeros(exponent.unsigned_abs() as usize);
    }
    if exponent < 0 && (exponent > -7 || scientific.abs() < 4) {
        let point = count + exponent;
        if point <= 0 {
            out.put(b"0.");
            out.zeros(point.unsigned_abs() as usize);
            return out.put(digits);
        }
        let (whole, fraction) = digits.split_at(point.unsigned_abs() as usize);
        out.put(whole);
        out.put(b".");
        return out.put(fraction);
    }
    // The original's buffer has room for 18 characters of sign and digits; 17 digits always fit.
    debug_assert!(digits.len() <= 18 - usize::from(negative));
    out.put(&digits[..1]);
    if digits.len() > 1 {
        out.put(b".");
        out.put(&digits[1..]);
    }
    out.put(if scientific < 0 { b"e-" } else { b"e+" });
    out.put(itoa::Buffer::new().format(scientific.unsigned_abs()).as_bytes());
}

/// An 80-bit extended float, C's `long double` on x86: the number of `INCRBYFLOAT` and `HINCRBYFLOAT`.
///
/// It has 64 bits of mantissa, so short decimal numbers that add up keep the digits that a person expects when they are
/// printed with 17 decimals.
#[derive(Clone, Copy, Debug)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// Parses text in the grammar of [`parse_f64`], with a range up to about 1e4932.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= LONG_DOUBLE_TEXT_MAX {
            return None;
        }
        let shape = float_shape(text)?;
        if let Shape::Infinite { negative } = shape {
            let infinity = X87DoubleExtended::INFINITY;
            return Some(LongDouble(if negative { -infinity } else { infinity }));
        }
        let value: X87DoubleExtended = parse_soft(str::from_utf8(text).ok()?, &shape)?;
        if value.is_zero() && has_nonzero_digit(text, matches!(shape, Shape::Hexadecimal { .. })) {
            return None;
        }
        Some(LongDouble(value))
    }

    /// Converts an integer; every `i64` is exact.
    pub fn from_i64(value: i64) -> LongDouble {
        LongDouble(X87DoubleExtended::from_i128(i128::from(value)).value)
    }

    /// The sum, rounded to the nearest 80-bit value; `None` where Redis answers "increment would produce NaN or Infinity".
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        let sum = (self.0 + other.0).value;
        sum.is_finite().then_some(LongDouble(sum))
    }

    /// The value with 17 decimals, rounded half to even, without trailing zeros and never in exponent form.
    pub fn text(self) -> Vec<u8> {
        if self.0.is_infinite() {
            return if self.0.is_negative() { b"-inf".to_vec() } else { b"inf".to_vec() };
        }
        // The 80 bits are: sign, 15 bits of exponent biased by 16383, 64 bits of mantissa with its leading one stored.
        let bits = self.0.to_bits();
        let mantissa = bits as u64;
        let biased = ((bits >> 64) & 0x7fff) as i32;
        // A denormal has the exponent of the smallest normal number.
        let exponent = biased.max(1) - 16383 - 63;
        let mut out = Vec::new();
        if self.0.is_negative() {
            out.push(b'-');
        }
        if exponent >= 0 {
            push_shifted(mantissa, exponent.unsigned_abs(), &mut out);
        } else {
            push_fixed_point(mantissa, exponent.unsigned_abs(), &mut out);
        }
        if out == b"-0" {
            out.remove(0);
        }
        out
    }
}

/// Prints `mantissa` × 2^`shift` in full by dividing a big number by 10^9 again and again.
fn push_shifted(mantissa: u64, shift: u32, out: &mut Vec<u8>) {
    if shift == 0 || mantissa == 0 {
        return out.extend_from_slice(itoa::Buffer::new().format(mantissa).as_bytes());
    }
    // Little-endian limbs of 32 bits; the largest shift makes a bit more than 500 of them.
    let mut limbs = alloc::vec![0u32; (shift / 32) as usize];
    let spread = u128::from(mantissa) << (shift % 32);
    limbs.extend([spread as u32, (spread >> 32) as u32, (spread >> 64) as u32]);
    let mut groups = Vec::new();
    while let Some(top) = limbs.iter().rposition(|&limb| limb != 0) {
        limbs.truncate(top + 1);
        let mut remainder = 0u64;
        for limb in limbs.iter_mut().rev() {
            let current = remainder << 32 | u64::from(*limb);
            *limb = u32::try_from(current / 1_000_000_000).expect("the remainder is below the divisor");
            remainder = current % 1_000_000_000;
        }
        groups.push(remainder);
    }
    let mut printer = itoa::Buffer::new();
    for (index, &group) in groups.iter().rev().enumerate() {
        let digits = printer.format(group).as_bytes();
        let padding = if index == 0 { 0 } else { 9 - digits.len() };
        out.extend(core::iter::repeat_n(b'0', padding));
        out.extend_from_slice(digits);
    }
}

/// Prints `mantissa` / 2^`shift` (shift ≥ 1) with 17 decimals, rounded half to even, trailing zeros removed.
fn push_fixed_point(mantissa: u64, shift: u32, out: &mut Vec<u8>) {
    const SCALE: u128 = 100_000_000_000_000_000;
    let whole = if shift < 64 { mantissa >> shift } else { 0 };
    let fraction = if shift < 64 { mantissa & ((1 << shift) - 1) } else { mantissa };
    // The product has at most 64 + 57 bits, so nothing is lost before the rounding.
    let scaled = u128::from(fraction) * SCALE;
    let mut decimals = if shift < 128 { scaled >> shift } else { 0 };
    // A value with a shift of 123 or more is below half of the last decimal and rounds to zero.
    if shift < 123 {
        let rest = scaled & ((1 << shift) - 1);
        let half = 1u128 << (shift - 1);
        if rest > half || (rest == half && decimals % 2 == 1) {
            decimals += 1;
        }
    }
    let carry = u64::from(decimals == SCALE);
    let decimals = if carry == 1 { 0 } else { decimals };
    let mut printer = itoa::Buffer::new();
    // With a shift of at least one the whole part is below 2^63, so the carry cannot overflow.
    out.extend_from_slice(printer.format(whole + carry).as_bytes());
    if decimals != 0 {
        let digits = printer.format(u64::try_from(decimals).expect("17 digits fit into 64 bits")).as_bytes();
        out.push(b'.');
        out.extend(core::iter::repeat_n(b'0', 17 - digits.len()));
        out.extend_from_slice(digits);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn integers_are_read_only_in_their_printed_form() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(parse_i64(text.as_bytes()), expected, "{text:?}");
        check("0", Some(0));
        check("-1", Some(-1));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        for refused in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            "-01",
            " 1",
            "1 ",
            "1a",
            "a",
            "0x1",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "99999999999999999999",
            "--1",
            "1\0",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn floats_are_read_in_the_grammar_of_strtod() {
        let check = |text: &str, expected: Option<f64>| assert_eq!(parse_f64(text.as_bytes()), expected, "{text:?}");
        check("3", Some(3.0));
        check("+5", Some(5.0));
        check("007", Some(7.0));
        check(".5", Some(0.5));
        check("5.", Some(5.0));
        check("-1.5E3", Some(-1500.0));
        check("1e+2", Some(100.0));
        check("-inf", Some(f64::NEG_INFINITY));
        check("+Infinity", Some(f64::INFINITY));
        check("0x10", Some(16.0));
        check("-0x1.8p3", Some(-12.0));
        check("0X.8P-1", Some(0.25));
        check("4.9e-324", Some(5e-324));
        check("1e-320", Some(1e-320));
        check("0e-999999", Some(0.0));
        check("0x0p-9999", Some(0.0));
        for refused in [
            "",
            " 1",
            "1 ",
            "nan",
            "-nan",
            "NAN(1)",
            "1e",
            "1e+",
            ".",
            "-",
            "+",
            "e5",
            "0x",
            "0x.p1",
            "0x1p",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p-1100",
            "0x1p1024",
            "infinit",
            "in",
            "1_000",
            "1\0",
            "١",
            "0x1e5g",
            "1,5",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn doubles_are_printed_as_scores_are() {
        let check = |value: f64, expected: &str| {
            let mut buffer = [0; F64_TEXT_MAX];
            assert_eq!(str::from_utf8(format_f64(value, &mut buffer)).unwrap(), expected);
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(3.0, "3");
        check(-17.0, "-17");
        check(1.5, "1.5");
        check(0.1, "0.1");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1e17, "100000000000000000");
        check(1e18, "1000000000000000000");
        check(4611686018427387904.0, "4611686018427387904");
        check(4611686018427388928.0, "4611686018427389000");
        check(9007199254740993.0, "9007199254740992");
        check(1e19, "1e+19");
        check(1e20, "1e+20");
        check(-1.5e300, "-1.5e+300");
        check(12345678901234567000.0, "12345678901234567000");
        check(0.0001, "0.0001");
        check(0.000001, "0.000001");
        check(0.0000001, "1e-7");
        check(0.00012345678901, "1.2345678901e-4");
        check(123.45678901, "123.45678901");
        check(1.2345678901e-5, "1.2345678901e-5");
        check(5e-324, "5e-324");
        check(f64::MAX, "1.7976931348623157e+308");
        check(-f64::MAX, "-1.7976931348623157e+308");
        check(-2.2250738585072014e-308, "-2.2250738585072014e-308");
        check(f64::INFINITY, "inf");
        check(f64::NEG_INFINITY, "-inf");
        check(f64::NAN, "nan");
    }

    /// The expected texts are the answers of `INCRBYFLOAT` in Redis 7.0.15 on x86-64.
    #[test]
    fn sums_of_long_doubles_print_as_incrbyfloat_does() {
        let check = |first: &str, second: &str, expected: &str| {
            let first = LongDouble::parse(first.as_bytes()).unwrap();
            let second = LongDouble::parse(second.as_bytes()).unwrap();
            let text = first.checked_add(second).unwrap().text();
            assert_eq!(str::from_utf8(&text).unwrap(), expected);
        };
        check("3000", "0.1", "3000.10000000000000009");
        check("0", "1e-20", "0");
        check("10.5", "0.1", "10.6");
        check("5.0e3", "2.0e2", "5200");
        check("0", "0x1p-3", "0.125");
        check("3", "1.000000000000000005", "4.00000000000000001");
        check("0", "-0.0", "0");
        check("-0.0", "-1e-30", "0");
        check("0", "123456789012345678901234567890", "123456789012345678899921813504");
        check("0.1", "0.2", "0.3");
        check("1.1", "1e10", "10000000001.09999999962747097");
        check("-1.5", "0.25", "-1.25");
        check("0.99999999999999999", "0.000000000000000009", "1");
        check("9223372036854775807", "-1", "9223372036854775806");
        check(
            "1e300",
            "0",
            "1000000000000000000008997324079559193870523944273290747938260082321265646596180935755849152083750497190350372508\
             614274835903592556184672983913096260520748646287327135641843653294084255107606016789726652932370030551382947620\
             994540294772781889620606179267611627097410650567187386105690089424915104006144",
        );
    }

    #[test]
    fn long_doubles_refuse_what_redis_refuses() {
        let infinity = LongDouble::parse(b"-inf").unwrap();
        assert!(infinity.checked_add(LongDouble::from_i64(1)).is_none());
        assert!(LongDouble::parse(b"1e4932").unwrap().checked_add(LongDouble::parse(b"1.1e4932").unwrap()).is_none());
        for refused in ["", " 1", "nan", "1e5000", "1e-5000", "1 ", "1e"] {
            assert!(LongDouble::parse(refused.as_bytes()).is_none(), "{refused:?}");
        }
        assert!(LongDouble::parse(&alloc::vec![b'1'; LONG_DOUBLE_TEXT_MAX]).is_none());
        assert_eq!(LongDouble::parse(b"1e4000").unwrap().text().len(), 4000);
    }

    proptest! {
        #[test]
        fn every_integer_reads_back(value: i64) {
            let mut buffer = [0; I64_TEXT_MAX];
            let text = format_i64(value, &mut buffer);
            prop_assert_eq!(text.len(), i64_text_len(value));
            prop_assert_eq!(parse_i64(text), Some(value));
        }

        #[test]
        fn every_double_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            let mut buffer = [0; F64_TEXT_MAX];
            let text = format_f64(value, &mut buffer);
            prop_assert_eq!(parse_f64(text).map(f64::to_bits), Some(bits), "{}", str::from_utf8(text).unwrap());
        }

        #[test]
        fn short_decimals_are_read_as_all_others(text in "-?[0-9]{0,17}(\\.[0-9]{0,17})?") {
            let expected = text.parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), expected, "{}", text);
        }

        #[test]
        fn long_doubles_print_integers_exactly(value: i64) {
            prop_assert_eq!(LongDouble::from_i64(value).text(), value.to_string().into_bytes());
        }

        #[test]
        fn long_doubles_keep_short_decimals(whole in -1_000_000i64..1_000_000, cents in 1u32..100) {
            let text = format!("{whole}.{cents:02}");
            let zero = LongDouble::from_i64(0);
            let printed = LongDouble::parse(text.as_bytes()).unwrap().checked_add(zero).unwrap().text();
            // Up to 17 decimals are printed, and 64 bits hold about 19 digits: the cents come out when read as a double.
            prop_assert_eq!(parse_f64(&printed), parse_f64(text.as_bytes()));
        }

        #[test]
        fn hostile_text_never_panics(text in proptest::collection::vec(any::<u8>(), 0..40), numeric in "[-+0-9a-fxXpPeE.]{0,24}") {
            for text in [&text[..], numeric.as_bytes()] {
                let _ = parse_i64(text);
                let _ = parse_f64(text);
                let _ = LongDouble::parse(text).map(LongDouble::text);
            }
        }
    }
}
