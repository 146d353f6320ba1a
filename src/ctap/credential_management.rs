//! authenticatorCredentialManagement: request and response.
//!
//! Depends on [`crate::cbor`] and siblings only. Specification: CTAP 2.2, section 6.8.

use std::fmt;

use super::read::{self, Fields, Redacted, present};
use super::{Command, CosePublicKey, CredentialDescriptor, Error, RpEntity, Status, UserEntity};
use crate::cbor::{self, Value};

/// What is asked of authenticatorCredentialManagement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ManageCommand {
    /// How many there are, and how many more fit.
    Metadata = 0x01,
    /// The first relying party.
    RpsBegin = 0x02,
    /// The next one.
    RpsNext = 0x03,
    /// The first passkey of a relying party.
    CredentialsBegin = 0x04,
    /// The next one.
    CredentialsNext = 0x05,
    /// Deletes a passkey.
    Delete = 0x06,
    /// Changes the names of an account.
    UpdateUser = 0x07,
}

impl ManageCommand {
    const ALL: [Self; 7] = [
        Self::Metadata,
        Self::RpsBegin,
        Self::RpsNext,
        Self::CredentialsBegin,
        Self::CredentialsNext,
        Self::Delete,
        Self::UpdateUser,
    ];

    /// The command of that number.
    ///
    /// # Errors
    ///
    /// `INVALID_SUBCOMMAND`.
    pub fn from_number(number: u64) -> Result<Self, Status> {
        let found = Self::ALL.into_iter().find(|command| *command as u64 == number);
        found.ok_or(Status::INVALID_SUBCOMMAND)
    }
}

/// Parameters of a subcommand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManageParams {
    /// SHA-256 of the rp id whose passkeys are listed.
    pub rp_id_hash: Option<[u8; 32]>,
    /// Which passkey.
    pub credential: Option<CredentialDescriptor>,
    /// The account's new names.
    pub user: Option<UserEntity>,
}

impl ManageParams {
    fn to_value(&self) -> Value {
        Value::int_map(present([
            (1, self.rp_id_hash.map(Value::from)),
            (2, self.credential.as_ref().map(CredentialDescriptor::to_value)),
            (3, self.user.as_ref().map(UserEntity::to_value)),
        ]))
    }

    fn read(value: &Value, field: &'static str) -> Result<Self, Error> {
        let fields = Fields::of(value, field)?;
        Ok(Self {
            rp_id_hash: fields.optional(1, "rpIDHash", read::array)?,
            credential: fields.optional(2, "credentialID", CredentialDescriptor::read)?,
            user: fields.optional(3, "user", UserEntity::read)?,
        })
    }
}

/// A request of authenticatorCredentialManagement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManageRequest {
    /// Number of the subcommand; see [`ManageCommand::from_number`].
    pub command: u64,
    /// Its parameters.
    pub params: ManageParams,
    /// What a token authenticates: the subcommand and the parameters as they came.
    pub authenticated: Vec<u8>,
    /// Number of the protocol.
    pub protocol: Option<u64>,
    /// Proof of a token.
    pub pin_uv_auth_param: Option<Vec<u8>>,
}

impl ManageRequest {
    /// A request whose proof is still to be made, over `authenticated`.
    #[must_use]
    pub fn new(command: ManageCommand, params: ManageParams) -> Self {
        let mut authenticated = vec![command as u8];
        if params != ManageParams::default() {
            authenticated.extend(cbor::encode(&params.to_value()));
        }
        let command = command as u64;
        Self { command, params, authenticated, protocol: None, pin_uv_auth_param: None }
    }

    /// The whole message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let params = (self.params != ManageParams::default()).then(|| self.params.to_value());
        let body = Value::int_map(present([
            (1, Some(Value::from(self.command))),
            (2, params),
            (3, self.protocol.map(Value::from)),
            (4, self.pin_uv_auth_param.clone().map(Value::from)),
        ]));
        read::message(Command::CredentialManagement, &body)
    }

    /// Reads what follows the command byte.
    ///
    /// # Errors
    ///
    /// The status to answer with.
    pub fn decode(body: &[u8]) -> Result<Self, Status> {
        let value = read::strict(body)?;
        let fields = Fields::of(&value, "credentialManagement")?;
        let command = fields.required(1, "subCommand", read::uint)?;
        let raw = fields.optional(2, "subCommandParams", read::value)?;
        let params = raw.as_ref().map(|raw| ManageParams::read(raw, "subCommandParams"));
        // The whole message is canonical, so this gives the very bytes that came.
        let raw = raw.as_ref().map(cbor::encode).unwrap_or_default();
        let number = u8::try_from(command).map_err(|_| Status::INVALID_SUBCOMMAND)?;
        Ok(Self {
            command,
            params: params.transpose()?.unwrap_or_default(),
            authenticated: [&[number], &raw[..]].concat(),
            protocol: fields.optional(3, "pinUvAuthProtocol", read::uint)?,
            pin_uv_auth_param: fields.optional(4, "pinUvAuthParam", read::bytes::<64>)?,
        })
    }
}

/// The answer of authenticatorCredentialManagement: the members that the subcommand has.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ManageResponse {
    /// Discoverable passkeys.
    pub existing: Option<u64>,
    /// How many more fit, at least.
    pub remaining: Option<u64>,
    /// A relying party.
    pub rp: Option<RpEntity>,
    /// SHA-256 of its id.
    pub rp_id_hash: Option<[u8; 32]>,
    /// How many relying parties there are.
    pub total_rps: Option<u64>,
    /// An account.
    pub user: Option<UserEntity>,
    /// Its passkey.
    pub credential: Option<CredentialDescriptor>,
    /// The passkey's public half.
    pub public_key: Option<CosePublicKey>,
    /// How many passkeys the relying party has.
    pub total_credentials: Option<u64>,
    /// Level of `credProtect`.
    pub cred_protect: Option<u64>,
    /// Key of the passkey's large blob.
    pub large_blob_key: Option<Vec<u8>>,
}

impl ManageResponse {
    /// The body behind the status byte; empty if it has no member.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let members: Vec<_> = present([
            (1, self.existing.map(Value::from)),
            (2, self.remaining.map(Value::from)),
            (3, self.rp.as_ref().map(RpEntity::to_value)),
            (4, self.rp_id_hash.map(Value::from)),
            (5, self.total_rps.map(Value::from)),
            (6, self.user.as_ref().map(UserEntity::to_value)),
            (7, self.credential.as_ref().map(CredentialDescriptor::to_value)),
            (8, self.public_key.as_ref().map(CosePublicKey::to_value)),
            (9, self.total_credentials.map(Value::from)),
            (10, self.cred_protect.map(Value::from)),
            (11, self.large_blob_key.clone().map(Value::from)),
        ])
        .collect();
        if members.is_empty() { Vec::new() } else { cbor::encode(&Value::int_map(members)) }
    }

    /// Reads what follows the status byte.
    ///
    /// # Errors
    ///
    /// Not CBOR, or a member of another type.
    pub fn decode(body: &[u8]) -> Result<Self, Error> {
        let value = if body.is_empty() { Value::Map(Vec::new()) } else { read::lenient(body)? };
        let fields = Fields::of(&value, "credentialManagement response")?;
        let key = fields.optional(8, "publicKey", read::value)?;
        Ok(Self {
            existing: fields.optional(1, "existingResidentCredentialsCount", read::uint)?,
            remaining: fields.optional(2, "maxPossibleRemainingCount", read::uint)?,
            rp: fields.optional(3, "rp", RpEntity::read)?,
            rp_id_hash: fields.optional(4, "rpIDHash", read::array)?,
            total_rps: fields.optional(5, "totalRPs", read::uint)?,
            user: fields.optional(6, "user", UserEntity::read)?,
            credential: fields.optional(7, "credentialID", CredentialDescriptor::read)?,
            public_key: key.map(CosePublicKey::read),
            total_credentials: fields.optional(9, "totalCredentials", read::uint)?,
            cred_protect: fields.optional(10, "credProtect", read::uint)?,
            large_blob_key: fields.optional(11, "largeBlobKey", read::bytes::<64>)?,
        })
    }
}

impl fmt::Debug for ManageResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManageResponse")
            .field("existing", &self.existing)
            .field("remaining", &self.remaining)
            .field("rp", &self.rp)
            .field("total_rps", &self.total_rps)
            .field("user", &self.user)
            .field("credential", &self.credential)
            .field("total_credentials", &self.total_credentials)
            .field("cred_protect", &self.cred_protect)
            .field("large_blob_key", &self.large_blob_key.as_ref().map(|_| Redacted))
            .finish_non_exhaustive()
    }
}
