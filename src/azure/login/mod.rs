//! Who we are to Azure: a bearer token, fetched in bounded time, remembered, renewed before it ends, and never shown.
//!
//! ```text
//! kinds (which credential) ─▶ application (secret, certificate, federated token) ─▶ exchange ─▶ login host
//!                         ├─▶ account (a ServiceAccount's token from Kubernetes) ─┘
//!                         └─▶ library (azure_identity: managed identity, az, azd)
//! ```
//!
//! In: a [`Source`] of tokens. Out: [`Login::token`]. What is added here holds for every source: one question at a time, a bound on
//! every wait, an old token for as long as there is no new one, and a memory for failures, so that a hundred pools do not each wait
//! for a login host that is down.

mod account;
mod application;
mod certificate;
mod exchange;
mod kinds;
mod library;

pub(super) use account::OfAccount;
pub(super) use exchange::Exchange;
pub use kinds::CredentialKind;
pub(super) use kinds::{Env, source};

use async_trait::async_trait;
use spotpool_core::planner::LoginStep;
use spotpool_core::units::{Millis, Timestamp};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Now;
use crate::cloud::{LoginError, Secret};

/// How long a token is waited for. Without a bound azure_identity waits for as long as its own retries take, a minute and more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long others wait for an answer that one of them is asking for: a pool whose login hangs must not hold up the turns of others.
const COMPANY: Duration = Duration::from_secs(2);
/// A token is renewed this long before it ends: Azure allows five minutes of clock difference.
const EARLY: Millis = Millis::minutes(5);
/// Of a token that lives shorter, the last quarter.
const SHARE: i64 = 4;
/// For how long a failed login is answered from memory, so that nobody is asked more often.
const PAUSE: Millis = Millis::seconds(5);
/// After so many failures in a row without a token, silence is no longer a passing one.
const PATIENT_FAILURES: u32 = 3;
/// What a simulator on loopback gets.
const DUMMY: &str = "spotpool-on-loopback";

/// Something that gives a token when it is asked, or says why not. It remembers nothing.
#[async_trait]
pub(in crate::azure) trait Source: Send + Sync {
    /// Asks for a new token.
    async fn ask(&self) -> Result<Token, LoginError>;
}

/// A bearer token and its end.
#[derive(Clone, Debug)]
pub(in crate::azure) struct Token {
    pub secret: Secret,
    pub ends: Timestamp,
}

/// One identity's way to its token.
pub(super) enum Login {
    /// A simulator on loopback: a dummy, whatever credential was asked for.
    Loopback,
    /// A real login.
    Asked(Box<Asked>),
}

pub(super) struct Asked {
    source: Box<dyn Source>,
    patience: Duration,
    now: Now,
    memory: Mutex<Memory>,
    /// Held by whoever asks: the others take what is there, or wait a moment for the same answer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Memory {
    token: Option<(Token, Renewal)>,
    failure: Option<(LoginError, Renewal)>,
    failures: u32,
}

/// Not asked again before.
type Renewal = Timestamp;

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "Login(loopback)",
            Self::Asked(_) => "Login(***)",
        })
    }
}

impl Login {
    /// A login that asks this source; asks nothing yet.
    pub(super) fn of(source: Box<dyn Source>, now: Now) -> Self {
        Self::with(source, PATIENCE, now)
    }

    pub(super) fn with(source: Box<dyn Source>, patience: Duration, now: Now) -> Self {
        Self::Asked(Box::new(Asked {
            source,
            patience,
            now,
            memory: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// When there is none within the patience.
    pub(super) async fn token(&self) -> Result<Secret, LoginError> {
        match self {
            Self::Loopback => Ok(Secret::new(DUMMY)),
            Self::Asked(asked) => asked.token().await,
        }
    }

    /// Azure refused the token: the next call gets a new one.
    pub(super) fn forget(&self) {
        if let Self::Asked(asked) = self {
            asked.memory().token = None;
        }
    }
}

impl Asked {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token(&self) -> Result<Secret, LoginError> {
        if let Some(answer) = self.memory().settled((self.now)()) {
            return answer;
        }
        let _asking = match self.asking.try_lock() {
            Ok(asking) => asking,
            Err(_) => {
                if let Some(answer) = self.memory().stopgap((self.now)()) {
                    return answer;
                }
                match tokio::time::timeout(COMPANY.min(self.patience), self.asking.lock()).await {
                    Ok(asking) => asking,
                    Err(_) => {
                        let fact = "a token is being asked for and has not come yet";
                        return Err(LoginError::passing(LoginStep::Host, fact));
                    }
                }
            }
        };
        // Whoever asked before may have brought what is needed.
        if let Some(answer) = self.memory().settled((self.now)()) {
            return answer;
        }
        let answer = match tokio::time::timeout(self.patience, self.source.ask()).await {
            Ok(answer) => answer,
            Err(_) => {
                let fact = format!(
                    "the login host gave no token within {} s",
                    self.patience.as_secs()
                );
                Err(LoginError::passing(LoginStep::Host, fact))
            }
        };
        let now = (self.now)();
        let mut memory = self.memory();
        match answer {
            Ok(token) => memory.remember(token, now),
            Err(failure) => memory.fail(failure, now),
        }
        memory.stopgap(now).unwrap_or_else(|| {
            let fact = "the login host gave a token that had ended already: compare the clocks";
            Err(LoginError::lasting(LoginStep::Login, fact))
        })
    }
}

impl Memory {
    /// What needs no question now: a token that is still far from its end, or a failure of a moment ago, for which an old token stands in.
    fn settled(&self, now: Timestamp) -> Option<Result<Secret, LoginError>> {
        let fresh = self.token.as_ref().is_some_and(|(_, renew)| now < *renew);
        let failed = self.failure.as_ref().is_some_and(|(_, again)| now < *again);
        (fresh || failed).then(|| self.stopgap(now)).flatten()
    }

    /// The old token while it lasts, else what went wrong last.
    fn stopgap(&self, now: Timestamp) -> Option<Result<Secret, LoginError>> {
        let token = self.token.as_ref().filter(|(token, _)| now < token.ends);
        match (token, &self.failure) {
            (Some((token, _)), _) => Some(Ok(token.secret.clone())),
            (None, Some((failure, _))) => Some(Err(failure.clone())),
            (None, None) => None,
        }
    }

    fn remember(&mut self, token: Token, now: Timestamp) {
        let life = (token.ends - now).0.max(0);
        let renew = now + Millis(life - EARLY.0.min(life / SHARE));
        *self = Self {
            token: Some((token, renew.max(now + PAUSE))),
            ..Self::default()
        };
    }

    /// Silence that lasts needs somebody to act, as a no does.
    fn fail(&mut self, failure: LoginError, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        let passing = failure.passing && self.failures < PATIENT_FAILURES;
        tracing::debug!(step = ?failure.step, failures = self.failures, fact = failure.fact, "no token");
        self.failure = Some((LoginError { passing, ..failure }, now + PAUSE));
    }
}
