//! What the owner of an authenticator may set, and what names a transport.
//!
//! Depends on nothing of this crate.

use std::time::Duration;

/// The make that this authenticator states: drawn at random once, no vendor's.
pub const AAGUID: [u8; 16] = [
    0xe2, 0x8d, 0x0d, 0xa5, 0xb2, 0x59, 0x49, 0x0e, 0xa2, 0x54, 0x38, 0xc2, 0xfb, 0x12, 0xb2, 0x74,
];

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// From another device, over a hybrid transaction.
    Hybrid,
    /// From a program on this very machine, for which this is a security key.
    Hid,
}

/// How a registration is attested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestation {
    /// `packed`, signed by the new passkey itself: proves possession, vouches for no make.
    #[default]
    PackedSelf,
    /// `packed`, with a certificate that the new passkey signs for itself: vouches for no make either, but
    /// satisfies programs that take nothing without a certificate.
    PackedCertificate,
    /// `none`; some programs that are no browsers refuse it.
    None,
}

/// Who lets the user choose when several accounts could sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeveralAccounts {
    /// We do, if the consent can show them; one answer then leaves the phone.
    #[default]
    AskUser,
    /// The client does: it gets an answer for each account, names included.
    AskClient,
}

/// What an owner may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The make to state; another vendor's must never be put here: [`Self::with_aaguid`] refuses
    /// those that are known.
    pub aaguid: [u8; 16],
    /// How registrations are attested.
    pub attestation: Attestation,
    /// Who lets the user choose among accounts.
    pub several_accounts: SeveralAccounts,
    /// How long the user may take for one question.
    pub user_timeout: Duration,
    /// Whether answers say that the user was verified, which is what happens in any case. Without, sites that
    /// want that have to refuse them: for tests of sites.
    pub claims_verification: bool,
}

/// Makes that are known to be somebody else's: Microsoft Authenticator on Android and iOS, Windows
/// Hello (three), Apple's (three), Google Password Manager, Chrome on macOS, 1Password, Bitwarden,
/// Dashlane, YubiKey 5 (two).
const FOREIGN: [u128; 15] = [
    0xde1e552d_db1d_4423_a619_566b625cdc84,
    0x90a3ccdf_635c_4729_a248_9b709135078f,
    0x08987058_cadc_4b81_b6e1_30de50dcbe96,
    0x9ddd1817_af5a_4672_a2b9_3e3dd95000a9,
    0x6028b017_b1d4_4c02_b4b3_afcdafc96bb2,
    0xfbfc3007_154e_4ecc_8c0b_6e020557d7bd,
    0xdd4ec289_e01d_41c9_bb89_70fa845d4bf2,
    0xf24a8e70_d0d3_f82c_2937_32523cc4de5a,
    0xea9b8d66_4d01_1d21_3ce4_b6b48cb575d4,
    0xadce0002_35bc_c60a_648b_0b25f1f05503,
    0xbada5566_a7aa_401f_bd96_45619a55120d,
    0xd548826e_79b4_db40_a3d8_11116f7e8349,
    0x531126d6_e717_415c_9320_3d9aa6981239,
    0x2fc0579f_8113_47ea_b116_bb5a8db9202a,
    0xcb69481e_8ff7_4039_93ec_0a2729a154a8,
];

/// The make is known to be somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this AAGUID belongs to another vendor's authenticator")]
pub struct ForeignAaguid;

impl Config {
    /// With another make than [`AAGUID`]: one's own, drawn at random once.
    ///
    /// # Errors
    ///
    /// [`ForeignAaguid`] for those that are known; that it is nobody else's cannot be known.
    pub fn with_aaguid(self, aaguid: [u8; 16]) -> Result<Self, ForeignAaguid> {
        match FOREIGN.contains(&u128::from_be_bytes(aaguid)) {
            true => Err(ForeignAaguid),
            false => Ok(Self { aaguid, ..self }),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            aaguid: AAGUID,
            attestation: Attestation::default(),
            several_accounts: SeveralAccounts::default(),
            user_timeout: Duration::from_secs(120),
            claims_verification: true,
        }
    }
}
