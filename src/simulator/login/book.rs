//! What the login host remembers: rules for applications, and the tokens that it gave.
//!
//! In: the control API's rules and issued tokens. Out: whether a bearer token is one of ours and still good. Times are the world's.

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Entra ID's tokens live for 60 to 90 minutes.
const LIFE: u64 = 3_600_000;

/// What is special about an application; nothing is, without a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Each login is refused in these words: `AADSTS700016: Application … was not found`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse: Option<String>,
    /// No login is ever answered.
    pub hangs: bool,
    /// Connections are cut.
    pub offline: bool,
    /// The only secret that is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The only certificate that is known, by its thumbprint as the assertion's header has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The only subject that is trusted: `system:serviceaccount:NAMESPACE:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Why ARM does not take a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody gave it.
    Unknown,
    /// It has ended.
    Ended,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Logins {
    enforced: bool,
    life: Option<u64>,
    general: Rule,
    rules: BTreeMap<String, Rule>,
    asked: BTreeMap<String, u64>,
    issued: BTreeMap<String, Issued>,
    number: u64,
}

#[derive(Debug)]
struct Issued {
    client: String,
    ends: u64,
}

impl Logins {
    /// `enforced`: ARM takes only tokens from here.
    #[must_use]
    pub fn new(enforced: bool) -> Self {
        Self {
            enforced,
            ..Self::default()
        }
    }

    /// The rule for an application.
    pub fn rule(&self, client: &str) -> Rule {
        self.rules.get(client).unwrap_or(&self.general).clone()
    }

    /// Replaces the rule of an application, or of all that have none.
    pub fn set_rule(&mut self, client: Option<String>, rule: Rule) {
        match client {
            Some(client) => {
                self.rules.insert(client, rule);
            }
            None => self.general = rule,
        }
    }

    /// Nothing is special any more.
    pub fn clear(&mut self) {
        (self.general, self.life) = (Rule::default(), None);
        self.rules.clear();
    }

    /// How long new tokens live, in the world's milliseconds.
    pub fn set_life(&mut self, millis: u64) {
        self.life = Some(millis);
    }

    /// How long a new token lives for a client with a clock of its own, in seconds: at least one.
    pub fn life_here(&self, speed: f64) -> i64 {
        (self.life.unwrap_or(LIFE) as f64 / 1000.0 / speed).max(1.0) as i64
    }

    /// An application has asked.
    pub fn asked(&mut self, client: &str) {
        *self.asked.entry(client.to_owned()).or_default() += 1;
    }

    /// A number that was not used before.
    pub fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// A token was given. Those that ended a day ago are forgotten.
    pub fn issue(&mut self, token: String, client: &str, now: u64) {
        self.issued
            .retain(|_, issued| issued.ends + 24 * LIFE > now);
        let ends = now + self.life.unwrap_or(LIFE);
        let client = client.to_owned();
        self.issued.insert(token, Issued { client, ends });
    }

    /// None of the tokens given so far is good any more.
    pub fn revoke(&mut self) {
        self.issued.clear();
    }

    /// Whether ARM takes a token.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, token: &str, now: u64) -> Result<(), Refused> {
        match self.issued.get(token) {
            _ if !self.enforced => Ok(()),
            None => Err(Refused::Unknown),
            Some(issued) if issued.ends <= now => Err(Refused::Ended),
            Some(_) => Ok(()),
        }
    }

    /// For the control API.
    pub fn shown(&self, now: u64) -> Value {
        let mut good: BTreeMap<&str, u64> = BTreeMap::new();
        for issued in self.issued.values().filter(|issued| issued.ends > now) {
            *good.entry(&issued.client).or_default() += 1;
        }
        json!({
            "enforced": self.enforced, "lifeSeconds": self.life.unwrap_or(LIFE) / 1000,
            "general": self.general, "rules": self.rules, "asked": self.asked, "good": good,
        })
    }
}
