//! Chance that repeats: a seed goes in, the same draws come out, so that one number reproduces a whole history.

/// One step of splitmix64: spreads a counter over 64 bits.
#[must_use]
pub fn splitmix64(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A closed interval of milliseconds from which the world draws; `min == max` draws nothing, so that a world without
/// chance stays equal to itself whatever its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Shortest, in milliseconds.
    pub min: u64,
    /// Longest, in milliseconds.
    pub max: u64,
}

impl Span {
    /// Always the same length.
    #[must_use]
    pub const fn exactly(millis: u64) -> Self {
        Self {
            min: millis,
            max: millis,
        }
    }

    /// Anything between the two, both included.
    #[must_use]
    pub const fn between(min: u64, max: u64) -> Self {
        Self { min, max }
    }
}

/// The stream of draws. Moves only when something is really drawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// Starts a stream.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number below `bound` (0 when `bound` is 0 or 1, without drawing).
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        splitmix64(self.state) % bound
    }

    /// A length within the span.
    pub fn within(&mut self, span: Span) -> u64 {
        span.min + self.below(span.max.saturating_sub(span.min) + 1)
    }
}
