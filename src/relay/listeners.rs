//! Phones that wait to be rung, by contact id.
//!
//! Pure: no IO, no clock. Depends on `hybrid::tunnel` for the identifiers.

use std::collections::HashMap;

use super::visitors::give_back;
use crate::hybrid::tunnel::ContactId;

/// Names one entry, so that a listener that was replaced takes nothing of its successor away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// All listeners of this node; `H` is the way to one.
#[derive(Debug)]
pub(super) struct Listeners<H> {
    at_most: usize,
    last: u64,
    entries: HashMap<ContactId, (Ticket, H)>,
}

impl<H: Clone> Listeners<H> {
    /// For `at_most` so many.
    pub(super) fn new(at_most: usize) -> Self {
        Self { at_most, last: 0, entries: HashMap::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether another one would be refused.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.at_most
    }

    /// Lets a phone listen. One that listens under this id already is replaced, by dropping its `H`: it
    /// is the same phone, whose old connection may be dead. `None` if there are too many.
    pub(super) fn enter(&mut self, contact: ContactId, handle: H) -> Option<Ticket> {
        if self.is_full() && !self.entries.contains_key(&contact) {
            return None;
        }
        self.last += 1;
        let ticket = Ticket(self.last);
        self.entries.insert(contact, (ticket, handle));
        Some(ticket)
    }

    /// Takes an entry back, unless another has its place by now.
    pub(super) fn leave(&mut self, contact: &ContactId, ticket: Ticket) {
        if self.entries.get(contact).is_some_and(|(current, _)| *current == ticket) {
            self.entries.remove(contact);
            give_back(&mut self.entries);
        }
    }

    /// The way to a phone.
    pub(super) fn find(&self, contact: &ContactId) -> Option<H> {
        self.entries.get(contact).map(|(_, handle)| handle.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(byte: u8) -> ContactId {
        ContactId::new(vec![byte]).unwrap()
    }

    #[test]
    fn a_successor_is_not_taken_away_by_whom_it_replaced() {
        let mut listeners = Listeners::new(1);
        let old = listeners.enter(contact(1), 'a').unwrap();
        let new = listeners.enter(contact(1), 'b').unwrap();
        assert_eq!((listeners.count(), listeners.find(&contact(1))), (1, Some('b')));
        listeners.leave(&contact(1), old);
        assert_eq!(listeners.find(&contact(1)), Some('b'));
        listeners.leave(&contact(1), new);
        assert_eq!((listeners.count(), listeners.find(&contact(1))), (0, None));
    }

    #[test]
    fn no_more_than_allowed() {
        let mut listeners = Listeners::new(1);
        assert!(listeners.enter(contact(1), 'a').is_some());
        assert!(listeners.is_full() && listeners.enter(contact(2), 'b').is_none());
        assert_eq!(listeners.find(&contact(2)), None);
    }
}
