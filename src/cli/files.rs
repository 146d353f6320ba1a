//! How many files, of which sockets are most, this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to `wanted` if it is lower, or as far as it may be raised. What it is now, if there is one.
pub(super) fn allow(wanted: u64) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current?;
    let possible = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current >= possible {
        return Some(current);
    }
    let raised = Rlimit { current: Some(possible), maximum };
    Some(setrlimit(Resource::Nofile, raised).map_or(current, |()| possible))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_lowered_or_raised_beyond_what_there_can_be() {
        let before = allow(16);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(before, current);
        if let Some(hard) = maximum {
            assert_eq!(allow(hard.saturating_add(1)), Some(hard));
        }
    }
}
