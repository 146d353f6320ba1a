//! How the transactions stand, as far as their events tell: for front ends that show all of them. Pure.
//!
//! Depends on siblings in `client` only.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::journal::{About, Event, Happened, TransactionId};
use crate::client::Progress;
use crate::client::ceremony::Error;
use crate::client::receipts::ReceiptNumber;

/// Transactions that are over and are still shown; beyond them the oldest go.
const MAX_OVER: usize = 8;
/// Remarks that are kept of one; the first tell most.
const MAX_NOTES: usize = 8;

/// All that run, and the last that are over.
#[derive(Clone, Debug, Default)]
pub struct Board {
    cards: BTreeMap<TransactionId, Card>,
    orphans: u64,
}

/// One transaction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Card {
    /// Which.
    pub id: TransactionId,
    /// What it is about.
    pub about: About,
    /// When it began, Unix time in seconds.
    pub begun_at: u64,
    /// How far it is.
    pub stage: Stage,
    /// How the devices are connected: `tunnel` or `bluetooth`.
    pub via: Option<&'static str>,
    /// The phone is remembered now, under this name.
    pub linked: Option<String>,
    /// Remarks that stopped nothing.
    pub notes: Vec<String>,
    /// The program left without the passkey of this receipt.
    pub orphan: Option<ReceiptNumber>,
}

/// How far a transaction is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// It was asked for.
    Begun,
    /// This step was done last.
    Step(Progress),
    /// The answer is there.
    Answered,
    /// It is over; with the error if it did not come to a good end.
    Over(Option<Arc<Error>>),
}

impl Card {
    fn new(event: &Event, about: About) -> Self {
        Self {
            id: event.transaction,
            about,
            begun_at: event.at,
            stage: Stage::Begun,
            via: None,
            linked: None,
            notes: Vec::new(),
            orphan: None,
        }
    }

    /// Whether nothing follows but that its passkey may be an orphan.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    fn tell(&mut self, what: &Happened) {
        match what {
            Happened::Begun(_) => {}
            // Told with its name in a moment, and no step on the way.
            Happened::Step(Progress::Linked(_)) => {}
            Happened::Step(step) => {
                if let Progress::Connected { via } = step {
                    self.via = Some(via.name());
                }
                self.stage = Stage::Step(step.clone());
            }
            Happened::Linked(name) => self.linked = Some(name.clone()),
            Happened::Answered => self.stage = Stage::Answered,
            Happened::Note(text) if self.notes.len() < MAX_NOTES => self.notes.push(text.clone()),
            Happened::Note(_) => {}
            Happened::Ended(error) => self.stage = Stage::Over(error.clone()),
            Happened::MayBeOrphaned(receipt) => self.orphan = Some(*receipt),
        }
    }
}

impl Board {
    /// Follows one event; `false` if it changed nothing.
    pub fn tell(&mut self, event: &Event) -> bool {
        if matches!(event.what, Happened::MayBeOrphaned(_)) {
            self.orphans += 1;
        }
        if let Happened::Begun(about) = &event.what {
            self.cards.insert(event.transaction, Card::new(event, about.clone()));
            return true;
        }
        // Of one whose beginning is not kept any more nobody could say what it is.
        let Some(card) = self.cards.get_mut(&event.transaction) else { return false };
        card.tell(&event.what);
        self.forget_old();
        true
    }

    /// All of them, in the order in which they began.
    pub fn cards(&self) -> impl Iterator<Item = &Card> {
        self.cards.values()
    }

    /// One of them.
    #[must_use]
    pub fn card(&self, id: TransactionId) -> Option<&Card> {
        self.cards.get(&id)
    }

    /// How many passkeys may have become orphans so far.
    #[must_use]
    pub fn orphans(&self) -> u64 {
        self.orphans
    }

    /// Shows one no more that is over; `false` if it is not, or not there.
    pub fn clear(&mut self, id: TransactionId) -> bool {
        let over = self.cards.get(&id).is_some_and(Card::is_over);
        over && self.cards.remove(&id).is_some()
    }

    fn forget_old(&mut self) {
        let over = |card: &&Card| card.is_over();
        while self.cards.values().filter(over).count() > MAX_OVER {
            let Some(oldest) = self.cards.values().find(over).map(|card| card.id) else { return };
            self.cards.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::service::Purpose;
    use crate::hybrid::qr::ChannelKind;

    fn told(board: &mut Board, id: u64, what: Happened) -> bool {
        board.tell(&Event { number: 0, transaction: TransactionId(id), at: 7, what })
    }

    fn begun() -> Happened {
        Happened::Begun(About::new(Purpose::Register, "contoso.com", "anna"))
    }

    #[test]
    fn a_card_follows_its_transaction() {
        let mut board = Board::default();
        told(&mut board, 1, begun());
        told(&mut board, 2, begun());
        told(&mut board, 1, Happened::Step(Progress::Listening));
        told(&mut board, 1, Happened::Step(Progress::Connected { via: ChannelKind::L2cap }));
        told(&mut board, 1, Happened::Step(Progress::WaitingForUser));
        let card = board.card(TransactionId(1)).unwrap();
        assert!(matches!(card.stage, Stage::Step(Progress::WaitingForUser)));
        assert_eq!((card.via, card.begun_at), (Some("bluetooth"), 7));
        assert!(matches!(board.card(TransactionId(2)).unwrap().stage, Stage::Begun));
        assert!(!board.clear(TransactionId(1)), "it runs");
        for _ in 0..2 * MAX_NOTES {
            told(&mut board, 1, Happened::Note("a remark".to_owned()));
        }
        told(&mut board, 1, Happened::Answered);
        told(&mut board, 1, Happened::Ended(None));
        told(&mut board, 1, Happened::MayBeOrphaned(ReceiptNumber(3)));
        let card = board.card(TransactionId(1)).unwrap();
        assert!(card.is_over() && card.orphan == Some(ReceiptNumber(3)));
        assert_eq!((card.notes.len(), board.orphans()), (MAX_NOTES, 1));
        assert!(board.clear(TransactionId(1)) && !board.clear(TransactionId(1)));
        assert_eq!(board.cards().count(), 1);
    }

    #[test]
    fn what_is_over_goes_in_its_turn_and_strangers_are_not_made_up() {
        let mut board = Board::default();
        assert!(!told(&mut board, 9, Happened::Step(Progress::Listening)));
        told(&mut board, 1, begun());
        for id in 2..100 {
            told(&mut board, id, begun());
            told(&mut board, id, Happened::Ended(None));
        }
        let left: Vec<u64> = board.cards().map(|card| card.id.0).collect();
        assert_eq!(left[0], 1, "it runs still");
        assert_eq!(left.len(), 1 + MAX_OVER);
        assert_eq!(left.last(), Some(&99));
    }
}
