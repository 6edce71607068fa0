//! What the region has to sell: VM sizes, how many more of each can be had, at which price, and how many cores the
//! subscription may use. Azure decides these; the world only keeps count.

use super::instance::Priority;
use std::collections::BTreeMap;

/// A VM size of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VmSize {
    /// As Azure spells it, such as `Standard_D4s_v5`.
    pub name: String,
    /// Quota family, such as `standardDSv5Family`.
    pub family: String,
    /// Virtual cores.
    pub cores: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Whether it is sold as Spot: capability `LowPriorityCapable`; B-series is not [DOC].
    pub spot: bool,
    /// Pay-as-you-go price, micro-dollars an hour.
    pub regular_price: u64,
    /// Spot price at the start, micro-dollars an hour.
    pub spot_price: u64,
}

type Offer = (String, Option<String>, Priority);

/// Sizes, remaining capacity, prices and quota limits. Size names are compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Market {
    sizes: BTreeMap<String, VmSize>,
    remaining: BTreeMap<Offer, u32>,
    prices: BTreeMap<Offer, u64>,
    quotas: BTreeMap<String, u32>,
}

/// Quota row of all Spot cores [DOC usages].
pub const SPOT_CORES: &str = "lowPriorityCores";
/// Quota row of all regular cores of the region.
pub const REGIONAL_CORES: &str = "cores";
/// Limit of a row that nobody set: far away.
const FAR: u32 = 20_000;

impl Default for Market {
    /// A small catalogue with plausible prices, unlimited capacity and far limits.
    fn default() -> Self {
        let rows: [(&str, &str, u32, u32, bool, u64, u64); 18] = [
            (
                "Standard_D2s_v5",
                "standardDSv5Family",
                2,
                8,
                true,
                96_000,
                19_200,
            ),
            (
                "Standard_D4s_v5",
                "standardDSv5Family",
                4,
                16,
                true,
                192_000,
                38_400,
            ),
            (
                "Standard_D8s_v5",
                "standardDSv5Family",
                8,
                32,
                true,
                384_000,
                76_800,
            ),
            (
                "Standard_D16s_v5",
                "standardDSv5Family",
                16,
                64,
                true,
                768_000,
                153_600,
            ),
            (
                "Standard_D2as_v5",
                "standardDASv5Family",
                2,
                8,
                true,
                86_000,
                17_200,
            ),
            (
                "Standard_D4as_v5",
                "standardDASv5Family",
                4,
                16,
                true,
                172_000,
                34_400,
            ),
            (
                "Standard_D8as_v5",
                "standardDASv5Family",
                8,
                32,
                true,
                344_000,
                68_800,
            ),
            (
                "Standard_E4s_v5",
                "standardESv5Family",
                4,
                32,
                true,
                252_000,
                50_400,
            ),
            (
                "Standard_E8s_v5",
                "standardESv5Family",
                8,
                64,
                true,
                504_000,
                100_800,
            ),
            (
                "Standard_F4s_v2",
                "standardFSv2Family",
                4,
                8,
                true,
                169_000,
                33_800,
            ),
            (
                "Standard_F8s_v2",
                "standardFSv2Family",
                8,
                16,
                true,
                338_000,
                67_600,
            ),
            (
                "Standard_D4ds_v5",
                "standardDDSv5Family",
                4,
                16,
                true,
                226_000,
                45_200,
            ),
            (
                "Standard_D4ads_v5",
                "standardDADSv5Family",
                4,
                16,
                true,
                206_000,
                41_200,
            ),
            (
                "Standard_NC8as_T4_v3",
                "Standard NCASv3_T4 Family",
                8,
                56,
                true,
                752_000,
                150_400,
            ),
            (
                "Standard_NC16as_T4_v3",
                "Standard NCASv3_T4 Family",
                16,
                110,
                true,
                1_204_000,
                240_800,
            ),
            (
                "Standard_NC64as_T4_v3",
                "Standard NCASv3_T4 Family",
                64,
                440,
                true,
                4_352_000,
                870_400,
            ),
            (
                "Standard_NC24ads_A100_v4",
                "StandardNCADSA100v4Family",
                24,
                220,
                true,
                3_673_000,
                734_600,
            ),
            ("Standard_B2s", "standardBSFamily", 2, 4, false, 41_600, 0),
        ];
        let mut market = Self {
            sizes: BTreeMap::new(),
            remaining: BTreeMap::new(),
            prices: BTreeMap::new(),
            quotas: BTreeMap::new(),
        };
        for (name, family, cores, gib, spot, regular_price, spot_price) in rows {
            let memory_mib = gib * 1024;
            market.sell(VmSize {
                name: name.into(),
                family: family.into(),
                cores,
                memory_mib,
                spot,
                regular_price,
                spot_price,
            });
        }
        market
    }
}

impl Market {
    /// Adds a size or replaces it.
    pub fn sell(&mut self, size: VmSize) {
        self.sizes.insert(size.name.to_lowercase(), size);
    }

    /// Takes a size out of the catalogue: from now on it is unknown here.
    pub fn withdraw(&mut self, size: &str) {
        self.sizes.remove(&size.to_lowercase());
    }

    /// The size of that name.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<&VmSize> {
        self.sizes.get(&name.to_lowercase())
    }

    /// The whole catalogue, in the order of names.
    pub fn sizes(&self) -> impl Iterator<Item = &VmSize> {
        self.sizes.values()
    }

    /// How many more instances can be had: in one zone, or (`zone: None`) in the region altogether. `None` lifts the
    /// limit. Only taking counts it down; instances that go do not give it back, so that 0 stays a refusal.
    pub fn limit(
        &mut self,
        size: &str,
        zone: Option<&str>,
        priority: Priority,
        available: Option<u32>,
    ) {
        let key = (size.to_lowercase(), zone.map(str::to_owned), priority);
        match available {
            Some(n) => self.remaining.insert(key, n),
            None => self.remaining.remove(&key),
        };
    }

    /// How many more can be had in this zone (`""`: an instance without zone); `None` is any number.
    #[must_use]
    pub fn available(&self, size: &str, zone: &str, priority: Priority) -> Option<u32> {
        let size = size.to_lowercase();
        let own = self
            .remaining
            .get(&(size.clone(), Some(zone.to_owned()), priority));
        let all = self.remaining.get(&(size, None, priority));
        own.into_iter().chain(all).min().copied()
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, size: &str, zone: &str, priority: Priority) -> bool {
        if self.available(size, zone, priority) == Some(0) {
            return false;
        }
        let size = size.to_lowercase();
        for zone in [Some(zone.to_owned()), None] {
            if let Some(n) = self.remaining.get_mut(&(size.clone(), zone, priority)) {
                *n = n.saturating_sub(1);
            }
        }
        true
    }

    pub(super) fn set_price(
        &mut self,
        size: &str,
        zone: Option<&str>,
        priority: Priority,
        price: u64,
    ) {
        self.prices.insert(
            (size.to_lowercase(), zone.map(str::to_owned), priority),
            price,
        );
    }

    /// Price of an hour in micro-dollars: the zone's own, else the region's, else the catalogue's; `None` for an unknown size.
    #[must_use]
    pub fn price(&self, size: &str, zone: &str, priority: Priority) -> Option<u64> {
        let known = self.size(size)?;
        let size = size.to_lowercase();
        let set = [Some(zone.to_owned()), None]
            .into_iter()
            .find_map(|zone| self.prices.get(&(size.clone(), zone, priority)).copied());
        Some(set.unwrap_or(match priority {
            Priority::Regular => known.regular_price,
            Priority::Spot => known.spot_price,
        }))
    }

    /// Sets the limit of a quota row: `lowPriorityCores`, `cores` or a family.
    pub fn set_quota(&mut self, name: &str, limit: u32) {
        self.quotas.insert(name.to_lowercase(), limit);
    }

    /// The limit of a row.
    #[must_use]
    pub fn quota(&self, name: &str) -> u32 {
        self.quotas
            .get(&name.to_lowercase())
            .copied()
            .unwrap_or(FAR)
    }

    /// Names of the quota rows, in the order in which Azure's `usages` is usually read: totals first, families after.
    #[must_use]
    pub fn quota_rows(&self) -> Vec<String> {
        let mut families: Vec<String> = self.sizes.values().map(|s| s.family.clone()).collect();
        families.sort();
        families.dedup();
        [REGIONAL_CORES.to_owned(), SPOT_CORES.to_owned()]
            .into_iter()
            .chain(families)
            .collect()
    }
}
