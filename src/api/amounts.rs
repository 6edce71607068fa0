//! Dollars, durations and counts-or-percents: strings in the manifest, checked once, integers inside.
//!
//! In comes text; out comes a value that cannot be wrong, or an error that says what to write. The schema of each type carries
//! the same check as a CEL rule, so that `kubectl apply` answers first; the check here holds for objects that were stored under
//! another version of the definition. Floats appear nowhere: a price of "0.05" is 50,000 micro-dollars.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Text that is not what its field needs. The message says what to write; it is the one of the CEL rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" {must}")]
pub struct NotAnAmount {
    /// What was written.
    pub text: String,
    /// What must be written.
    pub must: &'static str,
}

const MAX_PRICE_MUST: &str = "must be US dollars an hour in quotes, above 0 and with at most five decimals, such as \"0.05\", or \"-1\" for up to the pay-as-you-go price";
const PERIOD_MUST: &str = "must be a positive duration in hours, minutes and seconds, such as \"90s\", \"15m\" or \"1h30m\"";
const PERCENT_MUST: &str =
    "must be a number of instances from 0 to 1000 or a percentage from \"0%\" to \"100%\"";

/// The most that one Spot instance may cost, in US dollars an hour: `"0.05"`, or `"-1"` for up to the pay-as-you-go price (Azure's word).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MaxPrice {
    text: String,
    micro_usd: Option<i64>,
}

impl MaxPrice {
    /// Micro-dollars an hour; `None` means up to the pay-as-you-go price.
    pub fn micro_usd(&self) -> Option<i64> {
        self.micro_usd
    }
}

impl TryFrom<String> for MaxPrice {
    type Error = NotAnAmount;

    fn try_from(text: String) -> Result<Self, NotAnAmount> {
        if text == "-1" {
            return Ok(Self {
                text,
                micro_usd: None,
            });
        }
        match micro_usd(&text) {
            Some(amount) if amount > 0 => Ok(Self {
                text,
                micro_usd: Some(amount),
            }),
            _ => Err(NotAnAmount {
                text,
                must: MAX_PRICE_MUST,
            }),
        }
    }
}

impl From<MaxPrice> for String {
    fn from(price: MaxPrice) -> Self {
        price.text
    }
}

impl JsonSchema for MaxPrice {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MaxPrice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 11,
            "x-kubernetes-validations": [{
                "rule": "self == '-1' || (self.matches('^[0-9]{1,4}([.][0-9]{1,5})?$') && double(self) > 0.0)",
                "message": MAX_PRICE_MUST,
            }],
        })
    }
}

/// A positive duration in hours, minutes and seconds, in that order: `"90s"`, `"15m"`, `"1h30m"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    text: String,
    duration: Duration,
}

impl Period {
    /// A period of whole minutes, for defaults.
    pub fn minutes(minutes: u16) -> Self {
        let minutes = minutes.max(1);
        Self {
            text: format!("{minutes}m"),
            duration: Duration::from_secs(u64::from(minutes) * 60),
        }
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

impl TryFrom<String> for Period {
    type Error = NotAnAmount;

    fn try_from(text: String) -> Result<Self, NotAnAmount> {
        match seconds(&text) {
            Some(seconds) if seconds > 0 => Ok(Self {
                duration: Duration::from_secs(seconds),
                text,
            }),
            _ => Err(NotAnAmount {
                text,
                must: PERIOD_MUST,
            }),
        }
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.text
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 15,
            // `&&` stops before duration() can raise an error, which would hide the message.
            "x-kubernetes-validations": [{
                "rule": "self != '' && self.matches('^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,4}s)?$') && duration(self) > duration('0s')",
                "message": PERIOD_MUST,
            }],
        })
    }
}

/// A number of instances, or a percentage of all that are wanted: `8` or `50%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum CountOrPercent {
    /// So many instances.
    Count(u32),
    /// So many hundredths, 0 to 100.
    Percent(u8),
}

impl CountOrPercent {
    /// The number of instances out of `total`, a percentage rounded up.
    pub fn of(self, total: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            // At most `total`, as the percentage is at most 100.
            Self::Percent(percent) => (u64::from(total) * u64::from(percent))
                .div_ceil(100)
                .try_into()
                .unwrap_or(total),
        }
    }
}

/// How a [`CountOrPercent`] stands in a manifest.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Count(u32),
    Percent(String),
}

impl TryFrom<Written> for CountOrPercent {
    type Error = NotAnAmount;

    fn try_from(written: Written) -> Result<Self, NotAnAmount> {
        match written {
            Written::Count(count) => Ok(Self::Count(count)),
            Written::Percent(text) => {
                let percent = text
                    .strip_suffix('%')
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
                match percent.and_then(|digits| digits.parse::<u8>().ok()) {
                    Some(percent) if percent <= 100 => Ok(Self::Percent(percent)),
                    _ => Err(NotAnAmount {
                        text,
                        must: PERCENT_MUST,
                    }),
                }
            }
        }
    }
}

impl From<CountOrPercent> for Written {
    fn from(amount: CountOrPercent) -> Self {
        match amount {
            CountOrPercent::Count(count) => Self::Count(count),
            CountOrPercent::Percent(percent) => Self::Percent(format!("{percent}%")),
        }
    }
}

impl JsonSchema for CountOrPercent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CountOrPercent".into()
    }

    /// By schema and not by CEL, which would need a type guard in every rule.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "minimum": 0,
            "maximum": 1000,
            "maxLength": 4,
            "pattern": "^(100|[0-9]{1,2})%$",
        })
    }
}

/// "12.34567" as micro-dollars: at most four digits, at most five decimals (Azure's limit for `billingProfile.maxPrice`).
fn micro_usd(text: &str) -> Option<i64> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) if (1..=5).contains(&decimals.len()) => (whole, decimals),
        Some(_) => return None,
        None => (text, ""),
    };
    let all_digits = whole
        .bytes()
        .chain(decimals.bytes())
        .all(|b| b.is_ascii_digit());
    if !all_digits || !(1..=4).contains(&whole.len()) {
        return None;
    }
    let micro = format!("{decimals:0<6}");
    Some(whole.parse::<i64>().ok()? * 1_000_000 + micro.parse::<i64>().ok()?)
}

/// "1h30m" as seconds: each unit at most once, in this order, at most four digits.
fn seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0;
    for (unit, length) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((digits, after)) = rest.split_once(unit) {
            if !(1..=4).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            total += digits.parse::<u64>().ok()? * length;
            rest = after;
        }
    }
    rest.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_prices_as_micro_dollars() {
        for (text, micro) in [
            ("0.05", 50_000),
            ("1", 1_000_000),
            ("0.00001", 10),
            ("9999.99999", 9_999_999_990),
            ("12.5", 12_500_000),
        ] {
            let price = MaxPrice::try_from(text.to_owned()).unwrap();
            assert_eq!(price.micro_usd(), Some(micro), "{text}");
            assert_eq!(serde_json::to_value(&price).unwrap(), text);
        }
        assert_eq!(
            MaxPrice::try_from("-1".to_owned()).unwrap().micro_usd(),
            None
        );
    }

    #[test]
    fn refuses_what_is_no_price() {
        for text in [
            "",
            "0",
            "0.0",
            "-2",
            "-0.05",
            "0.1234567",
            "0.123456",
            "cheap",
            "1e3",
            ".5",
            "5.",
            "12345",
            "+1",
            " 1",
            "0.0.5",
            "٣",
        ] {
            assert!(
                MaxPrice::try_from(text.to_owned()).is_err(),
                "{text:?} passed"
            );
        }
    }

    #[test]
    fn reads_periods() {
        for (text, wanted) in [
            ("90s", 90),
            ("15m", 900),
            ("1h30m", 5400),
            ("0h1s", 1),
            ("9999h", 35_996_400),
        ] {
            assert_eq!(
                Period::try_from(text.to_owned())
                    .unwrap()
                    .duration()
                    .as_secs(),
                wanted,
                "{text}"
            );
        }
        for text in [
            "", "0s", "0h0m0s", "15", "m", "1m1h", "1d", "-5m", "1.5h", "12345s", "5 m",
        ] {
            assert!(
                Period::try_from(text.to_owned()).is_err(),
                "{text:?} passed"
            );
        }
    }

    #[test]
    fn rounds_a_percentage_up() {
        for (text, total, wanted) in [
            ("50%", 20, 10),
            ("50%", 3, 2),
            ("1%", 20, 1),
            ("0%", 20, 0),
            ("100%", 2000, 2000),
            ("34%", 0, 0),
        ] {
            let amount: CountOrPercent = serde_json::from_value(text.into()).unwrap();
            assert_eq!(amount.of(total), wanted, "{text} of {total}");
            assert_eq!(serde_json::to_value(amount).unwrap(), text);
        }
        assert_eq!(
            serde_json::from_value::<CountOrPercent>(7.into())
                .unwrap()
                .of(3),
            7
        );
        for text in ["101%", "50", "%", "-1%", "+5%", "50.5%"] {
            assert!(
                serde_json::from_value::<CountOrPercent>(text.into()).is_err(),
                "{text:?} passed"
            );
        }
    }
}
