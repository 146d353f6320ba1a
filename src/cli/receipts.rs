//! `cabled receipts`: the passkeys that were made through this laptop, and what became of them.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::failure::{Failure, Status};
use super::phone::date;
use super::ui::{Ui, print};
use super::{advice, daemon, laptop};
use crate::authenticator::Timestamp;
use crate::ble::Proximity;
use crate::client::receipts::{Receipt, ReceiptNumber, Receipts};
use crate::client::webauthn::Base64Url;
use crate::frontend::control::v1;
use crate::frontend::control::v1::{ForgetReceiptRequest, ListReceiptsRequest};
use crate::hex;

/// The passkeys that were made through this computer, and whether their programs took them
#[derive(Args, Clone, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    command: Sub,
    #[command(flatten)]
    socket: daemon::Socket,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    /// Lists them, oldest first
    List {
        /// Only those that no program took: the site may not know their passkeys
        #[arg(long)]
        orphans: bool,
    },
    /// Tells what is known of one, and what to do about it
    Explain {
        /// Its number in the list
        number: u64,
    },
    /// Forgets one; the passkey stays on the phone, and the site still lists it
    Forget {
        /// Its number in the list
        number: u64,
    },
}

impl Command {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let mut keeper = match self.socket.client_if_any().await? {
            Some(client) => Keeper::There(client),
            None => Keeper::Here(laptop::receipts().ok_or_else(homeless)?),
        };
        match &self.command {
            Sub::List { orphans } => list(ui, keeper.list().await?, *orphans),
            Sub::Explain { number } => {
                let all = keeper.list().await?;
                let found = all.into_iter().find(|(known, _)| known.0 == *number);
                let (_, receipt) = found.ok_or_else(missing)?;
                explain(ui, *number, &receipt)
            }
            Sub::Forget { number } => {
                keeper.forget(ReceiptNumber(*number)).await?;
                let words = format!("Receipt {number} is forgotten.");
                ui.step("receipt-forgotten", &words, json!({ "receipt": number }));
                Ok(())
            }
        }
    }
}

fn homeless() -> Failure {
    let error = "there is no home folder to keep receipts in";
    Failure::new(Status::Usage, error, "set HOME, or XDG_STATE_HOME")
}

fn missing() -> Failure {
    advice::receipts(&crate::client::receipts::Error::NoSuchReceipt)
}

/// Whoever keeps the receipts.
enum Keeper {
    /// This process.
    Here(Receipts),
    /// The daemon.
    There(crate::frontend::control::Client),
}

impl Keeper {
    async fn list(&mut self) -> Result<Vec<(ReceiptNumber, Receipt)>, Failure> {
        match self {
            Self::Here(receipts) => receipts.list().map_err(|error| advice::receipts(&error)),
            Self::There(client) => {
                let answer = client.list_receipts(ListReceiptsRequest {}).await;
                let receipts = answer.map_err(|r| daemon::refused(&r))?.into_inner().receipts;
                Ok(receipts.into_iter().map(read).collect())
            }
        }
    }

    async fn forget(&mut self, number: ReceiptNumber) -> Result<(), Failure> {
        match self {
            Self::Here(receipts) => receipts.forget(number).map_err(|e| advice::receipts(&e)),
            Self::There(client) => {
                let request = ForgetReceiptRequest { number: number.0 };
                client.forget_receipt(request).await.map(drop).map_err(|r| daemon::refused(&r))
            }
        }
    }
}

fn read(receipt: v1::Receipt) -> (ReceiptNumber, Receipt) {
    let number = ReceiptNumber(receipt.number);
    let receipt = Receipt {
        at: receipt.at,
        rp_id: receipt.rp_id,
        user_name: receipt.user_name,
        credential_id: Base64Url(receipt.credential_id),
        aaguid: Base64Url(receipt.aaguid),
        taken_at: receipt.taken_at,
        proximity: receipt.proximity,
    };
    (number, receipt)
}

fn list(ui: Ui, mut all: Vec<(ReceiptNumber, Receipt)>, orphans: bool) -> Result<(), Failure> {
    all.retain(|(_, receipt)| !orphans || receipt.may_be_orphaned());
    if ui.is_json() {
        let receipts: Vec<_> =
            all.iter().map(|(number, receipt)| fields(*number, receipt)).collect();
        return print(&json!({ "v": 1, "event": "receipts", "receipts": receipts }).to_string());
    }
    if all.is_empty() {
        ui.step("receipts", "No passkey was made through this computer.", json!({}));
        return Ok(());
    }
    for (number, receipt) in &all {
        let orphan = if receipt.may_be_orphaned() { "  not taken: maybe an orphan" } else { "" };
        let (at, rp, user) = (date::iso(Timestamp(receipt.at)), &receipt.rp_id, user(receipt));
        print(&format!("{:>4}  {at}  {rp}  {user}{orphan}", number.0))?;
    }
    Ok(())
}

fn explain(ui: Ui, number: u64, receipt: &Receipt) -> Result<(), Failure> {
    if ui.is_json() {
        let receipt = fields(ReceiptNumber(number), receipt);
        return print(&json!({ "v": 1, "event": "receipts", "receipts": [receipt] }).to_string());
    }
    let (rp, user) = (&receipt.rp_id, user(receipt));
    let mut text = format!(
        "A passkey for {rp}, account {user}.\n  Made on a phone at {}.\n  Passkey ID: {}\n  Make of \
         the phone (AAGUID): {}\n",
        date::iso(Timestamp(receipt.at)),
        receipt.credential_id.encode(),
        uuid(&receipt.aaguid.0),
    );
    if receipt.proximity.as_deref() == Some(Proximity::Shared.name()) {
        text.push_str("  The phone was near another machine, whose radio this one used.\n");
    }
    text.push_str(&match receipt.taken_at {
        Some(at) => {
            let at = date::iso(Timestamp(at));
            format!("  The program took it at {at}. Whether the site accepted it, only the site knows.")
        }
        None => format!(
            "  No program took it, so that {rp} probably does not know it: it may be an orphan.\n  If \
             the site does not offer it at the next sign-in, delete it on the phone, in the list of \
             its passkeys,\n  then register again. With a phone of cabled: cabled phone passkeys \
             prune"
        ),
    });
    print(&text)
}

fn fields(number: ReceiptNumber, receipt: &Receipt) -> Value {
    json!({
        "receipt": number.0,
        "at": receipt.at,
        "rpId": receipt.rp_id,
        "account": receipt.user_name,
        "credentialId": receipt.credential_id.encode(),
        "aaguid": uuid(&receipt.aaguid.0),
        "takenAt": receipt.taken_at,
        "proximity": receipt.proximity,
    })
}

fn user(receipt: &Receipt) -> &str {
    match receipt.user_name.as_str() {
        "" => "(without a name)",
        name => name,
    }
}

fn uuid(bytes: &[u8]) -> String {
    let digits = hex::lower(bytes);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
