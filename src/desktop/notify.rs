//! Questions as desktop notifications: `org.freedesktop.Notifications`, version 1.2 of its
//! specification, which GNOME, Plasma, Phosh and Plasma Mobile speak.
//!
//! What the lock screen shows is the desktop's choice, and Phosh shows all of it unless told
//! otherwise. So a question should not name accounts where the owner wants that; no hint keeps a text
//! from a lock screen everywhere. An answer says that somebody touched the screen and not who: it
//! verifies nobody. Depends on the sibling `bus`.

use std::collections::HashMap;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;
use zbus::zvariant::Value;

use super::bus::{self, Bus, Caller, Peer, Service, read};
use super::{Error, text};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
const SERVICE: Service = Service { name: NAME, signals: NAME };
/// Most buttons and lines of a question; screens show three buttons.
const MOST: usize = 8;
/// How often a question is shown again because the desktop's service went away.
const RESTARTS: usize = 3;
/// How long the desktop's service may be away.
const AWAY: Duration = Duration::from_secs(10);
/// Bytes of the longest token that a desktop may give for a window to come to the front.
const MAX_TOKEN: usize = 512;

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// One line, never markup.
    pub summary: String,
    /// Further lines, eight at most; escaped where the desktop reads markup.
    pub lines: Vec<String>,
    /// The buttons, from the first, which is the safest; eight at most.
    pub buttons: Vec<String>,
    /// Where to answer on a desktop whose notifications have no buttons.
    pub elsewhere: String,
    /// Whether it stays until it is answered, also where the desktop may not be disturbed.
    pub urgent: bool,
}

/// What the user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Pressed this button, counted from 0.
    Pressed(usize),
    /// Touched the text and none of the buttons.
    Opened,
    /// Put it aside. That is no answer to the question.
    Dismissed,
    /// The desktop took it away, since it was there for long.
    Expired,
}

/// Asks through one desktop.
#[derive(Clone, Debug)]
pub struct Notifier {
    bus: Bus,
    app: String,
    desktop_entry: String,
}

/// A question on the screen, withdrawn when this is dropped.
pub struct Shown {
    notifier: Notifier,
    peer: Peer,
    can: Can,
    card: Card,
    buttons: usize,
    activation: Option<String>,
}

/// What the desktop's service is able to.
#[derive(Clone, Copy)]
struct Can {
    actions: bool,
    markup: bool,
}

/// Takes the notification away on drop, unless it is gone.
struct Card {
    caller: Caller,
    id: u32,
    open: bool,
}

impl Notifier {
    /// Prepares; asks the bus nothing yet. `app` is the name that users see, `desktop_entry` that of
    /// the `.desktop` file, without its ending.
    #[must_use]
    pub fn new(bus: Bus, app: &str, desktop_entry: &str) -> Self {
        Self { bus, app: text::line(app), desktop_entry: desktop_entry.to_owned() }
    }

    /// Shows a question, asks until there is an answer, and shows it again where the desktop's service
    /// restarts meanwhile, three times at most. Waits for the user without a limit; drop the future to
    /// withdraw the question.
    ///
    /// # Errors
    ///
    /// [`Error::NoBus`], [`Error::NoService`], [`Error::NoAnswer`], [`Error::Refused`],
    /// [`Error::Nonsense`] and [`Error::Flood`] as the names say; [`Error::Vanished`] if the service
    /// did not come back within ten seconds.
    pub async fn ask(&self, question: &Question) -> Result<Answer, Error> {
        let mut restarts = 0;
        loop {
            let asked = async {
                let mut shown = self.show(question).await?;
                shown.answer().await
            };
            match asked.await {
                Err(Error::Vanished(_)) if restarts < RESTARTS => restarts += 1,
                other => return other,
            }
            let back = timeout(AWAY, bus::appears(&self.bus, SERVICE)).await;
            back.map_err(|_| Error::Vanished(NAME))??;
        }
    }

    /// Shows a question.
    ///
    /// # Errors
    ///
    /// As [`Self::ask`]; a service that leaves is [`Error::Vanished`] at once.
    pub async fn show(&self, question: &Question) -> Result<Shown, Error> {
        let peer = Peer::find(&self.bus, SERVICE).await?;
        let caller = peer.caller();
        let can: Vec<String> = caller.call(PATH, NAME, "GetCapabilities", &()).await?;
        let has = |what: &str| can.iter().any(|one| one == what);
        let can = Can { actions: has("actions"), markup: has("body-markup") };
        let card = self.notify(caller, can, 0, question).await?;
        let (notifier, buttons) = (self.clone(), question.shown_buttons(can));
        Ok(Shown { notifier, peer, can, card, buttons, activation: None })
    }

    /// Shows a question, in the place of the one of this number if it is not 0.
    async fn notify(
        &self,
        caller: Caller,
        can: Can,
        replaces: u32,
        question: &Question,
    ) -> Result<Card, Error> {
        let actions = question.actions(question.shown_buttons(can));
        let body = question.body(question.shown_buttons(can) > 0, can.markup);
        let hints = self.hints(question.urgent);
        let never = if question.urgent { 0 } else { -1 };
        let summary = text::line(&question.summary);
        let body = (self.app.clone(), replaces, "", summary, body, actions, hints, never);
        let (give, take) = oneshot::channel();
        // Goes on when this future is dropped: what the desktop shows late is then taken away at once.
        tokio::spawn(async move {
            let id = caller.call::<_, u32>(PATH, NAME, "Notify", &body).await;
            drop(give.send(id.map(|id| Card { caller, id, open: true })));
        });
        take.await.map_err(|_| Error::Vanished(NAME))?
    }

    fn hints(&self, urgent: bool) -> HashMap<&'static str, Value<'static>> {
        HashMap::from([
            ("urgency", Value::from(if urgent { 2_u8 } else { 1 })),
            ("category", Value::from("device")),
            ("desktop-entry", Value::from(self.desktop_entry.clone())),
            // Not kept in a list of old ones: an old question can not be answered.
            ("transient", Value::from(!urgent)),
            // Pressing a button does not take it away; we do, when the answer has arrived.
            ("resident", Value::from(true)),
        ])
    }
}

impl Question {
    fn shown_buttons(&self, can: Can) -> usize {
        if can.actions { self.buttons.len().min(MOST) } else { 0 }
    }

    /// Pairs of a key and a label. Touching the text is the key "default".
    fn actions(&self, buttons: usize) -> Vec<String> {
        let shown = self.buttons.iter().take(buttons).enumerate();
        let pairs = shown.flat_map(|(i, label)| [format!("button{i}"), text::line(label)]);
        let default = (buttons > 0).then(|| ["default".to_owned(), String::new()]);
        default.into_iter().flatten().chain(pairs).collect()
    }

    fn body(&self, buttons: bool, markup: bool) -> String {
        let elsewhere = (!buttons).then_some(&self.elsewhere);
        let lines = self.lines.iter().take(MOST).chain(elsewhere).map(|line| text::line(line));
        let lines = lines.map(|line| if markup { text::escaped(&line) } else { line });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Shown {
    /// Whether there are buttons; if not, the question says where to answer.
    #[must_use]
    pub fn has_buttons(&self) -> bool {
        self.buttons > 0
    }

    /// Waits for the user, without a limit. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Vanished`], [`Error::Flood`] and [`Error::Nonsense`].
    pub async fn answer(&mut self) -> Result<Answer, Error> {
        loop {
            let signal = self.peer.signal().await?;
            let header = signal.header();
            let answer = match header.member().map(|member| member.as_str()) {
                Some("ActionInvoked") => self.action(&read::<(u32, String)>(&signal, NAME)?),
                Some("NotificationClosed") => self.closed(read::<(u32, u32)>(&signal, NAME)?),
                Some("ActivationToken") => {
                    self.activation(read::<(u32, String)>(&signal, NAME)?);
                    None
                }
                _ => None,
            };
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    /// Shows another question in the place of this one. One that the user had put aside appears again.
    ///
    /// # Errors
    ///
    /// As [`Notifier::show`].
    pub async fn replace(&mut self, question: &Question) -> Result<(), Error> {
        let replaces = if self.card.open { self.card.id } else { 0 };
        let card = self.notifier.notify(self.peer.caller(), self.can, replaces, question).await?;
        // The same on the screen: it is not to be taken away with what stood there.
        self.card.open &= self.card.id != card.id;
        self.card = card;
        self.buttons = question.shown_buttons(self.can);
        Ok(())
    }

    /// What the desktop gave along with the last answer, so that a window that follows from it comes to
    /// the front. Once.
    pub fn take_activation(&mut self) -> Option<String> {
        self.activation.take()
    }

    /// It precedes the answer.
    fn activation(&mut self, (id, token): (u32, String)) {
        if id == self.card.id && token.len() <= MAX_TOKEN {
            self.activation = Some(token);
        }
    }

    /// Others' notifications, and keys that we never gave, are no answers.
    fn action(&self, (id, key): &(u32, String)) -> Option<Answer> {
        if *id != self.card.id || self.buttons == 0 {
            return None;
        }
        if key == "default" {
            return Some(Answer::Opened);
        }
        let button = (0..self.buttons).find(|number| *key == format!("button{number}"));
        button.map(Answer::Pressed)
    }

    fn closed(&mut self, (id, reason): (u32, u32)) -> Option<Answer> {
        if id != self.card.id {
            return None;
        }
        self.card.open = false;
        Some(if reason == 1 { Answer::Expired } else { Answer::Dismissed })
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.open {
            let (caller, id) = (self.caller.clone(), self.id);
            // Has its deadline; a service that does not hear it has no screen either.
            runtime.spawn(async move {
                caller.call::<_, ()>(PATH, NAME, "CloseNotification", &id).await
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            summary: "Sign in to bank.example?".to_owned(),
            lines: vec!["<b>you\nknow</b> me".to_owned()],
            buttons: vec!["Decline".to_owned(), "Approve".to_owned()],
            elsewhere: "Answer in the terminal.".to_owned(),
            urgent: true,
        }
    }

    #[test]
    fn hostile_lines_stay_text() {
        assert_eq!(question().body(true, true), "&lt;b&gt;you\u{fffd}know&lt;/b&gt; me");
        assert_eq!(
            question().body(false, false),
            "<b>you\u{fffd}know</b> me\nAnswer in the terminal."
        );
    }

    #[test]
    fn buttons_have_keys_of_ours() {
        let actions = question().actions(2);
        assert_eq!(actions, ["default", "", "button0", "Decline", "button1", "Approve"]);
        assert!(question().actions(0).is_empty());
    }
}
