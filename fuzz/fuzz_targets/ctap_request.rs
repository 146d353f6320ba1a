//! CTAP2 requests as the phone reads them: what decodes encodes to something that decodes equal,
//! and encoding it is stable.
#![no_main]

use cabled::ctap::{Command, GetAssertionRequest, MAX_LIST, MakeCredentialRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok((command, body)) = Command::split(data) else { return };
    assert_eq!(command as u8, data[0]);
    // Whatever the command byte says: the other decoder has to stand it too.
    if let Ok(request) = MakeCredentialRequest::decode(body) {
        assert!(request.pub_key_cred_params.len().max(request.exclude_list.len()) <= MAX_LIST);
        let message = request.encode();
        let (command, body) = Command::split(&message).expect("our own message");
        assert_eq!(command, Command::MakeCredential);
        let again = MakeCredentialRequest::decode(body);
        assert_eq!(again.as_ref(), Ok(&request));
        assert_eq!(again.map(|again| again.encode()), Ok(message.clone()));
        let _ = format!("{request:?}");
    }
    if let Ok(request) = GetAssertionRequest::decode(body) {
        assert!(request.allow_list.len() <= MAX_LIST);
        let message = request.encode();
        let (command, body) = Command::split(&message).expect("our own message");
        assert_eq!(command, Command::GetAssertion);
        let again = GetAssertionRequest::decode(body);
        assert_eq!(again.as_ref(), Ok(&request));
        assert_eq!(again.map(|again| again.encode()), Ok(message.clone()));
        let _ = format!("{request:?}");
    }
});
