//! Our timestamps in Kubernetes' types and in text, always whole seconds: what is written must read back the same.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use k8s_openapi::jiff;
use spotpool_core::units::Timestamp;

/// For a field of type `metav1.Time`.
pub fn time(at: Timestamp) -> Time {
    Time(moment(Timestamp(at.0.div_euclid(1000) * 1000)))
}

/// For a field of type `metav1.MicroTime`.
pub fn micro_time(at: Timestamp) -> MicroTime {
    MicroTime(moment(at))
}

/// Back from a `metav1.Time`.
pub fn timestamp(time: &Time) -> Timestamp {
    Timestamp(time.0.as_millisecond())
}

/// The time of day for a sentence: `11:01:30Z`. Everything that is announced lies within the hour.
pub fn clock_text(at: Timestamp) -> String {
    moment(at).strftime("%H:%M:%SZ").to_string()
}

fn moment(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_whole_seconds_that_read_back_the_same() {
        let at = Timestamp(1_795_514_472_345);
        let written = serde_json::to_value(time(at)).unwrap();
        assert_eq!(written, "2026-11-24T10:01:12Z");
        let read: Time = serde_json::from_value(written).unwrap();
        assert_eq!(read, time(at));
        assert_eq!(timestamp(&read), Timestamp(1_795_514_472_000));
        assert_eq!(clock_text(at), "10:01:12Z");
    }
}
