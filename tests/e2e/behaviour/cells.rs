//! The cells, and what is expected in each.

/// Orchestration mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Flexible,
    Uniform,
}

/// Eviction policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Delete,
    Deallocate,
}

impl Policy {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delete => "Delete",
            Self::Deallocate => "Deallocate",
        }
    }
}

/// What befalls a running Spot instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    Evicted,
    Stopped,
    Failed,
    Slow,
    Deleted,
}

/// Whether Azure sells another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    Open,
    SoldOut,
    NoQuota,
    TooDear,
}

pub const MODES: [Mode; 2] = [Mode::Flexible, Mode::Uniform];
pub const POLICIES: [Policy; 2] = [Policy::Delete, Policy::Deallocate];
pub const MISHAPS: [Mishap; 5] = [
    Mishap::Evicted,
    Mishap::Stopped,
    Mishap::Failed,
    Mishap::Slow,
    Mishap::Deleted,
];
pub const MARKETS: [Market; 4] = [
    Market::Open,
    Market::SoldOut,
    Market::NoQuota,
    Market::TooDear,
];

/// One combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub mode: Mode,
    pub policy: Policy,
    pub mishap: Mishap,
    pub market: Market,
}

/// What is seen until the market opens again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// Nothing to wait for.
    Heals,
    /// One instance less, and the condition SpotSatisfied says why.
    Short { reason: &'static str },
    /// The instance is still there, deallocated, and SpotSatisfied says why it is not started.
    Down { reason: &'static str },
    /// It boots, and nothing is done to it.
    Boots,
}

pub fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for market in MARKETS {
        for mode in MODES {
            for policy in POLICIES {
                cells.extend(MISHAPS.map(|mishap| Cell {
                    mode,
                    policy,
                    mishap,
                    market,
                }));
            }
        }
    }
    cells
}

impl Cell {
    /// Of its pool.
    pub fn name(&self) -> String {
        let Self {
            mode,
            policy,
            mishap,
            ..
        } = self;
        format!("{mode:?}-{policy:?}-{mishap:?}").to_lowercase()
    }

    pub fn meanwhile(&self) -> Meanwhile {
        let reason = match self.market {
            _ if self.mishap == Mishap::Slow => return Meanwhile::Boots,
            Market::Open => return Meanwhile::Heals,
            Market::SoldOut => "NoCapacity",
            Market::NoQuota => "QuotaExceeded",
            Market::TooDear => "PriceAboveLimit",
        };
        match (self.stays_down(), self.market) {
            // A deallocated instance holds its quota, and the price limit that it was made with.
            (true, Market::NoQuota | Market::TooDear) => Meanwhile::Heals,
            (true, _) => Meanwhile::Down { reason },
            (false, _) => Meanwhile::Short { reason },
        }
    }

    /// Whether it is deallocated and will be started again: not at a price above the one that is declared now. What an instance of a
    /// Uniform set may cost, Azure does not tell.
    fn stays_down(&self) -> bool {
        self.policy == Policy::Deallocate
            && matches!(self.mishap, Mishap::Evicted | Mishap::Stopped)
            && (self.market != Market::TooDear || self.mode == Mode::Uniform)
    }

    /// Whether the instance itself comes back, rather than another one.
    pub fn same_instance(&self) -> bool {
        self.stays_down() || self.mishap == Mishap::Slow
    }
}
