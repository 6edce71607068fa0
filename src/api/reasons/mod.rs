//! Every condition, reason and event that the operator writes, what it means and what to do about it.
//!
//! In comes a decision of the controller as a constant (`Reason::NoCapacity`); out go the words in `status` and events, and
//! `docs/reasons.md`. One table for both, so that a reason cannot be written without being documented.

mod conditions;
mod document;
mod events;

pub use conditions::{ConditionStatus, ConditionType, Reason};
pub use document::document;
pub use events::EventReason;

/// One row of the tables: a word and what stands behind it.
#[derive(Clone, Copy, Debug)]
pub struct Row<On: 'static> {
    /// The word.
    pub name: &'static str,
    /// Where it is written.
    pub on: On,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it; empty when there is nothing to do.
    pub advice: &'static str,
}

/// An enum whose variants are words with their rows: `Variant: where, "meaning", "advice";`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident on $on:ty; $($variant:ident: $where:expr, $meaning:literal, $advice:literal;)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = $meaning] $variant,)+
        }

        impl $name {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                }
            }

            /// What it means and what to do.
            pub const fn row(self) -> $crate::api::reasons::Row<$on> {
                match self {
                    $(Self::$variant => $crate::api::reasons::Row {
                        name: stringify!($variant),
                        on: $where,
                        meaning: $meaning,
                        advice: $advice,
                    },)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
use words;
