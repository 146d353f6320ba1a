//! The tunnel between two machines, as its owner pleases: messages in order, or not.

use std::collections::VecDeque;

use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// What becomes of the next message; half of the time nothing special.
#[derive(Arbitrary, Debug)]
pub enum Fate<'a> {
    /// It arrives.
    Arrive,
    /// It does not arrive as it was sent.
    Mishap(Mishap<'a>),
}

/// What can go wrong with a message.
#[derive(Arbitrary, Debug)]
pub enum Mishap<'a> {
    /// It arrives twice.
    Twice,
    /// The one after it arrives first.
    Overtaken,
    /// It is lost.
    Lost,
    /// This many bytes of it arrive.
    Cut(u16),
    /// It arrives with one bit changed.
    Flipped(u16),
    /// Something else arrives before it.
    Preceded(&'a [u8]),
}

/// One direction.
#[derive(Default)]
pub struct Wire(VecDeque<Vec<u8>>);

impl Wire {
    /// Takes a message to carry.
    pub fn send(&mut self, message: Vec<u8>) {
        self.0.push_back(message);
    }

    /// What arrives next.
    pub fn receive(&mut self, fate: &Fate<'_>) -> Vec<Vec<u8>> {
        let mishap = match fate {
            Fate::Arrive => return self.0.pop_front().into_iter().collect(),
            Fate::Mishap(mishap) => mishap,
        };
        if let Mishap::Preceded(forged) = mishap {
            return vec![forged.to_vec()];
        }
        let Some(mut message) = self.0.pop_front() else { return Vec::new() };
        match mishap {
            Mishap::Twice => vec![message.clone(), message],
            Mishap::Overtaken => {
                let mut both: Vec<_> = self.0.pop_front().into_iter().collect();
                both.push(message);
                both
            }
            Mishap::Lost | Mishap::Preceded(_) => Vec::new(),
            Mishap::Cut(len) => {
                message.truncate((*len).into());
                vec![message]
            }
            Mishap::Flipped(bit) => {
                let bits = message.len() * 8;
                let bit = usize::from(*bit) % bits.max(1);
                message.iter_mut().skip(bit / 8).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
                vec![message]
            }
        }
    }
}
