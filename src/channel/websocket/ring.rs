//! Ringing a linked phone, and waiting to be rung.
//!
//! Depends on the connector, and on `hybrid::listen` for what phone and service say.

use std::fmt;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::dial::Socket;
use super::{CLOSE_DEADLINE, Connector, WebSocketChannel};
use crate::channel::{DataChannel, Error};
use crate::hybrid::linking::ClientPayload;
use crate::hybrid::listen::{Answer, ListenKey, MAX_MESSAGE, Ring};
use crate::hybrid::tunnel::{
    CLIENT_PAYLOAD_HEADER, ContactId, Endpoint, ServiceUrl, encode_client_payload,
};

/// How often a phone that listens says that it is there: routers forget a silent connection after a
/// minute or so.
const PING: Duration = Duration::from_secs(45);
/// How long the service may leave that without an answer.
const SILENCE: Duration = Duration::from_secs(100);

impl Connector {
    /// Rings a linked phone, as the laptop does, and waits in a tunnel for it.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] up to [`Error::TimedOut`] but [`Error::RoutingId`]. Status 410 means
    /// that the link is dead; any other, that the phone is out of reach now.
    pub async fn ring(
        &self,
        service: &ServiceUrl,
        contact: &ContactId,
        payload: &ClientPayload,
    ) -> Result<WebSocketChannel, Error> {
        let payload = encode_client_payload(&payload.encode());
        let header = Some((CLIENT_PAYLOAD_HEADER, payload.as_str()));
        let endpoint = Endpoint::Contact(contact.clone());
        let (channel, _) = self.connect(service, &endpoint, header).await?;
        Ok(channel)
    }

    /// Waits for laptops that ring, as a phone does that was linked.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] up to [`Error::TimedOut`] but [`Error::RoutingId`]; status 404 means
    /// that the service rings no phones. [`Error::Upgrade`] for a challenge that is none.
    pub async fn listen(&self, service: &ServiceUrl, key: &ListenKey) -> Result<Bell, Error> {
        let endpoint = Endpoint::Listen(key.contact_id());
        let (mut channel, _) = self.connect(service, &endpoint, None).await?;
        let greeting = async {
            let challenge = channel.recv().await?;
            let proof = key.prove(&challenge).ok_or(Error::Upgrade)?;
            channel.send(&proof).await
        };
        timeout(self.deadline, greeting).await.unwrap_or(Err(Error::TimedOut))?;
        Ok(Bell { socket: channel.socket, until: Instant::now() + SILENCE })
    }
}

/// A phone's way to hear of rings. Dropped, it is out of reach.
pub struct Bell {
    socket: WebSocketStream<Box<dyn Socket>>,
    until: Instant,
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

impl Bell {
    /// Waits for the next ring. Cancel safe.
    ///
    /// # Errors
    ///
    /// What ended the connection: [`Error::Closed`] with code 1008 if the phone listens elsewhere by now
    /// or did not prove who it is. Nothing comes after an error.
    pub async fn next(&mut self) -> Result<Ring, Error> {
        loop {
            // The deadline moves with what is heard, so after a ping in vain it is the next to come.
            let ping = self.until - (SILENCE - PING);
            tokio::select! {
                item = self.socket.next() => match item {
                    Some(Ok(Message::Binary(message))) => {
                        self.until = Instant::now() + SILENCE;
                        if message.len() <= MAX_MESSAGE && let Some(ring) = Ring::decode(&message) {
                            return Ok(ring);
                        }
                        return Err(Error::Upgrade);
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Err(Error::Closed { code: frame.map(|frame| frame.code.into()) });
                    }
                    Some(Ok(Message::Text(_))) => return Err(Error::Text),
                    Some(Ok(_)) => self.until = Instant::now() + SILENCE,
                    Some(Err(error)) => return Err(Error::Protocol(Box::new(error))),
                    None => return Err(Error::Closed { code: None }),
                },
                () = sleep_until(ping), if ping > Instant::now() => self.ping().await?,
                () = sleep_until(self.until) => return Err(Error::TimedOut),
            }
        }
    }

    /// Tells the service whether the phone comes.
    ///
    /// # Errors
    ///
    /// As [`Self::next`].
    pub async fn answer(&mut self, answer: Answer) -> Result<(), Error> {
        self.send(Message::Binary(answer.encode().into())).await
    }

    async fn ping(&mut self) -> Result<(), Error> {
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        let sent = timeout(SILENCE - PING, self.socket.send(message)).await;
        sent.map_err(|_| Error::TimedOut)?.map_err(|error| Error::Protocol(Box::new(error)))
    }

    /// Takes leave of the service.
    pub async fn close(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let farewell = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _ = timeout(CLOSE_DEADLINE, farewell).await;
    }
}
