//! `libwebauthn register|sign-in ORIGIN [--linking] [--l2cap] [--known] [--phones FILE]`: libwebauthn as the
//! laptop. It offers linking, and puts the phones that it has linked into the file; or offers L2CAP; or shows no
//! code and calls the first phone of the file, or one that is nowhere.
//!
//! Takes the relying party's options as JSON on standard input and prints one JSON object to a line:
//! `{"qr": TEXT}`, what libwebauthn says on the way as `{"update": WORDS}`, how many phones it has
//! linked as `{"linked": NUMBER}`, and at the end `{"response": RegistrationResponseJSON or
//! AuthenticationResponseJSON}` or `{"error": WORDS}`. It ends with status 0 in both cases: what was
//! to happen is for the caller to say.

use std::error::Error;
use std::io::Read;
use std::sync::Arc;

use libwebauthn::ops::webauthn::{
    GetAssertionRequest, JsonFormat, MakeCredentialRequest, OriginValidation, RequestOrigin,
    RequestSettings, WebAuthnIDLResponse as _,
};
use libwebauthn::transport::hybrid::channel::{HybridChannel, HybridUxUpdate};
use libwebauthn::transport::hybrid::known_devices::{
    ClientPayloadHint, EphemeralDeviceInfoStore, PxpKnownDevice, PxpKnownDeviceInfo,
    PxpKnownDeviceInfoStore as _,
};
use libwebauthn::transport::hybrid::qr_code_device::{
    PxpQrCodeDevice, PxpTransports, QrCodeOperationHint,
};
use libwebauthn::transport::{Channel as _, ChannelSettings, Device as _};
use libwebauthn::webauthn::WebAuthn as _;
use serde_json::{Value, json};

type Outcome = Result<Value, Box<dyn Error>>;

/// What the command line and standard input ask for.
struct Wanted {
    register: bool,
    origin: RequestOrigin,
    options: String,
    linking: bool,
    l2cap: bool,
    known: bool,
    phones: Option<String>,
}

impl Wanted {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut words = std::env::args().skip(1);
        let register = match words.next().as_deref() {
            Some("register") => true,
            Some("sign-in") => false,
            _ => return Err("register or sign-in?".into()),
        };
        let origin = words.next().ok_or("which origin?")?.try_into()?;
        let flags: Vec<String> = words.collect();
        let has = |flag: &str| flags.iter().any(|word| word == flag);
        let mut options = String::new();
        std::io::stdin().read_to_string(&mut options)?;
        let (linking, l2cap, known) = (has("--linking"), has("--l2cap"), has("--known"));
        let mut after = flags.iter().skip_while(|word| *word != "--phones").skip(1);
        let phones = after.next().cloned();
        Ok(Self { register, origin, options, linking, l2cap, known, phones })
    }

    fn device(
        &self,
        store: &Arc<EphemeralDeviceInfoStore>,
    ) -> Result<PxpQrCodeDevice, Box<dyn Error>> {
        let hint = match self.register {
            true => QrCodeOperationHint::MakeCredential,
            false => QrCodeOperationHint::GetAssertionRequest,
        };
        let transports = match self.l2cap {
            true => PxpTransports::CloudAssistedOrLocal,
            false => PxpTransports::CloudAssistedOnly,
        };
        Ok(match self.linking {
            true => PxpQrCodeDevice::new_persistent(hint, store.clone(), transports)?,
            false => PxpQrCodeDevice::new_transient(hint, transports)?,
        })
    }

    async fn channel(
        &self,
        store: &Arc<EphemeralDeviceInfoStore>,
    ) -> Result<HybridChannel, Box<dyn Error>> {
        if self.known {
            let phone = match &self.phones {
                Some(file) => read_phone(&std::fs::read_to_string(file)?)?,
                None => known_phone(),
            };
            store.put_known_device(&"a phone".to_owned(), &phone).await;
            let hint = match self.register {
                true => ClientPayloadHint::MakeCredential,
                false => ClientPayloadHint::GetAssertion,
            };
            let mut device = PxpKnownDevice::new(hint, &phone, store.clone()).await?;
            return Ok(device.channel(ChannelSettings::default()).await?);
        }
        let mut device = self.device(store)?;
        println!("{}", json!({ "qr": device.qr_code.to_string() }));
        Ok(device.channel(ChannelSettings::default()).await?)
    }

    async fn ask(&self, channel: &mut HybridChannel) -> Outcome {
        // The rules for origins are not what is tried here, and a list of suffixes would be one more
        // thing to install.
        let settings = RequestSettings { origin: OriginValidation::Trust };
        let json = match self.register {
            true => {
                let request =
                    MakeCredentialRequest::prepare(&self.origin, &self.options, &settings).await?;
                let response = channel.webauthn_make_credential(&request).await?;
                response.to_json_string(&request, JsonFormat::Minified)?
            }
            false => {
                let request =
                    GetAssertionRequest::prepare(&self.origin, &self.options, &settings).await?;
                let response = channel.webauthn_get_assertion(&request).await?;
                let assertion = response.assertions.first().ok_or("no assertion")?;
                assertion.to_json_string(&request, JsonFormat::Minified)?
            }
        };
        Ok(serde_json::from_str(&json)?)
    }
}

/// A phone of Google's service; none of it is ever used but the place where it is called.
fn known_phone() -> PxpKnownDeviceInfo {
    PxpKnownDeviceInfo {
        contact_id: vec![1; 20],
        link_id: [2; 8],
        link_secret: [3; 32],
        public_key: [4; 65],
        name: "a phone".to_owned(),
        tunnel_domain: "cable.ua5v.com".to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digits: &Value) -> Option<Vec<u8>> {
    let digits = digits.as_str()?;
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}

fn written(phone: &PxpKnownDeviceInfo) -> Value {
    json!({
        "contact_id": hex(&phone.contact_id),
        "link_id": hex(&phone.link_id),
        "link_secret": hex(&phone.link_secret),
        "public_key": hex(&phone.public_key),
        "name": phone.name,
        "tunnel_domain": phone.tunnel_domain,
    })
}

fn read_phone(text: &str) -> Result<PxpKnownDeviceInfo, Box<dyn Error>> {
    let phones: Value = serde_json::from_str(text)?;
    let phone = &phones[0];
    let read = || {
        Some(PxpKnownDeviceInfo {
            contact_id: bytes(&phone["contact_id"])?,
            link_id: bytes(&phone["link_id"])?.try_into().ok()?,
            link_secret: bytes(&phone["link_secret"])?.try_into().ok()?,
            public_key: bytes(&phone["public_key"])?.try_into().ok()?,
            name: phone["name"].as_str()?.to_owned(),
            tunnel_domain: phone["tunnel_domain"].as_str()?.to_owned(),
        })
    };
    read().ok_or_else(|| format!("no phone in {text}").into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted = Wanted::read()?;
    let store = Arc::new(EphemeralDeviceInfoStore::new());
    let mut channel = wanted.channel(&store).await?;
    let mut updates = channel.get_ux_update_receiver();
    let told = tokio::spawn(async move {
        while let Ok(update) = updates.recv().await {
            if let HybridUxUpdate::PxpUpdate(update) = update {
                println!("{}", json!({ "update": format!("{update:?}") }));
            }
        }
    });
    let outcome = wanted.ask(&mut channel).await;
    channel.close().await;
    // What it says ends with it.
    drop(channel);
    told.await?;
    let linked = store.list_all().await;
    println!("{}", json!({ "linked": linked.len() }));
    if let (Some(file), false) = (&wanted.phones, wanted.known) {
        let phones: Vec<Value> = linked.iter().map(|(_, phone)| written(phone)).collect();
        std::fs::write(file, Value::from(phones).to_string())?;
    }
    println!(
        "{}",
        outcome.map_or_else(
            |error| json!({ "error": error.to_string() }),
            |response| json!({ "response": response }),
        )
    );
    Ok(())
}
