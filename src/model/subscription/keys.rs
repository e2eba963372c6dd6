//! Signing keys that turn: the current one first, old ones until their time.

use std::time::Duration;

use crate::model::subscription::Secret;
use crate::model::subscription::SigningKey;
use crate::model::time::Time;

/// Most keys in force at once: each costs a signature in every request.
pub const MAX_KEYS: usize = 5;
/// Longest time that old keys sign beside a new one.
pub const MAX_OVERLAP: Duration = Duration::from_secs(7 * 86_400);
/// How long old keys sign beside a new one, if nobody says.
pub const USUAL_OVERLAP: Duration = Duration::from_secs(86_400);

/// One key more would be too many. None is dropped in its place: a receiver may know no other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{MAX_KEYS} keys sign already, the oldest until {0}: wait until then, or turn with an overlap of 0s, which ends all old ones at once"
)]
pub struct TooManyKeys(Time);

impl SigningKey {
    /// A current key.
    pub fn new(secret: Secret, call: Option<String>) -> Self {
        Self { secret, until: None, call }
    }

    /// Whether it signs at this time: up to `until`, inclusive.
    pub fn signs(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now <= until)
    }
}

/// Puts a new key first. The old ones sign until the end of the overlap, or until their own time
/// where that is sooner; with no overlap they are gone at once. To put the current key first again
/// is to change nothing but the old ones.
pub fn turn(
    keys: &mut Vec<SigningKey>,
    mut new: SigningKey,
    now: Time,
    overlap: Duration,
) -> Result<(), TooManyKeys> {
    let end = now.plus(overlap.min(MAX_OVERLAP));
    let same = keys.iter().find(|key| key.secret == new.secret);
    new.call = same.map_or(new.call, |same| same.call.clone());
    let old = keys.iter().filter(|key| !overlap.is_zero() && key.signs(now));
    let old = old.filter(|key| key.secret != new.secret).map(|key| SigningKey {
        until: Some(key.until.map_or(end, |until| until.min(end))),
        ..key.clone()
    });
    let old: Vec<SigningKey> = old.collect();
    if old.len() >= MAX_KEYS {
        let first = old.iter().filter_map(|key| key.until).min();
        return Err(TooManyKeys(first.unwrap_or(end)));
    }
    *keys = std::iter::once(new).chain(old).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    fn secret(n: usize) -> Secret {
        Secret::new(format!("whsec_{n}"))
    }

    fn first() -> Vec<SigningKey> {
        vec![SigningKey::new(secret(0), None)]
    }

    #[test]
    fn the_old_key_signs_until_the_end_of_the_overlap_and_not_a_moment_longer() {
        let mut keys = first();
        turn(&mut keys, SigningKey::new(secret(1), None), at(0), DAY).unwrap();
        assert_eq!((&keys[0].secret, keys[0].until), (&secret(1), None));
        assert_eq!((&keys[1].secret, keys[1].until), (&secret(0), Some(at(86_400))));
        assert!(keys[1].signs(at(86_400)));
        assert!(!keys[1].signs(Time::from_millis(86_400_001)));
        assert!(keys[0].signs(at(i64::from(u32::MAX))));
    }

    #[test]
    fn an_overlap_of_nothing_ends_every_old_key_at_once() {
        let mut keys = first();
        turn(&mut keys, SigningKey::new(secret(1), None), at(0), DAY).unwrap();
        turn(&mut keys, SigningKey::new(secret(2), None), at(1), Duration::ZERO).unwrap();
        assert_eq!(keys, [SigningKey::new(secret(2), None)]);
    }

    #[test]
    fn an_older_key_is_never_given_more_time_but_may_be_given_less() {
        let mut keys = first();
        turn(&mut keys, SigningKey::new(secret(1), None), at(0), DAY).unwrap();
        turn(&mut keys, SigningKey::new(secret(2), None), at(10), 7 * DAY).unwrap();
        let until: Vec<_> = keys.iter().map(|key| key.until).collect();
        assert_eq!(until, [None, Some(at(10).plus(7 * DAY)), Some(at(86_400))]);
        turn(&mut keys, SigningKey::new(secret(3), None), at(20), Duration::from_secs(60)).unwrap();
        assert!(keys[1..].iter().all(|key| key.until == Some(at(80))), "{keys:?}");
    }

    #[test]
    fn a_sixth_key_is_refused_until_one_has_ended() {
        let mut keys = first();
        for n in 1..MAX_KEYS {
            turn(&mut keys, SigningKey::new(secret(n), None), at(i64::try_from(n).unwrap()), DAY)
                .unwrap();
        }
        let before = keys.clone();
        let refused = turn(&mut keys, SigningKey::new(secret(9), None), at(10), DAY).unwrap_err();
        assert!(refused.to_string().contains("until 1970-01-02T00:00:01.000Z"), "{refused}");
        assert_eq!(keys, before, "and nothing changed");
        turn(&mut keys, SigningKey::new(secret(9), None), at(86_402), DAY).unwrap();
        assert_eq!(keys.len(), MAX_KEYS, "the one that ended made room");
    }

    #[test]
    fn the_current_key_again_changes_nothing_and_an_old_one_comes_back_as_the_only_one_of_its_kind()
    {
        let mut keys = first();
        turn(&mut keys, SigningKey::new(secret(1), None), at(0), DAY).unwrap();
        let before = keys.clone();
        turn(&mut keys, SigningKey::new(secret(1), None), at(5), DAY).unwrap();
        assert_eq!(keys, before);
        turn(&mut keys, SigningKey::new(secret(0), None), at(6), DAY).unwrap();
        let secrets: Vec<_> = keys.iter().map(|key| key.secret.clone()).collect();
        assert_eq!(secrets, [secret(0), secret(1)]);
    }
}
