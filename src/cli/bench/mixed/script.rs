//! What is said in a tunnel of the mixed load: every message follows from a seed and its number, so whoever
//! reads it knows each bit of it beforehand.

use super::super::wire::{BINARY, append};
use super::fault::Fault;
use crate::splitmix::SplitMix64;

/// The first bytes of fragments, and of a ping and what it says.
const FIRST_FRAGMENT: u8 = 0x02;
const FRAGMENT: u8 = 0x00;
const LAST_FRAGMENT: u8 = 0x80;
pub(super) const PING: (u8, &[u8]) = (0x89, b"still there?");
/// Number and checksum, in messages that have room for them.
const HEAD_LEN: usize = 8;

/// A sequence of numbers that follows from its seed.
#[derive(Clone, Debug)]
pub(super) struct Random(SplitMix64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(SplitMix64(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.word()
    }

    /// One of the numbers below `count`, which is not zero.
    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.next() % (count.max(1) as u64)) as usize
    }

    /// Sequences of their own, each under its number.
    pub(super) fn branch(&self, number: u64) -> Self {
        Self::new(Self::new(self.0.0 ^ number.wrapping_mul(0xff51_afd7_ed55_8ccd)).next())
    }
}

/// All that one side says in a tunnel.
#[derive(Clone, Debug)]
pub(super) struct Script {
    random: Random,
    longest: usize,
}

impl Script {
    /// Messages of 1 to `longest` bytes.
    pub(super) fn new(random: &mut Random, longest: usize) -> Self {
        Self { random: Random::new(random.next()), longest: longest.max(1) }
    }

    /// As many short as long ones, whatever one takes for short; the shortest and the longest now and then.
    pub(super) fn len(&self, number: u32) -> usize {
        let mut random = self.random.branch(number.into());
        let digits = self.longest.ilog2() as usize + 1;
        match random.below(32) {
            0 => 1,
            1 => self.longest,
            _ => {
                let least = 1_usize << random.below(digits);
                (least + random.below(least)).min(self.longest)
            }
        }
    }

    /// The message of this number.
    pub(super) fn message(&self, number: u32) -> Vec<u8> {
        let len = self.len(number);
        let mut random = self.random.branch(1 << 32 | u64::from(number));
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend(random.next().to_le_bytes());
        }
        bytes.truncate(len);
        if let Some((head, rest)) = bytes.split_first_chunk_mut::<HEAD_LEN>() {
            *head = stamp(number, rest);
        }
        bytes
    }

    /// How it goes over the wire, and how many pings go with it: whole, or in fragments with pings between.
    pub(super) fn wire(&self, number: u32) -> (Vec<u8>, u64) {
        let message = self.message(number);
        let mut random = self.random.branch(2 << 32 | u64::from(number));
        let (mut wire, mut pings) = (Vec::with_capacity(message.len() + 64), 0);
        if random.below(16) == 0 {
            append(&mut wire, PING.0, PING.1);
            pings += 1;
        }
        if random.below(4) != 0 {
            append(&mut wire, BINARY, &message);
            return (wire, pings);
        }
        let (mut rest, mut first) = (message.as_slice(), FIRST_FRAGMENT);
        for _ in 0..random.below(4) {
            // A fragment may also be empty.
            let (part, after) = rest.split_at_checked(random.below(rest.len())).unwrap_or_default();
            append(&mut wire, first, part);
            if random.below(4) == 0 {
                append(&mut wire, PING.0, PING.1);
                pings += 1;
            }
            (rest, first) = (after, FRAGMENT);
        }
        let last = if first == FRAGMENT { LAST_FRAGMENT } else { BINARY };
        append(&mut wire, last, rest);
        (wire, pings)
    }

    /// How many of the first `most` messages have no more than `budget` bytes together.
    pub(super) fn within(&self, most: u32, budget: usize) -> u32 {
        let mut left = budget;
        let fits = |number: &u32| {
            let rest = left.checked_sub(self.len(*number));
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        (0..most).take_while(fits).count() as u32
    }

    /// Holds what came against the message that is due.
    pub(super) fn judge(&self, due: u32, came: &[u8]) -> Result<(), Fault> {
        if came == self.message(due) {
            return Ok(());
        }
        let told = came.split_first_chunk::<HEAD_LEN>().and_then(|(head, rest)| {
            let [a, b, c, d, ..] = *head;
            let number = u32::from_be_bytes([a, b, c, d]);
            (stamp(number, rest) == *head && came == self.message(number)).then_some(number)
        });
        Err(match told {
            Some(came) if came < due => Fault::Twice { due, came },
            Some(came) => Fault::Missing { due, came },
            None => Fault::Altered { due },
        })
    }
}

/// Number and checksum of a message of which `rest` is what follows.
fn stamp(number: u32, rest: &[u8]) -> [u8; HEAD_LEN] {
    let mut sum = u64::from(number);
    for chunk in rest.chunks(8) {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(23);
    }
    let sum = (sum ^ (sum >> 32) ^ rest.len() as u64) as u32;
    (u64::from(number) << 32 | u64::from(sum)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::super::wire::parse;
    use super::*;

    fn script(longest: usize) -> Script {
        Script::new(&mut Random::new(7), longest)
    }

    #[test]
    fn lengths_reach_both_ends() {
        for longest in [1, 2, 3, 1000, 1 << 20] {
            let script = script(longest);
            let lengths: Vec<usize> = (0..500).map(|number| script.len(number)).collect();
            assert_eq!(lengths.iter().min(), Some(&1));
            assert_eq!(lengths.iter().max(), Some(&longest));
        }
        assert_eq!(script(100).within(5, usize::MAX), 5);
        assert_eq!(script(100).within(5, 0), 0);
    }

    #[test]
    fn fragments_and_pings_carry_the_message() {
        let (script, mut fragments, mut pings) = (script(5000), 0, 0);
        for number in 0..400 {
            let (wire, sent) = script.wire(number);
            let (mut rest, mut whole, mut seen) = (wire.as_slice(), Vec::new(), 0);
            while let Some(((first, payload), used)) = parse(rest) {
                rest = &rest[used..];
                match first {
                    0x89 => seen += 1,
                    _ => whole.extend(payload),
                }
                fragments += u64::from(first & 0x80 == 0);
            }
            assert!(rest.is_empty());
            assert_eq!((whole, seen), (script.message(number), sent));
            pings += sent;
        }
        assert!(fragments > 50 && pings > 20, "{fragments} {pings}");
    }

    #[test]
    fn whatever_is_not_due_is_told_apart() {
        let script = script(5000);
        let long: Vec<u32> = (0..200).filter(|n| script.len(*n) > 100).take(3).collect();
        let message = |number: u32| script.message(number);
        assert!(script.judge(long[1], &message(long[1])).is_ok());
        let late = script.judge(long[1], &message(long[0]));
        assert!(matches!(late, Err(Fault::Twice { .. })), "{late:?}");
        let early = script.judge(long[1], &message(long[2]));
        assert!(matches!(early, Err(Fault::Missing { .. })), "{early:?}");
        for place in [0, 5, 50] {
            let mut spoilt = message(long[1]);
            spoilt[place] ^= 1;
            let altered = script.judge(long[1], &spoilt);
            assert!(matches!(altered, Err(Fault::Altered { .. })), "{altered:?}");
        }
        let cut = message(long[1]);
        assert!(script.judge(long[1], &cut[..cut.len() - 1]).is_err());
        assert!(script.judge(long[1], &[]).is_err());
    }
}
