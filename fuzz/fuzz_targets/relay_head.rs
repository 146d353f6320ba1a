//! HTTP heads of the upgrade: requests as the relay reads them, answers as its clients do, and those
//! of a proxy before that. A head is judged once and for good, however it is cut into packets, and
//! our answers stay one head.
#![no_main]

use cabled::channel::websocket::{fuzz_connect_answer, fuzz_upgrade_answer};
use cabled::relay::fuzz_request_head;
use libfuzzer_sys::fuzz_target;

const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fuzz_target!(|data: &[u8]| {
    check_request(data);
    check_answer(data);
    check_proxy(data);
});

fn check_request(data: &[u8]) {
    let Some(verdict) = fuzz_request_head(data) else { return };
    let answer = match &verdict {
        Ok((endpoint, rest, answer)) => {
            assert!(data.ends_with(rest) && answer.starts_with("HTTP/1.1 101 "));
            let head = &data[..data.len() - rest.len()];
            let again = fuzz_request_head(head).expect("it is whole");
            assert_eq!(again, Ok((endpoint.clone(), Vec::new(), answer.clone())));
            let cut = &head[..head.len() - 1];
            assert!(fuzz_request_head(cut).is_none(), "judged before its end");
            answer
        }
        Err(answer) => answer,
    };
    assert_eq!(answer.find("\r\n\r\n"), Some(answer.len() - 4), "one head and nothing else");
    assert!(answer.bytes().all(|byte| byte.is_ascii_graphic() || b" \r\n".contains(&byte)));
    let more = [data, b"\x82\x00"].concat();
    let more = fuzz_request_head(&more).expect("a verdict stays");
    assert_eq!(more.is_ok(), verdict.is_ok());
}

fn check_answer(data: &[u8]) {
    let Ok(Some((status, valid, rest))) = fuzz_upgrade_answer(data, ACCEPT) else { return };
    assert!(data.ends_with(&rest) && status < 1000);
    let proof = data.windows(ACCEPT.len()).any(|part| part == ACCEPT.as_bytes());
    assert!(!valid || proof, "upgraded without the proof");
}

fn check_proxy(data: &[u8]) {
    let Some(verdict) = fuzz_connect_answer(data) else { return };
    let Ok(()) = verdict else {
        let more = [data, b"\r\n\r\n"].concat();
        assert!(!matches!(fuzz_connect_answer(&more), Some(Ok(()))), "granted after all");
        return;
    };
    assert!(fuzz_connect_answer(&data[..data.len() - 1]).is_none(), "granted before its end");
    let more = [data, b"\x82"].concat();
    assert!(matches!(fuzz_connect_answer(&more), Some(Err(_))), "spoken to out of turn");
}
