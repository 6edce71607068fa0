//! The words every other room speaks: names, counts, money, time, and `Seen`, which keeps *unknown* apart from *absent*.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A number of instances.
pub type Count = u32;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The bare text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

name!(
    /// The name of one instance. In a Flexible scale set that is the virtual machine's own name, `{set}_{8 hex}`.
    InstanceName
);
name!(
    /// A VM size in Azure's spelling, such as `Standard_D4s_v5`.
    VmSize
);
name!(
    /// An availability zone: `1`, `2`, `3`, or empty for regional.
    Zone
);
name!(
    /// The version of a resource, as Azure wrote it. Compared, never interpreted.
    Etag
);
name!(
    /// The value of the ownership tag, `<cluster-id>/<namespace>/<name>/<uid>`: whose scale set this is.
    Owner
);
name!(
    /// A fingerprint of everything that makes a new instance: image, disks, network, price limit. Not the counts.
    ModelHash
);

/// US dollars in millionths, so that prices with five decimals stay exact.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// `n` seconds.
    pub const fn seconds(n: i64) -> Self {
        Self(n * 1000)
    }

    /// `n` minutes.
    pub const fn minutes(n: i64) -> Self {
        Self::seconds(n * 60)
    }
}

impl std::ops::Add<Millis> for Timestamp {
    type Output = Self;
    fn add(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub for Timestamp {
    type Output = Millis;
    fn sub(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

/// What is bought: a Spot instance may be taken away at 30 seconds' notice, a regular one is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Priority {
    /// Pay-as-you-go.
    Regular,
    /// Spare capacity, evictable.
    Spot,
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "regular",
            Self::Spot => "Spot",
        })
    }
}

/// Something that was looked for: seen, with the time of the request that saw it, or not seen, with the reason.
/// *Seen to be absent* is `Known(None)` inside; it is never the same as `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen<T, Why> {
    /// Read at `at` (when the request was sent: the fact is at least that fresh, as far as Azure's answer is).
    Known {
        /// What was read.
        value: T,
        /// When the request was sent.
        at: Timestamp,
    },
    /// Could not be read.
    Unknown(Why),
}
