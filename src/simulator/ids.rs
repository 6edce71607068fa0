//! GUIDs and other identities that look as Azure's do and repeat with the seed.

use spotpool_core::world::splitmix64;

/// 64 bits of a name.
#[must_use]
pub fn hash(seed: u64, name: &str) -> u64 {
    name.bytes()
        .fold(splitmix64(seed), |h, b| splitmix64(h ^ u64::from(b)))
}

/// A GUID of a name.
#[must_use]
pub fn guid(seed: u64, name: &str) -> String {
    let (a, b) = (hash(seed, name), hash(seed ^ 0xA5A5, name));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xFFFF,
        a & 0xFFF,
        0x8000 | ((b >> 48) & 0x3FFF),
        b & 0xFFFF_FFFF_FFFF
    )
}

/// So many characters of an alphabet.
#[must_use]
pub fn text(seed: u64, name: &str, length: usize, alphabet: &[u8]) -> String {
    let mut state = hash(seed, name);
    let mut out = String::with_capacity(length);
    while out.len() < length {
        state = splitmix64(state);
        if let Some(byte) = alphabet.get((state % alphabet.len().max(1) as u64) as usize) {
            out.push(*byte as char);
        } else {
            break;
        }
    }
    out
}

/// A number to the base 36, with zeros before it.
#[must_use]
pub fn base36(mut number: u64, width: usize) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.len() < width {
        digits.push(ALNUM.get((number % 36) as usize).copied().unwrap_or(b'0') as char);
        number /= 36;
    }
    digits.into_iter().rev().collect()
}

/// Lower-case hexadecimal digits.
pub const HEX: &[u8] = b"0123456789abcdef";
/// What ends a computer name.
pub const ALNUM: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// URL-safe base64.
pub const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
