//! CONNECT: one request to a proxy, after whose answer the connection is the tunnel service's.
//!
//! Depends on the head reader beside it and on the channel's proxies (RFC 9110 section 9.3.6).

use tokio::io::AsyncWriteExt;
use zeroize::Zeroizing;

use super::dial::Socket;
use super::head;
use crate::channel::Error;
use crate::channel::proxy::{Fault, Proxy};
use crate::hybrid::tunnel::ServiceUrl;

/// Lets the proxy at the other end of `socket` connect to `service`, whose name it looks up itself.
pub(super) async fn open(
    socket: &mut dyn Socket,
    proxy: &Proxy,
    service: &ServiceUrl,
) -> Result<(), Fault> {
    let lost = |error| Fault::Unreachable(Box::new(Error::Lost(error)));
    socket.write_all(request(proxy, service).as_bytes()).await.map_err(lost)?;
    socket.flush().await.map_err(lost)?;
    head::receive(socket, |head| Ok(judge(head))).await.unwrap_or_else(|error| {
        Err(match error {
            Error::Upgrade => Fault::Answer,
            other => Fault::Unreachable(Box::new(other)),
        })
    })
}

fn request(proxy: &Proxy, service: &ServiceUrl) -> Zeroizing<String> {
    let target = service.host_and_port();
    let mut request = Zeroizing::new(String::with_capacity(2 * target.len() + 1024));
    request.push_str(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if let Some(value) = proxy.authorization() {
        request.push_str("Proxy-Authorization: ");
        request.push_str(&value);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}

/// `None` as long as more has to come. Nobody but this side may speak next, so nothing may follow.
fn judge(head: &[u8]) -> Option<Result<(), Fault>> {
    let answer = head::parse(head, |response, rest| (response.code, rest.is_empty()));
    Some(match answer.transpose()? {
        Ok((Some(200..=299), true)) => Ok(()),
        Ok((Some(status @ 300..=999), _)) => Err(Fault::Status(status)),
        Ok(_) | Err(_) => Err(Fault::Answer),
    })
}

/// What a proxy's answer is taken for, for the fuzz target alone.
#[cfg(fuzzing)]
#[must_use]
pub fn fuzz_connect_answer(head: &[u8]) -> Option<Result<(), Fault>> {
    judge(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_target_has_its_port_and_the_credentials_a_header() {
        let ask = |proxy: &str, service: &str| {
            request(&proxy.parse().unwrap(), &service.parse().unwrap()).to_string()
        };
        assert_eq!(
            ask("proxy:3128", "wss://cable.ua5v.com"),
            "CONNECT cable.ua5v.com:443 HTTP/1.1\r\nHost: cable.ua5v.com:443\r\n\r\n"
        );
        assert_eq!(
            ask("http://a:b@proxy:3128", "ws://[2001:db8::1]/prefix"),
            "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\
             Proxy-Authorization: Basic YTpi\r\n\r\n"
        );
    }

    #[test]
    fn answers_are_told_apart() {
        let of = |head: &str| judge(head.as_bytes());
        assert!(of("HTTP/1.1 200 Connection established\r\nX: y\r\n").is_none());
        assert!(matches!(of("HTTP/1.0 200 Connection established\r\n\r\n"), Some(Ok(()))));
        assert!(matches!(of("HTTP/1.1 204 X\r\n\r\n"), Some(Ok(()))));
        let refusal = "HTTP/1.1 407 X\r\nContent-Length: 4\r\n\r\nbody";
        assert!(matches!(of(refusal), Some(Err(Fault::Status(407)))));
        for odd in ["HTTP/1.1 200 X\r\n\r\nbytes", "HTTP/1.1 101 X\r\n\r\n", "SSH-2.0-x\r\n", "\0"]
        {
            assert!(matches!(of(odd), Some(Err(Fault::Answer))), "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_connection_that_the_proxy_did_not_grant(
            start in 0..30_usize,
            junk in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let whole = b"HTTP/1.1 403 Forbidden\r\nA: b\r\n";
            let spoiled = [&whole[..start.min(12)], &junk].concat();
            let granted = matches!(judge(&spoiled), Some(Ok(())));
            prop_assert!(!granted || (spoiled[9] == b'2' && spoiled.ends_with(b"\n")));
        }
    }
}
