//! The desktop as a front end of the laptop's service: a notification for each request, which opens the page
//! with its code, follows it, and goes with it.
//!
//! ```text
//!  service ──events──> Board ──card──> one Task each ──words──> desktop::notify
//!                                         └──"Show the code"──> desktop::portal, a fresh link
//! ```
//!
//! No code is on a notification: they are small, and stay in lists. The browser is opened by the portal
//! alone: a child of a service would inherit its restrictions, and hand the link to everybody who lists
//! processes. Depends on `client::service` and `desktop`.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::browse;
use super::companion::Words;
use super::failure::{Failure, causes};
use crate::ble::Proximity;
use crate::client::Progress;
use crate::client::service::{Board, Card, Happened, Purpose, Service, Stage, TransactionId};
use crate::desktop::notify::{Answer, Notifier, Question, Shown};
use crate::desktop::{Bus, Error, portal};
use crate::frontend::control::Doorkeeper;

/// Notifications at a time; the page has all requests.
const MOST: usize = 8;
/// How long the end of a request that came to nothing stays.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// What being heard proves, where it is not that the phone is near this machine.
const ELSEWHERE: &str =
    "The radio of another machine listens: your phone has to be near that one, not near this one.";

/// Shows what programs ask.
#[derive(Clone)]
pub struct Announcer {
    /// Whose requests.
    pub service: Service,
    /// Where they are shown.
    pub notifier: Notifier,
    /// Where the portal is.
    pub bus: Bus,
    /// Gives links into the page.
    pub page: Doorkeeper,
    /// What the notifications tell.
    pub words: Words,
}

/// What a button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Cancel,
    Show,
    Touch,
}

impl Announcer {
    /// Runs until it is dropped; what is on the screen then goes.
    pub async fn run(self) {
        let mut events = self.service.events(None);
        let (mut board, mut tasks) = (Board::default(), JoinSet::new());
        let mut followed: HashMap<TransactionId, watch::Sender<Card>> = HashMap::new();
        while let Some(event) = events.next().await {
            // Those that are over make room.
            while tasks.try_join_next().is_some() {}
            board.tell(&event);
            let Some(card) = board.card(event.transaction).cloned() else { continue };
            if matches!(event.what, Happened::MayBeOrphaned(_)) && tasks.len() < MOST {
                tasks.spawn(self.clone().orphaned(card));
                continue;
            }
            let over = card.is_over();
            match followed.get(&card.id) {
                Some(task) => drop(task.send_replace(card)),
                None if over || tasks.len() >= MOST => {}
                None => {
                    let (tell, told) = watch::channel(card);
                    followed.insert(event.transaction, tell);
                    tasks.spawn(self.clone().follow(told));
                }
            }
            if over {
                followed.remove(&event.transaction);
            }
        }
    }

    /// One request, to its end or until its user puts it aside.
    async fn follow(self, told: watch::Receiver<Card>) {
        if let Err(error) = self.show(told).await {
            tracing::warn!("no notification: {}", causes(&error));
        }
    }

    async fn show(self, mut told: watch::Receiver<Card>) -> Result<(), Error> {
        let mut screen: Option<(Shown, Question)> = None;
        let mut opening: Option<JoinHandle<bool>> = None;
        let mut remark = false;
        loop {
            let card = told.borrow_and_update().clone();
            let actions = actions(&card);
            let Some(question) = self.question(&card, &actions, remark) else {
                // Not yet, or not any more.
                match (&screen, told.changed().await) {
                    (None, Ok(())) => continue,
                    _ => return Ok(()),
                }
            };
            match &mut screen {
                None => screen = Some((self.notifier.show(&question).await?, question)),
                Some((_, same)) if *same == question => {}
                Some((shown, words)) => {
                    shown.replace(&question).await?;
                    *words = question;
                }
            }
            let Some((shown, _)) = &mut screen else { continue };
            tokio::select! {
                changed = told.changed(), if !card.is_over() => match changed {
                    Ok(()) => {}
                    Err(_gone) => return Ok(()),
                },
                () = sleep(LAST_WORDS), if card.is_over() => return Ok(()),
                opened = finished(&mut opening) => {
                    (opening, remark) = (None, !opened);
                }
                answer = shown.answer() => match answer? {
                    Answer::Pressed(number) => match actions.get(number) {
                        Some(Action::Show) => opening = Some(self.open(shown)),
                        Some(action) => self.act(card.id, *action),
                        None => {}
                    },
                    Answer::Opened => opening = Some(self.open(shown)),
                    // Put aside: it goes on where it is shown otherwise.
                    _ => return Ok(()),
                }
            }
        }
    }

    /// It may be over in this very moment: nothing to be done about it then.
    fn act(&self, id: TransactionId, action: Action) {
        let _over = match action {
            Action::Cancel => self.service.cancel(id),
            Action::Touch => self.service.touch(),
            Action::Show => Ok(()),
        };
    }

    /// Opens the page; `false` if that failed.
    fn open(&self, shown: &mut Shown) -> JoinHandle<bool> {
        let (bus, link, activation) = (self.bus.clone(), (self.page)(), shown.take_activation());
        tokio::spawn(async move {
            let opened =
                portal::open_link(&bus, &browse::token(), &link, activation.as_deref()).await;
            if let Err(error) = &opened {
                tracing::warn!("the page was not opened: {}", causes(error));
            }
            opened.is_ok()
        })
    }

    /// The program left without its passkey.
    async fn orphaned(self, card: Card) {
        let words =
            "A program left without its new passkey, which may be an orphan on your phone now.";
        let site = (self.words == Words::Full).then(|| subject(&card));
        let question = Question {
            summary: "A passkey may be an orphan".to_owned(),
            lines: site.into_iter().chain([words.to_owned()]).collect(),
            buttons: vec!["Show what to do".to_owned()],
            elsewhere: "What to do: cabled receipts list --orphans".to_owned(),
            urgent: true,
        };
        let asked = async {
            let mut shown = self.notifier.show(&question).await?;
            if matches!(shown.answer().await?, Answer::Pressed(_) | Answer::Opened) {
                let _told_in_the_log = self.open(&mut shown).await;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = asked.await {
            tracing::warn!("no notification: {}", causes(&error));
        }
    }

    /// `None` where nothing is to be seen.
    fn question(&self, card: &Card, actions: &[Action], remark: bool) -> Option<Question> {
        let mut lines = said(card)?;
        if self.service.proximity() == Proximity::Shared && comes_near(card) {
            lines.push(ELSEWHERE.to_owned());
        }
        let full = self.words == Words::Full;
        let summary = if full { subject(card) } else { "A program asks for a passkey".to_owned() };
        if remark {
            lines
                .push("The page could not be opened. In a terminal: cabled page --open".to_owned());
        }
        let buttons = actions.iter().map(|action| {
            match action {
                Action::Cancel if card.about.purpose() == Purpose::Select => "Not this one",
                Action::Cancel => "Cancel",
                Action::Show if card.is_over() => "More",
                Action::Show => "Show the code",
                Action::Touch => "It is my phone",
            }
            .to_owned()
        });
        let elsewhere = "On a terminal: cabled watch; in a browser: cabled page --open".to_owned();
        let urgent = !card.is_over();
        Some(Question { summary, lines, buttons: buttons.collect(), elsewhere, urgent })
    }
}

async fn finished(task: &mut Option<JoinHandle<bool>>) -> bool {
    match task {
        Some(task) => task.await.unwrap_or(false),
        None => std::future::pending().await,
    }
}

/// Whether its phone still has to be heard.
fn comes_near(card: &Card) -> bool {
    matches!(card.stage, Stage::Step(Progress::Listening | Progress::Ringing))
}

/// The buttons, the safest first.
fn actions(card: &Card) -> Vec<Action> {
    match &card.stage {
        Stage::Over(_) => vec![Action::Show],
        _ if card.about.purpose() == Purpose::Select => vec![Action::Cancel, Action::Touch],
        Stage::Step(Progress::Listening) => vec![Action::Cancel, Action::Show],
        _ => vec![Action::Cancel],
    }
}

fn subject(card: &Card) -> String {
    let (site, user) = (card.about.rp_id(), card.about.user_name());
    match card.about.purpose() {
        Purpose::Register if user.is_empty() => format!("Save a passkey for {site}"),
        Purpose::Register => format!("Save a passkey for {site}, account {user}"),
        Purpose::SignIn => format!("Sign in to {site}"),
        Purpose::Select => "A program asks which security key is meant".to_owned(),
    }
}

/// How far it is; `None` where nothing is to be seen yet or any more.
fn said(card: &Card) -> Option<Vec<String>> {
    let started = "A program on this computer says so. Did you start this?";
    let lines = |lines: &[&str]| Some(lines.iter().map(|&line| line.to_owned()).collect());
    match &card.stage {
        Stage::Begun if card.about.purpose() == Purpose::Select => {
            lines(&["If it is your phone, say so.", started])
        }
        Stage::Begun | Stage::Answered | Stage::Over(None) => None,
        Stage::Step(step) => match step {
            Progress::Listening => lines(&["There is a code to scan with your phone.", started]),
            Progress::Ringing => {
                lines(&["Your phone is being rung. Follow the steps there.", started])
            }
            Progress::WaitingForUser => lines(&["Follow the steps on your phone."]),
            _ => lines(&["Connecting to your phone…"]),
        },
        Stage::Over(Some(error)) if error.cause() == "cancelled" => None,
        Stage::Over(Some(error)) => {
            let Failure { error, hint, .. } = super::advice::ceremony(error);
            Some(vec![format!("It came to nothing: {error}."), format!("What to do: {hint}.")])
        }
    }
}
