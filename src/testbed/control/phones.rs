//! Phones and their passkeys, in the control API.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::calls::Calls;
use super::refusal::{Refusal, wrong};
use super::{v1, wire};
use crate::authenticator::{CredentialId, Pin, State as Reached};
use crate::testbed::{Adverts, Error, NewPasskey, PhoneSetup};

/// Characters of a phone's name.
const MAX_NAME: usize = 64;
/// Longer than laptops listen.
const MAX_LATE_MS: u32 = 600_000;

impl Calls {
    pub(super) fn phones(&self) -> v1::ListPhonesResponse {
        v1::ListPhonesResponse { phones: self.bench.phone_names() }
    }

    pub(super) async fn add_phone(
        &self,
        asked: v1::AddPhoneRequest,
    ) -> Result<v1::AddPhoneResponse, Refusal> {
        let good = (1..=MAX_NAME).contains(&asked.name.chars().count());
        if !good || asked.name.chars().any(char::is_control) {
            return Err(wrong(&format!("a phone's name has 1 to {MAX_NAME} printable characters")));
        }
        let pin = asked.pin.map(Pin::new).transpose().map_err(|_| Error::BadPin)?;
        let aaguid = asked.aaguid.as_deref().map(read_aaguid).transpose()?;
        let adverts = read_adverts(asked.adverts.as_deref(), asked.delay_ms)?;
        let setup = PhoneSetup { pin, aaguid, adverts, unverified: asked.unverified };
        self.bench.add_phone(&asked.name, setup).await?;
        Ok(v1::AddPhoneResponse { name: asked.name })
    }

    pub(super) fn remove_phone(&self, name: &str) -> Result<(), Refusal> {
        Ok(self.bench.remove_phone(name)?)
    }

    pub(super) async fn passkeys(&self, phone: &str) -> Result<v1::ListPasskeysResponse, Refusal> {
        let passkeys = self.bench.passkeys(phone).await?;
        Ok(v1::ListPasskeysResponse { passkeys: passkeys.iter().map(wire::passkey).collect() })
    }

    pub(super) async fn plant(
        &self,
        asked: v1::PlantPasskeyRequest,
    ) -> Result<v1::PlantPasskeyResponse, Refusal> {
        let phone = asked.phone.clone();
        let planted = self.bench.plant(&phone, read_passkey(asked)?).await?;
        Ok(wire::planted(&planted))
    }

    pub(super) async fn delete_passkey(
        &self,
        asked: v1::DeletePasskeyRequest,
    ) -> Result<(), Refusal> {
        let id = URL_SAFE_NO_PAD.decode(asked.id).ok();
        let id = id.and_then(|id| CredentialId::from_bytes(&id));
        let id = id.ok_or_else(|| wrong("a passkey's id is base64url"))?;
        Ok(self.bench.delete_passkey(&asked.phone, id).await?)
    }
}

fn read_aaguid(text: &str) -> Result<[u8; 16], Refusal> {
    let digits = text.replace('-', "");
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    number.map(u128::to_be_bytes).ok_or_else(|| wrong("an aaguid has 32 hexadecimal digits"))
}

fn read_passkey(asked: v1::PlantPasskeyRequest) -> Result<NewPasskey, Refusal> {
    let user_id = URL_SAFE_NO_PAD.decode(asked.user_id.trim_end_matches('='));
    let user_id = user_id.map_err(|_| wrong("userId is base64url"))?;
    let states = [Reached::Created, Reached::Delivered, Reached::Used];
    let named = |name: String| states.into_iter().find(|state| state.name() == name);
    let state = asked.state.map_or(Some(Reached::Delivered), named);
    let state = state.ok_or_else(|| wrong("state is created, delivered or used"))?;
    Ok(NewPasskey {
        user_name: asked.user_name,
        user_display_name: asked.user_display_name,
        discoverable: asked.discoverable.unwrap_or(true),
        state,
        ..NewPasskey::new(&asked.rp_id, &user_id)
    })
}

fn read_adverts(text: Option<&str>, delay_ms: u32) -> Result<Adverts, Refusal> {
    match (text, delay_ms) {
        (None | Some("heard"), 0) => Ok(Adverts::Heard),
        (Some("lost"), 0) => Ok(Adverts::Lost),
        (Some("replayed"), 0) => Ok(Adverts::Replayed),
        (Some("late"), 0..=MAX_LATE_MS) => {
            Ok(Adverts::Late(Duration::from_millis(delay_ms.into())))
        }
        _ => Err(wrong(&format!(
            "adverts are heard, lost, replayed, or late with delayMs of at most {MAX_LATE_MS}"
        ))),
    }
}
