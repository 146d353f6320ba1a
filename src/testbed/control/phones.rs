//! Phones and their passkeys, in the control API.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Reply, Shared, read};
use super::refusal::{Refusal, wrong};
use super::wire;
use crate::authenticator::{CredentialId, Pin, State as Reached};
use crate::testbed::{Adverts, Error, NewPasskey, PhoneSetup};

/// Characters of a phone's name.
const MAX_NAME: usize = 64;
/// Longer than laptops listen.
const MAX_LATE_MS: u64 = 600_000;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/phones", get(phones).post(add_phone))
        .route("/v1/phones/{name}", delete(remove_phone))
        .route("/v1/phones/{name}/passkeys", get(passkeys).post(plant))
        .route("/v1/phones/{name}/passkeys/{id}", delete(delete_passkey))
}

async fn phones(State(shared): State<Shared>) -> Reply {
    Ok(Json(json!({ "phones": shared.bench.phone_names() })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPhone {
    name: String,
    pin: Option<String>,
    aaguid: Option<String>,
    #[serde(default)]
    unverified: bool,
    adverts: Option<String>,
    #[serde(default)]
    delay_ms: u64,
}

async fn add_phone(
    State(shared): State<Shared>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let asked: NewPhone = read(&body)?;
    let good = (1..=MAX_NAME).contains(&asked.name.chars().count());
    if !good || asked.name.chars().any(char::is_control) {
        return Err(wrong(&format!("a phone's name has 1 to {MAX_NAME} printable characters")));
    }
    let pin = asked.pin.map(Pin::new).transpose().map_err(|_| Error::BadPin)?;
    let aaguid = asked.aaguid.as_deref().map(read_aaguid).transpose()?;
    let adverts = read_adverts(asked.adverts.as_deref(), asked.delay_ms)?;
    let setup = PhoneSetup { pin, aaguid, adverts, unverified: asked.unverified };
    shared.bench.add_phone(&asked.name, setup).await?;
    Ok((StatusCode::CREATED, Json(json!({ "name": asked.name }))))
}

fn read_aaguid(text: &str) -> Result<[u8; 16], Refusal> {
    let digits = text.replace('-', "");
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    number.map(u128::to_be_bytes).ok_or_else(|| wrong("an aaguid has 32 hexadecimal digits"))
}

async fn passkeys(State(shared): State<Shared>, Path(name): Path<String>) -> Reply {
    let passkeys = shared.bench.passkeys(&name).await?;
    let passkeys: Vec<_> = passkeys.iter().map(wire::passkey).collect();
    Ok(Json(json!({ "passkeys": passkeys })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenPasskey {
    rp_id: String,
    user_id: String,
    user_name: Option<String>,
    user_display_name: Option<String>,
    discoverable: Option<bool>,
    state: Option<String>,
}

impl WrittenPasskey {
    fn read(self) -> Result<NewPasskey, Refusal> {
        let user_id = URL_SAFE_NO_PAD.decode(self.user_id.trim_end_matches('='));
        let user_id = user_id.map_err(|_| wrong("userId is base64url"))?;
        let states = [Reached::Created, Reached::Delivered, Reached::Used];
        let named = |name: String| states.into_iter().find(|state| state.name() == name);
        let state = self.state.map_or(Some(Reached::Delivered), named);
        let state = state.ok_or_else(|| wrong("state is created, delivered or used"))?;
        Ok(NewPasskey {
            user_name: self.user_name,
            user_display_name: self.user_display_name,
            discoverable: self.discoverable.unwrap_or(true),
            state,
            ..NewPasskey::new(&self.rp_id, &user_id)
        })
    }
}

async fn plant(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let asked: WrittenPasskey = read(&body)?;
    let planted = shared.bench.plant(&name, asked.read()?).await?;
    Ok((StatusCode::CREATED, Json(wire::planted(&planted))))
}

async fn delete_passkey(
    State(shared): State<Shared>,
    Path((name, id)): Path<(String, String)>,
) -> Reply {
    let id = URL_SAFE_NO_PAD.decode(id).ok().and_then(|id| CredentialId::from_bytes(&id));
    let id = id.ok_or_else(|| wrong("a passkey's id is base64url"))?;
    shared.bench.delete_passkey(&name, id).await?;
    Ok(Json(json!({})))
}

async fn remove_phone(State(shared): State<Shared>, Path(name): Path<String>) -> Reply {
    shared.bench.remove_phone(&name)?;
    Ok(Json(json!({})))
}

fn read_adverts(text: Option<&str>, delay_ms: u64) -> Result<Adverts, Refusal> {
    match (text, delay_ms) {
        (None | Some("heard"), 0) => Ok(Adverts::Heard),
        (Some("lost"), 0) => Ok(Adverts::Lost),
        (Some("replayed"), 0) => Ok(Adverts::Replayed),
        (Some("late"), 0..=MAX_LATE_MS) => {
            Ok(Adverts::Late(std::time::Duration::from_millis(delay_ms)))
        }
        _ => Err(wrong(&format!(
            "adverts are heard, lost, replayed, or late with delayMs of at most {MAX_LATE_MS}"
        ))),
    }
}
