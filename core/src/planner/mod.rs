//! The heart: what to do about one pool, from what is wanted and what was seen.

pub mod action;
pub mod desired;
pub mod guard;
pub mod observed;
pub mod picture;
pub mod refusal;

pub use action::{Action, Answer, Because, Reason};
pub use desired::{Desired, Intent, Pace};
pub use guard::{Guard, Proof};
pub use observed::{Blind, Instance, Observed, Outcome, Phase, Provisioning, ScaleSet};
pub use refusal::{Closed, Refusal, RefusalKind};
