//! From when until when a certificate is valid.
//!
//! Pure: DER in, Unix time out. Depends on the crate `der`.

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};

/// The time in which a certificate is valid, in seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: u64,
    pub(super) until: u64,
}

impl Validity {
    /// That of a certificate in DER; `None` if it cannot be read.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let mut signed = inside(&AnyRef::from_der(certificate).ok()?)?;
        let mut fields = inside(&next(&mut signed)?)?;
        // Before the serial number is the version, unless it is the first.
        if next(&mut fields)?.tag() != Tag::Integer {
            next(&mut fields)?;
        }
        let (_algorithm, _issuer) = (next(&mut fields)?, next(&mut fields)?);
        let mut validity = inside(&next(&mut fields)?)?;
        let (from, until) = (time(&mut validity)?, time(&mut validity)?);
        Some(Self { from, until })
    }
}

fn next<'a>(fields: &mut SliceReader<'a>) -> Option<AnyRef<'a>> {
    fields.decode().ok()
}

fn inside<'a>(sequence: &AnyRef<'a>) -> Option<SliceReader<'a>> {
    if sequence.tag() != Tag::Sequence {
        return None;
    }
    SliceReader::new(sequence.value()).ok()
}

fn time(fields: &mut SliceReader<'_>) -> Option<u64> {
    let field = next(fields)?;
    let since = match field.tag() {
        Tag::UtcTime => UtcTime::try_from(field).ok()?.to_unix_duration(),
        _ => GeneralizedTime::try_from(field).ok()?.to_unix_duration(),
    };
    Some(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(from: i32, until: i32) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["relay.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 2, 3);
        params.not_after = rcgen::date_time_ymd(until, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn both_ends_are_read_in_both_forms() {
        // From 2050 on the form is another one.
        for (year, seconds) in [(2024, 1_706_918_400), (2049, 2_495_923_200), (2061, 2_874_614_400)]
        {
            let validity = Validity::of(&made(2000, year)).unwrap();
            assert_eq!(validity, Validity { from: 949_536_000, until: seconds });
        }
    }

    #[test]
    fn what_is_cut_off_or_no_certificate_has_none() {
        let whole = made(2024, 2025);
        for length in 0..whole.len() {
            assert_eq!(Validity::of(&whole[..length]), None, "{length}");
        }
        let mut other = whole;
        other[0] = 0x31;
        assert_eq!(Validity::of(&other), None);
        assert_eq!(Validity::of(b"\x30\x02\x30\x00"), None);
    }
}
