//! The laptop's state machine against everything that a phone, a tunnel service or the air could
//! do, in any order, with an honest phone on the other side to get into the late states.
#![no_main]

mod pair;

use libfuzzer_sys::fuzz_target;
use pair::{Pair, Script};

fuzz_target!(|data: &[u8]| {
    let mut script = Script(data);
    let Some(mut pair) = Pair::begin(&mut script) else { return };
    while let Some((op, rest)) = script.0.split_first() {
        script.0 = rest;
        match op >> 4 {
            0..12 => pair.step_laptop(op & 15, true, &mut script),
            _ => pair.step_phone(op & 15, false, &mut script),
        }
    }
    pair.wait_to_the_end();
});
