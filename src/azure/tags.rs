//! The tags that spotpool puts on a scale set: whose it is, and which model it was last given.

use spotpool_core::units::{ModelHash, Owner, Timestamp};
use std::collections::BTreeMap;

use super::held::Held;

/// Whose scale set this is: `<cluster-id>/<namespace>/<name>/<uid>`.
pub const OWNER: &str = "spotpool_owner";
/// The fingerprint of the model.
pub const MODEL: &str = "spotpool_model";
/// When the model was last changed by us, RFC 3339: instances made before it are outdated.
pub const MODEL_TIME: &str = "spotpool_model_time";

/// What of the template was declared: what is taken away when it is declared no more (see [`Held`]).
pub const PARTS: &str = "spotpool_parts";

/// What the operator itself writes on a scale set.
#[derive(Clone, Debug)]
pub(super) struct Ours<'a> {
    pub owner: &'a Owner,
    pub model: &'a ModelHash,
    pub since: Timestamp,
    pub held: &'a Held,
}

/// The value of a tag. Azure compares names without case.
pub(super) fn value<'a>(tags: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let found = tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// Ours over the user's over what is there already. A later one replaces an earlier one of any case.
pub(super) fn merged(
    there: &BTreeMap<String, String>,
    users: &BTreeMap<String, String>,
    ours: &Ours<'_>,
) -> BTreeMap<String, String> {
    let ours = [
        (OWNER, ours.owner.0.clone()),
        (MODEL, ours.model.0.clone()),
        (MODEL_TIME, rfc3339(ours.since)),
        (PARTS, ours.held.text()),
    ];
    let ours = ours.into_iter().map(|(key, value)| (key.to_owned(), value));
    let pairs = there.clone().into_iter().chain(users.clone()).chain(ours);
    let mut by_name: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (key, value) in pairs {
        by_name.insert(key.to_lowercase(), (key, value));
    }
    by_name.into_values().collect()
}

/// Milliseconds to RFC 3339 in UTC.
fn rfc3339(time: Timestamp) -> String {
    let nanos = i128::from(time.0) * 1_000_000;
    // Out of range only in the year 10,000.
    let date = time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    azure_core_legacy::date::to_rfc3339(&date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn keeps_foreign_tags_and_lets_nobody_override_ours() {
        let there = map(&[
            ("cost-center", "7"),
            ("Team", "old"),
            ("spotpool_owner", "somebody"),
        ]);
        let users = map(&[("team", "new"), ("SPOTPOOL_MODEL", "forged")]);
        let merged = merged(
            &there,
            &users,
            &Ours {
                owner: &"me".into(),
                model: &"m1".into(),
                since: Timestamp(1_767_323_045_678),
                held: &Held::read("abcdefgh"),
            },
        );
        assert_eq!(
            merged,
            map(&[
                ("cost-center", "7"),
                ("team", "new"),
                ("spotpool_owner", "me"),
                ("spotpool_model", "m1"),
                ("spotpool_model_time", "2026-01-02T03:04:05.678Z"),
                ("spotpool_parts", "abcdefgh"),
            ])
        );
    }
}
