//! Bad days on order: rules that make chosen requests fail, hang, lose their answer, or read a false capacity.

use super::documents;
use super::wire::{Call, Reply};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// When the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drop {
    /// Before the request is carried out.
    Before,
    /// After: it happened, and nobody is told.
    After,
}

/// One rule. What it does not name it does not ask for; the first rule that fits a request applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Such as `PUT`; any when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Part of path and query, without regard to case; any when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_contains: Option<String>,
    /// Lets so many fitting requests through first.
    #[serde(default)]
    pub skip: u64,
    /// Applies so often; 1 when unset.
    #[serde(default = "once")]
    pub times: u64,
    /// Answers with this status instead of carrying the request out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `error.code` of that answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `error.message` of that answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Headers added to the answer, such as Retry-After.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Cuts the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<Drop>,
    /// Waits so long first, in milliseconds of the caller's time.
    #[serde(default)]
    pub delay_ms: u64,
    /// With `drop: after`: holds the connection open for so long before it is cut, in milliseconds of the caller's time.
    #[serde(default)]
    pub hold_ms: u64,
    /// Scale sets in the answer read this capacity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_reads_as: Option<u32>,
    /// Laid over the answer's body: objects merge, all else replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_reads: Option<Value>,
    /// Only so many bytes of the answer's body are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_after: Option<usize>,
}

const fn once() -> u64 {
    1
}

impl Rule {
    fn fits(&self, call: &Call) -> bool {
        self.method
            .as_ref()
            .is_none_or(|m| m.eq_ignore_ascii_case(&call.method))
            && self
                .path_contains
                .as_ref()
                .is_none_or(|p| call.target.to_lowercase().contains(&p.to_lowercase()))
    }

    /// The answer instead of the real one.
    #[must_use]
    pub fn answer(&self) -> Option<Reply> {
        self.status.map(|status| {
            let (code, message) = (
                self.code.as_deref().unwrap_or("SimulatedFault"),
                self.message
                    .as_deref()
                    .unwrap_or("A fault that was asked for."),
            );
            Reply::error(status, code, message, None)
        })
    }

    /// Changes an answer.
    pub fn touch(&self, reply: &mut Reply) {
        for (name, value) in &self.headers {
            reply.headers.push((name.to_lowercase(), value.clone()));
        }
        if let (Some(capacity), Some(body)) = (self.capacity_reads_as, &mut reply.body) {
            lie(body, capacity);
        }
        if let (Some(patch), Some(body)) = (&self.answer_reads, &mut reply.body) {
            documents::merge(body, patch);
        }
        reply.cut = self.cut_after;
    }

    /// How long an answer that never comes is awaited.
    #[must_use]
    pub const fn hold(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.hold_ms)
    }

    /// How long it waits first.
    #[must_use]
    pub const fn delay(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.delay_ms)
    }
}

fn lie(body: &mut Value, capacity: u32) {
    if let Some(items) = body.get_mut("value").and_then(Value::as_array_mut) {
        for item in items {
            lie(item, capacity);
        }
    } else if let Some(rows) = body.get_mut("data").and_then(Value::as_array_mut) {
        for row in rows {
            row["capacity"] = capacity.into();
        }
    } else if let Some(read) = body.pointer_mut("/sku/capacity") {
        *read = capacity.into();
    }
}

/// The rules in their order.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    /// Adds a rule behind the others.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Drops all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The rules that still apply.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule for this request, used up by one.
    pub fn take(&mut self, call: &Call) -> Option<Rule> {
        let rule = self
            .rules
            .iter_mut()
            .find(|r| r.times > 0 && r.fits(call))?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        let taken = rule.clone();
        self.rules.retain(|r| r.times > 0);
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_skips_applies_and_is_gone() {
        let mut faults = Faults::default();
        faults.add(
            serde_json::from_str(
                r#"{"method":"PUT","pathContains":"scalesets","status":503,"skip":1,"times":2}"#,
            )
            .unwrap(),
        );
        let put = Call::new(
            "PUT",
            "/x/virtualMachineScaleSets/y",
            Vec::new(),
            Vec::new(),
        );
        let get = Call::new(
            "GET",
            "/x/virtualMachineScaleSets/y",
            Vec::new(),
            Vec::new(),
        );
        assert!(faults.take(&get).is_none());
        let applied: Vec<bool> = (0..4).map(|_| faults.take(&put).is_some()).collect();
        assert_eq!(applied, [false, true, true, false]);
        assert!(faults.rules().is_empty());
    }
}
