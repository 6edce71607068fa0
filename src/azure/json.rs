//! Two things done to JSON before it is sent. In: values. Out: the same, changed in place.

use serde_json::Value;

/// Removes members that are `null`, at any depth.
pub(super) fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// Objects member by member, anything else as a whole. Azure reads names without regard to case, so a name in another case is the same member.
pub(super) fn merge(into: &mut Value, over: &Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (name, value) in over {
                let there = into
                    .keys()
                    .find(|key| key.eq_ignore_ascii_case(name))
                    .cloned();
                merge(
                    into.entry(there.unwrap_or_else(|| name.clone()))
                        .or_insert(Value::Null),
                    value,
                );
            }
        }
        (into, over) => *into = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merges_members_of_any_case_and_replaces_lists() {
        let mut profile = json!({"osProfile": {"secrets": [1, 2], "kept": true}, "a": 1});
        merge(
            &mut profile,
            &json!({"OSProfile": {"secrets": []}, "a": {"b": 2}, "c": 3}),
        );
        assert_eq!(
            profile,
            json!({"osProfile": {"secrets": [], "kept": true}, "a": {"b": 2}, "c": 3})
        );
    }

    #[test]
    fn strips_nulls_at_any_depth_and_nothing_else() {
        let mut value =
            json!({"a": null, "b": {"c": null, "d": [{"e": null, "f": 0}], "g": ""}, "h": false});
        strip_nulls(&mut value);
        assert_eq!(value, json!({"b": {"d": [{"f": 0}], "g": ""}, "h": false}));
    }
}
