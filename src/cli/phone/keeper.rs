//! Who keeps the passkeys: the service, if one runs over the store that is meant, or this process.
//!
//! Both do the same work by the same code, the service's [`Vault`]. Depends on it and on the front
//! end's client.

mod links;

use std::path::Path;
use std::sync::Arc;

use futures_util::stream;
use zeroize::Zeroizing;

use super::remote::{self, Socket, of_cause, refused};
use super::unlock;
use crate::authenticator::service::{Copy, Error, MoveId, Planned, Sources, Vault};
use crate::authenticator::store::exchange::{Lock, Opener};
use crate::authenticator::{CredentialId, PasskeyView, Pin, Timestamp};
use crate::cli::failure::{Failure, Status};
use crate::cli::system;
use crate::cli::terminal::Terminal;
use crate::frontend::grpc::v1::{
    ChangePinRequest, ConfirmExportRequest, DeletePasskeyRequest, ExportRequest, GetStatusRequest,
    ImportRequest, ListPasskeysRequest, PlanImportPart, PrunePasskeysRequest, RenamePasskeyRequest,
};
use crate::frontend::grpc::{self, Client, MAX_IDS, PART, SocketError, read};

/// Where the service and the store are.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) vault: &'a unlock::Vault,
    pub(super) socket: &'a Socket,
}

impl Place<'_> {
    /// The service, unless none runs, or `--store` names another store than it has.
    pub(super) async fn service(self) -> Result<Option<Client>, Failure> {
        let Ok(path) = self.socket.path() else { return Ok(None) };
        let mut client = match grpc::connect(&path).await {
            Ok(client) => client,
            Err(SocketError::Absent(_)) => return Ok(None),
            Err(error) => return Err(remote::failed(&error)),
        };
        let status = client.get_status(GetStatusRequest {}).await.map_err(|r| refused(&r))?;
        let theirs = status.into_inner().store;
        let meant = !self.vault.is_named() || same(Path::new(&theirs), &self.vault.folder()?);
        Ok(meant.then_some(client))
    }

    /// The service, or the store opened with the PIN.
    pub(super) async fn keeper(self, terminal: Option<&Terminal>) -> Result<Keeper, Failure> {
        if let Some(client) = self.service().await? {
            return Ok(Keeper::There(client));
        }
        let store = self.vault.open(terminal).await?.store;
        Ok(Keeper::Here(Vault::new(store.locked(), Some(store), sources())))
    }

    /// The same, locked: for what asks for the PIN itself.
    pub(super) async fn locked_keeper(self) -> Result<Keeper, Failure> {
        if let Some(client) = self.service().await? {
            return Ok(Keeper::There(client));
        }
        Ok(Keeper::Here(Vault::new(self.vault.locked().await?, None, sources())))
    }
}

/// The same folder, by whatever way.
fn same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Time and randomness of this machine.
pub(super) fn sources() -> Sources {
    Sources {
        clock: Arc::new(|| Timestamp(system::unix_time())),
        rng: Arc::new(|| Box::new(system::random())),
    }
}

/// Whoever keeps the passkeys.
pub(super) enum Keeper {
    /// This process.
    Here(Vault),
    /// The service.
    There(Client),
}

/// What the store or the service said, as advice.
pub(super) fn failed(error: &Error) -> Failure {
    match error {
        Error::Store(error) => unlock::failed(error),
        error => {
            let (status, hint) = of_cause(error.cause());
            Failure::because(status, error, hint)
        }
    }
}

fn garbled() -> Failure {
    let error = "the service said something that this program does not understand";
    Failure::new(
        Status::Failure,
        error,
        "use the same version of cabled for both; restart the service",
    )
}

impl Keeper {
    /// The PIN where one is needed beside an open store: the service hands out nothing for less.
    pub(super) async fn proof(
        &self,
        vault: &unlock::Vault,
        terminal: Option<&Terminal>,
    ) -> Result<Option<Pin>, Failure> {
        match self {
            Self::Here(_) => Ok(None),
            Self::There(_) => vault.pin(terminal).await.map(Some),
        }
    }

    pub(super) async fn passkeys(&mut self) -> Result<Vec<PasskeyView>, Failure> {
        match self {
            Self::Here(vault) => vault.passkeys().await.map_err(|error| failed(&error)),
            Self::There(client) => {
                let answer = client.list_passkeys(ListPasskeysRequest::default()).await;
                let passkeys = answer.map_err(|r| refused(&r))?.into_inner().passkeys;
                let read: Option<_> = passkeys.into_iter().map(read::passkey).collect();
                read.ok_or_else(garbled)
            }
        }
    }

    pub(super) async fn rename(&mut self, id: &CredentialId, label: &str) -> Result<(), Failure> {
        match self {
            Self::Here(vault) => vault.rename(id.clone(), label).await.map_err(|e| failed(&e)),
            Self::There(client) => {
                let (id, label) = (id.as_bytes().to_vec(), label.to_owned());
                let request = RenamePasskeyRequest { id, label };
                client.rename_passkey(request).await.map(drop).map_err(|r| refused(&r))
            }
        }
    }

    pub(super) async fn delete(&mut self, id: &CredentialId) -> Result<(), Failure> {
        match self {
            Self::Here(vault) => vault.delete(id.clone()).await.map_err(|error| failed(&error)),
            Self::There(client) => {
                let request = DeletePasskeyRequest { id: id.as_bytes().to_vec() };
                client.delete_passkey(request).await.map(drop).map_err(|r| refused(&r))
            }
        }
    }

    /// Gives those that were deleted.
    pub(super) async fn prune(
        &mut self,
        ids: Vec<CredentialId>,
        unused: bool,
    ) -> Result<Vec<CredentialId>, Failure> {
        let client = match self {
            Self::Here(vault) => return vault.prune(ids, unused).await.map_err(|e| failed(&e)),
            Self::There(client) => client,
        };
        let mut pruned = Vec::new();
        for some in ids.chunks(MAX_IDS) {
            let ids = some.iter().map(|id| id.as_bytes().to_vec()).collect();
            let answer = client.prune_passkeys(PrunePasskeysRequest { ids, unused }).await;
            pruned.extend(answer.map_err(|r| refused(&r))?.into_inner().ids);
        }
        read_ids(&pruned)
    }

    /// Opens the store with the PIN. A service that is locked stays so: its PIN is tried when it is used.
    pub(super) async fn try_pin(&mut self, pin: &Pin) -> Result<(), Failure> {
        match self {
            Self::Here(vault) => {
                vault.unlock(pin.clone()).await.map(drop).map_err(|error| failed(&error))
            }
            Self::There(_) => Ok(()),
        }
    }

    pub(super) async fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), Failure> {
        match self {
            Self::Here(vault) => vault.change_pin(old, new).await.map_err(|error| failed(&error)),
            Self::There(client) => {
                let [old_pin, new_pin] = [old, new].map(|pin| pin.reveal().to_owned());
                let request = ChangePinRequest { old_pin, new_pin };
                client.change_pin(request).await.map(drop).map_err(|r| refused(&r))
            }
        }
    }

    /// A copy, for whoever can open `lock`; with the [`Self::proof`].
    pub(super) async fn export(&mut self, lock: Lock, pin: Option<Pin>) -> Result<Copy, Failure> {
        let client = match self {
            Self::Here(vault) => return vault.export(lock).await.map_err(|error| failed(&error)),
            Self::There(client) => client,
        };
        let (passphrase, recipients) = match lock {
            Lock::Passphrase(phrase) => (phrase.as_str().to_owned(), Vec::new()),
            Lock::Recipients(keys) => (String::new(), keys),
        };
        let pin = pin.map(|pin| pin.reveal().to_owned()).unwrap_or_default();
        let request = ExportRequest { pin, passphrase, recipients };
        let mut parts = client.export(request).await.map_err(|r| refused(&r))?.into_inner();
        let first = parts.message().await.map_err(|r| refused(&r))?;
        let summary = first.and_then(|part| part.summary).ok_or_else(garbled)?;
        let mut sealed = Vec::new();
        while let Some(part) = parts.message().await.map_err(|r| refused(&r))? {
            sealed.extend_from_slice(&part.data);
        }
        Ok(Copy {
            id: MoveId(summary.export),
            sealed,
            passkeys: read_ids(&summary.passkeys)?,
            bound: read_ids(&summary.bound)?,
            without_large_blob: read_ids(&summary.without_large_blob)?,
        })
    }

    /// The copy is durable.
    pub(super) async fn exported(&mut self, id: MoveId) -> Result<(), Failure> {
        match self {
            Self::Here(vault) => vault.exported(id).await.map_err(|error| failed(&error)),
            Self::There(client) => {
                let confirmed = client.confirm_export(ConfirmExportRequest { export: id.0 }).await;
                confirmed.map(drop).map_err(|r| refused(&r))
            }
        }
    }

    pub(super) async fn plan_import(
        &mut self,
        opener: Opener,
        sealed: Vec<u8>,
    ) -> Result<Planned, Failure> {
        let client = match self {
            Self::Here(vault) => {
                return vault.plan_import(opener, sealed).await.map_err(|error| failed(&error));
            }
            Self::There(client) => client,
        };
        let own = |text: Zeroizing<String>| text.as_str().to_owned();
        let head = match opener {
            Opener::Passphrase(phrase) => {
                PlanImportPart { passphrase: own(phrase), ..PlanImportPart::default() }
            }
            Opener::Identities(text) => {
                PlanImportPart { identities: own(text), ..PlanImportPart::default() }
            }
        };
        let parts: Vec<_> = sealed
            .chunks(PART)
            .map(|data| PlanImportPart { data: data.to_vec(), ..PlanImportPart::default() })
            .collect();
        let parts = stream::iter([head].into_iter().chain(parts));
        let answer = client.plan_import(parts).await.map_err(|r| refused(&r))?.into_inner();
        let passkeys: Option<_> = answer.passkeys.into_iter().map(read::passkey).collect();
        Ok(Planned {
            id: MoveId(answer.import),
            passkeys: passkeys.ok_or_else(garbled)?,
            skipped: answer.skipped.into_iter().map(read::skipped).collect(),
        })
    }

    pub(super) async fn import(&mut self, id: MoveId) -> Result<(), Failure> {
        match self {
            Self::Here(vault) => vault.import(id).await.map(drop).map_err(|error| failed(&error)),
            Self::There(client) => {
                let imported = client.import(ImportRequest { import: id.0 }).await;
                imported.map(drop).map_err(|r| refused(&r))
            }
        }
    }
}

fn read_ids(ids: &[Vec<u8>]) -> Result<Vec<CredentialId>, Failure> {
    ids.iter().map(|id| CredentialId::from_bytes(id)).collect::<Option<_>>().ok_or_else(garbled)
}
