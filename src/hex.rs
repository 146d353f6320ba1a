//! Bytes as hexadecimal digits.

/// Two lower-case digits a byte.
pub(crate) fn lower(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
