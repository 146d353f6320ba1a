//! `webauthn-rs register|sign-in ORIGIN`: webauthn-authenticator-rs as the laptop, with the relying
//! party's options as JSON on standard input. `webauthn-rs phone CODE FILE`: the same as the phone, with
//! its software token, which is kept in the file.
//!
//! It prints one JSON object to a line: `{"qr": TEXT}` from the laptop, `{"advert": HEX, "service":
//! NUMBER}` and `{"silent": true}` from the phone when it begins and stops to advertise, and at the end
//! `{"response": ...}` or `{"error": WORDS}`. It ends with status 0 in both cases: what was to happen
//! is for the caller to say.

use std::error::Error;
use std::io::Read;

use serde_json::{Value, json};
use webauthn_authenticator_rs::cable::{
    Advertiser, ShareCableAuthenticatorOptions, connect_cable_authenticator,
    share_cable_authenticator,
};
use webauthn_authenticator_rs::prelude::{Url, WebauthnAuthenticator as _, WebauthnCError};
use webauthn_authenticator_rs::softtoken::SoftToken;
use webauthn_authenticator_rs::types::{CableRequestType, CableState, EnrollSampleStatus};
use webauthn_authenticator_rs::ui::UiCallback;

type Outcome = Result<Value, Box<dyn Error>>;

/// Nobody: prints the code, and has no PIN and no finger.
#[derive(Debug)]
struct Screen;

impl UiCallback for Screen {
    fn request_pin(&self) -> Option<String> {
        None
    }
    fn request_touch(&self) {}
    fn processing(&self) {}
    fn fingerprint_enrollment_feedback(&self, _: u32, _: Option<EnrollSampleStatus>) {}
    fn cable_qr_code(&self, _: CableRequestType, url: String) {
        println!("{}", json!({ "qr": url }));
    }
    fn dismiss_qr_code(&self) {}
    fn cable_status_update(&self, _: CableState) {}
}

/// Whoever started the program has the radio.
struct Radio;

#[async_trait::async_trait]
impl Advertiser for Radio {
    async fn start_advertising(
        &mut self,
        service: u16,
        payload: &[u8],
    ) -> Result<(), WebauthnCError> {
        let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{}", json!({ "advert": hex, "service": service }));
        Ok(())
    }

    async fn stop_advertising(&mut self) -> Result<(), WebauthnCError> {
        println!("{}", json!({ "silent": true }));
        Ok(())
    }
}

fn failed(error: WebauthnCError) -> Box<dyn Error> {
    format!("{error:?}").into()
}

async fn laptop(register: bool, origin: &str) -> Outcome {
    let mut options = String::new();
    std::io::stdin().read_to_string(&mut options)?;
    let options = json!({ "publicKey": serde_json::from_str::<Value>(&options)? });
    let origin: Url = origin.parse()?;
    let intent = match register {
        true => CableRequestType::DiscoverableMakeCredential,
        false => CableRequestType::GetAssertion,
    };
    let mut phone = connect_cable_authenticator(intent, &Screen).await.map_err(failed)?;
    Ok(match register {
        true => {
            let options = serde_json::from_value(options)?;
            serde_json::to_value(phone.do_registration(origin, options).map_err(failed)?)?
        }
        false => {
            let options = serde_json::from_value(options)?;
            serde_json::to_value(phone.do_authentication(origin, options).map_err(failed)?)?
        }
    })
}

async fn phone(code: &str, file: &str) -> Outcome {
    let mut token = match std::fs::read(file) {
        Ok(kept) => SoftToken::from_cbor(&kept).map_err(failed)?,
        Err(_) => SoftToken::new(true).map_err(failed)?.0,
    };
    let (info, options) = (token.get_info(), ShareCableAuthenticatorOptions::default());
    share_cable_authenticator(&mut token, info, code, &mut Radio, &Screen, options)
        .await
        .map_err(failed)?;
    std::fs::write(file, token.to_cbor().map_err(failed)?)?;
    Ok(json!("answered"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["register", origin] => laptop(true, origin).await,
        ["sign-in", origin] => laptop(false, origin).await,
        ["phone", code, file] => phone(code, file).await,
        _ => return Err("register ORIGIN, sign-in ORIGIN or phone CODE FILE?".into()),
    };
    println!(
        "{}",
        outcome.map_or_else(
            |error| json!({ "error": error.to_string() }),
            |response| json!({ "response": response }),
        )
    );
    Ok(())
}
